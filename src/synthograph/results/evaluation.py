"""What `evaluate` measures: numbers with interval, floor and provenance. Also a line of
`evaluations.jsonl` and `metrics.jsonl`.
"""

from collections.abc import Sized
from typing import Annotated, Literal, Protocol, Self

import pydantic

from synthograph.results.base import (
    Count,
    Document,
    Ends,
    FileName,
    IfGiven,
    Kimg,
    Many,
    Private,
    Prose,
    Schema,
    UnlessEmpty,
)
from synthograph.results.environment import Environment
from synthograph.results.measures import Direction, about
from synthograph.results.provenance import Provenance
from synthograph.results.sensitivity import Sensitivity

EVALUATION, HELD_OUT, SENSITIVITY = "evaluation", "held_out", "sensitivity"
"""What a line says of itself where it is no measure under a published name: the numbers of
`evaluate`, those by the images that choose a run's best snapshot, and a table of sensitivities.
"""
MIN_FOR_MORE = 100
"""Images below which a number is an indication at most."""
LABEL = "label"
NOTHING = "(none)"


class Value(Schema):
    """One measure of a set of images.

    Attributes:
        name: short name, such as "frechet".
        value: the number; None where there is none, and `notes` says why.
        interval: where what the number estimates lies; None where that is unknown.
        n_real: real images used; 0 for a measure of synthetic images alone.
        groups_real: different patients among the real images.
        notes: sentences for the reader: reasons, warnings, what was reduced.
        counts: whole numbers behind the value, such as how many images are covered.
        curve: numbers along an axis, for measures that are more than one number.
    """

    name: str
    value: float | None
    interval: Ends | None = None
    n_real: Count = 0
    n_fake: Count = 0
    groups_real: Count = 0
    notes: Many[Prose] = ()
    counts: UnlessEmpty[dict[str, int]] = {}
    curve: UnlessEmpty[Many[float]] = ()

    @pydantic.model_validator(mode="after")
    def _reasoned(self) -> Self:
        if self.value is None and not self.notes:
            raise ValueError(f"{self.name}: a missing value needs a note that says why")
        if self.value is None and self.interval is not None:
            raise ValueError(f"{self.name}: an interval without a value")
        return self

    def noted(self, *notes: str) -> Self:
        """The same with further notes."""
        return self.replace(notes=(*self.notes, *notes))

    @property
    def small(self) -> bool:
        """Whether there are too few images for more than an indication."""
        return min(self.n_real, self.n_fake) < MIN_FOR_MORE


class Grouped(Sized, Protocol):
    """Images of patients, such as `stats.sample.Sample`."""

    @property
    def group_count(self) -> int:
        """Different patients."""


def compared(
    name: str,
    value: float | None,
    real: Grouped,
    fake: Sized,
    *,
    interval: Ends | None = None,
    notes: tuple[str | None, ...] = (),
    counts: dict[str, int] | None = None,
    curve: tuple[float, ...] = (),
) -> Value:
    """A measure of two samples; notes that are None are left out, the rest is as in `Value`."""
    return Value(
        name=name,
        value=value,
        interval=interval,
        n_real=len(real),
        n_fake=len(fake),
        groups_real=real.group_count,
        notes=tuple(note for note in notes if note is not None),
        counts=counts or {},
        curve=curve,
    )


class Scope(Schema):
    """A part of the images; all of them where nothing is given.

    Attributes:
        column: of the manifest, `label` for the classes.
        level: one of its values.
        modality: whose channels alone count.
    """

    column: str | None = None
    level: str | None = None
    modality: str | None = None

    def __str__(self) -> str:
        if self.modality is not None:
            return f"modality {self.modality}"
        if self.column is None:
            return "all"
        return f"{'class' if self.column == LABEL else self.column} {self.level or NOTHING}"

    @property
    def whole(self) -> bool:
        """Whether these are all images."""
        return self.column is None and self.modality is None


class Floor(Schema):
    """What a measure says where there is nothing to find: one half of the real images against the
    other, cut by group; and what it says of synthetic images at the same numbers.

    Attributes:
        value: mean over the cuts; `low` and `high` are the smallest and the largest of them.
        same_n: mean of the measure between the first halves and as many synthetic images as the
            second halves have; None where there are fewer.
        n: images in the two halves, on average.
        splits: number of cuts.
    """

    value: float
    low: float
    high: float
    same_n: float | None
    n: tuple[Count, Count]
    splits: Count


class Entry(Value):
    """A measure of one part of the images.

    Attributes:
        floor: real against real; None where there are too few.
        train: the same measure against about as many training images.
        better: which values are better, where `measures.MEASURES` does not know the measure.
        title: its name for readers, likewise.
    """

    scope: Scope = Scope()
    floor: Floor | None = None
    train: Value | None = None
    published: Literal[False] = False
    provenance: Provenance = Provenance()
    better: IfGiven[Direction | None] = None
    title: IfGiven[str] = ""

    @classmethod
    def of(cls, value: Value, **more: object) -> Self:
        """A number with what belongs to it."""
        given = {name: getattr(value, name) for name in value.model_fields_set}
        return cls(**given, **more)

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def gap(self) -> float | None:
        """The value less that against training images."""
        if self.train is None or self.train.value is None or self.value is None:
            return None
        return self.value - self.train.value

    @property
    def extractor(self) -> str | None:
        """Whose features; None for measures of pixels."""
        features = self.provenance.features
        return features.extractor or None if features else None

    @property
    def indicative(self) -> bool:
        """Whether the extractor was never trained, so its word alone decides nothing."""
        return self.provenance.features is not None and self.provenance.features.indicative

    @property
    def direction(self) -> Direction | None:
        """Which values are better; None where neither are."""
        return self.better or about(self.name).better

    @property
    def at_floor(self) -> bool | None:
        """Whether the measure sees no more of a difference than between halves of the real images;
        None where that cannot be said.
        """
        floor, better = self.floor, self.direction
        if floor is None or floor.same_n is None or better is None or self.value is None:
            return None
        low = better is Direction.LOW
        return floor.same_n <= floor.high if low else floor.same_n >= floor.low

    @property
    def interval_beyond(self) -> bool:
        """Whether the whole 95 % interval lies beyond the floor, so that neither chance in the
        synthetic images nor that in the cuts explains the difference.
        """
        floor, better, ends = self.floor, self.direction, self.interval
        if floor is None or ends is None or better is None:
            return False
        return ends.low > floor.high if better is Direction.LOW else ends.high < floor.low

    @property
    def nearer_to_training(self) -> bool:
        """Whether a distance to training images is smaller beyond both intervals; a share, such as
        that of images that repeat others, is no distance.
        """
        theirs = None if self.train is None else self.train.interval
        low = self.direction is Direction.LOW and not about(self.name).share
        return bool(low and self.interval and theirs and theirs.high < self.interval.low)


class ScopeShare(Scope):
    """How many images of a part every set has, None where it lacks the column; below 1,
    `share_generated_over_share_train` says that the part shrinks.
    """

    n_real: Count
    n_generated: Count | None
    n_train: Count | None
    share_generated_over_share_train: float | None


class Farthest(Schema):
    """Synthetic images of a class that lie farthest from their nearest real image of that class, by
    the features of one extractor, the farthest first.

    Attributes:
        label: the class; None where all images were searched together.
        files: in the archive of synthetic images.
        distances: of these files, in the units of the features.
    """

    extractor: str
    label: str | None = None
    files: Many[str]
    distances: Many[float]


class OfSnapshot(Schema):
    """Results of a snapshot, which had seen `kimg` thousand images, or of images of an archive."""

    snapshot: IfGiven[FileName] = ""
    snapshot_sha256: IfGiven[str] = ""
    kimg: IfGiven[Kimg | None] = None


class ResultLine(OfSnapshot):
    """One result of a file, and a line of `evaluations.jsonl` and `metrics.jsonl`; a published one
    is a measure under its published name, by its published rules. `environment` is where it was
    measured; None in older files.
    """

    metric: str
    published: bool = False
    environment: UnlessEmpty[Environment | None] = None


class Measurements(ResultLine):
    """All that our own measures found; `shares` are the sizes of classes and other parts, and
    `farthest` the worst images of an archive.
    """

    metric: str = EVALUATION
    published: Literal[False] = False
    entries: Many[Entry] = ()
    shares: Many[ScopeShare] = ()
    farthest: UnlessEmpty[Annotated[Many[Farthest], Private]] = ()
    notes: Many[Prose] = ()


class PublishedMeasure(ResultLine):
    """A measure under its published name, or a path length; never part of a verdict. `results` are
    numbers by published key, `values` the same with what else is known of them.
    """

    results: dict[str, float]
    values: Many[Value] = ()
    provenance: Provenance = Provenance()


class SensitivityLine(ResultLine):
    """What the measures of one extractor notice on the reference images."""

    metric: Literal["sensitivity"] = "sensitivity"
    published: Literal[False] = False
    extractor: str = ""
    sensitivity: Sensitivity


def _form(line: object) -> str:
    """Which kind of line this is."""
    said = line.__dict__ if isinstance(line, ResultLine) else line
    said = said if isinstance(said, dict) else {}
    if said.get("metric") == SENSITIVITY:
        return "<table>"
    return "<published>" if "results" in said else "<measured>"


AnyLine = Annotated[
    Annotated[Measurements, pydantic.Tag("<measured>")]
    | Annotated[PublishedMeasure, pydantic.Tag("<published>")]
    | Annotated[SensitivityLine, pydantic.Tag("<table>")],
    pydantic.Discriminator(_form),
]


class _Holder(Schema):
    line: AnyLine


def parse_line(tree: object, where: str) -> Measurements | PublishedMeasure | SensitivityLine:
    """A line of `evaluations.jsonl` or `metrics.jsonl`; for `base.read_lines`.

    Raises:
        UserError: an entry is missing or of another type than it should be.
    """
    return _Holder.parse({"line": tree}, where).line


class Evaluation(OfSnapshot, Document):
    """What `evaluate --out` writes; `skipped` says what could not be measured, and why."""

    skipped: Many[Prose] = ()
    results: Many[AnyLine]
