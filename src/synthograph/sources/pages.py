"""One page or frame of a raster file of several, by the rule of single images."""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO, cast

import numpy as np
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from synthograph.core.record import Pixels, UnreadableError
from synthograph.sources.colour_modes import drop_transparency
from synthograph.sources.raster import (
    GIF,
    PNG,
    TIFF,
    WEBP,
    Decoded,
    check_size,
    failures,
    ids_of,
    load_upright,
    pixels_of,
)
from synthograph.sources.tiff import decode_values, inspect_tiff

PAGED: Mapping[str, Callable[[BinaryIO], ImageFile]] = {
    TIFF: TiffImageFile,
    GIF: GifImageFile,
    WEBP: WebPImageFile,
    PNG: PngImageFile,
}
"""Kinds of which one file may hold several images."""
_HEADER = 16
_GREY = frozenset(("1", "L", "LA"))


def count_frames(stream: BinaryIO, kind: str) -> int:
    """How many frames an animation has; 1 for a picture."""
    return int(getattr(PAGED[kind](stream), "n_frames", 1))


def read_page(
    stream: BinaryIO, kind: str, number: int, offsets: Sequence[int] = ()
) -> tuple[Pixels, tuple[str, ...]]:
    """Pixels of a page and the conversions that were applied, as `raster.read_values`.

    Args:
        stream: the whole file.
        kind: of the file, one of `PAGED`.
        number: of the page.
        offsets: where each page of a TIFF begins.

    Raises:
        UnreadableError: damaged, too large, or refused by the rule of single images.
    """
    with failures(kind):
        return pixels_of(_decoded(stream, kind, number, offsets))


def read_page_ids(
    stream: BinaryIO, kind: str, number: int, offsets: Sequence[int] = ()
) -> np.ndarray:
    """Class ids [h, w] of a page, as `raster.read_mask`."""
    if kind not in (TIFF, PNG, GIF):
        raise UnreadableError(f"a mask in {kind} has blurred class ids; save it as PNG")
    with failures(kind):
        return ids_of(_decoded(stream, kind, number, offsets))


def _decoded(stream: BinaryIO, kind: str, number: int, offsets: Sequence[int]) -> Decoded:
    if kind != TIFF:
        image = PAGED[kind](stream)
        check_size(*image.size)
        return _frame(image, number)
    try:
        page = TiffImageFile(cast(BinaryIO, _StartingAt(stream, offsets[number])))
    except SyntaxError:
        return _values(stream, number)
    return _page(page, stream, number)


def _page(image: TiffImageFile, stream: BinaryIO, number: int) -> Decoded:
    check_size(*image.size)
    bits = inspect_tiff(image, page=True)
    if bits == 16 and image.mode in ("RGB", "RGBA"):
        return _values(stream, number)
    return load_upright(image, bits, (), None)


class _StartingAt:
    """A TIFF whose first page is another one: Pillow walks through all pages before one."""

    def __init__(self, stream: BinaryIO, offset: int) -> None:
        stream.seek(0)
        header = bytearray(stream.read(_HEADER))
        order, big = ("<" if header[:2] == b"II" else ">"), 43 in header[2:4]
        struct.pack_into(f"{order}{'Q' if big else 'I'}", header, 8 if big else 4, offset)
        self.header = bytes(header)
        self.stream = stream
        stream.seek(0)

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        place = self.stream.tell()
        data = self.stream.read(size)
        return self.header[place:][: len(data)] + data[max(_HEADER - place, 0) :]

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)


def _values(stream: BinaryIO, number: int) -> Decoded:
    stream.seek(0)
    values, white_zero = decode_values(stream, check_size, number)
    return Decoded(values, 16, (), white_zero)


def _frame(image: ImageFile, number: int) -> Decoded:
    """All frames of an animation are grey or all are colours, as the first one."""
    palette = np.asarray(image.getpalette("RGB") or [0, 1, 0]).reshape(-1, 3)
    grey = image.mode in _GREY or (image.mode == "P" and bool((palette == palette[:, :1]).all()))
    if not grey and image.mode not in ("P", "RGB", "RGBA"):
        raise UnreadableError(f"an animation in colour mode {image.mode} has no rule")
    image.seek(number)
    colours, notes = drop_transparency(np.asarray(image.convert("RGBA")), image)
    return Decoded(np.ascontiguousarray(colours[:, :, 0]) if grey else colours, 8, notes)
