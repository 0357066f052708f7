"""An audit for the console: a table of the tests, what copy detection says, and the verdict."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from synthograph.metrics.report_text import empty_table, number
from synthograph.results.audit import Audit, NeighbourTest

WIDTHS = (20, 12, None, 9, 9, 20)


def table(audit: Audit) -> RenderableType:
    """All of it for a terminal."""
    parts: list[RenderableType] = []
    if audit.tests:
        parts.append(_tests(audit.tests))
    parts += [Text(f"- {line}") for line in lines(audit)]
    verdict = audit.verdict
    said = verdict.answer.value.upper() + (" (an indication)" if verdict.indicative else "")
    parts.append(Text(f"\nverdict: {said}", style="bold"))
    parts += [Text(f"  because: {reason}") for reason in verdict.reasons]
    parts += [Text(f"  limit: {limit}") for limit in verdict.limits]
    return Group(*parts)


def _tests(tests: Sequence[NeighbourTest]) -> Table:
    numbers = ("more than chance", "value", "expected", "95 % interval")
    result = empty_table(("test", "features"), numbers)
    result.title = (
        "nearest neighbours: are synthetic images closer to training images than to others?"
    )
    for column, width in zip(result.columns, WIDTHS, strict=True):
        column.min_width = width
    for each in tests:
        result.add_row(
            each.test,
            each.extractor,
            "YES" if each.flagged else "no",
            number(each.value),
            number(each.expected),
            f"{number(each.interval[0])} .. {number(each.interval[1])}",
        )
    return result


def lines(audit: Audit) -> Iterator[str]:
    """Sentences on everything besides the tests."""
    parts = (audit.overlap, audit.copies, audit.membership, audit.augmentations)
    yield from (part.sentence for part in parts if part is not None)
