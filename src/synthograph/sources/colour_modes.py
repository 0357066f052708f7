"""What becomes of the colour modes of a decoded picture: 8-bit grey or RGB, or 16-bit grey."""

from collections.abc import Callable, Mapping

import numpy as np
from PIL.Image import Image

from synthograph.core.record import Pixels, UnreadableError

_CUT_SILENTLY = 1 << 26  # pixels; of larger images Pillow warns when it cuts them


def fitting(values: np.ndarray) -> np.ndarray:
    """Whole numbers that fit in 16 bits as such; others as they are."""
    if values.dtype == np.uint8 or values.dtype.kind not in "iu" or not values.size:
        return values
    return values.astype(np.uint16) if 0 <= values.min() <= values.max() <= 0xFFFF else values


def convert(image: Image, bits: int) -> tuple[Pixels, tuple[str, ...]]:
    """Pixels by the rule of `read_image`, or grey ones [h, w]."""
    mode = image.mode
    known = bits == 8 and mode in ("L", "RGB") and "transparency" not in image.info
    if known and image.width * image.height <= _CUT_SILENTLY:
        return image, ()
    if mode not in _RULES:
        raise UnreadableError(
            f"colour mode {mode} has no rule; save the image as 8-bit grey or RGB"
        )
    return _RULES[mode](image, bits)


Converted = tuple[np.ndarray, tuple[str, ...]]
"""Pixels [h, w, c], or grey ones [h, w], and the conversions that were applied."""


def _deep_grey(image: Image, bits: int) -> Converted:
    return _mask_out(fitting(np.asarray(image)), image, 16)


def _grey(image: Image, bits: int) -> Converted:
    pixels, notes = _mask_out(np.asarray(image.convert("L")), image, bits)
    return pixels, ((f"{bits}-bit expanded to 8-bit grey",) if bits < 8 else ()) + notes


def _palette(image: Image, bits: int) -> Converted:
    colours = np.asarray(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
    grey = bool((colours == colours[:, :1]).all())
    notes: tuple[str, ...] = (
        "grey palette expanded to grey" if grey else "palette expanded to RGB",
    )
    if image.mode == "PA" or "transparency" in image.info:
        pixels, further = _drop_alpha(np.asarray(image.convert("RGBA")))
        notes += further
    else:
        pixels = np.asarray(image.convert("RGB"))
    return (pixels[:, :, 0] if grey else pixels), notes


_RULES: Mapping[str, Callable[[Image, int], Converted]] = {
    **dict.fromkeys(("I", "I;16", "I;16B"), _deep_grey),
    **dict.fromkeys(("1", "L"), _grey),
    **dict.fromkeys(("P", "PA"), _palette),
    **dict.fromkeys(("LA", "RGBA"), lambda image, _: _drop_alpha(np.asarray(image))),
    "RGB": lambda image, bits: _mask_out(np.asarray(image), image, bits),
    "CMYK": lambda image, _: (np.asarray(image.convert("RGB")), ("CMYK converted to RGB",)),
    "F": lambda image, _: (np.asarray(image), ()),
}
"""Pillow's mode -> what becomes of it."""


def _mask_out(pixels: np.ndarray, image: Image, bits: int) -> Converted:
    """Put the one grey value or colour that a PNG declares transparent on black."""
    key = image.info.get("transparency")
    if key is None:
        return pixels, ()
    if bits < 8 and image.mode == "L":
        key *= 255 // (2**bits - 1)
    hit = np.atleast_3d(pixels == np.asarray(key)).all(axis=2)
    if not hit.any():
        return pixels, ()
    pixels = pixels.copy()
    pixels[hit] = 0
    return pixels, ("transparent pixels put on black",)


def drop_transparency(values: np.ndarray, image: Image) -> Converted:
    """Grey or RGB of 16-bit values [h, w, 2 to 4] without the alpha or the one colour that `image`
    declares transparent.
    """
    return _mask_out(values, image, 16) if values.shape[2] == 3 else _drop_alpha(values)


def _drop_alpha(pixels: np.ndarray) -> Converted:
    """Grey or RGB of pixels [h, w, 2 or 4] whose last channel is alpha."""
    top = np.iinfo(pixels.dtype).max
    colour, alpha = pixels[:, :, :-1], pixels[:, :, -1:]
    if int(alpha.min()) == top:
        notes = ("opaque alpha dropped",)
    elif int(alpha.max()) <= 1:  # also where 1 was meant for opaque
        notes = ("alpha that hides everything dropped",)
    else:
        colour = ((colour.astype(np.uint64) * alpha + top // 2) // top).astype(pixels.dtype)
        notes = ("transparent pixels put on black",)
    return (colour[:, :, 0] if colour.shape[2] == 1 else colour), notes
