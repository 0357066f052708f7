"""A study on the console, in the words of the page."""

from collections.abc import Iterator

from rich.table import Column, Table
from rich.text import Text

from synthograph.report.studies import tables
from synthograph.results.study import Study
from synthograph.workflows.tables import table_lines


def study_lines(study: Study) -> Iterator[str]:
    """Every table, and the two sentences on what may be claimed and what may not."""
    for each in tables(study):
        first, *others = each.head
        table = Table(first, *(Column(head, justify="right") for head in others))
        for row in each.rows:
            table.add_row(*map(Text, row))
        yield ""
        yield each.title
        yield from table_lines(table)
        yield from (f"note: {note}" for note in each.notes)
    yield ""
    yield from (f"note: {note}" for note in study.about.notes)
    yield f"may be claimed: {study.may}"
    yield f"may not be claimed: {study.may_not.removeprefix('It may not be claimed: ')}"
