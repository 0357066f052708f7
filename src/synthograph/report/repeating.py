"""Whether the synthetic images of a class repeat themselves, or vary by noise, for the verdict on
variety.
"""

from collections.abc import Collection, Iterator

from synthograph.report.numbers import WHOLE, Numbers
from synthograph.report.words import amount, listed, scope_name
from synthograph.results.diversity import NOISE_SHARE, SPREAD, too_alike
from synthograph.results.evaluation import LABEL, Entry, Scope

Within = dict[Scope, list[Entry]]
"""Measures of variety within each class; of all images where there are no classes."""


def within_classes(numbers: Numbers, measures: Collection[str]) -> Within:
    """What was found by these measures within classes."""
    found: Within = {}
    for part in numbers.scopes():
        entries = [e for e in numbers.of(part) if e.name in measures and e.value is not None]
        if entries and (part == WHOLE or (part.column == LABEL and part.level)):
            found[part] = entries
    return {part: each for part, each in found.items() if part != WHOLE} or found


def alike(within: Within) -> list[Scope]:
    """The parts whose images are too much alike, by any extractor."""
    return [
        part
        for part, entries in within.items()
        if any(too_alike(each.name, each.interval) for each in entries)
    ]


def described(within: Within) -> Iterator[str]:
    """A sentence for every part and extractor."""
    for part, entries in within.items():
        for extractor in dict.fromkeys(each.extractor for each in entries):
            said = [_said(each) for each in entries if each.extractor == extractor]
            by = f"By {extractor}, " if extractor else ""
            yield f"{by}{scope_name(part)}: {listed(said)}."


def _said(entry: Entry) -> str:
    ends, name = entry.interval, entry.name
    value, between = amount(name, entry.value), ""
    if ends is not None:
        between = f" (95 % interval {amount(name, ends.low)} to {amount(name, ends.high)})"
    if name == SPREAD:
        return f"two synthetic images lie {value} times as far apart as two real ones{between}"
    if name == NOISE_SHARE:
        return f"with the same noise inputs for all, {value}{between} of their variety is lost"
    return f"{value}{between} of the synthetic images have a near duplicate among themselves"
