"""What a measure notices on the user's own images: planted damage against undamaged halves.

The real images are cut into halves, many times, and never through a patient. One half plays the
generated images: undamaged it gives the floor of every measure, damaged (`defects`) it should
leave that floor. For each measure and each kind of defect the smallest grade that does is the
result; where none does the defect is *not measurable* here, which does not say that it is absent.

Every damaged half is compared with undamaged halves of as many images, since most measures depend
on their number. The images of the half that plays the generated ones count as independent, as
generated images do: repeats would be taken for images of one patient otherwise.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float32, Int64, UInt
from torch import Tensor

from synthograph.archive.batches import ImageSet
from synthograph.core.errors import UserError
from synthograph.core.progress import Track
from synthograph.core.seeds import Streams
from synthograph.features.base import Extractor
from synthograph.metrics.columns import extractor_column, rows_of
from synthograph.metrics.defects import (
    MAX_CLASSES,
    Defect,
    SelectionDefect,
    droppable,
    pixel_defects,
    selection_defects,
)
from synthograph.metrics.probes import Labelled, Numbers, Probe, standard_probes
from synthograph.metrics.sensitivity_table import DefectNumbers, cells_of, unfit
from synthograph.results.provenance import Features
from synthograph.results.sensitivity import Sensitivity
from synthograph.stats.intervals import MIN_GROUPS, halve
from synthograph.stats.sample import check

# n image, d feature, k image of a selection, s split

BATCH = 32
MIN_IMAGES = 20


@dataclass(frozen=True)
class RealSet:
    """The user's own images.

    Attributes:
        batches: gives all images in their order, as often as it is called.
        groups: patient of every image.
        labels: class of every image, negative without one; None where there are no classes.
        classes: their names.
        factors: numbers that belong to every image (such as age), NaN where unknown; the loss of
            their upper range is planted.
        widths: channels of every modality.
        features: of every image in its order, where they are known already.
    """

    batches: Callable[[], Iterable[UInt[Tensor, "_ _ _ _"]]]
    groups: Int64[Tensor, " n"]
    labels: Int64[Tensor, " _"] | None = None
    classes: tuple[str, ...] = ()
    factors: Mapping[str, Float32[Tensor, " _"]] = field(default_factory=dict)
    widths: tuple[int, ...] | None = None
    features: Float32[Tensor, "_ d"] | None = None

    def __len__(self) -> int:
        return len(self.groups)


@dataclass(frozen=True)
class Effort:
    """How much is computed.

    Attributes:
        splits: how often the images are halved.
        images: most real images used, in whole patients.
        damaged: most images whose pixels are damaged and extracted again, for each grade.
        seed: of halves, choices and damage.
    """

    splits: int = 10
    images: int = 2000
    damaged: int = 500
    seed: int = 0


Build = Callable[[Int64[Tensor, " k"], Streams], tuple[Labelled, Int64[Tensor, " m"]]]


@dataclass(frozen=True)
class _Plant:
    """A defect, and how a damaged half comes about.

    Attributes:
        defect: what it is.
        build: from the rows of a half, the damaged half and the rows of an undamaged one of as
            many images.
    """

    defect: Defect
    build: Build


def sensitivity_of(
    images: ImageSet,
    extractor: Extractor,
    *,
    folder: Path,
    seed: int = 0,
    track: Track | None = None,
) -> Sensitivity:
    """What an extractor and the standard measures notice on real images of an archive.

    Args:
        images: real ones; columns of the manifest that hold numbers are factors.
        extractor: whose features.
        folder: where features are kept.
        seed: of halves, choices and damage.
        track: shows progress of every stage.

    Raises:
        UserError: as for `sensitivity`.
    """
    column = extractor_column(extractor, images.spec)
    (features,) = rows_of(images, [column], folder=folder, track=track or _silent)
    classes = tuple(sorted(set(images.labels or ()) - {""}))
    numbers = {name: number for number, name in enumerate(classes)}
    labels = torch.tensor([numbers.get(label, -1) for label in images.labels or ()])
    real = RealSet(
        images.batches,
        images.groups,
        labels if classes else None,
        classes,
        _factors(images),
        tuple(images.spec.modalities.values()),
        features[:, : extractor.dims],
    )
    return sensitivity(real, extractor, effort=Effort(seed=seed), track=track)


def _factors(images: ImageSet) -> dict[str, Float32[Tensor, " _"]]:
    """Columns of the manifest that hold different numbers, such as an age; NaN where empty."""
    found = {}
    for name, cells in images.columns.items():
        try:
            numbers = torch.tensor([float(cell) if cell else math.nan for cell in cells])
        except ValueError:
            continue
        if len(numbers[numbers.isfinite()].unique()) > 2:
            found[name] = numbers
    return found


def sensitivity(
    real: RealSet,
    extract: Callable[[Tensor], Tensor],
    *,
    probes: Sequence[Probe] | None = None,
    effort: Effort | None = None,
    track: Track | None = None,
) -> Sensitivity:
    """Plant defects in halves of the real images and say which measure notices which.

    Args:
        real: the images.
        extract: integer images [n, c, h, w] to features [n, d]; called for what `real` has no
            features of, and for damaged pixels.
        probes: measures to try; `standard_probes` by default.
        effort: how much is computed.
        track: shows progress of the three stages: features, damaged features, measures.

    Raises:
        UserError: too few images or groups, batches that do not fit groups and labels, or features
            that are no numbers.
    """
    effort, track = effort or Effort(), track or _silent
    _check(real, effort)
    chosen = _chosen(real.groups, effort)
    base = _features(real, extract, chosen, track)
    check(base, "real")
    if probes is None:
        probes = standard_probes(real.classes if real.labels is not None else ())
    streams = Streams(effort.seed).under("sensitivity")
    pixels, refused = _pixel_plants(real, extract, base, chosen, effort, track)
    plants = [*pixels, *_selection_plants(real, base, chosen)]
    columns = {name: better for each in probes for name, better in each.columns.items()}
    halves = [halve(base.groups, streams, split) for split in range(effort.splits)]
    found = _measured(base, plants, probes, halves, streams, track)
    return Sensitivity(
        cells=(*cells_of(found, columns), *unfit(refused, columns)),
        splits=effort.splits,
        images=len(base),
        groups=base.group_count,
        half=min(min(int(half.sum()), int((~half).sum())) for half in halves),
        damaged=min(len(base), effort.damaged),
        seed=effort.seed,
        extractor=Features(**extract.describe() if isinstance(extract, Extractor) else {}),
        notes=_notes(real, base),
    )


def _silent(items: Iterable[object], total: int) -> Iterable[object]:
    return items


def check_counts(images: int, groups: int) -> None:
    """Refuse sets that are too small to be halved.

    Raises:
        UserError: too few images, or too few groups.
    """
    if images < MIN_IMAGES or groups < MIN_GROUPS:
        raise UserError(
            f"{images} images of {groups} groups: sensitivity needs at least {MIN_IMAGES} images "
            f"of {MIN_GROUPS} groups, which it halves; give it more real images"
        )


def _check(real: RealSet, effort: Effort) -> None:
    check_counts(len(real), len(real.groups.unique()))
    if effort.splits < 3 or effort.images < MIN_IMAGES or effort.damaged < 0:
        raise UserError(
            f"{effort.splits} splits, {effort.images} images, {effort.damaged} damaged: at least "
            f"3, {MIN_IMAGES} and 0 are needed"
        )
    for name, column in (("labels", real.labels), *real.factors.items()):
        if column is not None and len(column) != len(real):
            raise UserError(f"{len(column)} {name} for {len(real)} images: give one for each")
    if real.labels is not None and int(real.labels.max()) >= len(real.classes):
        raise UserError(
            f"label {int(real.labels.max())} with {len(real.classes)} classes: labels are places "
            "in the list of classes"
        )
    if real.features is not None and len(real.features) != len(real):
        raise UserError(
            f"features of {len(real.features)} images for {len(real)} images: they must come from "
            "this set"
        )


def _chosen(groups: Int64[Tensor, " n"], effort: Effort) -> Int64[Tensor, " k"]:
    """Images of randomly chosen groups, as many as asked; fewer than `MIN_GROUPS` never."""
    _, inverse, sizes = groups.unique(return_inverse=True, return_counts=True)
    order = Streams(effort.seed).permutation("sensitivity/groups", 0, len(sizes))
    within = sizes[order].cumsum(0) <= effort.images
    within[:MIN_GROUPS] = True
    taken = torch.zeros(len(sizes), dtype=torch.bool)
    taken[order[within]] = True
    return taken[inverse].nonzero()[:, 0]


def _batches(
    real: RealSet, wanted: Int64[Tensor, " k"]
) -> Iterator[tuple[UInt[Tensor, "b c h w"], Int64[Tensor, " b"]]]:
    """The wanted images and their numbers, at most `BATCH` at a time."""
    is_wanted = torch.zeros(len(real), dtype=torch.bool)
    is_wanted[wanted] = True
    start = 0
    for batch in real.batches():
        start, first = start + len(batch), start
        if start > len(real):
            break
        here = is_wanted[first:start].nonzero()[:, 0]
        for rows in here.split(BATCH) if len(here) else ():
            yield batch[rows], rows + first
    if start != len(real):
        raise UserError(
            f"{'more' if start > len(real) else start} images for {len(real)} groups: images, "
            "groups and labels must come from the same set in the same order"
        )


def _features(
    real: RealSet, extract: Callable[[Tensor], Tensor], chosen: Int64[Tensor, " k"], track: Track
) -> Labelled:
    """Features of the undamaged images, from the user or computed once."""
    if real.features is not None:
        values = real.features[chosen]
    else:
        found: list[Tensor] = []

        def work() -> Iterator[int]:
            for images, numbers in _batches(real, chosen):
                found.append(extract(images))
                yield from numbers.tolist()

        _run(track, work(), len(chosen))
        values = torch.cat(found)
    unknown = torch.full((len(chosen),), -1)
    labels = unknown if real.labels is None else real.labels[chosen]
    return Labelled(values, real.groups[chosen], labels)


def _run(track: Track, work: Iterable[object], total: int) -> None:
    for _ in track(work, total):
        pass


def _pixel_plants(
    real: RealSet,
    extract: Callable[[Tensor], Tensor],
    base: Labelled,
    chosen: Int64[Tensor, " k"],
    effort: Effort,
    track: Track,
) -> tuple[list[_Plant], list[tuple[Defect, str]]]:
    """Defects of pixels with the features of damaged images, and those that do not apply."""
    pool = _pool(len(base), effort)
    if not len(pool):
        return [], []
    first = next(iter(real.batches()), None)
    if first is None:
        raise UserError("no images: damage needs their pixels")
    bits = 8 * first.dtype.itemsize
    defects = pixel_defects(first.shape[1], bits, widths=real.widths, seed=effort.seed)
    reasons = [(defect, defect.refusal(bits)) for defect in defects]
    fit = [defect for defect, reason in reasons if reason is None]
    found: list[list[Tensor]] = [[] for _ in fit]

    def work() -> Iterator[int]:
        for images, numbers in _batches(real, chosen[pool]):
            for defect, features in zip(fit, found, strict=True):
                features.append(extract(defect(images, numbers)))
                yield from numbers.tolist()

    _run(track, work(), len(fit) * len(pool))
    plants = []
    for defect, features in zip(fit, found, strict=True):
        damaged = replace(base.subset(pool), values=torch.cat(features))
        check(damaged, f"with {defect.description}:")
        plants.append(_Plant(defect, _pixel_builder(damaged, pool, len(base))))
    return plants, [(defect, reason) for defect, reason in reasons if reason is not None]


def _pool(count: int, effort: Effort) -> Int64[Tensor, " p"]:
    """Which images have their pixels damaged."""
    order = Streams(effort.seed).permutation("sensitivity/pool", 0, count)
    return order[: effort.damaged].sort().values


def _pixel_builder(damaged: Labelled, pool: Int64[Tensor, " p"], count: int) -> Build:
    place = torch.full((count,), -1)
    place[pool] = torch.arange(len(pool))

    def build(half: Int64[Tensor, " k"], _: Streams) -> tuple[Labelled, Int64[Tensor, " m"]]:
        rows = half[place[half] >= 0]
        return _as_generated(damaged, place[rows]), rows

    return build


def _selection_plants(real: RealSet, base: Labelled, chosen: Int64[Tensor, " k"]) -> list[_Plant]:
    labels = None if real.labels is None else base.labels
    factors = {name: values[chosen] for name, values in real.factors.items() if _varies(values)}
    defects = selection_defects(
        len(base) // 2, labels=labels, classes=real.classes, factors=factors
    )
    return [_Plant(defect, _selection_builder(defect, base, labels)) for defect in defects]


def _varies(values: Float32[Tensor, " n"]) -> bool:
    return len(values[~values.isnan()].unique()) > 1


def _selection_builder(
    defect: SelectionDefect, base: Labelled, labels: Int64[Tensor, " n"] | None
) -> Build:
    def build(half: Int64[Tensor, " k"], streams: Streams) -> tuple[Labelled, Int64[Tensor, " m"]]:
        rows = defect(half, labels, streams)
        order = streams.permutation("floor", 0, len(half))
        return _as_generated(base, rows), half[order[: len(rows)].sort().values]

    return build


def _as_generated(base: Labelled, rows: Int64[Tensor, " k"]) -> Labelled:
    """Images of no patient."""
    return replace(base.subset(rows), groups=torch.arange(len(rows)))


def _measured(
    base: Labelled,
    plants: Sequence[_Plant],
    probes: Sequence[Probe],
    halves: Sequence[Bool[Tensor, " n"]],
    streams: Streams,
    track: Track,
) -> list[DefectNumbers]:
    """All measures of all damaged halves and of their floors."""
    found = [DefectNumbers(plant.defect, [], [], []) for plant in plants]

    def work() -> Iterator[int]:
        for split, half in enumerate(halves):
            real, ours = base.subset(~half), half.nonzero()[:, 0]
            here, floors = streams.under(f"split {split}"), dict[bytes, Numbers]()
            for place, plant in enumerate(plants):
                damaged, rows = plant.build(ours, here)
                key = rows.numpy().tobytes()
                if key not in floors:
                    floors[key] = _numbers(probes, real, _as_generated(base, rows))
                found[place].floor.append(floors[key])
                found[place].damaged.append(_numbers(probes, real, damaged))
                found[place].images.append(len(rows))
                yield place

    _run(track, work(), len(halves) * len(plants))
    return found


def _numbers(probes: Sequence[Probe], real: Labelled, fake: Labelled) -> Numbers:
    if not len(fake):  # no damaged image lies in this half
        return {}
    return {key: value for probe in probes for key, value in probe.function(real, fake).items()}


def _notes(real: RealSet, base: Labelled) -> tuple[str, ...]:
    """What a reader must know of this set."""
    notes = [
        f"{name} has no two different values, so none are missing."
        for name, values in real.factors.items()
        if not _varies(values)
    ]
    if len(base) < len(real):
        notes.append(f"{len(real) - len(base)} of {len(real)} real images were left out.")
    if real.labels is None:
        return (*notes, "The images have no classes, so none was dropped.")
    tried = droppable(base.labels, real.classes)
    left = [name for label, name in enumerate(real.classes) if label not in tried]
    if left:
        notes.append(
            f"Classes not dropped, being absent, the only one or not among the {MAX_CLASSES} "
            f"rarest: {', '.join(left)}."
        )
    for label in tried:
        if len(base.groups[base.labels == label].unique()) == 1:
            notes.append(
                f"All images of class {real.classes[label]} come from one group, so no split has "
                "it on both sides."
            )
    return tuple(notes)
