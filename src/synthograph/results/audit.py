"""What `audit` finds: copies of training images, memorisation, membership, leaked augmentations."""

import enum
from typing import Annotated, Any, Literal, Self

import pydantic

from synthograph.results.base import (
    Count,
    Document,
    Ends,
    FileName,
    IfGiven,
    Many,
    Plain,
    Private,
    Prose,
    Range,
    Schema,
    Share,
)
from synthograph.results.evaluation import NOTHING
from synthograph.results.provenance import Features, ImageRecord, Provenance


class AuditAnswer(enum.StrEnum):
    """What an audit concludes."""

    CLEAN = "clean"
    COPIES = "copies found"
    SUSPICIOUS = "suspicious"
    UNDECIDABLE = "undecidable"


class AuditVerdict(Schema):
    """The verdict of an audit, indicative where all features came from networks that were never
    trained, and the limits of what it can tell.
    """

    answer: AuditAnswer
    indicative: bool = False
    rule: str = ""
    reasons: Many[Prose] = ()
    limits: Many[Prose] = ()


class AuditedSet(Schema):
    """A set that took part; `groups` is None for synthetic images."""

    name: FileName
    images: Count
    groups: Count | None = None
    images_hash: str | None = None


class Threshold(Schema):
    """A score from which an image counts as a copy.

    Attributes:
        rate: false alarms that it allows.
        above: real images that reach it.
        images: real images that it was set on.
        extrapolated: whether it lies beyond what counting can fix.
    """

    rate: float
    score: float
    above: Count
    images: Count
    extrapolated: bool


class AuditPart(Schema):
    """What a part of an audit has besides its numbers; the sentence says the result in words."""

    notes: Many[Prose] = ()
    provenance: dict[str, Plain] = {}
    sentence: Prose = ""


class Overlap(AuditPart):
    """Near-duplicates between training set and hold-out.

    Attributes:
        share: of hold-out images that have a near-duplicate among the training images, or equal one
            in every pixel.
        interval: exact 95 % interval, for as many independent images as the groups stand for.
        p: chance of so many near-duplicates, those that are equal apart, by false alarms alone.
        believed: the share, or only that of equal images where false alarms may explain the others.
        pairs: hold-out image, training image and score, the closest first.
        identical: hold-out images that equal a training image in every pixel.
        images: hold-out images searched for.
        threshold: from which images count as near-duplicates.
    """

    share: Share
    interval: Range
    p: Share
    believed: Share
    pairs: Annotated[Many[tuple[Count, Count, float]], Private] = ()
    identical: tuple[Count, ...] = ()
    images: Count
    threshold: Threshold


class NeighbourTest(Schema):
    """What one test of nearest neighbours says.

    Attributes:
        expected: the value where nothing is memorised.
        interval: of the value, at `level` for all tests together.
        level: share of audits of generators that memorised nothing in which all intervals hold.
        p: chance of a deviation as large in any of the tests where nothing is memorised.
        flagged: whether the expected value is beyond the interval on the side of memorising.
        draws: how often training was cut down to the hold-out's size.
        exchanges: how often patients changed places.
    """

    test: str
    extractor: str
    value: float
    expected: float
    interval: Range
    level: Share
    p: Share
    flagged: bool
    draws: Count
    exchanges: Count
    sentence: Prose
    detail: dict[str, Plain] = {}


class Recall(Schema):
    """How many planted copies are found.

    Attributes:
        label: class; None for all together, empty for images without one.
        rate: false alarms of the threshold.
        found: planted copies flagged, and traced to the patient that they were copied from.
        interval: exact 95 % interval, for as many independent copies as there are groups.
    """

    transform: str
    label: str | None
    rate: float
    found: Count
    planted: Count
    interval: Range

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def recall(self) -> float:
        """Found of planted."""
        return self.found / self.planted if self.planted else 0.0

    @pydantic.computed_field(alias="class")  # type: ignore[prop-decorator]
    @property
    def class_name(self) -> str:
        """The class for readers, empty for all together."""
        return "" if self.label is None else self.label or NOTHING

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def n(self) -> int:
        """How many were planted."""
        return self.planted


class Flagged(Threshold):
    """Images above a threshold.

    Attributes:
        flagged: synthetic images above it; `holdout` are those of the hold-out.
        p: probability of so many flagged, were synthetic images like unseen real ones.
        upper_limit: upper 95 % limit of the share of copies that the search would find.
        upper_limit_by_transform: the same divided by the recall of every transform; None where
            nothing was found.
    """

    flagged: Count
    holdout: Count
    p: Share
    upper_limit: Share
    upper_limit_by_transform: dict[str, float | None] = {}


class Control(Schema):
    """What a threshold that convicts a set says of held-out images, which the generator never saw.

    Attributes:
        flagged: synthetic images that look like copies of held-out images.
        held: groups of these held-out images.
        p: probability of so many images, were synthetic images like unseen real ones.
        passed_over: held-out groups, the most alike ones, that `closer` leaves out.
        closer: synthetic images more alike to a training image than any is to a held-out one.
        groups: of these training images.
        groups_p: probability of so many, were training images as unseen as held-out ones.
        explains: whether more images look like copies of held-out images than by chance, and chance
            may explain `groups`: what is flagged need not be copied.
    """

    flagged: Count
    held: Count
    p: Share
    passed_over: Count
    closer: Count
    groups: Count
    groups_p: Share
    explains: bool


class ClosestPair(Schema):
    """A synthetic image and the training image nearest to it: places in their sets, and score."""

    fake: Count
    train: Count
    score: float


class Copies(AuditPart):
    """What the search for copies found. Without patients enough for a search only equal images are
    known: `found` is None then.

    Attributes:
        found: whether more images are flagged than unseen real images lead one to expect, and the
            control does not explain it; or one equals a training image, but no held-out one, pixel
            by pixel.
        level: probability of `found` for a generator that copies no more than an unseen patient
            does.
        counts: at every rate of false alarms.
        decided: the rate of false alarms that the set is judged and images are withheld by; None
            where only equal images were looked for, and in files of older versions.
        control: the same search among held-out images; None where no more synthetic images are
            flagged than by chance, and in files of older versions.
        recall: of planted copies, by transform and class.
        identical: synthetic images that equal a training image in every pixel.
        proof: those of them that equal no held-out image.
        withhold: synthetic images that should not be shared.
        pairs: the closest.
    """

    found: IfGiven[bool | None] = None
    level: IfGiven[float | None] = None
    counts: IfGiven[Many[Flagged]] = ()
    decided: IfGiven[float | None] = None
    control: IfGiven[Control | None] = None
    recall: IfGiven[Many[Recall]] = ()
    identical: tuple[Count, ...] = ()
    proof: tuple[Count, ...] = ()
    withhold: tuple[Count, ...] = ()
    pairs: IfGiven[Annotated[Many[ClosestPair], Private]] = ()
    notes: IfGiven[Many[Prose]] = ()
    provenance: IfGiven[dict[str, Plain]] = {}


class Chance(Schema):
    """What chance gives: the mean, and the value that 5 % of the tries exceed."""

    mean: float
    high: float


class Attack(Schema):
    """What one score says of one kind of unit.

    Attributes:
        score: `nearest` or `neighbourhood`.
        unit: `image`, or `group`: the mean over the images of a patient.
        auc: share of pairs of a training and a held-out unit in which the training unit is nearer.
        interval: of the AUC, for these synthetic images; None where there are too few groups.
        p: share of the permutations with as large an AUC.
        null: of the AUC over permutations.
        true_positive_rate: share of training units that are found when 1 % of the held-out ones
            are.
        true_positive_interval: of it; None for groups, and where there are too few groups.
        true_positive_p: share of the permutations that find as many.
        false_positives_allowed: held-out units that may be taken for training units.
        control: of the AUC or 1 - AUC, whichever is larger, between two parts of the training set.
    """

    score: str
    unit: str
    auc: Share
    interval: Ends | None
    p: Share
    null: Chance
    true_positive_rate: Share
    true_positive_interval: Ends | None
    true_positive_p: Share
    true_positive_null: Chance
    false_positives_allowed: Count
    control: Chance

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def auc_minus_control(self) -> float:
        """AUC less what a split within the training set gives by itself."""
        return self.auc - self.control.mean


class SetSize(Schema):
    """Images and groups of a set; synthetic images have none."""

    images: Count
    groups: IfGiven[Count | None] = None


class Membership(Schema):
    """What membership inference says.

    Attributes:
        attacks: a row per score and unit.
        p: of all of them together: share of the permutations whose smallest p is as small.
        seen: whether training images can be distinguished from held-out ones, beyond chance.
        undecided: why nothing can be said, or None.
        settings: what was computed.
    """

    extractor: IfGiven[str] = ""
    attacks: Many[Attack]
    p: Share | None
    seen: bool
    undecided: Prose | None
    sentence: Prose
    train: SetSize
    holdout: SetSize
    synthetic: SetSize
    settings: dict[str, Plain] = {}
    notes: Many[Prose] = ()


class Leak(Schema):
    """How often synthetic images show a transform.

    Attributes:
        share: estimate; None where the transform cannot be distinguished on this set.
        interval: 95 %, over groups of real images and over synthetic images.
        detected: of transformed real images of unseen groups.
        false_alarms: of real images of unseen groups.
        flagged: of synthetic images.
        leaked: whether it exceeds a twentieth by three standard errors.
    """

    transform: str
    share: float | None
    interval: Range | None
    detected: Share
    false_alarms: Share
    flagged: Share
    leaked: bool

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def note(self) -> str | None:
        """Why there is no share."""
        return None if self.share is not None else "cannot be distinguished on this set"


class TrainedWith(Schema):
    """What generators record of the augmentation in their training.

    Attributes:
        changes: that it could make, by the names of `Leak`; none without augmentation.
        p: strength when they were saved, the largest; None where that is not recorded.
    """

    changes: Many[str] = ()
    p: Share | None = None


class AugmentationLeakage(AuditPart):
    """Changes that show in synthetic images, as augmentations of training leave them.

    Attributes:
        recorded: what the generators say of their training; None where they do not, and in files of
            older versions.
    """

    transforms: Many[Leak]
    recorded: TrainedWith | None = None
    notes: Many[Prose] = (
        "a generator whose images differ from real ones in another way may be taken for one that "
        "leaks: look at the images",
    )

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def found(self) -> bool:
        """Whether any transform leaked."""
        return any(each.leaked for each in self.transforms)


class Sets(Schema):
    """The three sets of an audit."""

    train: AuditedSet
    holdout: AuditedSet
    synthetic: AuditedSet


class AuditProvenance(Provenance):
    """What an audit rests on; `train` and the others are origins of sets."""

    extractors: Many[Features] = ()
    holdout: ImageRecord = ImageRecord()
    synthetic: ImageRecord = ImageRecord()


def _empty(part: Any, inner: pydantic.SerializerFunctionWrapHandler) -> Any:  # noqa: ANN401
    return {} if part is None else inner(part)


EmptyIfNone = pydantic.WrapSerializer(_empty)
"""None is an empty object in the file."""


class Audit(Document):
    """What `audit` writes.

    Attributes:
        notes: what is known of the sets, such as that nothing could be checked.
        overlap: training images in the hold-out; None where there are too few patients.
        tests: of nearest neighbours; none where there are too few patients.
        distances: of nearest images, by extractor: quartiles and histograms.
        membership: inference of membership, by features of the first extractor.
        augmentations: that show; None where there are too few images.
        pictures: what for -> file beside the document.
    """

    kind: Literal["audit"] = "audit"
    verdict: AuditVerdict
    sets: Sets
    notes: Many[Prose] = ()
    overlap: Annotated[Overlap | None, EmptyIfNone] = None
    tests: Many[NeighbourTest] = ()
    distances: dict[str, dict[str, Plain]] = {}
    copies: Copies = Copies()
    membership: Membership
    augmentations: Annotated[AugmentationLeakage | None, EmptyIfNone] = None
    pictures: Annotated[dict[str, str], Private] = {}
    provenance: AuditProvenance = AuditProvenance()

    @classmethod
    def parse(cls, tree: object, where: str) -> Self:
        """As `Schema.parse`; parts that are empty were not looked for."""
        if isinstance(tree, dict):
            absent = [name for name in ("overlap", "augmentations") if tree.get(name) == {}]
            tree = {**tree, **dict.fromkeys(absent)}
        return super().parse(tree, where)

    @property
    def all_limits(self) -> tuple[str, ...]:
        """Limits, and notes that are not among them."""
        return tuple(dict.fromkeys((*self.verdict.limits, *self.notes)))
