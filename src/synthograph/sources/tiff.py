"""TIFF: what its tags say beyond what Pillow tells, and grey values that Pillow does not know."""

import io
import json
import math
import re
from collections.abc import Callable

import numpy as np
from PIL.TiffImagePlugin import TiffImageFile

from synthograph.core.record import UnreadableError

_WIDTH, _HEIGHT, _BITS_PER_SAMPLE, _PHOTOMETRIC, _ORIENTATION = 256, 257, 258, 262, 274
_DESCRIPTION, _IMAGE_DEPTH = 270, 32997
_STRIP_OFFSETS, _ROWS_PER_STRIP = 273, 278
_TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS = 322, 323, 324
_EXTRA_SAMPLES, _SAMPLE_FORMAT, _SIGNED = 338, 339, 2
_WHITE_IS_ZERO = 0
_SAMPLES = {"1": 1, "L": 1, "P": 1, "LA": 2, "PA": 2, "La": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}
_IMAGEJ = re.compile(r"^(images|channels|slices|frames)=(\d{1,9})\s*$", re.MULTILINE)
_OME_SIZES = re.compile(r"\bSize([ZCT])\s*=\s*[\"'](\d{1,9})[\"']")
_OME_FILES = re.compile(r"\bFileName\s*=\s*[\"']([^\"']*)[\"']")


def inspect_tiff(image: TiffImageFile) -> int:
    """Bits per sample, from tags: Pillow reduces some files without a word.

    Raises:
        UnreadableError: it would be read with a loss, as another image, or in part.
    """
    samples = image.tag_v2.get(_BITS_PER_SAMPLE, (1,))
    # one value may stand for all channels
    if max(samples) > 8 and not image.mode.startswith(("I", "F")):
        refuse_deep("colour or alpha")
    if _SIGNED in image.tag_v2.get(_SAMPLE_FORMAT, ()) and max(samples) <= 8:
        raise UnreadableError("TIFF of signed 8-bit values has no rule; save it as 16-bit grey")
    known = _SAMPLES.get(image.mode, len(samples))
    unmarked = image.mode == "RGBA" and _EXTRA_SAMPLES not in image.tag_v2
    if len(samples) > known or unmarked:
        raise UnreadableError(
            f"TIFF holds {len(samples)} channels of which some have no stated meaning; "
            "save grey or RGB, and further bands as images of their own (--modality)"
        )
    pages = _pages_in_one(image, len(samples))
    if pages > 1:
        refuse_pages(pages, "pages")
    _check_pieces(image)
    return int(samples[0])


def _check_pieces(image: TiffImageFile) -> None:
    """Pillow leaves pixels black whose strip or tile is not listed at all."""
    tags = image.tag_v2
    width, height = tags[_WIDTH], tags[_HEIGHT]  # image.size is turned already
    if _TILE_OFFSETS in tags:
        pieces = tags[_TILE_OFFSETS]
        needed = -(-width // tags[_TILE_WIDTH]) * -(-height // tags[_TILE_LENGTH])
    else:
        pieces = tags[_STRIP_OFFSETS]
        needed = -(-height // tags.get(_ROWS_PER_STRIP, height))
    if len(pieces) < needed:
        raise UnreadableError(f"TIFF is cut short: {needed} pieces needed, {len(pieces)} listed")


def _pages_in_one(image: TiffImageFile, samples: int) -> int:
    """Pages of a stack that is listed as one: ImageJ and others only describe the further ones."""
    tags = image.tag_v2
    text = str(tags.get(_DESCRIPTION, ""))
    depth = int(tags.get(_IMAGE_DEPTH, 1))
    if text.startswith("ImageJ="):
        counts = {name: int(count) for name, count in _IMAGEJ.findall(text)}
        images = counts.pop("images", None)
        return max(depth, math.prod(counts.values()) if images is None else images)
    if text.startswith('{"shape"'):
        return max(depth, _values_in(text) // max(image.width * image.height * samples, 1))
    if "<OME" in text and len(set(_OME_FILES.findall(text))) < 2:  # else a page of many files
        sizes = dict(reversed(_OME_SIZES.findall(text)))  # of the first image
        planes = math.prod(int(count) for count in sizes.values())
        return max(depth, planes // samples)
    return depth


def _values_in(text: str) -> int:
    """How many values the shape in a description of tifffile means; 0 where it is none."""
    try:
        shape = json.loads(text)["shape"]
        return math.prod(int(side) for side in shape)
    except (ValueError, TypeError, KeyError, RecursionError):
        return 0


def refuse_pages(pages: int, what: str) -> None:
    """Refuse a file of several images.

    Raises:
        UnreadableError: always.
    """
    raise UnreadableError(f"the file holds {pages} {what}; save the wanted ones as single images")


def refuse_deep(what: str) -> None:
    """Refuse 16 bits of other than grey.

    Raises:
        UnreadableError: always.
    """
    raise UnreadableError(
        f"16-bit {what} would lose half of its bits; save it as 8-bit RGB, "
        "or each channel as a 16-bit grey image of its own (--modality)"
    )


def is_white_zero(image: TiffImageFile) -> bool:
    """Whether 0 stands for white, as Pillow turns round for 1 to 8 bits, and not for 16."""
    return image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def decode_values(data: bytes, check_size: Callable[[int, int], None]) -> tuple[np.ndarray, bool]:
    """Grey values [h, w] in layouts that Pillow does not know: integers above 8 bits and fractions.

    Args:
        data: the whole file.
        check_size: gets width and height before memory is taken.

    Returns:
        The values as they are stored, and whether 0 stands for white.

    Raises:
        UnreadableError: another variant.
    """
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        if len(file.pages) > 1 or page.ndim != 2 or page.dtype is None:
            raise UnreadableError("TIFF of a variant that is neither grey nor RGB; save it as PNG")
        if page.dtype.kind not in "uif" or page.dtype.itemsize < 2:
            raise UnreadableError(f"TIFF of {page.dtype} values has no rule; save it as PNG")
        turn = page.tags.valueof(_ORIENTATION, 1)
        if turn in range(2, 9):
            raise UnreadableError(
                f"TIFF of a variant that is not turned (orientation {turn}); save it upright as PNG"
            )
        check_size(page.shape[1], page.shape[0])
        return page.asarray(), page.photometric == _WHITE_IS_ZERO
