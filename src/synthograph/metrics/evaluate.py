"""How good synthetic images are: every measure, for all images and for every part of them, each
with interval, floor, the value against training images, and what it rests on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

import synthograph
from synthograph.archive.batches import ImageSet
from synthograph.archive.parts import Part
from synthograph.core.errors import UserError
from synthograph.core.progress import Tracks, silent
from synthograph.core.spec import ImageSpec
from synthograph.features.base import ChoosyExtractor, ClassifyingExtractor, Extractor
from synthograph.metrics import columns
from synthograph.metrics.farthest import farthest
from synthograph.metrics.measure import Source
from synthograph.metrics.measures import BY_NAME, chosen, compare, floors, matched
from synthograph.metrics.names import OWN
from synthograph.metrics.noise import noise_column
from synthograph.metrics.scopes import rows_in, scopes, shares, too_many
from synthograph.results.evaluation import (
    LABEL,
    MIN_FOR_MORE,
    Entry,
    Farthest,
    Measurements,
    Scope,
    Value,
)
from synthograph.results.provenance import Features, ImageRecord, Provenance
from synthograph.stats.sample import Sample

MIN_IMAGES = 10
"""Images of a set below which nothing is measured."""
DRAWN = (
    "the classes of the synthetic images were drawn as often as the real images have them, so "
    "their shares tell nothing about the generator"
)
COMPARED = (Source.FEATURES, Source.SPECTRA)
"""Sources whose measures are also taken against training images."""


@dataclass(frozen=True)
class EvaluationTask:
    """What to measure."""

    real: ImageSet  # the reference
    fake: ImageSet  # synthetic images
    train: ImageSet | None = None  # what the generator was trained on, for the gap
    measures: tuple[str, ...] = OWN
    by: tuple[str, ...] = ()  # columns of the manifest that are measured besides the classes
    seed: int = 0  # of blocks, halves and pairs
    measures_of_parts: tuple[str, ...] | None = None  # of classes and columns; all where None

    @cached_property
    def parts(self) -> list[Scope]:
        """What is measured apart, once the task is checked.

        Raises:
            UserError: as from `check`.
        """
        return check(self)

    def measures_of(self, scope: Scope) -> tuple[str, ...]:
        """The measures of a part."""
        if scope.column is None or self.measures_of_parts is None:
            return self.measures
        return self.measures_of_parts

    @property
    def sets(self) -> dict[str, ImageSet]:
        """Role to set: real, fake and, where there is one, train."""
        every = {"real": self.real, "fake": self.fake, "train": self.train}
        return {role: images for role, images in every.items() if images is not None}


def check(task: EvaluationTask) -> list[Scope]:
    """Refuse what cannot be measured, before anything is computed.

    Returns:
        The parts that will be measured.

    Raises:
        UserError: sets of different kinds of images, too few of them, unknown columns.
    """
    for images, what in ((task.real, "real"), (task.fake, "synthetic")):
        if images.count < MIN_IMAGES:
            raise UserError(
                f"{images.name}: {images.count} {what} images; at least {MIN_IMAGES} are needed "
                f"for any measure, and below {MIN_FOR_MORE} none means much"
            )
    for other in filter(None, (task.fake, task.train)):
        check_kind(task.real, other)
    known = set(task.real.labels or ())
    strange = sorted(set(task.fake.labels or ()) - known - {""})
    if known and strange and not known & set(task.fake.labels or ()):
        raise UserError(
            f"{task.fake.name} has class {strange[0]!r}, {task.real.name} has "
            f"{', '.join(repr(name) for name in sorted(known - {''}))}: no class is in both, so "
            "these are other images, or the classes are called otherwise"
        )
    return list(scopes(task.real, task.fake, task.by))


def check_kind(one: ImageSet, other: ImageSet) -> None:
    """Refuse two sets whose images cannot be compared.

    Raises:
        UserError: another size, bit depth, or other channels.
    """
    mine, theirs = one.spec, other.spec
    resize = f"prepare {one.name} again with --width {theirs.width} --height {theirs.height}"
    if mine.width * theirs.height != theirs.width * mine.height:
        resize = f"{resize} --transform center-crop"
    save = f"save the files of {one.name} again as those of {other.name} are"
    for what, here, there, way_out in (
        ("pixels", f"{mine.width}x{mine.height}", f"{theirs.width}x{theirs.height}", resize),
        ("bits", f"{mine.bits}", f"{theirs.bits}", save),
        ("channels", _channels(mine), _channels(theirs), save),
    ):
        if here != there:
            raise UserError(
                f"{one.name} has images of {here} {what}, {other.name} of {there}: bring them to "
                f"one size and kind ({way_out}); nothing is resized or converted here, since that "
                "would change the numbers"
            )


def _channels(spec: ImageSpec) -> str:
    if len(spec.modalities) == 1:  # whatever it is called
        return str(spec.channels)
    return ", ".join(f"{name} {channels}" for name, channels in spec.modalities.items())


def evaluate(
    task: EvaluationTask,
    extractors: Sequence[Extractor],
    *,
    folder: Path,
    tracks: Tracks = silent,
    notes: Sequence[str] = (),
) -> Measurements:
    """Take all measures of all parts.

    Args:
        task: what to measure.
        extractors: whose features; may be empty, then only pixels are measured.
        folder: where features are kept.
        tracks: shows progress.
        notes: what is already known of the sets.

    Raises:
        UserError: as from `check`, or features that are not finite.
    """
    parts = task.parts
    table = _Table(task, extractors, folder, tracks)
    entries: list[Entry] = []
    for scope in tracks("measuring")(parts, len(parts)):
        for extractor in extractors:
            for source in (Source.FEATURES, Source.PROBABILITIES):
                entries += _entries(table, scope, source, extractor)
        for source in (Source.SPECTRA, Source.SIMILARITIES, Source.NOISE):
            entries += _entries(table, scope, source, None)
    if task.fake.origin.get("labels"):
        notes = [*notes, DRAWN]
    return Measurements(
        entries=tuple(entries),
        shares=tuple(shares(parts, task.real, task.fake, task.train)),
        farthest=_farthest(table, extractors),
        notes=(*notes, *_unmeasured_parts(task, extractors)),
    )


def _farthest(table: "_Table", extractors: Sequence[Extractor]) -> tuple[Farthest, ...]:
    """The worst images, by the first trained extractor, else by the first one."""
    taking = [each for each in extractors if table.has(Source.FEATURES, Scope(), each)]
    chosen = next((each for each in taking if not each.indicative), next(iter(taking), None))
    if chosen is None:
        return ()
    task = table.task
    real, fake = (table.sample(role, Source.FEATURES, Scope(), chosen) for role in ("real", "fake"))
    return tuple(farthest(task.real, task.fake, (real, fake), chosen.name))


def _unmeasured_parts(task: EvaluationTask, extractors: Sequence[Extractor]) -> Iterator[str]:
    """Notes on parts that are not measured."""
    classes = set(task.real.labels or ())
    if too_many(classes) and LABEL not in task.by:
        yield f"{len(classes)} classes are too many to measure each of them"
    spec = task.real.spec
    for extractor in extractors if len(spec.modalities) > 1 else ():
        unseen = [name for name in spec.modalities if not _takes(extractor, spec, name)]
        if unseen:
            yield (
                f"{extractor.name} sees all channels together, so it tells nothing about "
                f"{', '.join(unseen)} alone"
            )


def keep_part(
    task: EvaluationTask,
    extractors: Sequence[Extractor],
    part: Part,
    *,
    folder: Path,
    tracks: Tracks = silent,
) -> int:
    """Compute one part of the features that `evaluate` needs, and keep it on disk for it; others
    may be computed elsewhere at the same time, and kept in the same folder. Errors as there.

    Returns:
        Images in this part.
    """
    assert task.parts, "everything is one part"
    count = 0
    for role, images in task.sets.items():
        needed = list(_columns(task, role, extractors).values())
        track = tracks(f"part {part} of features of {images.name}")
        count += columns.keep_part(images, needed, part, folder=folder, track=track)
    return count


ColumnKey = tuple[str | Source, str | None]
"""Name of an extractor, or a source of pixels; and the modality."""


def _columns(
    task: EvaluationTask, role: str, extractors: Sequence[Extractor]
) -> dict[ColumnKey, columns.Column]:
    """What is needed of every image of a set."""
    images, spec = task.sets[role], task.real.spec
    measures = [measure for measure in chosen(task.measures) if not measure.refusal(spec)]
    sources = {measure.source for measure in measures}
    used = [extractor for extractor in extractors if sources & set(_sources_of(extractor))]
    found: dict[ColumnKey, columns.Column] = {}
    for modality in (None, *(spec.modalities if len(spec.modalities) > 1 else ())):
        for extractor in used:
            if modality is None or _takes(extractor, spec, modality):
                # modalities are cut by place, and sets of one may call it otherwise
                column = columns.extractor_column(extractor, spec, modality)
                found[extractor.name, modality] = column
        if Source.SPECTRA in sources:
            found[Source.SPECTRA, modality] = columns.spectrum_column(spec, modality)
        if Source.SIMILARITIES in sources and role != "train":
            found[Source.SIMILARITIES, modality] = columns.similarity_column(images, modality)
        if Source.NOISE in sources and images.fixed_noise is not None:
            found[Source.NOISE, modality] = noise_column(images, modality)
    return found


def _sources_of(extractor: Extractor) -> tuple[Source, ...]:
    """What an extractor gives."""
    classifies = isinstance(extractor, ClassifyingExtractor)
    return (Source.FEATURES, *((Source.PROBABILITIES,) if classifies else ()))


def _takes(extractor: Extractor, spec: ImageSpec, modality: str) -> bool:
    """Whether an extractor takes the channels of one modality alone."""
    return not isinstance(extractor, ChoosyExtractor) or extractor.takes(spec.modalities[modality])


class _Table:
    """Rows of every column for the three sets."""

    def __init__(
        self, task: EvaluationTask, extractors: Sequence[Extractor], folder: Path, tracks: Tracks
    ) -> None:
        self.task, self.sets = task, task.sets
        self._rows: dict[str, dict[ColumnKey, Tensor]] = {}
        for role, images in self.sets.items():
            needed = _columns(task, role, extractors)
            track = tracks(f"features of {images.name}")
            rows = columns.rows_of(images, list(needed.values()), folder=folder, track=track)
            self._rows[role] = dict(zip(needed, rows, strict=True))

    def has(self, source: Source, scope: Scope, extractor: Extractor | None) -> bool:
        """Whether there are rows of a source for a part."""
        if extractor is not None and source not in _sources_of(extractor):
            return False
        if source is Source.SIMILARITIES and scope.column not in (None, LABEL):
            return False
        key = source if extractor is None else extractor.name
        return (key, scope.modality) in self._rows["fake"]

    def sample(
        self, role: str, source: Source, scope: Scope, extractor: Extractor | None
    ) -> Sample:
        """The images of a part; all images where the set lacks its column."""
        role = "fake" if source is Source.NOISE else role  # real images are made without any
        images = self.sets[role]
        values = self._rows[role][source if extractor is None else extractor.name, scope.modality]
        if extractor is not None:
            features = source is Source.FEATURES
            values = values[:, : extractor.dims] if features else values[:, extractor.dims :]
        if source is Source.SIMILARITIES:  # to partners among all images, or of the same class
            values = values[:, [0 if scope.column is None else 1]]
        whole, rows = Sample(values, images.groups), rows_in(scope, images)
        return whole if scope.column is None or rows is None else whole.subset(rows)

    def provenance(self, scope: Scope, extractor: Extractor | None) -> Provenance:
        """The provenance of a number of this part."""
        records = {
            role: ImageRecord(**{"name": images.name, **images.origin})
            for role, images in self.sets.items()
        }
        train = {"train": records["train"]} if "train" in records else {}
        return Provenance(
            features=None if extractor is None else Features(**extractor.describe()),
            modality=scope.modality,
            real=records["real"],
            generated=records["fake"],
            seed=self.task.seed,
            version=synthograph.__version__,
            **train,
        )


def _entries(
    table: _Table, scope: Scope, source: Source, extractor: Extractor | None
) -> list[Entry]:
    """All measures of one source for one part."""
    task, provenance = table.task, table.provenance(scope, extractor)
    measures = chosen(task.measures_of(scope), source)
    reasons = {each.name: each.refusal(task.real.spec) for each in measures}
    if any(reasons.values()):
        count = task.fake.count
        missing = [
            Value(name=name, value=None, n_fake=count, notes=(reason,))
            for name, reason in reasons.items()
            if reason and scope.column is None
        ]
        return [Entry.of(value, scope=scope, provenance=provenance) for value in missing]
    unassigned = rows_in(scope, task.fake) is None
    names = [each.name for each in measures if each.of_real_parts or not unassigned]
    if not names or not table.has(source, scope, extractor):
        return []
    real, fake = (table.sample(role, source, scope, extractor) for role in ("real", "fake"))
    values = compare(real, fake, names, seed=task.seed)
    below = floors(real, fake, names, seed=task.seed)
    against: dict[str, Value] = {}
    notes: list[str] = []
    if source in COMPARED:
        if min(len(real), len(fake)) < MIN_FOR_MORE:
            notes.append(
                f"{len(real)} real and {len(fake)} synthetic images: below {MIN_FOR_MORE} this is "
                "only an indication"
            )
        if unassigned:
            notes.append(f"synthetic images have no {scope.column}, so all of them are compared")
        if task.train is not None and rows_in(scope, task.train) is not None:
            train = table.sample("train", source, scope, extractor)
            same = matched(train, len(real), seed=task.seed)
            if len(same) < len(real):
                notes.append(
                    f"only {len(same)} training images for {len(real)} real ones: measures of "
                    "different numbers do not compare"
                )
            against = {v.name: v for v in compare(same, fake, names, seed=task.seed)}
    return [
        Entry.of(
            value.noted(*notes),
            scope=scope,
            floor=below.get(value.name),
            train=against.get(value.name),
            provenance=provenance,
            **_described(value.name),
        )
        for value in values
    ]


def _described(name: str) -> dict[str, object]:
    """Title and direction for the file, where `results.measures` does not know the measure."""
    described = BY_NAME[name].described
    return {} if described is None else {"better": described.better, "title": described.title}
