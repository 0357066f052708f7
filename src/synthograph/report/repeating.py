"""Whether the synthetic images of a class repeat themselves, for the verdict on variety."""

from collections.abc import Iterator

from synthograph.report.numbers import WHOLE, Numbers
from synthograph.report.words import amount, listed, scope_name
from synthograph.results.diversity import SPREAD, WITHIN_CLASSES, repeats
from synthograph.results.evaluation import LABEL, Entry, Scope

Within = dict[Scope, list[Entry]]
"""Measures of variety within each class; of all images where there are no classes."""


def within_classes(numbers: Numbers) -> Within:
    """What was measured within classes."""
    found: Within = {}
    for part in numbers.scopes():
        entries = [e for e in numbers.of(part) if e.name in WITHIN_CLASSES and e.value is not None]
        if entries and (part == WHOLE or (part.column == LABEL and part.level)):
            found[part] = entries
    return {part: each for part, each in found.items() if part != WHOLE} or found


def repeated(within: Within) -> list[Scope]:
    """The parts whose images repeat themselves, by any extractor."""
    return [
        part
        for part, entries in within.items()
        if any(repeats(each.name, each.interval) for each in entries)
    ]


def described(within: Within) -> Iterator[str]:
    """A sentence for every part and extractor."""
    for part, entries in within.items():
        for extractor in dict.fromkeys(each.extractor for each in entries):
            said = [_said(each) for each in entries if each.extractor == extractor]
            yield f"By {extractor}, {scope_name(part)}: {listed(said)}."


def _said(entry: Entry) -> str:
    ends, name = entry.interval, entry.name
    value, between = amount(name, entry.value), ""
    if ends is not None:
        between = f" (95 % interval {amount(name, ends.low)} to {amount(name, ends.high)})"
    if name == SPREAD:
        return f"two synthetic images lie {value} times as far apart as two real ones{between}"
    return f"{value}{between} of the synthetic images have a near duplicate among themselves"
