"""Sets of images as an audit takes them: alike, some of their images, and where they come from."""

from typing import Any

from jaxtyping import Int64
from torch import Tensor

import synthograph
from synthograph.archive.batches import ImageSet
from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams

# q chosen image

MIN_GROUPS = 20
"""Groups of a real set below which a search for copies says nothing."""


def check_sets(train: ImageSet, *others: ImageSet) -> None:
    """Refuse sets that cannot be compared; the first of the others is the hold-out.

    Raises:
        UserError: different kinds of images, or real ones of too few groups.
    """
    for other in others:
        one, two = (
            f"{s.width}x{s.height}, {s.channels} channels, {s.bits} bits"
            for s in (train.spec, other.spec)
        )
        if one != two:
            raise UserError(
                f"{train.name} has images of {one}, {other.name} of {two}: prepare both alike"
            )
    for images in (train, *others[:1]):
        if images.group_count < MIN_GROUPS:
            raise UserError(
                f"{images.name}: {images.group_count} groups; a search for copies needs at least "
                f"{MIN_GROUPS} to tell how alike images of different ones come"
            )


def drawn(count: int, most: int, streams: Streams, stream: str) -> Int64[Tensor, " q"]:
    """Sorted places of at most so many images."""
    return streams.permutation(stream, 0, count)[:most].sort().values


def provenance(sets: dict[str, ImageSet], seed: int) -> dict[str, Any]:
    """Provenance of numbers computed from these sets, by their role."""
    about = {
        role: {"name": s.name, "images": s.count, "groups": s.group_count, **s.origin}
        for role, s in sets.items()
    }
    return {**about, "seed": seed, "version": synthograph.__version__}
