"""Images brought to pixels of a given size in millimetres."""

import numpy as np
from PIL import Image

PixelSize = tuple[float, float]
"""Height and width of a pixel in millimetres."""


def resampled(
    values: np.ndarray, pixel: PixelSize, spacing: float
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Grey values [h, w] or colours [h, w, 3] at pixels of `spacing` millimetres.

    They are averaged over what a pixel covers where it grows, interpolated where it shrinks.

    Returns:
        The values, of the same type, and a note.
    """
    if values.ndim == 3 and values.dtype != np.uint8:
        parts = [resampled(values[:, :, n], pixel, spacing) for n in range(values.shape[2])]
        return np.stack([part for part, _ in parts], axis=2), parts[0][1]
    size = _new_size(values, pixel, spacing)
    if values.ndim == 3:
        picture = Image.fromarray(np.ascontiguousarray(values))
    else:
        picture = Image.fromarray(np.ascontiguousarray(values.astype(np.float32)))
    resized = np.asarray(picture.resize(size, Image.Resampling.BILINEAR))
    if values.dtype.kind in "iu":
        resized = np.rint(resized).astype(values.dtype)
    return resized, (f"resampled to pixels of {spacing:g} mm",)


def resampled_ids(ids: np.ndarray, pixel: PixelSize, spacing: float) -> np.ndarray:
    """Class ids [h, w] at pixels of `spacing` millimetres; no id is invented."""
    picture = Image.fromarray(np.ascontiguousarray(ids))
    return np.asarray(picture.resize(_new_size(ids, pixel, spacing), Image.Resampling.NEAREST))


def _new_size(values: np.ndarray, pixel: PixelSize, spacing: float) -> tuple[int, int]:
    height, width = (
        max(round(n * size / spacing), 1) for n, size in zip(values.shape[:2], pixel, strict=True)
    )
    return width, height
