"""Sprites: many small pictures in one PNG, row by row, for maps and projectors."""

import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
from PIL import Image

from synthograph.archive.batches import ImageSet
from synthograph.core.contact_sheets import as_rgb
from synthograph.core.errors import UserError
from synthograph.results.domain_gap import Thumbnails

LARGEST = 8192
"""Pixels of a side: browsers and TensorBoard show no larger sprite."""
SIDE = 48


def sprite(pictures: Sequence[np.ndarray], file: str) -> tuple[bytes, Thumbnails]:
    """Pictures, uint8 [h, w, 3] of one size, on a square grid, the rest of it white.

    Returns:
        The PNG, and what a page needs to cut it, with the name that the file will have.

    Raises:
        UserError: there is no picture, they differ in size, or the sprite would be too large.
    """
    if not pictures:
        raise UserError("a sprite of no pictures: give at least one")
    height, width = pictures[0].shape[:2]
    columns = math.isqrt(len(pictures) - 1) + 1
    if columns * max(height, width) > LARGEST:
        raise UserError(
            f"a sprite of {len(pictures)} pictures of {width}x{height} would be wider than "
            f"{LARGEST} pixels: take fewer or smaller ones"
        )
    canvas = np.full((columns * height, columns * width, 3), 255, dtype=np.uint8)
    for place, picture in enumerate(pictures):
        if picture.shape != (height, width, 3):
            raise UserError(
                f"picture {place} of a sprite is {picture.shape}, the first is "
                f"{(height, width, 3)}: all must be of one size"
            )
        top, left = place // columns * height, place % columns * width
        canvas[top : top + height, left : left + width] = picture
    data = io.BytesIO()
    Image.fromarray(canvas).save(data, format="PNG", optimize=True)
    cut = Thumbnails(file=file, width=width, height=height, columns=columns, count=len(pictures))
    return data.getvalue(), cut


def fitting(count: int, side: int = SIDE) -> int:
    """The side of a picture, at most `side`, with which so many fit a sprite."""
    return max(1, min(side, LARGEST // (math.isqrt(max(count - 1, 0)) + 1)))


def pictures(images: ImageSet, wanted: Iterable[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Numbers of some images of a set, once each, and uint8 [h, w, 3]; modalities side by side."""
    channels = list(images.spec.modalities.values())
    for rows, batch in images.at(torch.tensor(sorted(set(wanted)), dtype=torch.int64)):
        for number, pixels in zip(rows.tolist(), batch.numpy(), strict=True):
            yield number, as_rgb(pixels, channels)


def thumbnails(
    images: ImageSet, wanted: Iterable[int], *, side: int = SIDE
) -> Mapping[int, np.ndarray]:
    """The same with a longer side of so many pixels, by number."""
    return {number: fitted(picture, side) for number, picture in pictures(images, wanted)}


def fitted(picture: np.ndarray, side: int = SIDE) -> np.ndarray:
    """A picture [h, w, 3] with a longer side of so many pixels."""
    high, wide, _ = picture.shape
    scale = side / max(high, wide)
    size = (max(1, round(wide * scale)), max(1, round(high * scale)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
