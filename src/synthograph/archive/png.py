"""The one image format of archives: PNG, 8-bit grey or RGB or 16-bit grey, never anything that
Pillow would reduce without a word.
"""

import io
import struct
import zlib

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from synthograph.core.errors import UserError

MAGIC = b"\x89PNG\r\n\x1a\n"
MAX_PIXELS = 200_000_000
MOST_DEFLATED = 1032
"""Bytes that one packed byte can stand for; what claims more would take memory for nothing."""
KINDS = {(8, 0): 1, (8, 2): 3, (16, 0): 1}
"""Bits and colour type of the header -> channels."""


def png_size(data: bytes, where: str) -> tuple[int, int]:
    """Width and height that a PNG's header claims, before anything is decoded.

    Args:
        data: the whole file.
        where: its name for messages.

    Raises:
        UserError: not a PNG, or larger than an image may be.
    """
    if not data.startswith(MAGIC):
        raise UserError(
            f"{where}: is not a PNG file; prepare the images with 'synthograph prepare'"
        )
    if data[12:16] != b"IHDR" or len(data) < 33:
        raise UserError(f"{where}: is a broken PNG (no header)")
    width, height = struct.unpack_from(">II", data, 16)
    if width * height > MAX_PIXELS:
        raise UserError(
            f"{where}: {width}x{height} is more than {MAX_PIXELS // 10**6} megapixels, the "
            "limit of an image; cut it into parts"
        )
    return width, height


def decode_png(data: bytes, where: str) -> np.ndarray:
    """Pixels [h, w, channels], uint8 or uint16, of a PNG that an archive may hold.

    Args:
        data: the whole file.
        where: its name for messages.

    Raises:
        UserError: not a PNG, broken, too large, or neither 8-bit grey / RGB nor 16-bit grey.
    """
    width, height = png_size(data, where)
    bits, kind = data[24], data[25]
    if (bits, kind) not in KINDS:
        raise UserError(
            f"{where}: a PNG of {bits} bits and colour type {kind}, but an archive holds 8-bit "
            "grey or RGB and 16-bit grey; prepare the images with 'synthograph prepare'"
        )
    _check_chunks(data, where)
    if height * width * bits // 8 > MOST_DEFLATED * len(data):
        raise UserError(f"{where}: is a broken PNG (too few bytes for {width}x{height} pixels)")
    try:
        # opened directly, since `Image.open` prints warnings about sizes
        with PngImageFile(io.BytesIO(data)) as image:
            pixels = np.asarray(image)
    except Exception as error:  # noqa: BLE001 - Pillow raises a dozen kinds for broken files
        raise UserError(f"{where}: is a broken PNG ({error})") from None
    return pixels.reshape(height, width, KINDS[bits, kind])


def _check_chunks(data: bytes, where: str) -> None:
    """Walk the chunks: Pillow verifies neither the checksums of pixel data nor the file's end."""
    place, kind = len(MAGIC), b""
    while kind != b"IEND":
        if place + 12 > len(data):
            raise UserError(f"{where}: is a broken PNG (cut short)")
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 8 + length
        if end + 4 > len(data):
            raise UserError(f"{where}: is a broken PNG (cut short)")
        if zlib.crc32(data[place + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise UserError(f"{where}: is a broken PNG (wrong checksum in chunk {kind!r})")
        place = end + 4


def encode_png(pixels: np.ndarray) -> bytes:
    """PNG bytes of [h, w, 1 or 3] uint8 or [h, w, 1] uint16 pixels.

    Level 1 costs a third of the default's time for a tenth more bytes; level 0 would triple the
    archive.
    """
    squeezed = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(squeezed)).save(file, format="PNG", compress_level=1)
    return file.getvalue()
