"""Images that equal a training image in every pixel: what needs no calibration to be found."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import compress
from typing import NamedTuple

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


class Contents(NamedTuple):
    """What is compared of the images of a set.

    Attributes:
        digests: of the pixels of every image.
        blank: which have one colour: they are equal by chance, and say nothing of whom they show.
    """

    digests: list[bytes]
    blank: Bool[Tensor, " n"]


def contents(images: ImageSet) -> Contents:
    """Digests and blank images of a set, which is read once."""
    found: list[bytes] = []
    blank = []
    for batch in images.batches():
        found += digests([batch])
        flat = batch.flatten(2)
        blank.append((flat == flat[..., :1]).all(2).all(1))
    return Contents(found, torch.cat(blank))


def identical(train: Contents, other: Contents) -> tuple[int, ...]:
    """Images of more than one colour that equal a training image in every pixel."""
    known, blank = set(train.digests), other.blank.tolist()
    return tuple(i for i, each in enumerate(other.digests) if each in known and not blank[i])


def find_identical(train: ImageSet, holdout: ImageSet, synthetic: ImageSet) -> Identical:
    """Search synthetic images for exact copies of training images, with any number of patients."""
    ours, others = digests(train.batches()), (contents(holdout), contents(synthetic))
    held, found = (each.digests for each in others)
    places = {digest: place for place, digest in reversed(list(enumerate(ours)))}
    same = [place for place, digest in enumerate(found) if digest in places]
    blank = {digest for each in others for digest in compress(each.digests, each.blank.tolist())}
    common = (places.keys() & set(held)) - blank
    return Identical(
        images=tuple(same),
        sources=tuple(places[found[place]] for place in same),
        proof=tuple(place for place in same if found[place] not in common | blank),
        held=sum(digest in common for digest in held),
    )
