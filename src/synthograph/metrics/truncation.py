"""Fidelity and diversity over truncation: the same seeds at several psi, against the same real
images, so that what differs is psi alone.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from synthograph.archive.batches import ImageSet
from synthograph.core.progress import Tracks, silent
from synthograph.features.base import Extractor
from synthograph.metrics.columns import features_of
from synthograph.metrics.measures import compare
from synthograph.metrics.scopes import rows_in, scopes
from synthograph.results.evaluation import Scope
from synthograph.results.truncation import TruncationPart, TruncationPoint
from synthograph.stats.sample import Sample

NAMES = ("frechet", "precision", "recall", "density", "coverage")
MIN_OF_CLASS = 30
"""Images of a class, real and synthetic, below which it is not measured."""


def truncation_parts(
    real: ImageSet,
    at: Mapping[float, ImageSet],
    extractor: Extractor,
    *,
    folder: Path,
    tracks: Tracks = silent,
    seed: int = 0,
) -> tuple[list[TruncationPart], list[str]]:
    """The measures of all images and of every class that has images enough, `at` every psi, where
    synthetic images are of the same seeds and classes; and notes on classes that are left out.
    """
    truth = features_of(real, extractor, folder=folder, tracks=tracks)
    fakes = {
        psi: features_of(images, extractor, folder=folder, tracks=tracks)
        for psi, images in at.items()
    }
    first = next(iter(at.values()))
    found, left_out, measured = [], [], list[tuple[Scope, Sample, dict[float, Sample]]]()
    for scope in scopes(real, first, ()):
        ours, theirs = rows_in(scope, real), rows_in(scope, first)
        if scope.modality is not None or ours is None or theirs is None:
            continue
        if scope.column is not None and min(len(ours), len(theirs)) < MIN_OF_CLASS:
            left_out.append(
                f"{scope} is not measured alone: {len(ours)} real and {len(theirs)} synthetic "
                f"images, at least {MIN_OF_CLASS} of each are needed"
            )
            continue
        parts = {psi: sample.subset(theirs) for psi, sample in fakes.items()}
        measured.append((scope, truth.subset(ours), parts))
    track = tracks("measuring")(_points(measured, seed), len(measured) * len(at))
    points: dict[Scope, list[TruncationPoint]] = {}
    for scope, point in track:
        points.setdefault(scope, []).append(point)
    found = [TruncationPart.of(scope, several) for scope, several in points.items()]
    return found, left_out


def _points(
    measured: list[tuple[Scope, Sample, dict[float, Sample]]], seed: int
) -> Iterator[tuple[Scope, TruncationPoint]]:
    for scope, real, fakes in measured:
        for psi, fake in fakes.items():
            values = tuple(compare(real, fake, NAMES, seed=seed))
            yield scope, TruncationPoint(psi=psi, values=values)
