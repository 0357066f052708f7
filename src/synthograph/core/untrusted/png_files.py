"""PNG files of others: damaged pixels are refused, damaged metadata is passed over."""

import io
import struct
import zlib
from collections.abc import Sequence

from PIL.PngImagePlugin import PngImageFile

MAGIC = b"\x89PNG\r\n\x1a\n"
MAX_DEFLATE_RATIO = 1032
"""Bytes that one packed byte can stand for; what claims more would take memory for nothing."""
PASSED_OVER = "metadata could not be read and is left out"
_UNSET = 165
_NEEDED = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL"))
"""Chunks that decide the pixels."""
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
"""x, y and the steps of both in each pass of an interlaced file (PNG specification, 8.2)."""
_PIECE = 1 << 20


class PngError(Exception):
    """The pixels of a PNG are damaged; the message is the reason without the file's name."""


class _PngWithMark(PngImageFile):
    """Marks the last row before decoding: Pillow leaves rows that are missing as they are."""

    def load_prepare(self) -> None:
        super().load_prepare()
        bands = len(self.getbands())
        mark = _UNSET if bands == 1 else (_UNSET,) * bands
        self.im.paste(mark, (0, self.height - 1, self.width, self.height))
        self._mark = self.im.getpixel((0, self.height - 1))  # modes store it in their own way

    def unset(self) -> bool:
        """Whether the last row may be missing."""
        ends = (0, self.width // 2, self.width - 1)
        return all(self.im.getpixel((x, self.height - 1)) == self._mark for x in ends)


def open_png(data: bytes) -> tuple[PngImageFile, tuple[str, ...]]:
    """A PNG before its pixels are decoded, and what had to be left out.

    Args:
        data: the whole file, which starts with `MAGIC`.

    Raises:
        PngError: it is cut short, a chunk that decides the pixels has a wrong checksum, or there
            are too few bytes for the size that it claims.
        Exception: Pillow cannot open it.
    """
    chunks, notes = _chunks(data)
    width, height, bits = struct.unpack_from(">IIB", data, 16)
    if height * width * bits // 8 > MAX_DEFLATE_RATIO * len(data):
        raise PngError(f"too few bytes for {width}x{height} pixels")
    if notes:
        data = _joined(data, chunks)
    try:
        return _PngWithMark(io.BytesIO(data)), notes
    except Exception:
        needed = [chunk for chunk in chunks if chunk[0] in _NEEDED]
        if len(needed) == len(chunks):
            raise
        return _PngWithMark(io.BytesIO(_joined(data, needed))), (PASSED_OVER,)


def load_png(image: PngImageFile, data: bytes) -> None:
    """Decode a PNG that `open_png` opened, and see to it that all its rows were there.

    Raises:
        PngError: rows are missing.
        Exception: Pillow cannot decode it.
    """
    interlaced = bool(image.info.get("interlace"))
    image.load()
    assert isinstance(image, _PngWithMark), "only what open_png opened can be loaded"
    if interlaced or image.unset():
        _check_rows(data)


Chunk = tuple[bytes, int, int]
"""Kind, and where the chunk begins and ends in the file."""


def _chunks(data: bytes) -> tuple[list[Chunk], tuple[str, ...]]:
    """All chunks up to the last but those that are damaged and do not matter, which are noted.

    Pillow verifies neither the checksums of pixel data nor the file's end.
    """
    chunks: list[Chunk] = []
    notes: tuple[str, ...] = ()
    place, kind = len(MAGIC), b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", data[place : place + 8].ljust(8, b"\0"))
        end = place + 12 + length
        if end > len(data):
            raise PngError("cut short")
        stated = struct.unpack_from(">I", data, end - 4)[0]
        if zlib.crc32(memoryview(data)[place + 4 : end - 4]) == stated:
            chunks.append((kind, place, end))
        elif kind in _NEEDED or kind[:1].isupper():
            raise PngError(f"wrong checksum in chunk {kind!r}")
        else:
            notes = (PASSED_OVER,)
        place = end
    if not chunks or chunks[0][0] != b"IHDR" or chunks[0][2] < 33:
        raise PngError("no header")
    return chunks, notes


def _joined(data: bytes, chunks: Sequence[Chunk]) -> bytes:
    return MAGIC + b"".join(data[first:end] for _, first, end in chunks)


def _check_rows(data: bytes) -> None:
    """Unpack the pixels once more and count their bytes."""
    width, height, bits, colour, _, _, interlace = struct.unpack_from(">IIBBBBB", data, 16)
    passes = _PASSES if interlace else ((0, 0, 1, 1),)
    needed = 0
    for x, y, step_x, step_y in passes:
        across, down = -(-(width - x) // step_x), -(-(height - y) // step_y)
        if across > 0 and down > 0:
            needed += down * (1 + -(-across * bits * _SAMPLES[colour] // 8))
    unpacker, found = zlib.decompressobj(), 0
    for kind, first, end in _chunks(data)[0]:
        piece = data[first + 8 : end - 4] if kind == b"IDAT" else b""
        while piece and found < needed:
            found += len(unpacker.decompress(piece, _PIECE))
            piece = unpacker.unconsumed_tail
    if found < needed:
        raise PngError(f"cut short: {found} of {needed} bytes of pixels are there")
