"""Whether one picture is in two sets, as other pixels: compressed anew, mirrored, turned,
brightened, resized. Digests of pixels find none of these.

A picture is compared by its middle frequencies, which such changes keep. It counts as found again
where it is far more like one image than like any image of other groups: pictures of one organ are
all alike, copies are much more so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from synthograph.archive.batches import ImageSet
from synthograph.core.progress import Tracks, silent
from synthograph.core.seeds import Streams
from synthograph.metrics.columns import Column, rows_of

SIDE = 32
"""Pixels that images are resized to."""
BAND = (6.0, 32.0)
"""Frequencies that are compared, in half waves per image: below is what all images share."""
ALIKE = 0.9
"""Least correlation of a picture with its copy."""
APART = 0.15
"""Most that a copy differs (1 - correlation), as a share of what the next image differs."""
PAIRS = 10**8
"""Pairs that are compared at most; of more images, some are looked for."""


@dataclass(frozen=True)
class Recoded:
    """Images that were found again.

    Attributes:
        pairs: place of the image that was looked for, and of the one that it equals.
        compared: how many images were looked for.
    """

    pairs: Sequence[tuple[int, int]]
    compared: int


def recoded(tested: ImageSet, known: ImageSet, *, folder: Path, tracks: Tracks = silent) -> Recoded:
    """Find images among those of another set.

    Args:
        tested: what is looked for.
        known: where. Images of the set itself, if it is the same one, are compared with those of
            other groups alone.
        folder: where what is computed of every image is kept.
        tracks: shows progress.
    """
    column = Column("picture", f"picture 1 {SIDE} {BAND}", len(_places()), lambda _: _waves)
    looked, there = (
        rows_of(each, [column], folder=folder, track=tracks(f"pictures of {each.name}"))[0]
        for each in (tested, known)
    )
    parts = parts_of(len(looked), len(there), "metrics/recoded")
    found: list[tuple[int, int]] = []
    for chosen in parts:
        own = known.groups[None] == tested.groups[chosen, None] if is_same(tested, known) else None
        found += _found(looked[chosen], there, chosen, known.groups, own)
    return Recoded(found, sum(map(len, parts)))


BLOCK = 256
"""Images that are compared at once."""


def parts_of(looked: int, there: int, stream: str, most: int | None = None) -> list[Tensor]:
    """Places of the images that are looked for, in blocks: of too many, some.

    Args:
        looked: how many there are.
        there: how many they are compared with.
        stream: name of the stream that chooses them.
        most: how many are looked for at most, where there is a limit beside that of pairs.
    """
    count = min(looked, PAIRS // max(there, 1), *([] if most is None else [most]))
    order = Streams(0).permutation(stream, 0, looked)[: max(count, 1)]
    return list(order.sort().values.split(BLOCK))


def is_same(tested: ImageSet, known: ImageSet) -> bool:
    """Whether images are looked for in their own set."""
    return tested.key is not None and tested.key == known.key


def _found(
    looked: Float32[Tensor, "n f"],
    there: Float32[Tensor, "m f"],
    places: Int64[Tensor, " n"],
    groups: Int64[Tensor, " m"],
    left_out: Tensor | None,
) -> list[tuple[int, int]]:
    alike = torch.full((len(looked), len(there)), -1.0)
    for turned in _orientations(looked):
        torch.maximum(alike, turned @ there.T, out=alike)
    if left_out is not None:
        alike.masked_fill_(left_out, -1)
    best, where = alike.max(1)
    others = alike.masked_fill(groups[None] == groups[where][:, None], -1).amax(1).clamp(min=0)
    copies = (best > ALIKE) & (1 - best < APART * (1 - others))
    return [(int(places[i]), int(where[i])) for i in copies.nonzero()[:, 0].tolist()]


def _waves(images: Tensor) -> Float32[Tensor, "n f"]:
    """Amplitudes of the middle frequencies of an image, which is grey, with sum of squares 1."""
    grey = images.to(torch.float32).mean(1, keepdim=True)
    small = torch.nn.functional.interpolate(grey, (SIDE, SIDE), mode="area")[:, 0]
    cosines = _cosines()
    table = (cosines @ (small - small.mean((1, 2), keepdim=True)) @ cosines.T).flatten(1)
    chosen = table[:, _places()]
    return chosen / chosen.norm(dim=1, keepdim=True).clamp(min=1e-6)


@cache
def _cosines() -> Float[Tensor, "u x"]:
    """The orthonormal cosine transform (DCT-II)."""
    number = torch.arange(SIDE, dtype=torch.float32)
    table = torch.cos(math.pi / SIDE * number[:, None] * (number[None] + 0.5))
    table *= math.sqrt(2 / SIDE)
    table[0] /= math.sqrt(2)
    return table


@cache
def _places() -> Int64[Tensor, " f"]:
    """The middle frequencies among all, flat."""
    radius = torch.hypot(*torch.meshgrid(*[torch.arange(SIDE).float()] * 2, indexing="ij"))
    return ((radius >= BAND[0]) & (radius < BAND[1])).flatten().nonzero()[:, 0]


def _orientations(waves: Float32[Tensor, "n f"]) -> list[Float32[Tensor, "n f"]]:
    """Amplitudes of the image mirrored and turned by right angles: odd waves change their sign, and
    rows become columns.
    """
    places = _places()
    row, column = places // SIDE, places % SIDE
    index = torch.full((SIDE * SIDE,), -1)
    index[places] = torch.arange(len(places))
    turned = waves[:, index[column * SIDE + row]]
    signs = [1 - 2 * (odd % 2) for odd in (row * 0, column, row, row + column)]
    return [each * sign for each in (waves, turned) for sign in signs]
