"""TIFF: what its tags say beyond what Pillow tells, and grey values that Pillow does not know."""

import io
from collections.abc import Callable, Sequence
from typing import BinaryIO

import numpy as np
from PIL.TiffImagePlugin import TiffImageFile

from synthograph.core.record import UnreadableError
from synthograph.core.untrusted.containers import BOMB_BYTES, BOMB_RATIO
from synthograph.sources.tiff_axes import described_axes

_WIDTH, _HEIGHT, _BITS_PER_SAMPLE, _PHOTOMETRIC, _ORIENTATION = 256, 257, 258, 262, 274
_DESCRIPTION, _IMAGE_DEPTH = 270, 32997
_STRIP_OFFSETS, _SAMPLES_PER_PIXEL, _ROWS_PER_STRIP = 273, 277, 278
_TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS = 322, 323, 324
_STRIP_BYTES, _TILE_BYTES = 279, 325
_EXTRA_SAMPLES, _SAMPLE_FORMAT, _SIGNED = 338, 339, 2
_LARGE_TILE = 1 << 24
"""Pixels of a tile that may be larger than its image."""
_WHITE_IS_ZERO, _RGB, _SEPARATE = 0, 2, 2
_SAMPLES = {"1": 1, "L": 1, "P": 1, "LA": 2, "PA": 2, "La": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}


def inspect_tiff(image: TiffImageFile, *, page: bool = False) -> int:
    """Bits per sample, from tags: Pillow reduces some files without a word.

    Args:
        image: what was opened.
        page: whether it is a page of a stack, whatever the description says of others.

    Raises:
        UnreadableError: it would be read with a loss, as another image, or in part.
    """
    samples = image.tag_v2.get(_BITS_PER_SAMPLE, (1,))
    if len(samples) == 1:  # one value may stand for all channels
        samples *= int(image.tag_v2.get(_SAMPLES_PER_PIXEL, 1))
    if max(samples) > 8 and not image.mode.startswith(("I", "F")):
        _check_deep(image, samples)
    if _SIGNED in image.tag_v2.get(_SAMPLE_FORMAT, ()) and max(samples) <= 8:
        raise UnreadableError("TIFF of signed 8-bit values has no rule; save it as 16-bit grey")
    known = _SAMPLES.get(image.mode, len(samples))
    unmarked = image.mode == "RGBA" and _EXTRA_SAMPLES not in image.tag_v2
    if len(samples) > known or unmarked:
        _refuse_channels(len(samples))
    if not page:
        _refuse_described(image, len(samples))
    _check_pieces(image)
    return int(samples[0])


def _refuse_described(image: TiffImageFile, samples: int) -> None:
    """A stack that is listed as one page: ImageJ and others only describe the further ones."""
    tags = image.tag_v2
    text, depth = str(tags.get(_DESCRIPTION, "")), int(tags.get(_IMAGE_DEPTH, 1))
    found = described_axes(text, depth=depth, size=image.size, samples=samples)
    if found.planes > 1:
        refuse_pages(found.planes, "pages")


def _check_pieces(image: TiffImageFile) -> None:
    """Pillow leaves pixels black whose strip or tile is not listed, and takes memory for whole
    tiles, however large.
    """
    tags = image.tag_v2
    width, height = tags[_WIDTH], tags[_HEIGHT]  # image.size is turned already
    if _TILE_OFFSETS in tags:
        pieces, sizes = tags[_TILE_OFFSETS], tags.get(_TILE_BYTES, (1,))
        wide, high = tags[_TILE_WIDTH], tags[_TILE_LENGTH]
        needed = -(-width // wide) * -(-height // high)
        if wide * high > max(_LARGE_TILE, 4 * width * height):
            raise UnreadableError(f"TIFF claims tiles of {wide}x{high} for {width}x{height} pixels")
    else:
        pieces, sizes = tags[_STRIP_OFFSETS], tags.get(_STRIP_BYTES, (1,))
        needed = -(-height // tags.get(_ROWS_PER_STRIP, height))
    if len(pieces) < needed:
        raise UnreadableError(f"TIFF is cut short: {needed} pieces needed, {len(pieces)} listed")
    _refuse_gaps(pieces, sizes)


def _refuse_gaps(places: Sequence[int], sizes: Sequence[int]) -> None:
    """Pieces that lie nowhere or have no bytes would be read as zeros."""
    if not (all(places) and all(sizes)):
        raise UnreadableError("TIFF leaves out parts of its image; save it whole")


def refuse_pages(pages: int, what: str) -> None:
    """Refuse a file of several images.

    Raises:
        UnreadableError: always.
    """
    raise UnreadableError(
        f"the file holds {pages} {what}; --pages takes each as an image of its own, or save the "
        "wanted ones as single images"
    )


def _refuse_channels(count: int) -> None:
    raise UnreadableError(
        f"TIFF holds {count} channels of which some have no stated meaning; name a modality for "
        "each, such as --channels red,green,blue,infrared, or save grey or RGB"
    )


def _check_deep(image: TiffImageFile, samples: Sequence[int]) -> None:
    unsigned = set(image.tag_v2.get(_SAMPLE_FORMAT, (1,))) == {1}
    if set(samples) != {16} or image.mode not in ("RGB", "RGBA") or not unsigned:
        bits = "/".join(map(str, samples))
        raise UnreadableError(
            f"TIFF of {bits} bits in mode {image.mode} has no rule; save it as RGB of 8 or 16 bits"
        )


def is_white_zero(image: TiffImageFile) -> bool:
    """Whether 0 stands for white, as Pillow turns round for 1 to 8 bits, and not for 16."""
    return image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def decode_values(
    data: bytes | BinaryIO, check_size: Callable[[int, int], None], number: int | None = None
) -> tuple[np.ndarray, bool]:
    """Grey values [h, w] or colours [h, w, 3] in layouts that Pillow does not know: integers above
    8 bits and fractions.

    Args:
        data: the whole file.
        check_size: gets width and height before memory is taken.
        number: of the page; None where there may be one only.

    Returns:
        The values as they are stored, and whether 0 stands for white.

    Raises:
        UnreadableError: another variant.
    """
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data) if isinstance(data, bytes) else data) as file:
        if number is None and len(file.pages) > 1:
            refuse_pages(len(file.pages), "pages")
        page = file.pages[number or 0].aspage()
        colours = page.ndim == 3 and page.photometric == _RGB and page.samplesperpixel == 3
        if page.samplesperpixel > 1 and not colours:
            _refuse_channels(int(page.samplesperpixel))
        if not (page.ndim == 2 or colours) or page.dtype is None:
            raise UnreadableError("TIFF of a variant that is neither grey nor RGB; save it as PNG")
        if page.dtype.kind not in "uif" or page.dtype.itemsize < 2:
            raise UnreadableError(f"TIFF of {page.dtype} values has no rule; save it as PNG")
        turn = page.tags.valueof(_ORIENTATION, 1)
        if turn in range(2, 9):
            raise UnreadableError(
                f"TIFF of a variant that is not turned (orientation {turn}); save it upright as PNG"
            )
        check_size(page.imagewidth, page.imagelength)
        packed = sum(page.databytecounts)
        _refuse_gaps(page.dataoffsets, page.databytecounts)
        if page.nbytes > max(BOMB_BYTES, BOMB_RATIO * packed):
            raise UnreadableError(
                f"TIFF would grow from {packed} to {page.nbytes} bytes, as compression bombs do; "
                "save it without compression"
            )
        values = page.asarray()
        if colours and page.planarconfig == _SEPARATE:
            values = np.moveaxis(values, 0, 2)
        return values, page.photometric == _WHITE_IS_ZERO
