"""Results that are a table and some lines below it."""

import io
import shutil
import sys
from collections.abc import Iterator

from rich.console import Console, RenderableType

from synthograph.core.request import Result

WIDTH = 1000
"""Columns where no terminal limits them."""


class TableResult(Result):
    """A result with a table, which a console can show in colours."""

    @property
    def table(self) -> RenderableType:
        """The numbers."""
        raise NotImplementedError

    def notes(self) -> Iterator[str]:
        """What follows the table, such as the files that were written."""
        yield from ()

    def lines(self) -> Iterator[str]:
        """Table and notes, without colours."""
        yield from table_lines(self.table)
        yield from self.notes()


def table_lines(table: RenderableType, width: int = WIDTH) -> Iterator[str]:
    """A table without colours, as wide as the terminal; a file or pipe has no width that columns
    would have to fit into.
    """
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else width
    console = Console(width=columns, file=io.StringIO(), color_system=None, soft_wrap=True)
    with console.capture() as drawn:
        console.print(table)
    yield from (line.rstrip() for line in drawn.get().splitlines())
