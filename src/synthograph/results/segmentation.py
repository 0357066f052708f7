"""What `segment evaluate` writes."""

from typing import Literal

from synthograph.results.base import (
    Count,
    Document,
    FileName,
    IfGiven,
    Many,
    Prose,
    Schema,
    UnlessEmpty,
)
from synthograph.results.classification import ScoreValue
from synthograph.results.environment import Environment
from synthograph.results.validations import Fit, ValidationHistory

MEAN = ""
"""Class of a score that is the mean over the classes."""


class MaskScoreValue(ScoreValue):
    """A score of masks on a part of the images.

    Attributes:
        of_class: the class; empty for the mean over all but the background.
        unit: what is scored: images, or groups with the pixels of all their images together.
    """

    of_class: IfGiven[str] = MEAN


class ClassCases(Schema):
    """In how many images a class is in the truth and in the prediction.

    Attributes:
        of_class: the class.
        both: in both.
        missed: in the truth only; `false_alarms` in the prediction only.
        neither: in none of them: such images have no value and are counted here.
    """

    of_class: str
    both: Count
    missed: Count
    false_alarms: Count
    neither: Count


class SegmenterRecord(Schema):
    """Which segmenter was evaluated."""

    file: FileName
    sha256: str
    network: str
    data: FileName
    counts: dict[str, Count]
    history: UnlessEmpty[ValidationHistory | None] = None
    """How its validations went; None in older files."""
    fit: UnlessEmpty[Fit | None] = None
    """How it was trained; None in older files."""


class SegmenterEvaluation(Document):
    """Scores of a segmenter on real images that it never saw."""

    kind: Literal["segmenter-evaluation"] = "segmenter-evaluation"
    model: SegmenterRecord
    data: FileName
    split: IfGiven[str | None] = None
    images_hash: str
    classes: Many[str]
    """The background first."""
    images: Count
    groups: Count
    scores: Many[MaskScoreValue]
    titles: dict[str, str]
    """Name of every score -> what it is, in words."""
    cases: Many[ClassCases]
    rules: Many[Prose]
    """What empty masks count for."""
    without: Count
    """Images without a mask, which were left out."""
    ignored: float
    """Share of the pixels of which nobody says what they are."""
    seed: int
    version: str
    environment: UnlessEmpty[Environment | None] = None
    """Where it was evaluated; None in older files."""
    notes: Many[Prose] = ()

    def score(self, name: str, of_class: str = MEAN) -> MaskScoreValue | None:
        """A score of all images; None where it was not computed."""
        for each in self.scores:
            if (each.score, each.of_class, each.column, each.unit) == (name, of_class, "", "image"):
                return each
        return None
