"""Whether a synthetic image stands for a real one, whose mask it is to have."""

import math

import numpy as np
from jaxtyping import Num, UInt8

from synthograph.stats.masks import IGNORED

STEPS = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0))
"""The eight ways to move an image by one pixel."""


def mask_weighted(
    one: Num[np.ndarray, "c h w"], other: Num[np.ndarray, "c h w"], mask: UInt8[np.ndarray, "h w"]
) -> float:
    """Root of the mean squared difference of two images, every class of the mask with the same
    weight however small it is, as a share of the range of values.

    Args:
        one: stored pixels.
        other: likewise, of the same type.
        mask: class ids; pixels that are `IGNORED` do not count.
    """
    range_of = float(np.iinfo(one.dtype).max)
    squared = (((one.astype(float) - other.astype(float)) / range_of) ** 2).mean(0)
    classes = [k for k in np.unique(mask) if k != IGNORED]
    return math.sqrt(float(np.mean([squared[mask == k].mean() for k in classes])))


def moved(pixels: Num[np.ndarray, "c h w"], dy: int, dx: int) -> Num[np.ndarray, "c h w"]:
    """The image moved by a few pixels, its border repeated."""
    margin = max(abs(dy), abs(dx))
    wide = np.pad(pixels, ((0, 0), (margin, margin), (margin, margin)), mode="edge")
    height, width = pixels.shape[1:]
    return wide[:, margin - dy : margin - dy + height, margin - dx : margin - dx + width]


def floor_of(real: Num[np.ndarray, "c h w"], mask: UInt8[np.ndarray, "h w"], pixels: int) -> float:
    """What `mask_weighted` is between an image and itself moved by so many pixels: the mean over
    eight directions.
    """
    return float(
        np.mean(
            [mask_weighted(real, moved(real, pixels * dy, pixels * dx), mask) for dy, dx in STEPS]
        )
    )
