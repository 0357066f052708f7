"""A direction in the style space of a generator: how it was found, and what moves along it."""

from typing import Annotated, Literal

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
from synthograph.results.provenance import Provenance


class FitQuality(Schema):
    """How well something linear does on groups that it did not see.

    Attributes:
        value: correlation with the truth, or for a class the area under the ROC curve.
        chance: what it is where there is nothing to find: 0, or 0.5 for a class.
        interval: over groups; None with too few of them.
        images: that it was measured on, of so many groups.
    """

    value: float
    chance: float
    interval: Ends | None
    images: Count
    groups: Count

    @property
    def measure(self) -> str:
        """What the value is."""
        return "AUROC" if self.chance else "correlation"


class Step(Schema):
    """Mean change at one step, against the same images where they were.

    Attributes:
        step: in standard deviations of the styles along the direction.
        change: in the unit of the column; of a class, 1 is how far its images and others lie apart.
        interval: over samples; None for a single one.
    """

    step: float
    change: float
    interval: Ends | None


class Moved(Schema):
    """What becomes of one column along the direction.

    Attributes:
        column: of the manifest; `level` is its value where it is none of numbers.
        scorer: how well the column is read from images of held-out groups; a column that cannot be
            read is not measured.
        agreement: correlation, on samples, with a second scorer that learned from other groups.
        spread: standard deviation of the column among the real images.
        cosine: of the column's own direction with this one; None where it has none.
        steps: from one end to the other.
        change: from the first step to the last, with its interval.
        in_spreads: the same in standard deviations of the column among the real images.
    """

    column: str
    level: str
    scorer: FitQuality
    agreement: float
    spread: float
    cosine: float | None
    steps: Many[Step]
    change: float
    interval: Ends | None

    @property
    def title(self) -> str:
        """For readers."""
        return f"{self.column} {self.level}".rstrip()

    @property
    def in_spreads(self) -> float:
        """The change in standard deviations of the column among the real images."""
        return self.change / self.spread

    @property
    def moves(self) -> bool:
        """Whether chance does not explain the change."""
        ends = self.interval
        return ends is not None and not ends.low <= 0 <= ends.high


class Directions(Document):
    """What `directions` writes.

    Attributes:
        network: file name of the generator.
        data: the archive with the column.
        column: that the direction is for, and `level`, the value it leads to; empty for numbers.
        found_on: what the direction was found on, in words.
        fit: of the direction on latents that it was not found on.
        spread: standard deviation of styles along the direction; a step of 1 is as long.
        moved: the column first, then others.
        chance: largest change of the column, from the first step to the last, along directions that
            were fitted to shuffled values; `shuffled`, how many.
        fresh: samples that were moved.
    """

    kind: Literal["directions"] = "directions"
    network: FileName
    data: FileName
    column: str
    level: str
    found_on: Prose
    fit: FitQuality
    spread: float
    moved: Many[Moved]
    chance: float
    shuffled: Count
    fresh: Count
    left_out: Annotated[Many[str], Private] = ()
    """Columns that cannot be read from the images."""
    settings: dict[str, Plain] = {}
    notes: Many[Prose] = ()
    provenance: Provenance = Provenance()

    @property
    def title(self) -> str:
        """What it leads to."""
        return f"{self.column} {self.level}".rstrip()

    @property
    def sentence(self) -> str:
        """What was measured, and no more."""
        first = self.moved[0]
        if not first.moves or abs(first.change) <= self.chance:
            return f"{self.title} moves no more than along directions by chance: nothing is shown"
        others = [each.title for each in self.moved[1:] if each.moves]
        with_it = f"; with it move {', '.join(others)}" if others else ""
        return f"{self.title} moves along the direction{with_it}"
