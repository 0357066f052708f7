"""Path lengths of a generator: pairs by `sampling`, distances by `features`, the number by
`metrics`.
"""

from collections.abc import Iterator, Mapping, Sequence

from synthograph.core.errors import UserError
from synthograph.core.progress import Tracks
from synthograph.features.base import MissingWeightsError
from synthograph.features.lpips import PerceptualDistance
from synthograph.features.registry import perceptual_distance
from synthograph.metrics.names import PathLength
from synthograph.metrics.paths import Sampling, Space, check_size
from synthograph.metrics.published import measure_path_length
from synthograph.results.evaluation import PublishedMeasure
from synthograph.sampling.image_set import draw_labels
from synthograph.sampling.paths import Walk, check_walk, step_pairs
from synthograph.workflows.evaluation_inputs import GenerationOptions, Source


def open_distances(
    paths: Sequence[PathLength], device: str
) -> tuple[dict[str, PerceptualDistance], list[str]]:
    """Distances that path lengths need, by name, and a line for every one that cannot be had."""
    found, skipped = {}, []
    for spec in paths:
        try:
            found[spec.distance] = perceptual_distance(spec.distance, device=device)
        except MissingWeightsError as error:
            skipped.append(f"skipped: {spec.name}: {error}")
    return found, skipped


def path_lengths(
    source: Source,
    options: GenerationOptions,
    paths: Sequence[PathLength],
    distances: Mapping[str, PerceptualDistance],
    tracks: Tracks,
) -> Iterator[PublishedMeasure]:
    """Measure every path length whose distance can be had.

    Raises:
        UserError: there is no generator, or one without styles.
    """
    for spec in paths:
        if spec.distance not in distances:
            continue
        assert source.snapshot is not None, "it was checked that there is a generator"
        walk = Walk(
            draw_labels(source.snapshot, source.train.rows, spec.count, options.seed),
            spherical=spec.variant.space is Space.Z,
            anywhere=spec.variant.sampling is Sampling.FULL,
            epsilon=spec.variant.epsilon,
            seed=options.seed,
            batch=options.batch,
            device=options.device,
        )
        origin = {"snapshot": source.snapshot.sha256, "labels": "drawn from the training images"}
        yield measure_path_length(
            spec,
            step_pairs(source.snapshot, walk),
            distances[spec.distance],
            origin=origin,
            batch=options.batch,
            tracks=tracks,
            seed=options.seed,
        )


def check_paths(source: Source, paths: Sequence[PathLength]) -> None:
    """Refuse path lengths of images whose generator is not at hand.

    Raises:
        UserError: there is no generator, or one without styles.
    """
    if not paths:
        return
    if source.snapshot is None:
        raise UserError(
            f"{paths[0].name}: is a measure of a generator, not of images; give --network or a run"
        )
    check_walk(source.snapshot, Walk(()))
    if source.snapshot.info.condition.classes and not source.train.rows:
        raise UserError(
            f"{paths[0].name}: takes labels from the images that the generator was trained on, and "
            f"{source.real.path.name} holds none of them; name that archive with --real"
        )
    images = source.snapshot.info.spec
    for spec in paths:
        check_size(spec.variant, images.height, images.width)
