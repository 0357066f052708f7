"""What `truncation` measures: fidelity and diversity of a generator at several psi."""

from collections.abc import Sequence
from typing import Literal, Self

from synthograph.results.base import (
    Count,
    Document,
    FileName,
    IfGiven,
    Many,
    Prose,
    Schema,
    Share,
)
from synthograph.results.evaluation import Scope, Value
from synthograph.results.provenance import Provenance

RECALL, PRECISION, COVERAGE = "recall", "precision", "coverage"
KEPT = 0.95
"""Share of the best recall that a psi has to keep."""
MIN_RECALLED = 5
"""Real images that the best recall has to rest on."""
RULE = (
    "the smallest psi whose recall is at least 95 % of the best one; none where the best one rests "
    f"on fewer than {MIN_RECALLED} real images"
)


ROUNDING = 1e-9
"""By which a share may differ from the same one that was computed in another way."""


class TruncationPoint(Schema):
    """The measures at one psi."""

    psi: float
    values: Many[Value]

    def of(self, name: str) -> Value:
        """One of the measures."""
        return next(value for value in self.values if value.name == name)


class TruncationPart(Schema):
    """The measures of a part of the images, by growing psi.

    Attributes:
        best: psi of the best recall; the larger one of equal ones.
        chosen: the psi that the rule names; None where it names none.
        possible: the smallest psi that the intervals of recall do not rule out; None without.
    """

    scope: Scope = Scope()
    points: Many[TruncationPoint]
    best: float | None = None
    chosen: float | None = None
    possible: float | None = None

    @classmethod
    def of(cls, scope: Scope, points: Sequence[TruncationPoint]) -> Self:
        """A part, with the psi that the rule names."""
        points = tuple(sorted(points, key=lambda point: point.psi))
        recalls = {p.psi: p.of(RECALL) for p in points}
        known = {psi: _hits(each) for psi, each in recalls.items() if each.value is not None}
        best = max(known, key=lambda psi: (known[psi], psi), default=None)
        if best is None or known[best] < MIN_RECALLED:
            return cls(scope=scope, points=points, best=best)
        needed = round(100 * KEPT) * known[best]
        least = KEPT * (recalls[best].value or 0) - ROUNDING
        ends = {psi: each.interval for psi, each in recalls.items()}
        return cls(
            scope=scope,
            points=points,
            best=best,
            chosen=next(psi for psi, hits in known.items() if 100 * hits >= needed),
            possible=next((psi for psi, end in ends.items() if end and end.high >= least), None),
        )

    def at(self, psi: float) -> TruncationPoint:
        """The measures at one of the psi."""
        return next(point for point in self.points if point.psi == psi)


def _hits(recall: Value) -> int:
    """Real images that are recalled."""
    return recall.counts.get("hits", round((recall.value or 0) * recall.n_real))


class Truncation(Document):
    """Fidelity and diversity over psi.

    Attributes:
        network: file of the generator; `network_sha256`, its hash.
        center: what truncation pulls to, `global` or `class`.
        parts: all images first, then the classes with images enough.
        kept: share of the best recall that the chosen psi keeps; `rule` says it in words.
    """

    kind: Literal["truncation"] = "truncation"
    network: FileName
    network_sha256: str
    center: str
    parts: Many[TruncationPart]
    kept: Share = KEPT
    rule: str = RULE
    images: Count
    provenance: Provenance
    notes: IfGiven[Many[Prose]] = ()
