"""Whether the synthetic images of a class repeat themselves, or vary by noise, for the verdict on
variety.
"""

from collections.abc import Iterator

from synthograph.report.numbers import WHOLE, Numbers
from synthograph.report.words import amount, listed, scope_name
from synthograph.results.diversity import (
    NOISE_SHARE,
    REPETITION,
    SPREAD,
    WITHIN_CLASSES,
    repeats,
)
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
    return _parts(within, SPREAD, REPETITION)


def varied_by_noise(within: Within) -> list[Scope]:
    """The parts whose images differ by their noise and little by their latents."""
    return _parts(within, NOISE_SHARE)


def _parts(within: Within, *measures: str) -> list[Scope]:
    return [
        part
        for part, entries in within.items()
        if any(each.name in measures and repeats(each.name, each.interval) for each in entries)
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
        return f"noise makes {value}{between} of the difference between two synthetic images"
    return f"{value}{between} of the synthetic images have a near duplicate among themselves"
