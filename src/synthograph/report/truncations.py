"""Fidelity and diversity over psi in words, tables and a picture: for the page and the console."""

from collections.abc import Iterator

from synthograph.report.curves import Curve, Panel, draw
from synthograph.report.tables import TableText, three, with_ends
from synthograph.report.words import number, scope_name, several
from synthograph.results.base import Tree
from synthograph.results.evaluation import Value
from synthograph.results.truncation import (
    COVERAGE,
    KEPT,
    MIN_RECALLED,
    PRECISION,
    RECALL,
    Truncation,
    TruncationPart,
)

TITLES = {
    "frechet": "Frechet",
    PRECISION: "precision",
    RECALL: "recall",
    "density": "density",
    COVERAGE: "coverage",
}
MEANING = (
    "precision and density say how many synthetic images look real, recall and coverage how much "
    "of the variety of real images is there; values are comparable at equal numbers of images only"
)


def tables(found: Truncation) -> Iterator[TableText]:
    """A table per part: a row for every psi."""
    for part in found.parts:
        first = part.points[0].of(RECALL)
        size = (
            f"{several(first.n_real, 'real image')} of {several(first.groups_real, 'group')}, "
            f"{first.n_fake} synthetic ones at every psi"
        )
        rows = [
            [
                f"{point.psi:g}{' *' if point.psi == part.chosen else ''}",
                *(_cell(point.of(name)) for name in TITLES),
            ]
            for point in part.points
        ]
        title = f"Truncation of {found.network}, {scope_name(part.scope)}: {size}"
        yield TableText(title, ["psi", *TITLES.values()], rows, list(_sentences(part)))


def _cell(value: Value) -> str:
    return with_ends(value.value, value.interval, number if value.name == "frechet" else three)


def _sentences(part: TruncationPart) -> Iterator[str]:
    """What the psi of the rule costs and gains."""
    if part.chosen is None or part.best is None:
        of = None if part.best is None else part.at(part.best).of(RECALL)
        hits = 0 if of is None else round((of.value or 0) * of.n_real)
        yield (
            f"no psi is named: the best recall rests on {several(hits, 'real image')}, at least "
            f"{MIN_RECALLED} are needed"
        )
        return
    here, best, last = (part.at(psi) for psi in (part.chosen, part.best, part.points[-1].psi))
    at_best = f"; the best is {_cell(best.of(RECALL))}, at psi {best.psi:g}"
    yield (
        f"psi {here.psi:g} (*) keeps recall within 5 % of the best: {_cell(here.of(RECALL))}"
        f"{'' if here == best else at_best}"
    )
    if here != last:
        gain = (here.of(PRECISION).value or 0) > (last.of(PRECISION).value or 0)
        yield (
            f"precision is {_cell(here.of(PRECISION))} there, and {_cell(last.of(PRECISION))} at "
            f"psi {last.psi:g}{'' if gain else ': truncation gains nothing here'}"
        )
    most = max(part.points, key=lambda point: point.of(COVERAGE).value or 0)
    if (here.of(COVERAGE).value or 0) < KEPT * (most.of(COVERAGE).value or 0):
        yield (
            f"coverage is {_cell(here.of(COVERAGE))} there, and {_cell(most.of(COVERAGE))} at psi "
            f"{most.psi:g}: synthetic images far from all real ones can raise recall, not coverage"
        )
    if part.possible is not None and part.possible < part.chosen:
        yield (
            f"psi {part.possible:g} is not ruled out: with so few images the interval of its "
            "recall reaches within 5 % of the best, too"
        )


def truncation_tree(found: Truncation) -> Tree:
    """The sweep for the page."""
    features = found.provenance.features
    return {
        "network": found.network,
        "center": found.center,
        "extractor": "" if features is None else features.extractor,
        "indicative": features is not None and features.indicative,
        "chosen": found.parts[0].chosen if found.parts else None,
        "tables": [each.tree() for each in tables(found)],
        "rule": found.rule,
        "notes": list(found.notes),
    }


def drawing(found: Truncation, name: str) -> str:
    """Precision and recall of all images over psi, as SVG; a line at the psi of the rule."""
    part = found.parts[0]
    lines = [_curve(part, measure) for measure in (PRECISION, RECALL)]
    alarms = () if part.chosen is None else [part.chosen]
    return draw(Panel(lines, "share of images", "psi", alarms), name)


def _curve(part: TruncationPart, name: str) -> Curve:
    values = [point.of(name) for point in part.points]
    ends = [value.interval for value in values]
    low, high = (
        [None if e is None else getattr(e, side) for e in ends] for side in ("low", "high")
    )
    psis = [point.psi for point in part.points]
    return Curve(name, psis, [value.value for value in values], low, high)
