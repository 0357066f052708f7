"""Measures under their published names and rules: the reference is the training images; and path
lengths, which compare images of one generator with each other. Of images of several modalities both
give a number for each: the first under its own key, the others with `_MODALITY` behind it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

import synthograph
from synthograph.archive.batches import ImageSet
from synthograph.core.devices import Precision
from synthograph.core.errors import UserError
from synthograph.core.progress import Tracks, silent
from synthograph.core.seeds import Streams
from synthograph.core.spec import ImageSpec
from synthograph.features.base import Extractor
from synthograph.features.lpips import PerceptualDistance
from synthograph.metrics import frechet, kernel, manifold
from synthograph.metrics.columns import Column, extractor_column, rows_of
from synthograph.metrics.measures import matched
from synthograph.metrics.names import FID, IS, KID, PathLength, PublishedName
from synthograph.metrics.paths import Pairs, path_length, step_lengths
from synthograph.metrics.scores import inception_score
from synthograph.results.evaluation import PublishedMeasure, Value, compared
from synthograph.results.provenance import Features, ImageRecord, Provenance
from synthograph.stats.sample import Sample

NOTE = (
    "the reference is the training images as the generator records them, or as they were named "
    "where it does not: comparable with published numbers, blind to memorisation"
)
MAX_KERNEL = 5000
"""Images of a set from which the interval of a kernel distance is computed, at most: the time grows
with their square."""
OF_LATENTS = "the interval is for other latents of this generator, not for another training"
FACES = (
    "cut to where the paper has faces, rows 3/8 to 7/8 and columns 2/8 to 6/8: of other images it "
    "ignores three quarters"
)
INDICATIVE = "distances of a random network: compares with itself only, not with published numbers"


def check_published(spec: PublishedName, train: ImageSet, fake_count: int, fake_name: str) -> None:
    """Refuse what cannot be measured, before anything is computed.

    Raises:
        UserError: fewer synthetic images than the name says.
    """
    if fake_count < spec.count:
        raise UserError(
            f"{spec.name}: needs {spec.count} synthetic images, {fake_name} has {fake_count}; "
            f"{_way_out(spec, fake_count)}"
        )
    if train.count < 2:
        raise UserError(f"{train.name}: {train.count} training images are too few for {spec.name}")


def _way_out(spec: PublishedName, count: int) -> str:
    """A hint: the same measure of as many images as there are, if it exists."""
    thousands, kind = count // 1000, spec.kind
    if count < 2 or (kind.neighbours and not thousands):
        return "give it more"
    number = f"{thousands}k" if thousands else f"{count}"
    name = f"{kind.name}{number}{kind.neighbours}"
    return f"ask for fewer, such as {name}{'_full' if spec.full else ''}"


def published_columns(extractor: Extractor, spec: ImageSpec) -> list[Column]:
    """What a published measure needs of every image: a column for each modality."""
    return [extractor_column(extractor, spec, name) for name in spec.modalities]


def measure_published(
    spec: PublishedName,
    train: ImageSet,
    fake: ImageSet,
    extractor: Extractor,
    *,
    folder: Path,
    tracks: Tracks = silent,
    seed: int = 0,
) -> PublishedMeasure:
    """One published measure, of every modality by itself.

    Args:
        spec: which.
        train: training images; for names without `_full` with the flips that training saw.
        fake: synthetic images of the same modalities, of which the first `spec.count` are used.
        extractor: the network that the name asks for.
        folder: where features are kept.
        tracks: shows progress.
        seed: of subsets.

    Raises:
        UserError: too few images, or features that are not finite.
    """
    check_published(spec, train, fake.count, fake.name)
    columns = published_columns(extractor, train.spec)
    provenance = Provenance(
        features=Features(**extractor.describe()),
        generated=ImageRecord(**{"name": fake.name, "n": spec.count, **fake.origin}),
        seed=seed,
        version=synthograph.__version__,
    )
    made, *others = (
        rows_of(images, columns, folder=folder, track=tracks(f"features of {images.name}"))
        for images in ((fake,) if spec.kind is IS else (fake, train))
    )
    found: list[_Found] = []
    if spec.kind is IS:
        for rows in made:
            value, deviation = inception_score(rows[: spec.count, extractor.dims :], seed=seed)
            found.append(((value.value, deviation), (value,)))
        return _result(spec, train.spec, found, provenance)
    count = train.count
    for synthetic, rows in zip(made, *others, strict=True):
        real = Sample(rows[:, : extractor.dims], train.groups)
        if spec.max_real is not None and len(real) > spec.max_real:
            chosen = Streams(seed).permutation("metrics/published", 0, len(real))[: spec.max_real]
            real = real.subset(chosen.sort().values)
        count = len(real)
        fakes = Sample.singles(synthetic[: spec.count, : extractor.dims])
        values = _values(spec, real, fakes, seed)
        found.append((tuple(value.value for value in values), values))
    record = ImageRecord(**{"name": train.name, "n": count, **train.origin})
    return _result(spec, train.spec, found, provenance.replace(real=record), NOTE)


def measure_path_length(
    spec: PathLength,
    pairs: Pairs,
    distance: PerceptualDistance,
    images: ImageSpec,
    *,
    origin: Mapping[str, Any],
    batch: int,
    tracks: Tracks = silent,
    seed: int = 0,
) -> PublishedMeasure:
    """One path length, of every modality by itself; in fp32 throughout, as a step is smaller than
    other formats resolve.

    Args:
        spec: which.
        pairs: `spec.count` pairs a step of `spec.variant` apart, made while they are asked for.
        distance: the one that the name asks for.
        images: what the generator makes.
        origin: what a reader must know of the generator and of the pairs; plain data.
        batch: pairs in every batch but the last, for the progress.
        tracks: shows progress.
        seed: which pairs share a block.

    Raises:
        UserError: the distance computes in another precision or is not the one asked for, another
            number of pairs came, or a distance is not a finite number.
    """
    if distance.name != spec.distance:
        raise UserError(f"{spec.name}: is measured with {spec.distance}, not {distance.name}")
    if distance.precision is not Precision.FP32:
        raise UserError(
            f"{spec.name}: its steps are smaller than {distance.precision.value} resolves; measure "
            "it with fp32"
        )
    shown = tracks(f"path length {spec.name}")(pairs, -(-spec.count // batch))
    lengths: dict[str, list[Tensor]] = {name: [] for name in images.modalities}
    for pair in shown:
        first, second = map(images.split, pair)
        for name, kept in lengths.items():
            kept += step_lengths([(first[name], second[name])], spec.variant, distance)
    values = [path_length(each, name=spec.name, seed=seed) for each in lengths.values()]
    if values[0].n_fake != spec.count:
        raise UserError(
            f"{spec.name}: {values[0].n_fake} pairs of images, {spec.count} were expected"
        )
    provenance = Provenance(
        features=Features(**distance.describe()),
        generated=ImageRecord(**{**origin, "pairs": spec.count, "n": 2 * spec.count}),
        seed=seed,
        version=synthograph.__version__,
        path=spec.variant.describe(),
    )
    found: list[_Found] = [((value.value,), (value,)) for value in values]
    notes = [OF_LATENTS] + [FACES] * spec.variant.crop + [INDICATIVE] * distance.indicative
    return _result(spec, images, found, provenance, *notes)


def _values(spec: PublishedName, real: Sample, fake: Sample, seed: int) -> tuple[Value, ...]:
    if spec.kind is FID:
        return (frechet.frechet_distance(real, fake, seed=seed),)
    if spec.kind is KID:
        subsets = kernel.subset_distances(real, fake, seed=seed)
        mean, size = float(subsets.mean()), min(kernel.SUBSET_SIZE, len(real), len(fake))
        note = (  # since subsets share images
            f"mean of {len(subsets)} subsets of {size}, standard deviation "
            f"{float(subsets.std(correction=0)):.3g}, which is no error of the mean"
        )
        few = (matched(each, MAX_KERNEL, seed=seed) for each in (real, fake))
        ends = kernel.kernel_distance(*few, seed=seed).interval
        if ends is not None:  # from some of the images
            ends = replace(ends, low=min(ends.low, mean), high=max(ends.high, mean))
        return (compared("kernel", mean, real, fake, interval=ends, notes=(note,)),)
    found = manifold.manifold_measures(real, fake, seed=seed)
    return (found.precision, found.recall)


_Found = tuple[tuple[float | None, ...], tuple[Value, ...]]
"""Numbers of a modality, one for each key, and the same with what else is known of them."""


def _result(
    spec: PublishedName | PathLength,
    images: ImageSpec,
    found: Sequence[_Found],
    provenance: Provenance,
    *notes: str,
) -> PublishedMeasure:
    """The measure, from what was found of every modality, and notes on all of its numbers."""
    results: dict[str, float] = {}
    noted: list[Value] = []
    for place, (name, (numbers, values)) in enumerate(zip(images.modalities, found, strict=True)):
        keys = [f"{key}_{name}" if place else key for key in spec.keys]
        for key, one in zip(keys, numbers, strict=True):
            if one is None:
                raise UserError(f"{key}: {'; '.join(note for v in values for note in v.notes)}")
            results[key] = float(one)
        several = len(found) > 1
        alone = [f"{' and '.join(keys)}: of the channels of {name} alone"] * several
        noted += (value.noted(*notes, *alone) for value in values)
    return PublishedMeasure(
        metric=spec.name,
        published=spec.published,
        results=results,
        values=tuple(noted),
        provenance=provenance,
    )
