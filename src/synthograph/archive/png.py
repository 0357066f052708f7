"""The image format of archives: PNG in 8-bit grey, RGB or 16-bit grey, which Pillow reads without
loss.
"""

import struct
import zlib

import numpy as np

from synthograph.core.errors import UserError
from synthograph.core.untrusted.png_files import MAGIC, load_png, open_png

MAX_PIXELS = 200_000_000
KINDS = {(8, 0): 1, (8, 2): 3, (16, 0): 1}
"""Bits and colour type of the header -> channels."""
PAETH = 4  # its number as a filter
FLAT = 16  # one pixel in so many differs from its left neighbour in an image of areas
PATTERNED = 4  # times that run lengths shrink an image which deserves the search for patterns
FILTERED_AT_ONCE = 1 << 16  # bytes; some twenty times as many are taken meanwhile, best in a cache


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
    try:
        image, _ = open_png(data)
        load_png(image, data)
        pixels = np.asarray(image)
    except Exception as error:  # noqa: BLE001 - Pillow raises a dozen kinds for broken files
        raise UserError(f"{where}: is a broken PNG ({error})") from None
    return pixels.reshape(height, width, KINDS[bits, kind])


def encode_png(pixels: np.ndarray) -> bytes:
    """PNG bytes of [h, w, 1 or 3] uint8 or [h, w, 1] uint16 pixels; equal pixels give equal bytes.

    Every row gets the Paeth filter, or none where nearly all pixels equal their neighbour, as in
    masks, and runs are the only matches that are looked for: on photographs and scans a third to
    a half of the time of Pillow at its level 1, and a fifth fewer bytes to about as many. Images
    that pack so well that they must hold patterns are searched for longer matches too.
    """
    height, width, channels = pixels.shape
    bits = 8 * pixels.dtype.itemsize
    colour = next((colour for (b, colour), c in KINDS.items() if (b, c) == (bits, channels)), None)
    fits = pixels.size > 0 and pixels.dtype.kind == "u" and colour is not None
    assert fits, f"an archive holds no PNG of {pixels.shape} {pixels.dtype} pixels"
    samples = np.ascontiguousarray(pixels, ">u2" if bits == 16 else np.uint8)
    rows = samples.view(np.uint8).reshape(height, -1)
    step = channels * bits // 8
    even = FLAT * np.count_nonzero(rows[:, step:] != rows[:, :-step]) < rows.size
    none = np.zeros((height, 1), np.uint8)  # also the number of the filter that changes nothing
    filtered = np.hstack([none, rows]) if even else _filter_paeth(rows, step)
    packed = _deflate(filtered, zlib.Z_RLE)
    if PATTERNED * len(packed) < filtered.size:
        packed = min(packed, _deflate(filtered, zlib.Z_DEFAULT_STRATEGY), key=len)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    return MAGIC + b"".join(part for kind, data in chunks for part in _chunk(kind, data))


def _chunk(kind: bytes, data: bytes) -> tuple[bytes, ...]:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I4s", len(data), kind), data, struct.pack(">I", checksum)


def _deflate(filtered: np.ndarray, strategy: int) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL + 1, strategy)
    return packer.compress(filtered.data) + packer.flush()


def _filter_paeth(rows: np.ndarray, step: int) -> np.ndarray:
    """Rows [h, bytes] as PNG stores them, [h, 1 + bytes]: each byte less the one of left, above and
    upper left that is nearest to left + above - upper left (PNG specification, 9.4).

    Args:
        rows: bytes of the samples, [h, n].
        step: bytes per pixel, the distance to the left neighbour.
    """
    height, length = rows.shape
    filtered = np.empty((height, 1 + length), np.uint8)
    filtered[:, 0] = PAETH
    block = max(FILTERED_AT_ONCE // length, 1)
    for first in range(0, height, block):
        some = rows[max(first - 1, 0) : first + block]
        padded = np.zeros((len(some) + (first == 0), step + length), np.int16)
        padded[int(first == 0) :, step:] = some
        _paeth_residuals(padded, step, filtered[first : first + block, 1:])
    return filtered


def _paeth_residuals(padded: np.ndarray, step: int, out: np.ndarray) -> None:
    corner = padded[:-1, :-step]
    left, above = padded[1:, :-step] - corner, padded[:-1, step:] - corner
    # distances to left + above - corner; on a tie left goes first, then above
    from_left, from_above, from_corner = np.abs(above), np.abs(left), np.abs(left + above)
    # multiplying by a condition takes a third of the time of `np.where`
    above *= from_above <= from_corner
    left -= above
    left *= from_left <= np.minimum(from_above, from_corner)
    nearest = left
    nearest += above
    nearest += corner
    np.subtract(padded[1:, step:], nearest, out=out, casting="unsafe")
