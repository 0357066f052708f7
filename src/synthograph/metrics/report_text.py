"""An evaluation for the console: tables, and sentences on what the numbers do and do not show."""

import itertools
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from synthograph.core.interval import Interval
from synthograph.core.names import first_few
from synthograph.results.evaluation import Entry, Measurements, PublishedMeasure, ScopeShare

MAX_PLACES = 4
EQUAL_NUMBERS = (
    "recall and others change with the number of images: compare 'same n' (as many synthetic "
    "images as in a half of the real ones) with 'real vs real' (one half against the other)"
)
WIDTHS = (10, 12, 9, 9, 9, 20, 9, 9)
"""Of columns at least, so that the tables of all parts stand below one another."""


def table(report: Measurements, published: Sequence[PublishedMeasure] = ()) -> RenderableType:
    """The whole evaluation for a terminal."""
    parts: list[RenderableType] = []
    gap = any(entry.train for entry in report.entries)
    for _, entries in itertools.groupby(report.entries, key=lambda entry: entry.scope):
        parts.append(_measures(list(entries), gap=gap))
    if report.shares:
        parts.append(_shares(report.shares))
    if published:
        parts.append(_published(published))
    parts += [Text(f"- {line}") for line in (*sentences(report), *_notes(report, published))]
    return Group(*parts)


def _measures(entries: Sequence[Entry], *, gap: bool) -> Table:
    """The measures of one part; numbers that are compared stand together on narrow screens, too."""
    first = next((entry for entry in entries if entry.n_real), entries[0])
    sizes = f"{first.n_real} real, {first.n_fake} synthetic"
    if not first.n_real:
        sizes = f"{first.n_fake} synthetic"
    half = next((entry.floor for entry in entries if entry.floor is not None), None)
    if half is not None:
        sizes += f"; halves of {half.n[0]} and {half.n[1]} real images"
    names = (
        "value",
        "real vs real",
        "same n",
        "95 % interval",
        *(("vs train", "gap") if gap else ()),
    )
    result = empty_table(("measure", "features"), names)
    result.title = Text(f"{first.scope}: {sizes}")  # as Text: brackets in names are no markup
    for column, width in zip(result.columns, WIDTHS, strict=False):
        column.min_width = width
    for entry in entries:
        result.add_row(*_cells(entry, gap=gap))
    return result


def empty_table(left: Sequence[str], right: Sequence[str], *, no_wrap: bool = False) -> Table:
    """Columns of text, then columns of numbers."""
    result = Table(box=box.SIMPLE, title_justify="left", pad_edge=False)
    for name in left:
        result.add_column(name, no_wrap=no_wrap)
    for name in right:
        result.add_column(name, justify="right", no_wrap=no_wrap)
    return result


def _cells(entry: Entry, *, gap: bool) -> list[str | Text]:
    floor = entry.floor
    cells: list[str | Text] = [
        entry.name,
        Text(entry.extractor or "pixels"),
        number(entry.value),
        "-" if floor is None else number(floor.value),
        "-" if floor is None else number(floor.same_n),
        interval_text(entry.interval),
    ]
    if gap:
        cells += ["-" if entry.train is None else number(entry.train.value), number(entry.gap)]
    return cells


def number(value: float | None) -> str:
    """Three digits that count; a dash where there is no number."""
    return "-" if value is None else f"{value:.3g}"


def interval_text(ends: Interval | None) -> str:
    """Both ends; a dash where there is no interval."""
    return "-" if ends is None else f"{number(ends.low)} .. {number(ends.high)}"


def _shares(shares: Sequence[ScopeShare]) -> Table:
    names = ("real", "synthetic", "train", "share, synthetic / train")
    result = empty_table(("part",), names, no_wrap=True)
    for share in shares:
        counts = (share.n_real, share.n_generated, share.n_train)
        cells = ["-" if count is None else str(count) for count in counts]
        result.add_row(Text(str(share)), *cells, number(share.share_generated_over_share_train))
    return result


def _published(published: Sequence[PublishedMeasure]) -> Table:
    result = empty_table(("name",), ("value",), no_wrap=True)
    for each in published:
        for key, value in each.results.items():
            result.add_row(key, number(value))
    return result


def sentences(report: Measurements) -> list[str]:
    """Conclusions from several numbers together."""
    found, several = [], _several(report)
    if any(entry.floor is not None and entry.floor.same_n is not None for entry in report.entries):
        found.append(EQUAL_NUMBERS)
    alike = [_place(entry, several) for entry in report.entries if entry.at_floor]
    if alike:
        found.append(
            "no difference from real images is seen, which does not prove that there is none: "
            f"{_places(alike)}"
        )
    nearer = [_place(entry, several) for entry in report.entries if entry.nearer_to_training]
    if nearer:
        found.append(
            "synthetic images are closer to training images than to the held-out real images, "
            f"more than chance explains, a sign of memorising: {_places(nearer)}"
        )
    absent = [str(part) for part in report.shares if part.n_real and part.n_generated == 0]
    if absent:
        found.append(f"no synthetic images at all: {_places(absent)}")
    found += report.notes
    return found


def _notes(report: Measurements, published: Sequence[PublishedMeasure]) -> Iterable[str]:
    """Every note once, with the measures and parts that it belongs to."""
    places: dict[str, list[str]] = {}
    several = _several(report)
    for entry in report.entries:
        for note in entry.notes:
            places.setdefault(note, []).append(_place(entry, several))
    for each in published:
        for value in each.values:
            for note in value.notes:
                places.setdefault(note, []).append(each.metric)
    for note, where in places.items():
        yield f"{note} ({_places(dict.fromkeys(where))})"


def _several(report: Measurements) -> bool:
    """Whether more than one extractor measured, so that each has to be named."""
    return len({entry.extractor for entry in report.entries if entry.extractor}) > 1


def _place(entry: Entry, several: bool) -> str:
    by = f" by {entry.extractor}" if several and entry.extractor else ""
    return f"{entry.name}{by}, {entry.scope}"


def _places(names: Iterable[str]) -> str:
    return first_few(names, MAX_PLACES, separator="; ")
