"""What a race of presets writes: `race.json`, the plan, what was measured, and the winner."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from synthograph.results.base import (
    Count,
    Document,
    Ends,
    FileName,
    Many,
    Plain,
    Private,
    Prose,
    Schema,
)


class RaceScore(Schema):
    """A measure of a candidate's images by images that were held out."""

    name: str
    value: float | None
    interval: Ends | None = None


class Candidate(Schema):
    """One preset of a race.

    Attributes:
        preset: its name.
        kimg: thousands of images that it trains for in the race.
        whole: thousands of images that it trains for if it wins.
        seconds: that the race was planned to take of it.
        init_from: network whose weights it begins with; `none`, or None in older files, for random
            ones.
        scores: of its last snapshot in the race; empty until it was measured.
        out: why there was nothing to measure; empty for any other.
    """

    preset: str
    kimg: float
    whole: float
    seconds: float
    init_from: FileName | None = None
    scores: Many[RaceScore] = ()
    out: Prose = ""

    def value(self, name: str) -> float | None:
        """The measure of that name."""
        return next((score.value for score in self.scores if score.name == name), None)


class Race(Document):
    """`race.json`.

    Attributes:
        preset: name of the race.
        request: options of the training that it is a race for, by field.
        extractor: whose features measure.
        reference: the held-out images, and their number.
        winner: preset; None until all were measured.
        reasons: why.
        left_out: presets that do not take part, and why.
    """

    kind: Literal["race"] = "race"
    preset: str
    request: Annotated[dict[str, Plain], Private] = {}
    extractor: str
    reference: FileName
    images: Count
    candidates: Many[Candidate]
    winner: str | None = None
    reasons: Many[Prose] = ()
    left_out: Many[Prose] = ()

    def scored(self, preset: str, scores: Iterable[RaceScore]) -> Self:
        """With the scores of a candidate."""
        return self._with(preset, scores=tuple(scores))

    def left(self, preset: str, why: str) -> Self:
        """With a candidate that is out."""
        return self._with(preset, out=why)

    def _with(self, preset: str, **values: object) -> Self:
        return self.replace(
            candidates=tuple(
                one.replace(**values) if one.preset == preset else one for one in self.candidates
            )
        )
