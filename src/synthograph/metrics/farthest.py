"""The synthetic images that lie farthest from the real ones: the worst ones, for people to see."""

from collections.abc import Iterator

import torch
from jaxtyping import Int64
from torch import Tensor

from synthograph.archive.batches import ImageSet
from synthograph.metrics.scopes import MAX_LEVELS
from synthograph.results.evaluation import Farthest
from synthograph.stats.nearest import centre_of, nearest_squared
from synthograph.stats.sample import Sample

MOST = 12
"""Images that are named of every class."""


def farthest(
    real: ImageSet, fake: ImageSet, rows: tuple[Sample, Sample], extractor: str
) -> Iterator[Farthest]:
    """For every class the synthetic images that lie farthest from their nearest real image of that
    class, the farthest first.

    Args:
        real: the reference.
        fake: synthetic images; nothing is found where they have no files.
        rows: features of both.
        extractor: whose features they are.

    Yields:
        Nothing for a class without real images, and for classes after the first 50.
    """
    if not fake.files:
        return
    reference, values = (each.values for each in rows)
    centre = centre_of(reference)
    alike = real.labels is not None and fake.labels is not None
    labels: list[str | None] = [*sorted({*(fake.labels or ())})] if alike else [None]
    for label in labels[:MAX_LEVELS]:
        ours, theirs = (_of_class(images, label) for images in (fake, real))
        if len(theirs):
            squared = nearest_squared(values[ours], reference[theirs], centre)[:, 0]
            order = squared.argsort(descending=True, stable=True)[:MOST]
            yield Farthest(
                extractor=extractor,
                label=label,
                files=tuple(fake.files[place] for place in ours[order].tolist()),
                distances=tuple(squared[order].sqrt().tolist()),
            )


def _of_class(images: ImageSet, label: str | None) -> Int64[Tensor, " n"]:
    """Places of the images of a class; of all images for None."""
    if label is None:
        return torch.arange(images.count)
    cells = images.labels or ()
    return torch.tensor([place for place, cell in enumerate(cells) if cell == label]).long()
