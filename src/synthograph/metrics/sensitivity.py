"""What a measure notices on the user's own images: planted damage against undamaged halves.

The real images are cut into halves, many times, and never through a patient. One half plays the
synthetic images: undamaged it gives the floor of every measure, damaged (`defects`) it should
leave that floor. For each measure and each kind of defect the smallest grade that does is the
result; where none does the defect is *not measurable* here, which does not say that it is absent.

Every damaged half is compared with undamaged halves of as many images, since most measures depend
on their number. The images of the half that plays the synthetic ones count as independent, as
synthetic images do: repeats would be taken for images of one patient otherwise.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from synthograph.archive.batches import ImageSet
from synthograph.core.errors import UserError
from synthograph.core.progress import Track
from synthograph.core.seeds import Streams
from synthograph.features.base import Extractor
from synthograph.metrics.columns import features_of
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
class Effort:
    """How much is computed.

    Attributes:
        splits: how often the images are halved.
        images: most real images used, in whole patients.
        damaged: most images whose pixels are damaged and extracted again, for each grade.
    """

    splits: int = 10
    images: int = 2000
    damaged: int = 500


DEFAULT_EFFORT = Effort()


Build = Callable[[Int64[Tensor, " k"], Streams], tuple[Labelled, Int64[Tensor, " m"]]]
"""From the rows of a half, the damaged half and the rows of an undamaged one of as many images."""
Plants = list[tuple[Defect, Build]]
"""Defects, and how a half of the images is damaged by them."""


def sensitivity_of(
    images: ImageSet,
    extractor: Extractor,
    *,
    folder: Path,
    seed: int = 0,
    effort: Effort = DEFAULT_EFFORT,
    probes: Sequence[Probe] | None = None,
    track: Track = lambda items, total: items,
) -> Sensitivity:
    """Plant defects in halves of real images and say which measure notices which.

    Args:
        images: real ones; columns of the manifest that hold numbers, such as an age, are factors
            whose upper range is lost.
        extractor: whose features.
        folder: where features are kept.
        seed: of halves, choices and damage.
        effort: how much is computed.
        probes: measures to try; `standard_probes` by default.
        track: shows progress of the three stages: features, damaged features, measures.

    Raises:
        UserError: too few images or groups, or features that are no numbers.
    """
    check_counts(images.count, images.group_count)
    streams, chosen = Streams(seed), _chosen(images.groups, effort.images, seed)
    rows = features_of(images, extractor, folder=folder, tracks=lambda what: track).values
    classes, labels = _classes(images)
    base = Labelled(rows[chosen], images.groups[chosen], labels[chosen])
    if probes is None:
        probes = standard_probes(classes)
    pool = streams.permutation("sensitivity/pool", 0, len(base))[: effort.damaged].sort().values
    pixels, refused = _pixel_plants(images, extractor, base, chosen, pool, seed, track)
    lost = selection_defects(len(base) // 2, base.labels, classes, _factors(images, chosen))
    plants: Plants = [*pixels, *((each, partial(_selected_half, each, base)) for each in lost)]
    columns = {name: better for each in probes for name, better in each.columns.items()}
    under = streams.under("sensitivity")
    halves = [halve(base.groups, under, split) for split in range(effort.splits)]
    found = _measured(base, plants, probes, halves, under, track)
    return Sensitivity(
        cells=(*cells_of(found, columns), *unfit(refused, columns)),
        splits=effort.splits,
        images=len(base),
        groups=base.group_count,
        half=min(min(int(half.sum()), int((~half).sum())) for half in halves),
        damaged=len(pool),
        seed=seed,
        extractor=Features(**extractor.describe()),
        notes=tuple(_notes(images, base, classes)),
    )


def _classes(images: ImageSet) -> tuple[tuple[str, ...], Int64[Tensor, " n"]]:
    """Names of the classes, and the class of every image; negative without one."""
    classes = tuple(sorted(set(images.labels or ()) - {""}))
    numbers = {name: number for number, name in enumerate(classes)}
    labels = images.labels or ("",) * images.count
    return classes, torch.tensor([numbers.get(label, -1) for label in labels])


def _factors(images: ImageSet, chosen: Int64[Tensor, " k"]) -> dict[str, Float32[Tensor, " k"]]:
    """Columns of the manifest that hold different numbers, such as an age; NaN where empty."""
    found = {}
    for name, cells in images.columns.items():
        try:
            numbers = torch.tensor([float(cell) if cell else math.nan for cell in cells])[chosen]
        except ValueError:
            continue
        if len(numbers[numbers.isfinite()].unique()) > 2:
            found[name] = numbers
    return found


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


def _chosen(groups: Int64[Tensor, " n"], most: int, seed: int) -> Int64[Tensor, " k"]:
    """Images of randomly chosen groups, as many as asked; fewer than `MIN_GROUPS` never."""
    _, inverse, sizes = groups.unique(return_inverse=True, return_counts=True)
    order = Streams(seed).permutation("sensitivity/groups", 0, len(sizes))
    within = sizes[order].cumsum(0) <= most
    within[:MIN_GROUPS] = True
    taken = torch.zeros(len(sizes), dtype=torch.bool)
    taken[order[within]] = True
    return taken[inverse].nonzero()[:, 0]


def _run(track: Track, work: Iterable[object], total: int) -> None:
    for _ in track(work, total):
        pass


def _pixel_plants(
    images: ImageSet,
    extractor: Extractor,
    base: Labelled,
    chosen: Int64[Tensor, " k"],
    pool: Int64[Tensor, " p"],
    seed: int,
    track: Track,
) -> tuple[Plants, list[tuple[Defect, str]]]:
    """Pixel defects with the features of damaged images; and those that do not apply, with the
    reason.
    """
    if not len(pool):
        return [], []
    spec = images.spec
    defects = pixel_defects(tuple(spec.modalities.values()), spec.bits, seed=seed)
    reasons = [(defect, defect.refusal(spec.bits)) for defect in defects]
    fit = [defect for defect, reason in reasons if reason is None]
    found: list[list[Tensor]] = [[] for _ in fit]

    def work() -> Iterator[int]:
        for places, pixels in images.at(chosen[pool]):
            if not len(places):
                continue
            for numbers, batch in zip(places.split(BATCH), pixels.split(BATCH), strict=True):
                for defect, features in zip(fit, found, strict=True):
                    features.append(extractor(defect(batch, numbers)))
                    yield from numbers.tolist()

    _run(track, work(), len(fit) * len(pool))
    plants: Plants = []
    for defect, features in zip(fit, found, strict=True):
        damaged = replace(base.subset(pool), values=torch.cat(features))
        check(damaged, f"with {defect.description}:")
        plants.append((defect, partial(_damaged_half, damaged, pool)))
    return plants, [(defect, reason) for defect, reason in reasons if reason is not None]


def _damaged_half(
    damaged: Labelled, pool: Int64[Tensor, " p"], half: Int64[Tensor, " k"], _: Streams
) -> tuple[Labelled, Int64[Tensor, " m"]]:
    """The images of a half that are in the pool, with damaged pixels."""
    rows = half[torch.isin(half, pool)]
    return _as_generated(damaged, torch.searchsorted(pool, rows)), rows


def _selected_half(
    defect: SelectionDefect, base: Labelled, half: Int64[Tensor, " k"], streams: Streams
) -> tuple[Labelled, Int64[Tensor, " m"]]:
    """The images that a defect leaves of a half, and as many of the half at random."""
    rows = defect.select(half, streams)
    order = streams.permutation("floor", 0, len(half))
    return _as_generated(base, rows), half[order[: len(rows)].sort().values]


def _as_generated(base: Labelled, rows: Int64[Tensor, " k"]) -> Labelled:
    """These images as a generator's: every one is its own group."""
    return replace(base.subset(rows), groups=torch.arange(len(rows)))


def _measured(
    base: Labelled,
    plants: Plants,
    probes: Sequence[Probe],
    halves: Sequence[Bool[Tensor, " n"]],
    streams: Streams,
    track: Track,
) -> list[DefectNumbers]:
    """All measures of every damaged half, and of undamaged halves of as many images."""
    found = [DefectNumbers(defect, [], [], []) for defect, _ in plants]

    def work() -> Iterator[int]:
        for split, half in enumerate(halves):
            real, ours = base.subset(~half), half.nonzero()[:, 0]
            here, floors = streams.under(f"split {split}"), dict[bytes, Numbers]()
            for numbers, (_, build) in zip(found, plants, strict=True):
                damaged, rows = build(ours, here)
                key = rows.numpy().tobytes()
                if key not in floors:
                    floors[key] = _numbers(probes, real, _as_generated(base, rows))
                numbers.floor.append(floors[key])
                numbers.damaged.append(_numbers(probes, real, damaged))
                numbers.images.append(len(rows))
                yield split

    _run(track, work(), len(halves) * len(plants))
    return found


def _numbers(probes: Sequence[Probe], real: Labelled, fake: Labelled) -> Numbers:
    if not len(fake):  # no damaged image lies in this half
        return {}
    return {key: value for probe in probes for key, value in probe.function(real, fake).items()}


def _notes(images: ImageSet, base: Labelled, classes: Sequence[str]) -> Iterator[str]:
    """Notes for the reader on this set."""
    if len(base) < images.count:
        yield f"{images.count - len(base)} of {images.count} real images were left out."
    if not classes:
        yield "The images have no classes, so none was dropped."
        return
    tried = droppable(base.labels, classes)
    left = [name for label, name in enumerate(classes) if label not in tried]
    if left:
        yield (
            f"Classes not dropped, being absent, the only one or not among the {MAX_CLASSES} "
            f"rarest: {', '.join(left)}."
        )
    for label in tried:
        if len(base.groups[base.labels == label].unique()) == 1:
            yield (
                f"All images of class {classes[label]} come from one group, so no split has it on "
                "both sides."
            )
