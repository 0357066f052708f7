"""JPEG 2000: what its header says, since Pillow cuts deep colours to 8 bits without a word."""

import struct
from collections.abc import Sequence

import numpy as np
from PIL.Image import Image

from synthograph.core.record import UnreadableError

_SIZE = b"\xff\x4f\xff\x51"
"""The start of a codestream and of its marker SIZ (ISO 15444-1, A.5.1)."""
_SIGNED = 0x80


def inspect_jpeg2000(data: bytes) -> int:
    """Bits per sample: 8 or less for colours, up to 16 for grey.

    Raises:
        UnreadableError: values that Pillow would change.
    """
    start = data.find(_SIZE)
    if start < 0 or len(data) < start + 42:
        raise UnreadableError("JPEG 2000 is damaged: no header")
    (count,) = struct.unpack_from(">H", data, start + 40)
    depths: Sequence[int] = data[start + 42 : start + 42 + 3 * count : 3]
    if not depths or any(depth & _SIGNED for depth in depths):
        raise UnreadableError("JPEG 2000 of signed values has no rule; save it as 16-bit TIFF")
    bits = {depth + 1 for depth in depths}
    if len(bits) > 1 or not (bits == {8} or (count == 1 and 8 < max(bits) <= 16)):
        kind = f"{' and '.join(map(str, sorted(bits)))} bits in {count} channels"
        raise UnreadableError(f"JPEG 2000 of {kind} has no rule; save it as 16-bit PNG or TIFF")
    return max(bits)


def stored_values(image: Image | np.ndarray, bits: int) -> np.ndarray:
    """Grey values [h, w] of more than 8 bits: Pillow shifts them up to 16 bits."""
    return np.asarray(image) >> (16 - bits)
