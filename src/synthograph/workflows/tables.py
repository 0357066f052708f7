"""Tables as lines of text, and as CSV."""

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from rich import box
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

from synthograph.report.tables import TableText

WIDTH = 1000
"""Columns where no terminal limits them."""
SHORT = 24
"""Columns of text that are never broken, such as numbers, intervals and names of classes."""


def table_lines(table: RenderableType, width: int = WIDTH) -> Iterator[str]:
    """A table as a terminal shows it; in a file or pipe so wide, plain and without broken lines.

    In a terminal that is too narrow for it, its columns follow in several tables, each with the
    first column in front, so that no word or number is cut.

    Args:
        table: a table, or a group of tables and texts.
        width: columns of text where the output is no terminal.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        # in the code page of what it is written to, which may lack lines
        page = io.TextIOWrapper(io.BytesIO(), encoding=getattr(sys.stdout, "encoding", "utf-8"))
        console = Console(highlight=False, width=width, soft_wrap=True, file=page)
    with console.capture() as drawn:
        for part in table.renderables if isinstance(table, Group) else [table]:
            fitting = _fitting(part, console) if isinstance(part, Table) else [part]
            console.print(*fitting, sep="\n")
    yield from (line.rstrip() for line in drawn.get().splitlines())


def rows_lines(
    head: Sequence[str], rows: Iterable[Iterable[object]], *, framed: bool = True
) -> Iterator[str]:
    """Rows as a terminal shows them, the first column to the left and all others to the right, with
    a frame or only a line below the head; brackets in names are no markup.
    """
    first, *others = map(Text, head)
    columns = (Column(first), *(Column(each, justify="right") for each in others))
    table = Table(*columns, box=box.HEAVY_HEAD if framed else box.SIMPLE, pad_edge=framed)
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    yield from table_lines(table)


def worded_lines(words: TableText) -> Iterator[str]:
    """A table of the page as a terminal shows it, with its title and notes."""
    yield words.title
    yield from rows_lines(words.head, words.rows)
    yield from (f"note: {note}" for note in words.notes)


def _fitting(table: Table, console: Console) -> Sequence[RenderableType]:
    """The table, or tables of some of its columns, none wider than the console if that is
    possible.
    """
    wide = console.options.update(max_width=WIDTH)
    if Measurement.get(console, wide, table).maximum <= console.width:
        return [table]
    parts, chosen = [], [0]
    for place in range(1, len(table.columns)):
        if len(chosen) > 1 and _least(table, [*chosen, place], console) > console.width:
            parts.append(_columns(table, chosen, console))
            chosen = [0]
        chosen.append(place)
    return [*parts, _columns(table, chosen, console)]


def _least(table: Table, places: Sequence[int], console: Console) -> int:
    """Columns of text that these columns need if no word is cut."""
    wide = console.options.update(max_width=WIDTH)
    return Measurement.get(console, wide, _columns(table, places, console)).minimum


def _columns(table: Table, places: Sequence[int], console: Console) -> Table:
    """A table of some columns of another, which breaks lines in long texts only."""
    picked = [table.columns[place] for place in places]
    part = Table(*(_unbroken(column, console) for column in picked), title=table.title)
    part.box, part.pad_edge, part.title_justify = table.box, table.pad_edge, table.title_justify
    for row, cells in zip(table.rows, zip(*(c.cells for c in picked), strict=True), strict=True):
        part.add_row(*cells, style=row.style, end_section=row.end_section)
    return part


def _unbroken(column: Column, console: Console) -> Column:
    """A column without cells, wide enough for those of another."""
    wide = console.options.update(max_width=WIDTH)
    cells = [Measurement.get(console, wide, cell) for cell in (column.header, *column.cells)]
    longest, words = max(cell.maximum for cell in cells), max(cell.minimum for cell in cells)
    whole = column.no_wrap or longest <= SHORT
    return replace(column.copy(), no_wrap=whole, min_width=longest if whole else words)


def csv_text(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A table as CSV with its head; values that are no text as `str` gives them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def number(value: float) -> str:
    """A number of a table, with three significant digits."""
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
