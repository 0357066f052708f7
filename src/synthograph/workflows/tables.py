"""Tables as lines of text."""

import io
from collections.abc import Iterator

from rich.console import Console, RenderableType

WIDTH = 1000
"""Columns where no terminal limits them."""


def table_lines(table: RenderableType, width: int = WIDTH) -> Iterator[str]:
    """A table as a terminal shows it; in a file or pipe so wide, plain and without broken lines."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=width, soft_wrap=True, file=io.StringIO())
    with console.capture() as drawn:
        console.print(table)
    yield from (line.rstrip() for line in drawn.get().splitlines())
