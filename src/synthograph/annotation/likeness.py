"""Whether a synthetic image stands for a real one, whose mask it is to have."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Num, UInt8

from synthograph.stats.masks import IGNORED

STEPS = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0))
"""The eight ways to move an image by one pixel."""


@dataclass(frozen=True)
class Likeness:
    """How alike two images are where they are least so.

    Attributes:
        of_class: number of the class in which they differ most, against the floor.
        distance: root of the mean squared difference over its pixels, as a share of the range.
        floor: the same of the real image and itself, moved.
    """

    of_class: int
    distance: float
    floor: float

    @property
    def agrees(self) -> bool:
        """Whether they differ no more than the image from itself, moved."""
        return self.distance <= self.floor

    @property
    def share(self) -> float:
        """The distance by the floor; infinite where only the floor is 0."""
        if not self.distance:
            return 0.0
        return self.distance / self.floor if self.floor else math.inf


def likeness(
    real: Num[np.ndarray, "c h w"],
    made: Num[np.ndarray, "c h w"],
    mask: UInt8[np.ndarray, "h w"],
    pixels: int,
) -> Likeness:
    """Compare a real image with the one that is to have its mask, class by class, so that a small
    class weighs as much as a large one.

    Args:
        real: stored pixels.
        made: likewise, of the same type.
        mask: class ids of the real image; pixels that are `IGNORED` do not count.
        pixels: by how many the real image is moved for the floor: the mean over eight directions.

    Returns:
        Of the class that is least alike.
    """
    distances = by_class(real, made, mask)
    ways = [by_class(real, moved(real, pixels * dy, pixels * dx), mask) for dy, dx in STEPS]
    floors = {k: float(np.mean([way[k] for way in ways])) for k in distances}
    found = [Likeness(k, distances[k], floors[k]) for k in distances]
    return max(found, key=lambda each: each.share)


def by_class(
    one: Num[np.ndarray, "c h w"], other: Num[np.ndarray, "c h w"], mask: UInt8[np.ndarray, "h w"]
) -> dict[int, float]:
    """Root of the mean squared difference over the pixels of every class, as a share of the range
    of values.
    """
    range_of = float(np.iinfo(one.dtype).max)
    squared = (((one.astype(float) - other.astype(float)) / range_of) ** 2).mean(0)
    classes = (int(k) for k in np.unique(mask) if k != IGNORED)
    return {k: math.sqrt(float(squared[mask == k].mean())) for k in classes}


def moved(pixels: Num[np.ndarray, "c h w"], dy: int, dx: int) -> Num[np.ndarray, "c h w"]:
    """The image moved by a few pixels, its border repeated."""
    margin = max(abs(dy), abs(dx))
    wide = np.pad(pixels, ((0, 0), (margin, margin), (margin, margin)), mode="edge")
    height, width = pixels.shape[1:]
    return wide[:, margin - dy : margin - dy + height, margin - dx : margin - dx + width]
