"""Path lengths of a generator for `synthograph evaluate`: pairs by `sampling`, distances by
`features`, the number by `metrics`.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synthograph.cli.image_sets import Making, Source
    from synthograph.features.lpips import PerceptualDistance
    from synthograph.metrics.names import PathLength
    from synthograph.metrics.published import PublishedResult


def distances(
    paths: "Sequence[PathLength]", device: str
) -> "tuple[dict[str, PerceptualDistance], list[str]]":
    """Distances that path lengths need, by name, and a line for every one that cannot be had."""
    from synthograph.features.base import MissingWeightsError
    from synthograph.features.registry import perceptual_distance

    found, skipped = {}, []
    for spec in paths:
        try:
            found[spec.distance] = perceptual_distance(spec.distance, device=device)
        except MissingWeightsError as error:
            skipped.append(f"skipped: {spec.name}: {error}")
    return found, skipped


def path_lengths(
    source: "Source",
    making: "Making",
    paths: "Sequence[PathLength]",
    known: "dict[str, PerceptualDistance]",
) -> "Iterator[PublishedResult]":
    """Measure every path length whose distance is known.

    Raises:
        UserError: there is no generator, or one without styles.
    """
    from synthograph.cli.image_sets import training_rows
    from synthograph.cli.progress import tracker
    from synthograph.metrics.paths import Sampling, Space
    from synthograph.metrics.published import measure_path_length
    from synthograph.sampling.image_set import draw_labels
    from synthograph.sampling.paths import Walk, pairs

    for spec in paths:
        if spec.distance not in known:
            continue
        assert source.snapshot is not None, "it was checked that there is a generator"
        walk = Walk(
            draw_labels(source.snapshot, training_rows(source), spec.count, making.seed),
            spherical=spec.variant.space is Space.Z,
            anywhere=spec.variant.sampling is Sampling.FULL,
            epsilon=spec.variant.epsilon,
            seed=making.seed,
            batch=making.batch,
            device=making.device,
        )
        origin = {"snapshot": source.snapshot.sha256, "labels": "drawn from the training images"}
        yield measure_path_length(
            spec,
            pairs(source.snapshot, walk),
            known[spec.distance],
            origin=origin,
            batch=making.batch,
            tracks=tracker,
            seed=making.seed,
        )


def check_paths(source: "Source", paths: "Sequence[PathLength]") -> None:
    """Refuse path lengths of images whose generator is not at hand.

    Raises:
        UserError: there is no generator, or one without styles.
    """
    from synthograph.cli.image_sets import training_rows
    from synthograph.core.errors import UserError
    from synthograph.metrics.paths import check_size
    from synthograph.sampling.paths import Walk, check

    if not paths:
        return
    if source.snapshot is None:
        raise UserError(
            f"{paths[0].name}: is a measure of a generator, not of images; give --network or a run"
        )
    check(source.snapshot, Walk(()))
    if source.snapshot.info.condition.classes and not training_rows(source):
        raise UserError(
            f"{paths[0].name}: takes labels from the images that the generator was trained on, and "
            f"{source.real.path.name} holds none of them; name that archive with --real"
        )
    images = source.snapshot.info.spec
    for spec in paths:
        check_size(spec.variant, images.height, images.width)
