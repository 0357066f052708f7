"""A study on the console, in the words of the page."""

from collections.abc import Collection, Iterator

from synthograph.report.studies import tables
from synthograph.results.study import Study
from synthograph.workflows.tables import worded_lines


def study_lines(study: Study, told: Collection[str] = ()) -> Iterator[str]:
    """Every table, and the two sentences on what may be claimed and what may not.

    Args:
        study: that is complete.
        told: notes that were told before.
    """
    for each in tables(study):
        yield ""
        yield from worded_lines(each)
    yield ""
    yield from (f"note: {note}" for note in study.about.notes if note not in told)
    yield f"may be claimed: {study.may}"
    yield f"may not be claimed: {study.may_not.removeprefix('It may not be claimed: ')}"
