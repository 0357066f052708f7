"""Images that equal a training image in every pixel: what needs no calibration to be found."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import compress

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from synthograph.archive.batches import ImageSet


@dataclass(frozen=True)
class Identical:
    """Places of the synthetic images that equal a training image in every pixel, and of that one.

    `proof` are those of them that have more than one colour and equal no held-out image: an image
    that patients of both sets have, or any may have, such as an empty one, need not come from
    training. `held` counts held-out images of more than one colour that equal a training image.
    """

    images: tuple[int, ...]
    sources: tuple[int, ...]
    proof: tuple[int, ...]
    held: int


def digests(batches: Iterable[Tensor]) -> list[bytes]:
    """Digest of the pixels of every image."""
    return [
        hashlib.sha256(each.tobytes()).digest()
        for batch in batches
        for each in np.ascontiguousarray(batch.numpy())
    ]


def identical(train: ImageSet, other: ImageSet) -> tuple[int, ...]:
    """Images of more than one colour that equal a training image in every pixel."""
    known, shows = set(digests(train.batches())), ~empty(other)
    found = digests(other.batches())
    return tuple(i for i, digest in enumerate(found) if digest in known and shows[i])


def empty(images: ImageSet) -> Bool[Tensor, " n"]:
    """Which images have one colour: they are equal by chance, and say nothing of whom they show."""
    flat = [batch.flatten(2) for batch in images.batches()]
    return torch.cat([(each == each[..., :1]).all(2).all(1) for each in flat])


def find_identical(train: ImageSet, holdout: ImageSet, synthetic: ImageSet) -> Identical:
    """Search synthetic images for exact copies of training images, with any number of patients."""
    ours, held, found = (digests(images.batches()) for images in (train, holdout, synthetic))
    places = {digest: place for place, digest in reversed(list(enumerate(ours)))}
    same = [place for place, digest in enumerate(found) if digest in places]
    empties = ((held, empty(holdout)), (found, empty(synthetic)))
    blank = {digest for side, each in empties for digest in compress(side, each.tolist())}
    common = (places.keys() & set(held)) - blank
    return Identical(
        images=tuple(same),
        sources=tuple(places[found[place]] for place in same),
        proof=tuple(place for place in same if found[place] not in common | blank),
        held=sum(digest in common for digest in held),
    )
