"""Tables on the console."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

WIDTH = 150
"""Columns of a table where the output is no terminal."""


def show(table: "RenderableType") -> None:
    """Print a table; where the output is no terminal, wide and without broken lines."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH, soft_wrap=True)
    console.print(table)
