"""What `study` writes: do synthetic images help to train something?"""

import enum
from typing import Literal

from synthograph.results.base import (
    Count,
    Document,
    Ends,
    FileName,
    IfGiven,
    Many,
    Prose,
    Schema,
    Share,
    UnlessEmpty,
)
from synthograph.results.classification import CalibrationCurve
from synthograph.results.environment import Environment


class ArmKind(enum.StrEnum):
    """What the training images of an arm are."""

    REAL = "real only"
    BALANCED = "balanced"
    DUPLICATES = "duplicates"
    AUGMENTED = "augmented"
    MIXED = "real and synthetic"
    SYNTHETIC = "synthetic only"
    SHUFFLED = "shuffled labels"

    @property
    def real_only(self) -> bool:
        """Whether no synthetic image is among them."""
        return self in _REAL_ONLY

    @property
    def condition(self) -> bool:
        """Whether it is asked if the arm helps; what is neither is a control."""
        return self in (ArmKind.MIXED, ArmKind.SYNTHETIC)


_REAL_ONLY = (ArmKind.REAL, ArmKind.BALANCED, ArmKind.DUPLICATES, ArmKind.AUGMENTED)


_MODELS = {"classify": "classifier", "segment": "segmenter"}


class Finding(enum.StrEnum):
    """What a difference says. "Non-inferior" is said of the primary condition only."""

    BETTER = "better"
    NON_INFERIOR = "non-inferior"
    NO_DIFFERENCE = "no difference shown"
    WORSE = "worse"
    UNDECIDED = "cannot be decided"


class StudyFacts(Schema):
    """What a study is about, as its file says.

    Attributes:
        name: of the study.
        task: `classify` or `segment`.
        data: the archive.
        classes: in class order.
        tested: the external archive that takes the place of test folds; empty where there are
            folds.
        unit: what one group is: patient, smear, photograph, file.
        unit_is_patient: whether groups are patients; else every table says that they are not.
        plan_sha256: of the study file, frozen before the first test prediction.
        test_share: test groups divided by training groups of a fold; from the folds by default.
        generator: how the generators were trained, or who declared what they saw.
        notes: whatever else a reader must know.
        version: of the package that computed the predictions.
    """

    name: str
    task: Literal["classify", "segment"] = "classify"
    data: FileName
    classes: Many[str]
    tested: IfGiven[FileName] = ""
    unit: str = "patient"
    unit_is_patient: bool = True
    plan_sha256: IfGiven[str] = ""
    test_share: IfGiven[float | None] = None
    generator: IfGiven[Prose] = ""
    notes: IfGiven[Many[Prose]] = ()
    version: IfGiven[str] = ""

    @property
    def model(self) -> str:
        """What is trained."""
        return _MODELS[self.task]

    @property
    def units(self) -> str:
        """Several groups: `blocks of slices` for `block of slices`."""
        noun, *rest = self.unit.partition(" of ")
        ends = "ies" if noun[-1:] == "y" and noun[-2:-1] not in "aeiou" else f"{noun[-1:]}s"
        return "".join([noun[:-1], ends, *rest])


class FoldValue(Schema):
    """A score on the test images of one fold.

    Attributes:
        value: mean over the draws; None where it has none.
        images, groups: of the fold.
    """

    fold: Count
    value: float | None
    images: Count
    groups: Count


class StudyScore(Schema):
    """A score of an arm, mean over its draws.

    Attributes:
        interval: over groups, for these trainings.
    """

    score: str
    value: float | None
    interval: Ends | None = None


class StudyArm(Schema):
    """One arm on one set of test images.

    Attributes:
        ratio: synthetic images per real one, chosen on validation images.
        draws: of the generator, each with a training of its own per fold.
        validation: score on validation images, which chooses the reference.
        value: the measure of the study, mean over the draws.
        interval: of the value over groups, for these trainings.
        by_group: the measure of groups, by the mean probability of their images.
        folds: the measure of every fold.
        scores: further scores.
        calibration: of all draws.
    """

    name: str
    kind: ArmKind
    ratio: float | None = None
    draws: Count
    validation: float | None = None
    value: float | None
    interval: Ends | None = None
    by_group: float | None = None
    folds: Many[FoldValue] = ()
    scores: Many[StudyScore] = ()
    calibration: CalibrationCurve | None = None


class SecondOpinion(Schema):
    """Another test of the same difference.

    Attributes:
        test: its name.
        p: two-sided; None where `reason` says why.
        interval: of the difference.
        agrees: whether it decides as the first test does, at 5 %.
    """

    test: str
    p: float | None = None
    interval: Ends | None = None
    agrees: bool | None = None
    reason: IfGiven[Prose] = ""


class StudyDifference(Schema):
    """An arm less the arm that it is compared with, on one set of test images.

    Attributes:
        arm, against: their names.
        value: the difference; None where the measure has no value.
        interval: holds the true difference in 95 % of repeated studies; not adjusted.
        p: two-sided, against no difference.
        adjusted_p: by Holm over the conditions that are not primary; None where nothing is
            adjusted.
        finding: what it says.
        patients: standard error from groups.
        trainings: standard error from draws of the generator; None with one draw, when the interval
            holds for these trainings alone.
        draws: of the arm.
        folds: the difference in every fold.
        others: second opinions.
        reason: why there is no interval.
    """

    arm: str
    against: str
    primary: bool = False
    value: float | None
    interval: Ends | None = None
    p: float | None = None
    adjusted_p: float | None = None
    finding: Finding
    patients: float | None = None
    trainings: float | None = None
    draws: Count
    folds: Many[FoldValue] = ()
    others: Many[SecondOpinion] = ()
    reason: IfGiven[Prose] = ""


class StudySet(Schema):
    """All arms on one set of test images.

    Attributes:
        name: empty for the test images of the folds, else that of an external archive.
        arms: in the order of the study.
        differences: of every other arm to the reference.
        to_others: of the primary condition to the arms that are not the reference.
    """

    name: IfGiven[FileName] = ""
    images: Count
    groups: Count
    arms: Many[StudyArm]
    differences: Many[StudyDifference]
    to_others: Many[StudyDifference] = ()

    def difference(self, arm: str) -> StudyDifference | None:
        """That of an arm to the reference."""
        return next((each for each in self.differences if each.arm == arm), None)


class Study(Document):
    """A study and what may be said of it.

    Attributes:
        measure: name of the score that is compared; `measure_title` for readers.
        margin: largest loss that does not matter; None where none was fixed.
        primary: the arm that the study is about; empty where none was named, in studies of real
            images alone.
        reference: the real-only arm that others are compared with; `reference_rule` says how it
            was chosen.
        internal: test images of the folds, or of the archive that takes their place.
        external: of other archives.
        may: what may be claimed.
        may_not: what may not be claimed.
        seed: of the bootstrap.
        environments: where what was tested was trained; none in older files.
    """

    kind: Literal["study"] = "study"
    about: StudyFacts
    measure: str
    measure_title: str
    higher_is_better: bool = True
    margin: Share | None = None
    primary: IfGiven[str] = ""
    reference: str
    reference_rule: Prose
    internal: StudySet
    external: Many[StudySet] = ()
    may: Prose = ""
    may_not: Prose = ""
    seed: int
    version: str
    environments: UnlessEmpty[Many[Environment]] = ()

    @property
    def decided(self) -> StudyDifference:
        """The difference that the study is about; there is one where `primary` is named."""
        return next(each for each in self.internal.differences if each.arm == self.primary)

    @property
    def synthetic(self) -> bool:
        """Whether it is about synthetic images."""
        return any(a.kind.condition for a in self.internal.arms if a.name == self.primary)
