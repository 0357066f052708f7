"""Raster files (PNG, JPEG, TIFF, BMP): bytes to pixels; no information is lost silently."""

import contextlib
import io
import logging
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from PIL.BmpImagePlugin import BmpImageFile
from PIL.Image import Image, Transpose
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from synthograph.core.record import Pixels, UnreadableError, array_of, in_bits
from synthograph.core.untrusted.png_files import MAGIC, PASSED_OVER, PngError, load_png, open_png
from synthograph.sources.base import Frame, Reader, Reading, SourceFile
from synthograph.sources.jpeg import load_jpeg, open_jpeg
from synthograph.sources.profiles import profile_notes
from synthograph.sources.silence import silent
from synthograph.sources.tiff import (
    decode_values,
    inspect_tiff,
    is_white_zero,
    refuse_deep,
    refuse_pages,
)

MAX_PIXELS = 200_000_000
_CUT_SILENTLY = 1 << 26  # pixels; of larger images Pillow warns when it cuts them

Opener = Callable[[bytes], tuple[ImageFile, tuple[str, ...]]]
"""Bytes of a file -> the image before its pixels are decoded, and notes."""


def _plain(opener: Callable[[io.BytesIO], ImageFile]) -> Opener:
    return lambda data: (opener(io.BytesIO(data)), ())


PNG, JPEG, TIFF = "PNG", "JPEG", "TIFF"
"""Kinds of files that are looked at more closely than by Pillow alone."""
# Pillow's readers are called directly: its global `open` accepts some forty formats and prints
# warnings about sizes.
_FORMATS: tuple[tuple[bytes, str, Opener], ...] = (
    (MAGIC, PNG, open_png),
    (b"\xff\xd8\xff", JPEG, open_jpeg),
    (b"II*\0", TIFF, _plain(TiffImageFile)),
    (b"MM\0*", TIFF, _plain(TiffImageFile)),
    (b"II+\0", TIFF, _plain(TiffImageFile)),
    (b"MM\0+", TIFF, _plain(TiffImageFile)),
    (b"BM", "BMP", _plain(BmpImageFile)),
)
_TALKERS = tuple(map(logging.getLogger, ("PIL.TiffImagePlugin", "tifffile")))
"""Both libraries print what they also raise, without naming the file."""
_ORIENTATION = 274
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""EXIF orientation -> what makes the image upright (EXIF 2.3, 4.6.4)."""


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A loaded Pillow image (or values [h, w]), bits per sample in the file, conversions so far."""

    image: Image | np.ndarray
    bits: int
    notes: tuple[str, ...]
    white_zero: bool = False
    """Whether 0 stands for white in the file."""


def read_image(data: bytes) -> tuple[Pixels, tuple[str, ...]]:
    """Decode a PNG, JPEG, TIFF or BMP file.

    The rule: 8-bit grey and RGB stay as they are, and so does 16-bit grey (12-bit too, and 32-bit
    integers whose values fit). 1, 2 and 4 bits become 8-bit grey; a palette becomes RGB, or grey if
    all its colours are grey; CMYK becomes RGB. Opaque alpha is dropped, and so is one that hides
    everything; other transparency is put on black. EXIF orientation is applied, colour profiles are
    not. All these are noted. What would lose information is refused: 16-bit colour, several pages,
    animations, further channels, and other colour spaces; values that 16 bits do not hold need a
    window.

    Args:
        data: the whole file.

    Returns:
        Pixels, 8-bit grey or RGB or 16-bit grey, and the conversions that were applied.

    Raises:
        UnreadableError: no such file, damaged, more than `MAX_PIXELS` pixels, or refused by the
            rule.
    """
    pixels, notes = read_values(data)
    return in_bits(pixels), notes


def read_values(data: bytes) -> tuple[Pixels, tuple[str, ...]]:
    """As `read_image`, but grey values of any range stay as they are."""
    kind, opener = _format(data)
    with _failures(kind):
        decoded = _decode(data, kind, opener)
        pixels: Pixels
        notes: tuple[str, ...] = ()
        if isinstance(decoded.image, np.ndarray):
            pixels = _fitting(decoded.image)
        else:
            pixels, notes = _convert(decoded.image, decoded.bits)
        if decoded.white_zero and decoded.bits > 8:  # Pillow inverts fewer bits
            pixels = 65535 - array_of(in_bits(pixels))
            notes += ("white-is-zero grey inverted",)
    if isinstance(pixels, np.ndarray) and pixels.ndim == 2:
        pixels = pixels[:, :, None]
    return pixels, decoded.notes + notes


def read_mask(data: bytes) -> np.ndarray:
    """Decode class ids: grey values as they are stored, palette indices (not colours), or 0 and 1
    of 1-bit files. RGB that is grey everywhere counts as grey.

    Args:
        data: a whole PNG, TIFF or BMP file. JPEG is refused: its compression invents class ids at
            borders.

    Returns:
        Class ids [h, w], uint8.

    Raises:
        UnreadableError: as `read_image`, and for colour, alpha, JPEG or ids above 255.
    """
    kind, opener = _format(data)
    if kind == JPEG:
        raise UnreadableError("a mask in JPEG has blurred class ids; save it as PNG")
    with _failures(kind):
        decoded = _decode(data, kind, opener)
        ids = np.asarray(decoded.image)
    if isinstance(decoded.image, np.ndarray):
        if ids.dtype.kind == "f":
            raise UnreadableError("a mask holds one class id per pixel, this file holds fractions")
        return _small_ids(ids)
    mode = decoded.image.mode
    if mode == "RGB" and (ids == ids[:, :, :1]).all():
        return ids[:, :, 0]
    if mode not in ("1", "L", "P", "I", "I;16", "I;16B"):
        raise UnreadableError(
            f"a mask holds one class id per pixel, this file holds {mode} colours; "
            "save it as grey or palette PNG"
        )
    if decoded.white_zero and mode in ("1", "L"):
        ids = ~ids  # back to what the file holds
    if mode == "L" and decoded.bits < 8:
        # Pillow stretches 2- and 4-bit grey to 0 ... 255, which would turn id 1 into 85 or 17
        ids = ids // (255 // (2**decoded.bits - 1))
    return _small_ids(ids)


@dataclass(frozen=True, slots=True)
class Painting:
    """A painted mask before anybody says what its colours mean.

    Attributes:
        values: grey values or palette indices [h, w] as they are stored; None for a colour image.
        colours: RGB [h, w, 3], uint8; None for values that are no colours.
        clear: which pixels are fully transparent; None without transparency.
        indexed: whether the values are indices of a palette.
    """

    values: np.ndarray | None
    colours: np.ndarray | None
    clear: np.ndarray | None
    indexed: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        some = self.colours if self.values is None else self.values
        assert some is not None, "a painting has values or colours"
        return some.shape[0], some.shape[1]


def read_painting(data: bytes) -> Painting:
    """Decode a mask that somebody painted, in colours or numbers, with or without transparency.

    Args:
        data: a whole PNG, TIFF or BMP file.

    Raises:
        UnreadableError: as `read_mask` for damaged files, JPEG and numbers above 255.
    """
    kind, opener = _format(data)
    if kind == JPEG:
        raise UnreadableError("a mask in JPEG has blurred colours; save it as PNG")
    with _failures(kind):
        image = _decode(data, kind, opener).image
        if isinstance(image, np.ndarray) or image.mode.startswith("I"):
            return Painting(read_mask(data), None, None)
        seen = image.convert("RGBA")
        clear = np.asarray(seen.getchannel("A")) == 0
        colours = np.asarray(seen.convert("RGB"))
    hidden = clear if clear.any() else None
    if image.mode == "P":
        return Painting(np.asarray(image), colours, hidden, indexed=True)
    if image.mode in ("1", "L"):
        ids = read_mask(data)
        return Painting(ids, np.repeat(ids[:, :, None], 3, axis=2), hidden)
    return Painting(None, colours, hidden)


def _small_ids(ids: np.ndarray) -> np.ndarray:
    if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) <= 255:
        raise UnreadableError(
            f"mask values run from {ids.min()} to {ids.max()}, class ids are 0 to 255"
        )
    return ids.astype(np.uint8)


@contextlib.contextmanager
def _failures(kind: str) -> Iterator[None]:
    """Whatever a decoder raises on damaged bytes becomes the reason why the file is unreadable."""
    try:
        with silent(_TALKERS):
            yield
    except UnreadableError:
        raise
    except PngError as error:
        raise UnreadableError(f"{kind} is damaged: {error}") from None
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableError(f"{kind} is damaged or of an unknown variant ({reason})") from error


def _decode(data: bytes, kind: str, opener: Opener) -> _Decoded:
    """Open by content, check what must be known before decoding, decode."""
    if kind == PNG:
        _check_size(*struct.unpack_from(">II", data.ljust(24, b"\0"), 16))
    try:
        image, notes = opener(data)
    except SyntaxError:
        if kind == TIFF:
            values, white_zero = decode_values(data, _check_size)
            return _Decoded(values, 16, (), white_zero)
        raise
    _check_size(*image.size)
    _check_pages(image)
    bits, further = _inspect(image, data)
    turn, unread = _orientation(image)
    notes = (*notes, *further, *unread, *_load(image, data), *profile_notes(image))
    upright: Image = image
    if turn in _TURNS:
        # loading a TIFF turns it
        upright = image if kind == TIFF else image.transpose(_TURNS[turn])
        notes = (*notes, "EXIF orientation applied")
    white_zero = isinstance(image, TiffImageFile) and is_white_zero(image)
    return _Decoded(upright, bits, tuple(dict.fromkeys(notes)), white_zero)


def _load(image: ImageFile, data: bytes) -> tuple[str, ...]:
    """Decode an opened image, and see to it that all of it is there."""
    if isinstance(image, JpegImageFile):
        return load_jpeg(image)
    if isinstance(image, PngImageFile):
        load_png(image, data)
    else:
        image.load()
    return ()


def _format(data: bytes) -> tuple[str, Opener]:
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


def _check_pages(image: ImageFile) -> None:
    pages = getattr(image, "n_frames", 1)
    if pages > 1:
        what = "pages" if isinstance(image, TiffImageFile) else "animation frames"
        refuse_pages(pages, what)


def _inspect(image: ImageFile, data: bytes) -> tuple[int, tuple[str, ...]]:
    """Bits per sample and notes, from headers: Pillow reduces some files without a word."""
    if isinstance(image, PngImageFile):
        bits = data[24]
        if bits == 16 and data[25] != 0:
            refuse_deep("colour or alpha")
        return bits, ()
    if isinstance(image, TiffImageFile):
        return inspect_tiff(image), ()
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


def _orientation(image: ImageFile) -> tuple[int, tuple[str, ...]]:
    """EXIF orientation, and what is said where that cannot be read."""
    # asked before loading, since loading a TIFF turns it and forgets the tag
    try:
        tags = image.tag_v2 if isinstance(image, TiffImageFile) else image.getexif()
        return int(tags.get(_ORIENTATION, 1)), ()
    except Exception:  # noqa: BLE001 - metadata of others; Pillow has no kind of its own for it
        return 1, (PASSED_OVER,)


def _fitting(values: np.ndarray) -> np.ndarray:
    """Whole numbers that fit in 16 bits as such; others as they are."""
    whole = values.dtype.kind in "iu" and values.size
    return (
        array_of(in_bits(values))
        if whole and 0 <= values.min() and values.max() <= 65535
        else values
    )


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
    return _mask_out(_fitting(np.asarray(image)), image, 16)


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


def _drop_alpha(pixels: np.ndarray) -> Converted:
    """Grey or RGB of pixels [h, w, 2 or 4] whose last channel is alpha."""
    colour, alpha = pixels[:, :, :-1], pixels[:, :, -1:]
    if int(alpha.min()) == 255:
        notes = ("opaque alpha dropped",)
    elif int(alpha.max()) <= 1:  # also where 1 was meant for opaque
        notes = ("alpha that hides everything dropped",)
    else:
        colour = ((colour.astype(np.uint16) * alpha + 127) // 255).astype(np.uint8)
        notes = ("transparent pixels put on black",)
    return (colour[:, :, 0] if colour.shape[2] == 1 else colour), notes


class RasterReader(Reader):
    """Reads raster files, each by its content, whatever its ending says."""

    formats = tuple(dict.fromkeys(kind for _, kind, _ in _FORMATS))
    suffixes = frozenset(
        ".png .apng .jpg .jpeg .jpe .jfif .jif .pjpeg .pjp .tif .tiff .tf8 .btf .bmp .dib".split()
    )

    def missing(self) -> str | None:
        """Nothing: Pillow and tifffile are always there."""
        return None

    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins so is a raster file."""
        return any(head.startswith(magic) for magic, _, _ in _FORMATS)

    def frames(self, file: SourceFile, reading: Reading) -> tuple[Frame, ...]:
        """One: a file of several pages is refused when it is read."""
        return (Frame(),)

    def read(
        self, file: SourceFile, frame: str, reading: Reading
    ) -> tuple[Pixels, tuple[str, ...]]:
        """Pixels and conversions, see `read_values`."""
        return read_values(file.read())

    def read_mask(self, file: SourceFile, frame: str, reading: Reading) -> np.ndarray:
        """Class ids, see `read_mask`."""
        return read_mask(file.read())
