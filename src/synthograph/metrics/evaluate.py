"""How good generated images are: every measure, for all images and for every part of them, each
with interval, floor, the value against training images, and what it rests on.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

import synthograph
from synthograph.archive.batches import ImageSet
from synthograph.archive.parts import Part
from synthograph.core.errors import UserError
from synthograph.core.progress import Track
from synthograph.core.spec import ImageSpec
from synthograph.features.base import ClassifyingExtractor, Extractor, NetworkExtractor
from synthograph.metrics import columns as made
from synthograph.metrics.measures import (
    Floor,
    compare,
    floors,
    matched,
    similarity_value,
    spectrum_value,
)
from synthograph.metrics.names import FEATURE_MEASURES, OWN, SCORE, SIMILARITY, SPECTRUM
from synthograph.metrics.result import Value
from synthograph.metrics.scopes import LABEL, Scope, Share, scopes, shares, too_many
from synthograph.metrics.scores import inception_score
from synthograph.metrics.ssim import WINDOW
from synthograph.stats.sample import Sample

MIN_IMAGES = 10
"""Images of a set below which nothing is measured."""
MIN_RELIABLE = 100
"""Images below which a number is an indication at most."""
DRAWN = (
    "the classes of generated images were drawn as often as in the reference, so their shares say "
    "nothing of the generator"
)
REACHED = ("recall", "coverage")
"""Measures of real images of a part that need not know which generated images belong to it."""

Tracks = Callable[[str], Track]
"""Name of the work -> what shows its progress."""


def silent(what: str) -> Track:
    """Shows nothing."""
    return lambda items, total: items


@dataclass(frozen=True)
class EvaluationTask:
    """What to measure.

    Attributes:
        real: the reference.
        fake: generated images.
        train: the images that the generator was trained on, for the gap; None without.
        measures: names out of `names.OWN`.
        by: columns of the manifest whose levels are measured, besides the classes.
        seed: of blocks, halves and pairs.
    """

    real: ImageSet
    fake: ImageSet
    train: ImageSet | None = None
    measures: tuple[str, ...] = OWN
    by: tuple[str, ...] = ()
    seed: int = 0

    @property
    def sets(self) -> dict[str, ImageSet]:
        """Role to set: real, fake and, where there is one, train."""
        every = {"real": self.real, "fake": self.fake, "train": self.train}
        return {role: images for role, images in every.items() if images is not None}


@dataclass(frozen=True)
class Entry:
    """A measure of one part of the images.

    Attributes:
        value: the number with its interval and notes.
        scope: the part.
        extractor: name; None for measures of pixels.
        floor: real against real; None where there are too few.
        train: the same against about as many training images.
        provenance: what the number rests on; plain data.
    """

    value: Value
    scope: Scope
    extractor: str | None
    floor: Floor | None = None
    train: Value | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def gap(self) -> float | None:
        """The value less that against training images."""
        if self.train is None or self.train.value is None or self.value.value is None:
            return None
        return self.value.value - self.train.value

    def json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            **self.value.json(),
            "scope": self.scope.json(),
            "floor": None if self.floor is None else self.floor.json(),
            "train": None if self.train is None else self.train.json(),
            "gap": self.gap,
            "published": False,
            "provenance": dict(self.provenance),
        }


@dataclass(frozen=True)
class Report:
    """All that was found.

    Attributes:
        entries: the measures.
        shares: sizes of classes and other parts.
        notes: sentences on the whole.
    """

    entries: tuple[Entry, ...] = ()
    shares: tuple[Share, ...] = ()
    notes: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "entries": [entry.json() for entry in self.entries],
            "shares": [share.json() for share in self.shares],
            "notes": list(self.notes),
        }


def check(request: EvaluationTask) -> list[Scope]:
    """Refuse what cannot be measured, before anything is computed.

    Returns:
        The parts that will be measured.

    Raises:
        UserError: sets of different kinds of images, too few of them, unknown columns.
    """
    for images, what in ((request.real, "real"), (request.fake, "generated")):
        if images.count < MIN_IMAGES:
            raise UserError(
                f"{images.name}: {images.count} {what} images; at least {MIN_IMAGES} are needed "
                f"for any measure, and below {MIN_RELIABLE} none means much"
            )
    for other in filter(None, (request.fake, request.train)):
        _same_kind(request.real, other)
    known = set(request.real.labels or ())
    strange = sorted(set(request.fake.labels or ()) - known - {""})
    if known and strange and not known & set(request.fake.labels or ()):
        raise UserError(
            f"{request.fake.name} has class {strange[0]!r}, {request.real.name} has "
            f"{', '.join(repr(name) for name in sorted(known - {''}))}: no class is in both, so "
            "these are other images, or the classes are called otherwise"
        )
    return list(scopes(request.real, request.fake, request.by))


def _same_kind(real: ImageSet, other: ImageSet) -> None:
    mine, theirs = real.spec, other.spec
    for what, one, two in (
        ("pixels", f"{mine.width}x{mine.height}", f"{theirs.width}x{theirs.height}"),
        ("bits", f"{mine.bits}", f"{theirs.bits}"),
        ("channels", _channels(real), _channels(other)),
    ):
        if one != two:
            raise UserError(
                f"{real.name} has images of {one} {what}, {other.name} of {two}: prepare both "
                "alike; nothing is resized or converted here, since that would change the numbers"
            )


def _channels(images: ImageSet) -> str:
    modalities = images.spec.modalities
    if len(modalities) == 1:  # whatever it is called
        return str(images.spec.channels)
    return ", ".join(f"{name} {channels}" for name, channels in modalities.items())


def evaluate(
    request: EvaluationTask,
    extractors: Sequence[Extractor],
    *,
    folder: Path,
    tracks: Tracks = silent,
    notes: Sequence[str] = (),
) -> Report:
    """Measure.

    Args:
        request: what.
        extractors: whose features; may be empty, then only pixels are measured.
        folder: where features are kept.
        tracks: shows progress.
        notes: what is known of the sets before.

    Raises:
        UserError: as from `check`, or features that are not finite.
    """
    parts = check(request)
    table = _Table(request, extractors, folder, tracks)
    entries: list[Entry] = []
    work = tracks("measuring")(parts, len(parts))
    for scope in work:
        for extractor in extractors:
            entries += _features(table, scope, extractor)
            entries += _score(table, scope, extractor)
        entries += _pixels(table, scope)
    sizes = shares(parts, request.real, request.fake, request.train)
    if request.fake.origin.get("labels"):
        notes = [*notes, DRAWN]
    notes = [*notes, *_left_out(request, extractors)]
    return Report(tuple(entries), tuple(sizes), tuple(notes))


def _left_out(request: EvaluationTask, extractors: Sequence[Extractor]) -> Iterator[str]:
    """Sentences on parts that are not measured."""
    classes = set(request.real.labels or ())
    if too_many(classes) and LABEL not in request.by:
        yield f"{len(classes)} classes are more than can be measured one by one"
    spec = request.real.spec
    for extractor in extractors if len(spec.modalities) > 1 else ():
        unseen = [name for name in spec.modalities if not _sees(extractor, spec, name)]
        if unseen:
            yield (
                f"{extractor.name} takes all channels at once, so it says nothing of "
                f"{', '.join(unseen)} alone"
            )


def keep_part(
    request: EvaluationTask,
    extractors: Sequence[Extractor],
    part: Part,
    *,
    folder: Path,
    tracks: Tracks = silent,
) -> int:
    """Compute one part of what `evaluate` needs of every image, and keep it for that.

    Args:
        request: what will be measured.
        extractors: whose features.
        part: which of how many parts; others may be computed elsewhere at the same time.
        folder: where features are kept, the same for all parts.
        tracks: shows progress.

    Returns:
        Images in this part.

    Raises:
        UserError: as from `check`, or features that are not finite.
    """
    check(request)
    count = 0
    for role, images in request.sets.items():
        columns = list(_columns(request, role, extractors).values())
        track = tracks(f"part {part} of features of {images.name}")
        count += made.keep_part(images, columns, part, folder=folder, track=track)
    return count


def _columns(
    request: EvaluationTask, role: str, extractors: Sequence[Extractor]
) -> dict[tuple[str, str | None], made.Column]:
    """What is needed of every image of a set, by name and modality."""
    images, spec = request.sets[role], request.real.spec
    wanted = set(request.measures)
    features = [
        each
        for each in extractors
        if wanted & set(FEATURE_MEASURES)
        or (SCORE in wanted and isinstance(each, ClassifyingExtractor))
    ]
    similar = SIMILARITY in wanted and min(spec.height, spec.width) >= WINDOW
    found = {}
    for modality in (None, *(spec.modalities if len(spec.modalities) > 1 else ())):
        for extractor in features:
            if modality is not None and not _sees(extractor, spec, modality):
                continue
            # modalities are cut by place, and sets of one may call it otherwise
            found[extractor.name, modality] = made.extractor_column(extractor, spec, modality)
        if SPECTRUM in wanted:
            found[SPECTRUM, modality] = made.spectrum_column(spec, modality)
        if similar and role != "train":
            found[SIMILARITY, modality] = made.similarity_column(images, modality)
    return found


def _sees(extractor: Extractor, spec: ImageSpec, modality: str) -> bool:
    """Whether an extractor takes the channels of one modality alone."""
    rule = extractor.preprocess if isinstance(extractor, NetworkExtractor) else None
    return rule is None or rule.takes(spec.modalities[modality])


class _Table:
    """Rows of every column for the three sets."""

    def __init__(
        self, request: EvaluationTask, extractors: Sequence[Extractor], folder: Path, tracks: Tracks
    ) -> None:
        self.request, self.sets = request, request.sets
        self._rows: dict[tuple[str, str, str | None], Tensor] = {}
        for role, images in self.sets.items():
            columns = _columns(request, role, extractors)
            track = tracks(f"features of {images.name}")
            rows = made.rows_of(images, list(columns.values()), folder=folder, track=track)
            for (name, modality), found in zip(columns, rows, strict=True):
                self._rows[role, name, modality] = found

    def sample(self, role: str, column: str, scope: Scope, dims: int | None = None) -> Sample:
        """The images of a part; all images where the set lacks its column."""
        images, values = self.sets[role], self._rows[role, column, scope.modality]
        values = values if dims is None else values[:, :dims]
        whole, chosen = Sample(values, images.groups), scope.rows(images)
        return whole if scope.column is None or chosen is None else whole.subset(chosen)

    def column(self, role: str, column: str, scope: Scope) -> Tensor | None:
        """Rows of a part; None where they were not asked for or the set lacks its column."""
        rows = self._rows.get((role, column, scope.modality))
        if rows is None or scope.column is None:
            return rows
        chosen = scope.rows(self.sets[role])
        return None if chosen is None else rows[chosen]

    def provenance(self, scope: Scope, extractor: Extractor | None) -> dict[str, Any]:
        """What a number of this part rests on."""
        sets = {
            {"fake": "generated"}.get(role, role): {"name": images.name, **images.origin}
            for role, images in self.sets.items()
        }
        return {
            "features": None if extractor is None else extractor.describe(),
            "modality": scope.modality,
            **sets,
            "seed": self.request.seed,
            "version": synthograph.__version__,
        }


def _features(table: _Table, scope: Scope, extractor: Extractor) -> list[Entry]:
    """All measures of features for one part."""
    request = table.request
    wanted = [name for name in FEATURE_MEASURES if name in request.measures]
    if scope.modality is not None and not _sees(extractor, request.real.spec, scope.modality):
        return []
    lacking = scope.rows(request.fake) is None
    if lacking:
        wanted = [name for name in wanted if name in REACHED]
    if not wanted:
        return []
    real, fake = (table.sample(r, extractor.name, scope, extractor.dims) for r in ("real", "fake"))
    values = compare(real, fake, wanted, seed=request.seed)
    notes = _about(real, fake)
    if lacking:
        notes.append(f"generated images have no {scope.column}: all of them count")
    below = floors(real, fake, wanted, seed=request.seed)
    against: dict[str, Value] = {}
    if request.train is not None and scope.rows(request.train) is not None:
        train = table.sample("train", extractor.name, scope, extractor.dims)
        same = matched(train, len(real), seed=request.seed)
        against = {v.name: v for v in compare(same, fake, wanted, seed=request.seed)}
    about = table.provenance(scope, extractor)
    return [
        Entry(
            value.noted(*notes),
            scope,
            extractor.name,
            below.get(value.name),
            against.get(value.name),
            about,
        )
        for value in values
    ]


def _about(real: Sample, fake: Sample) -> list[str]:
    """A sentence where the images are too few for the number to mean anything."""
    fewest = min(len(real), len(fake))
    if fewest >= MIN_RELIABLE:
        return []
    return [
        f"{len(real)} real and {len(fake)} generated images: below {MIN_RELIABLE} this is an "
        "indication at most"
    ]


def _score(table: _Table, scope: Scope, extractor: Extractor) -> list[Entry]:
    """The inception score, where the extractor gives one. It never enters a verdict."""
    if SCORE not in table.request.measures or not isinstance(extractor, ClassifyingExtractor):
        return []
    rows = table.column("fake", extractor.name, scope)
    if rows is None:
        return []
    value, deviation = inception_score(rows[:, extractor.dims :], seed=table.request.seed)
    notes = ["made for photographs of 1,000 things: it tells little of medical images"]
    if value.value is not None:
        notes.append(f"standard deviation over splits {deviation:.3g}")
    about = table.provenance(scope, extractor)
    return [Entry(value.noted(*notes), scope, extractor.name, provenance=about)]


def _pixels(table: _Table, scope: Scope) -> list[Entry]:
    """Spectrum difference, and similarity among generated images."""
    request, about = table.request, table.provenance(scope, None)
    entries = []
    if SPECTRUM in request.measures and scope.rows(request.fake) is not None:
        real, fake = (table.sample(role, SPECTRUM, scope) for role in ("real", "fake"))
        value = spectrum_value(real, fake, seed=request.seed).noted(*_about(real, fake))
        below = floors(real, fake, [SPECTRUM], seed=request.seed).get(SPECTRUM)
        against = None
        if request.train is not None and scope.rows(request.train) is not None:
            train = matched(table.sample("train", SPECTRUM, scope), len(real), seed=request.seed)
            against = spectrum_value(train, fake, seed=request.seed)
        entries.append(Entry(value, scope, None, below, against, about))
    if SIMILARITY in request.measures and scope.column in (None, "label"):
        entries += _similar(table, scope, about)
    return entries


def _similar(table: _Table, scope: Scope, about: Mapping[str, Any]) -> list[Entry]:
    spec = table.request.real.spec
    if min(spec.height, spec.width) < WINDOW:
        reason = f"images of {spec.width}x{spec.height} are smaller than its window of {WINDOW}"
        value = Value(SIMILARITY, None, n_fake=table.request.fake.count, notes=(reason,))
        return [Entry(value, scope, None, provenance=about)] if scope.column is None else []
    fake, real = (table.column(role, SIMILARITY, scope) for role in ("fake", "real"))
    if fake is None:
        return []
    place = 0 if scope.column is None else 1
    value = similarity_value(fake[:, place], seed=table.request.seed)
    below = None
    if real is not None and bool((real[:, place] >= 0).any()):
        own = similarity_value(real[:, place], seed=table.request.seed)
        assert own.value is not None, "there is a pair"
        pairs = (own.counts["pairs"], value.counts.get("pairs", 0))
        below = Floor(own.value, own.value, own.value, value.value, pairs, 1)
        value = replace(value, n_real=len(real)).noted("floor: pairs of real images")
    return [Entry(value, scope, None, below, provenance=about)]
