"""What `classify evaluate` writes."""

from typing import Annotated, Literal

import pydantic

from synthograph.results.base import (
    Count,
    Document,
    Ends,
    FileName,
    IfGiven,
    Many,
    Plain,
    Prose,
    Schema,
    Share,
    UnlessEmpty,
)
from synthograph.results.environment import Environment
from synthograph.results.validations import Fit, ValidationHistory

Unit = Literal["image", "group"]
Combine = Literal["mean", "vote"]


class ScoreValue(Schema):
    """A score on a part of the images.

    Attributes:
        score: its name, such as `auroc`.
        column, level: the part, such as `site` and `b`; empty for all images.
        unit: what is scored: images, or groups, of whose images the file says how they decide.
        value: None where it has none, such as without an image of a class.
        interval: over groups; None with too few of them.
        images, groups: of the part.
    """

    score: str
    column: IfGiven[str] = ""
    level: IfGiven[str] = ""
    unit: Unit = "image"
    value: float | None
    interval: Ends | None = None
    images: Count
    groups: Count


class CalibrationCurve(Schema):
    """Reliability of the most probable class in bins of equally many images.

    Attributes:
        said: mean probability in every bin.
        came: share that was right.
        counts: images.
        error: expected calibration error, 0..1.
    """

    said: Many[float]
    came: Many[float]
    counts: Many[Count]
    error: float


class ClassCurve(Schema):
    """One class against the others at thresholds from the strictest to one that finds everything.

    Attributes:
        of_class: its name.
        auroc: area under sensitivity over false alarms; `average_precision` of the same class.
        false_alarms: share of the other images that are found.
        sensitivity: share of its own images that are found.
        precision: share of what is found that is its own.
    """

    of_class: str
    auroc: float
    average_precision: float
    false_alarms: Many[Share]
    sensitivity: Many[Share]
    precision: Many[Share]


class Estimated(Schema):
    """A number and its interval over groups; None where there is none."""

    value: float | None
    interval: Ends | None = None


class ClassRisk(Schema):
    """What the probability of a class is worth as a risk.

    Attributes:
        of_class: its name.
        share: of the images that are of the class.
        slope: of the calibration: less than 1 where probabilities are too extreme; None where the
            images are told apart without error, and where all probabilities are equal.
        intercept: of the calibration with slope 1: above 0 where the class comes true more often
            than is said.
        thresholds: probabilities from which the class is said.
        benefit: standardised net benefit at the thresholds: net benefit divided by `share`.
        everyone: that of saying the class of all images.
        gain: benefit less that of the better of two rules: the class is said of all, or of none.
    """

    of_class: str
    share: Share
    slope: Estimated
    intercept: Estimated
    thresholds: Annotated[Many[Share], pydantic.Field(min_length=1)]
    benefit: Many[Estimated]
    everyone: Many[float]
    gain: Many[Estimated]

    def nearest(self, threshold: float) -> int:
        """Place of the threshold that is nearest to another one."""
        return min(range(len(self.thresholds)), key=lambda k: abs(self.thresholds[k] - threshold))

    @pydantic.model_validator(mode="after")
    def _of_one_length(self) -> "ClassRisk":
        for name in ("benefit", "everyone", "gain"):
            if len(getattr(self, name)) != len(self.thresholds):
                raise ValueError(f"{name}: has another length than thresholds")
        return self


class ClassifierRecord(Schema):
    """Which classifier was evaluated."""

    file: FileName
    sha256: str
    backbone: str
    data: FileName
    counts: dict[str, dict[str, int]]
    threshold: float | Many[float] | None = None
    """Of two classes the probability from which the second is decided; of more a share of each, and
    the class is decided whose probability is largest beside its share.
    """
    history: UnlessEmpty[ValidationHistory | None] = None
    """How its validations went; None of a probe, and in older files."""
    fit: UnlessEmpty[Fit | None] = None
    """How it was trained; None in older files."""


class ClassifierEvaluation(Document):
    """Scores of a classifier on real images that it never saw."""

    kind: Literal["classifier-evaluation"] = "classifier-evaluation"
    model: ClassifierRecord
    data: FileName
    split: IfGiven[str | None] = None
    images_hash: str
    classes: Many[str]
    images: Count
    groups: Count
    scores: Many[ScoreValue]
    confusion: Many[Many[Count]]
    """True classes in rows, decided ones in columns."""
    confusion_by_group: UnlessEmpty[Many[Many[Count]]] = ()
    """The same of groups, a group once for every class of its images; empty where no group has
    several images of a class, and in older files."""
    combine: IfGiven[Combine] = "mean"
    """How the images of a group decide: by their mean probability or by vote."""
    calibration: CalibrationCurve
    curves: IfGiven[Many[ClassCurve]] = ()
    """Of two classes, the second."""
    risks: IfGiven[Many[ClassRisk]] = ()
    """Of two classes, the second."""
    majority: float
    """Accuracy of always saying the most frequent class."""
    unlike: Count
    """Images farther from the training images than 99 % of those are."""
    seed: int
    version: str
    environment: UnlessEmpty[Environment | None] = None
    """Where it was evaluated; None in older files."""
    extractor: dict[str, Plain]
    notes: Many[Prose] = ()
