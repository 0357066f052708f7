"""Colours of 16 bits. Pillow decodes one byte of each sample, so files are decoded twice."""

from typing import Any

import numpy as np
from PIL.Image import Image
from PIL.ImageFile import ImageFile

_OTHER_BYTE = {";16B": ";16L", ";16L": ";16B", ";16N": ";16B"}
"""How Pillow is told which byte it takes: the upper one, and what makes it the lower one."""
_GREY_ALPHA = "LA;16B"


def is_deep(image: ImageFile) -> bool:
    """Whether an image that was not decoded yet has colours of 16 bits, sample beside sample."""
    return image.mode in ("RGB", "RGBA") and any(";16" in _raw_mode(t.args) for t in image.tile)


def take_lower(image: ImageFile) -> None:
    """Let an image that was not decoded yet give the lower byte of every sample."""
    image.tile = [tile._replace(args=_swapped(tile.args)) for tile in image.tile]


def take_bytes(image: ImageFile) -> bool:
    """Let grey with alpha of 16 bits give its four bytes as channels; whether it is such."""
    grey = [_raw_mode(tile.args) == _GREY_ALPHA for tile in image.tile]
    if not grey or not all(grey):
        return False
    image.tile = [tile._replace(args="RGBA") for tile in image.tile]
    return True


def joined(upper: Image, lower: Image | None) -> np.ndarray:
    """Values [h, w, channels] of 16 bits: of both halves, or of one that has all bytes."""
    first = np.asarray(upper).astype(np.uint16)
    if lower is None:
        return first[:, :, 0::2] << 8 | first[:, :, 1::2]
    return first << 8 | np.asarray(lower)


def _raw_mode(args: object) -> str:
    return str(args[0] if isinstance(args, tuple) else args)


def _swapped(args: object) -> tuple[Any, ...] | str:
    mode = _raw_mode(args)
    mode = mode[:-4] + _OTHER_BYTE[mode[-4:]]
    return (mode, *args[1:]) if isinstance(args, tuple) else mode
