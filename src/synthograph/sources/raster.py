"""Raster files (PNG, JPEG, TIFF, BMP): bytes to pixels; no information is lost silently."""

import contextlib
import io
import logging
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from PIL import ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.Image import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from synthograph.core.record import Pixels, UnreadableError
from synthograph.sources.base import Frame, SourceFile

MAX_PIXELS = 200_000_000
_CUT_SILENTLY = 1 << 26  # pixels; of larger images Pillow warns when it cuts them
MAX_DEFLATE_RATIO = 1032  # bytes that one packed byte of a PNG can stand for

# Pillow's readers are called directly: its global `open` accepts some forty formats and prints
# warnings about sizes.
_FORMATS: tuple[tuple[bytes, str, Callable[[io.BytesIO], ImageFile]], ...] = (
    (b"\x89PNG\r\n\x1a\n", "PNG", PngImageFile),
    (b"\xff\xd8\xff", "JPEG", JpegImageFile),
    (b"II*\0", "TIFF", TiffImageFile),
    (b"MM\0*", "TIFF", TiffImageFile),
    (b"II+\0", "TIFF", TiffImageFile),
    (b"MM\0+", "TIFF", TiffImageFile),
    (b"BM", "BMP", BmpImageFile),
)
_WIDTH, _HEIGHT, _BITS_PER_SAMPLE, _PHOTOMETRIC, _ORIENTATION = 256, 257, 258, 262, 274
_STRIP_OFFSETS, _ROWS_PER_STRIP = 273, 278
_TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS = 322, 323, 324
_EXTRA_SAMPLES, _SAMPLE_FORMAT, _SIGNED = 338, 339, 2
_WHITE_IS_ZERO = 0
_SAMPLES = {"1": 1, "L": 1, "P": 1, "LA": 2, "PA": 2, "La": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A loaded Pillow image (or pixels), bits per sample in the file, conversions so far."""

    image: Image | np.ndarray
    kind: str
    bits: int
    notes: tuple[str, ...]


def read_image(data: bytes) -> tuple[Pixels, tuple[str, ...]]:
    """Decode a PNG, JPEG, TIFF or BMP file.

    The rule: 8-bit grey and RGB stay as they are, and so does 16-bit grey (12-bit too, and 32-bit
    integers whose values fit). 1, 2 and 4 bits become 8-bit grey; a palette becomes RGB, or grey if
    all its colours are grey; CMYK becomes RGB. Opaque alpha is dropped, other transparency is put
    on black. EXIF orientation is applied, colour profiles are not. All these are noted. What would
    lose information is refused: 16-bit colour, floating point, several pages, animations, further
    channels, and other colour spaces.

    Args:
        data: the whole file.

    Returns:
        Pixels, 8-bit grey or RGB or 16-bit grey, and the conversions that were applied.

    Raises:
        UnreadableError: no such file, damaged, more than `MAX_PIXELS` pixels, or refused by the
            rule.
    """
    decoded = _decode(data)
    if isinstance(decoded.image, np.ndarray):
        return decoded.image[:, :, None], decoded.notes
    with _failures(decoded.kind):
        pixels, notes = _convert(decoded.image, decoded.bits)
    if isinstance(pixels, np.ndarray) and pixels.ndim == 2:
        pixels = pixels[:, :, None]
    return pixels, decoded.notes + notes


def read_mask(data: bytes) -> np.ndarray:
    """Decode class ids: grey values, palette indices (not colours), or 0 and 1 of 1-bit files.

    Args:
        data: a whole PNG, TIFF or BMP file. JPEG is refused: its compression invents class ids at
            borders.

    Returns:
        Class ids [h, w], uint8.

    Raises:
        UnreadableError: as `read_image`, and for colour, alpha, JPEG or ids above 255.
    """
    decoded = _decode(data)
    if decoded.kind == "JPEG":
        raise UnreadableError("a mask in JPEG has blurred class ids; save it as PNG")
    if isinstance(decoded.image, np.ndarray):
        return _small_ids(decoded.image)
    mode = decoded.image.mode
    if mode not in ("1", "L", "P", "I", "I;16", "I;16B"):
        raise UnreadableError(
            f"a mask holds one class id per pixel, this file holds {mode} colours; "
            "save it as grey or palette PNG"
        )
    with _failures(decoded.kind):
        ids = np.asarray(decoded.image)
    if mode == "L" and decoded.bits < 8:
        # Pillow stretches 2- and 4-bit grey to 0 ... 255, which would turn id 1 into 85 or 17
        ids = ids // (255 // (2**decoded.bits - 1))
    return _small_ids(ids)


def _small_ids(ids: np.ndarray) -> np.ndarray:
    if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) <= 255:
        raise UnreadableError(
            f"mask values run from {ids.min()} to {ids.max()}, class ids are 0 to 255"
        )
    return ids.astype(np.uint8)


@contextlib.contextmanager
def _failures(kind: str) -> Iterator[None]:
    """Whatever a decoder raises on damaged bytes becomes the reason why the file is unreadable."""
    with warnings.catch_warnings(), _silent("PIL.TiffImagePlugin"), _silent("tifffile"):
        warnings.simplefilter("ignore")
        try:
            yield
        except UnreadableError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UnreadableError(
                f"{kind} is damaged or of an unknown variant ({reason})"
            ) from error


@contextlib.contextmanager
def _silent(name: str) -> Iterator[None]:
    # both libraries print what they also raise, without naming the file
    logger = logging.getLogger(name)
    disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = disabled


def _decode(data: bytes) -> _Decoded:
    """Open by content, check what must be known before decoding, decode."""
    kind, opener = _format(data)
    if kind == "PNG":
        _check_png(data)
    with _failures(kind):
        try:
            image = opener(io.BytesIO(data))
        except SyntaxError:
            if kind == "TIFF":
                return _decode_grey_tiff(data)
            raise
        _check_size(*image.size)
        _check_pages(image)
        bits, notes = _inspect(image, data)
        turned = _orientation(image) in range(2, 9)
        image.load()
        upright = ImageOps.exif_transpose(image) if turned else image
        if turned:
            notes = (*notes, "EXIF orientation applied")
    if isinstance(image, TiffImageFile) and _is_inverted(image):
        inverted = 65535 - np.asarray(upright).astype(np.uint16)
        return _Decoded(inverted, kind, bits, (*notes, "white-is-zero grey inverted"))
    return _Decoded(upright, kind, bits, notes)


def _format(data: bytes) -> tuple[str, Callable[[io.BytesIO], ImageFile]]:
    for magic, kind, opener in _FORMATS:
        if data.startswith(magic):
            return kind, opener
    if not data:
        raise UnreadableError("the file is empty")
    raise UnreadableError(f"not a PNG, JPEG, TIFF or BMP file (it starts with {data[:8]!r})")


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise UnreadableError(f"the image has no pixels ({width}x{height})")
    if width * height > MAX_PIXELS:
        raise UnreadableError(
            f"{width}x{height} is more than {MAX_PIXELS // 10**6} megapixels, the limit of an "
            "image; cut it into parts"
        )


def _check_png(data: bytes) -> None:
    """Walk the chunks: Pillow verifies neither the checksums of pixel data nor the file's end."""
    place, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", data[place : place + 8].ljust(8, b"\0"))
        end = place + 8 + length
        if end + 4 > len(data):
            raise UnreadableError("PNG is cut short")
        if zlib.crc32(data[place + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise UnreadableError(f"PNG is damaged: wrong checksum in chunk {kind!r}")
        place = end + 4
    width, height, bits = struct.unpack_from(">IIB", data, 16)
    _check_size(width, height)
    if height * width * bits // 8 > MAX_DEFLATE_RATIO * len(data):
        raise UnreadableError(f"PNG is damaged: too few bytes for {width}x{height} pixels")


def _check_pages(image: ImageFile) -> None:
    pages = getattr(image, "n_frames", 1)
    if pages > 1:
        what = "pages" if isinstance(image, TiffImageFile) else "animation frames"
        raise UnreadableError(
            f"the file holds {pages} {what}; save the wanted ones as single images"
        )


def _inspect(image: ImageFile, data: bytes) -> tuple[int, tuple[str, ...]]:
    """Bits per sample and notes, from headers: Pillow reduces some files without a word."""
    if isinstance(image, PngImageFile):
        bits = data[24]
        if bits == 16 and data[25] != 0:
            _refuse_deep("colour or alpha")
        return bits, ()
    if isinstance(image, TiffImageFile):
        return _inspect_tiff(image), ()
    if "mp" in image.info:
        return 8, ("first picture of a multi-picture JPEG taken",)
    if isinstance(image, BmpImageFile):
        _check_bmp(image, data)
    return 1 if image.mode == "1" else 8, ()


def _check_bmp(image: BmpImageFile, data: bytes) -> None:
    """Pillow takes pixels for as wide as the number of grey colours in the palette asks for."""
    old = struct.unpack_from("<I", data, 14)[0] == 12  # the header of OS/2
    (bits,) = struct.unpack_from("<H", data, 24 if old else 28)
    if {"1": 1, "L": 8}.get(image.mode, bits) != bits:
        raise UnreadableError(
            f"BMP of {bits} bits with a grey palette of fewer has no rule; save it as PNG"
        )


def _inspect_tiff(image: TiffImageFile) -> int:
    samples = image.tag_v2.get(_BITS_PER_SAMPLE, (1,))
    # one value may stand for all channels
    if max(samples) > 8 and not image.mode.startswith(("I", "F")):
        _refuse_deep("colour or alpha")
    if _SIGNED in image.tag_v2.get(_SAMPLE_FORMAT, ()) and max(samples) <= 8:
        raise UnreadableError("TIFF of signed 8-bit values has no rule; save it as 16-bit grey")
    known = _SAMPLES.get(image.mode, len(samples))
    unmarked = image.mode == "RGBA" and _EXTRA_SAMPLES not in image.tag_v2
    if len(samples) > known or unmarked:
        raise UnreadableError(
            f"TIFF holds {len(samples)} channels of which some have no stated meaning; "
            "save grey or RGB, and further bands as images of their own (--modality)"
        )
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


def _orientation(image: ImageFile) -> int:
    # asked before loading, since loading a TIFF turns it and forgets the tag
    tags = image.tag_v2 if isinstance(image, TiffImageFile) else image.getexif()
    return int(tags.get(_ORIENTATION, 1))


def _refuse_deep(what: str) -> None:
    raise UnreadableError(
        f"16-bit {what} would lose half of its bits; save it as 8-bit RGB, "
        "or each channel as a 16-bit grey image of its own (--modality)"
    )


def _is_inverted(image: TiffImageFile) -> bool:
    """Whether Pillow leaves white-is-zero as it is, which it does for 16-bit grey only."""
    return image.mode.startswith("I;16") and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def _decode_grey_tiff(data: bytes) -> _Decoded:
    """16- and 32-bit integer grey in the layouts that Pillow does not know."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        if len(file.pages) > 1 or page.ndim != 2 or page.dtype is None:
            raise UnreadableError("TIFF of a variant that is neither grey nor RGB; save it as PNG")
        _check_size(page.shape[1], page.shape[0])
        if page.dtype.kind not in "ui" or page.dtype.itemsize < 2:
            raise UnreadableError(f"TIFF of {page.dtype} values has no rule; save it as PNG")
        turn = page.tags.valueof(_ORIENTATION, 1)
        if turn in range(2, 9):
            raise UnreadableError(
                f"TIFF of a variant that is not turned (orientation {turn}); save it upright as PNG"
            )
        pixels = _fit_16_bits(page.asarray())
        if page.photometric == _WHITE_IS_ZERO:
            return _Decoded(65535 - pixels, "TIFF", 16, ("white-is-zero grey inverted",))
    return _Decoded(pixels, "TIFF", 16, ())


def _fit_16_bits(pixels: np.ndarray) -> np.ndarray:
    low, high = int(pixels.min()), int(pixels.max())
    if low < 0 or high > 65535:
        raise UnreadableError(
            f"grey values run from {low} to {high}, 16 bits hold 0 to 65535; "
            "shift or scale them first, or give the DICOM or NIfTI file"
        )
    return pixels.astype(np.uint16)


def _convert(image: Image, bits: int) -> tuple[Pixels, tuple[str, ...]]:
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
    return _mask_out(_fit_16_bits(np.asarray(image)), image, 16)


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


def _fractions(image: Image, bits: int) -> NoReturn:
    raise UnreadableError(
        "floating-point pixels have no fixed range; save them as 16-bit grey, or give the NIfTI "
        "file"
    )


_RULES: Mapping[str, Callable[[Image, int], Converted]] = {
    **dict.fromkeys(("I", "I;16", "I;16B"), _deep_grey),
    **dict.fromkeys(("1", "L"), _grey),
    **dict.fromkeys(("P", "PA"), _palette),
    **dict.fromkeys(("LA", "RGBA"), lambda image, _: _drop_alpha(np.asarray(image))),
    "RGB": lambda image, bits: _mask_out(np.asarray(image), image, bits),
    "CMYK": lambda image, _: (np.asarray(image.convert("RGB")), ("CMYK converted to RGB",)),
    "F": _fractions,
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


def _drop_alpha(pixels: np.ndarray) -> Converted:
    """Grey or RGB of pixels [h, w, 2 or 4] whose last channel is alpha."""
    colour, alpha = pixels[:, :, :-1], pixels[:, :, -1:]
    if int(alpha.min()) == 255:
        notes = ("opaque alpha dropped",)
    else:
        colour = ((colour.astype(np.uint16) * alpha + 127) // 255).astype(np.uint8)
        notes = ("transparent pixels put on black",)
    return (colour[:, :, 0] if colour.shape[2] == 1 else colour), notes


class RasterReader:
    """Reads raster files, each by its content, whatever its ending says."""

    formats = tuple(dict.fromkeys(kind for _, kind, _ in _FORMATS))
    suffixes = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"})

    def missing(self) -> str | None:
        """Nothing: Pillow and tifffile are always there."""
        return None

    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins so is a raster file."""
        return any(head.startswith(magic) for magic, _, _ in _FORMATS)

    def frames(self, file: SourceFile) -> tuple[Frame, ...]:
        """One: a file of several pages is refused when it is read."""
        return (Frame(),)

    def read(self, file: SourceFile, frame: str) -> tuple[Pixels, tuple[str, ...]]:
        """Pixels and conversions, see `read_image`."""
        return read_image(file.read())

    def read_mask(self, file: SourceFile, frame: str) -> np.ndarray:
        """Class ids, see `read_mask`."""
        return read_mask(file.read())
