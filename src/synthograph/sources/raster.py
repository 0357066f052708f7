"""Raster files (PNG, JPEG, TIFF, BMP, WebP, GIF, JPEG 2000): bytes to pixels, nothing lost
silently.
"""

import contextlib
import io
import logging
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Image import Image, Transpose
from PIL.ImageFile import ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from synthograph.core.record import Pixels, UnreadableError, array_of, in_bits
from synthograph.core.untrusted.png_files import MAGIC, PASSED_OVER, PngError, load_png, open_png
from synthograph.sources.base import Frame, Reader, Reading, SourceFile
from synthograph.sources.colour_modes import convert, drop_transparency, fitting
from synthograph.sources.deep_colour import is_deep, joined, take_bytes, take_lower
from synthograph.sources.jpeg import load_jpeg, open_jpeg
from synthograph.sources.jpeg2000 import inspect_jpeg2000, stored_values
from synthograph.sources.profiles import profile_notes
from synthograph.sources.silence import damage
from synthograph.sources.tiff import (
    decode_values,
    inspect_tiff,
    is_white_zero,
    refuse_pages,
)

MAX_PIXELS = 200_000_000

Opener = Callable[[bytes], tuple[ImageFile, tuple[str, ...]]]
"""Bytes of a file -> the image before its pixels are decoded, and notes."""


def _plain(opener: Callable[[io.BytesIO], ImageFile]) -> Opener:
    return lambda data: (opener(io.BytesIO(data)), ())


PNG, JPEG, TIFF, WEBP, GIF, JP2 = "PNG", "JPEG", "TIFF", "WebP", "GIF", "JPEG 2000"
"""Kinds of files that are looked at more closely than by Pillow alone."""
_BLURRED = frozenset((JPEG, WEBP, JP2))
"""Kinds whose compression may change values."""
_WEBP_MARK = b"RIFFWEBP"  # the size of the file stands between both words
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
    # Issue 25 reads these three, which were rejected before; more than one frame still is.
    (_WEBP_MARK, WEBP, _plain(WebPImageFile)),
    (b"GIF87a", GIF, _plain(GifImageFile)),
    (b"GIF89a", GIF, _plain(GifImageFile)),
    (b"\0\0\0\x0cjP  \r\n\x87\n", JP2, _plain(Jpeg2KImageFile)),
    (b"\xff\x4f\xff\x51", JP2, _plain(Jpeg2KImageFile)),
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
class Decoded:
    """A loaded Pillow image (or values [h, w]), bits per sample in the file, conversions so far."""

    image: Image | np.ndarray
    bits: int
    notes: tuple[str, ...]
    white_zero: bool = False
    """Whether 0 stands for white in the file."""


def read_image(data: bytes) -> tuple[Pixels, tuple[str, ...]]:
    """Decode a PNG, JPEG, TIFF, BMP, WebP, GIF or JPEG 2000 file.

    The rule: 8-bit grey and RGB stay as they are, and so does 16-bit grey (12-bit too, and 32-bit
    integers whose values fit). 1, 2 and 4 bits become 8-bit grey; a palette becomes RGB, or grey if
    all its colours are grey; CMYK becomes RGB. Opaque alpha is dropped, and so is one that hides
    everything; other transparency is put on black. EXIF orientation is applied, colour profiles are
    not. All these are noted. What would lose information is refused: several pages, animations,
    further channels, and other colour spaces; 16-bit colour and values that 16 bits do not hold
    need a window; where 0 is white, the latter are refused.

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
    with failures(kind):
        return pixels_of(_decode(data, kind, opener))


def pixels_of(decoded: Decoded) -> tuple[Pixels, tuple[str, ...]]:
    """Pixels of a decoded image, and all conversions that were applied."""
    pixels: Pixels
    notes: tuple[str, ...] = ()
    if isinstance(decoded.image, np.ndarray):
        pixels = fitting(decoded.image)
    else:
        pixels, notes = convert(decoded.image, decoded.bits)
    if decoded.white_zero and decoded.bits > 8:  # Pillow inverts fewer bits
        try:
            pixels = 65535 - array_of(in_bits(pixels))
        except UnreadableError:  # whose way out is a window, which comes later
            raise UnreadableError(
                "0 is white in the file, and values that are no whole numbers of 0 to 65535 have "
                "no largest one to count from; save it with 0 as black (TIFF BlackIsZero)"
            ) from None
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
    if kind in _BLURRED:
        raise UnreadableError(f"a mask in {kind} has blurred class ids; save it as PNG")
    with failures(kind):
        decoded = _decode(data, kind, opener)
    return ids_of(decoded)


def ids_of(decoded: Decoded) -> np.ndarray:
    """Class ids [h, w] of a decoded mask.

    Raises:
        UnreadableError: it holds colours, alpha, fractions or ids above 255.
    """
    ids = np.asarray(decoded.image)
    if isinstance(decoded.image, np.ndarray):
        if ids.ndim == 3:
            raise UnreadableError(
                "a mask holds one class id per pixel, this file holds 16-bit colours"
            )
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
    if kind in _BLURRED:
        raise UnreadableError(f"a mask in {kind} has blurred colours; save it as PNG")
    with failures(kind):
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
def failures(kind: str) -> Iterator[None]:
    """Whatever a decoder raises on damaged bytes becomes the reason why the file is unreadable."""
    with damage(_TALKERS, f"{kind} is damaged or of an unknown variant", quoted=True):
        try:
            yield
        except PngError as error:
            raise UnreadableError(f"{kind} is damaged: {error}") from None


def _decode(data: bytes, kind: str, opener: Opener) -> Decoded:
    """Open by content, check what must be known before decoding, decode."""
    if kind == PNG:
        check_size(*struct.unpack_from(">II", data.ljust(24, b"\0"), 16))
    try:
        image, notes = opener(data)
    except SyntaxError:
        if kind == TIFF:
            values, white_zero = decode_values(data, check_size)
            return Decoded(values, 16, (), white_zero)
        raise
    check_size(*image.size)
    _check_pages(image)
    bits, further = _inspect(image, data)
    if bits == 16 and image.mode in ("RGB", "RGBA"):
        return _decode_deep(data, opener, (*notes, *further))
    return load_upright(image, bits, (*notes, *further), data)


def load_upright(
    image: ImageFile, bits: int, notes: tuple[str, ...], data: bytes | None
) -> Decoded:
    """Decode an opened image: a whole file, or a page of one where there is no `data`."""
    turn, unread = _orientation(image)
    notes = (*notes, *unread, *_load(image, data), *profile_notes(image))
    upright: Image | np.ndarray = image
    if turn in _TURNS:
        # loading a TIFF turns it
        tiff = isinstance(image, TiffImageFile)
        upright = image if tiff else image.transpose(_TURNS[turn])
        notes = (*notes, "EXIF orientation applied")
    if isinstance(image, Jpeg2KImageFile) and bits > 8:
        upright = stored_values(upright, bits)
    white_zero = isinstance(image, TiffImageFile) and is_white_zero(image)
    return Decoded(upright, bits, tuple(dict.fromkeys(notes)), white_zero)


def _decode_deep(data: bytes, opener: Opener, notes: tuple[str, ...]) -> Decoded:
    """Colours of 16 bits, or grey with alpha."""
    first, second = opener(data)[0], opener(data)[0]
    if isinstance(first, TiffImageFile) and not is_deep(first):
        values, _ = decode_values(data, check_size)  # a plane for each colour
        return Decoded(values, 16, notes)
    whole = take_bytes(first)
    upper = load_upright(first, 16, notes, data)
    assert isinstance(upper.image, Image), "no values of their own"
    lower: Image | None = None
    if not whole:
        take_lower(second)
        half = load_upright(second, 16, (), data).image
        assert isinstance(half, Image), "no values of their own"
        lower = half
    values, further = drop_transparency(joined(upper.image, lower), first)
    return Decoded(values, 16, (*upper.notes, *further))


def _load(image: ImageFile, data: bytes | None) -> tuple[str, ...]:
    """Decode an opened image, and see to it that all of it is there."""
    if isinstance(image, JpegImageFile):
        return load_jpeg(image)
    if isinstance(image, PngImageFile) and data is not None:
        load_png(image, data)
    else:
        image.load()
    return ()


def _format(data: bytes) -> tuple[str, Opener]:
    for magic, kind, opener in _FORMATS:
        if _signature(data).startswith(magic):
            return kind, opener
    if not data:
        raise UnreadableError("the file is empty")
    *most, last = RasterReader.formats
    raise UnreadableError(f"not a {', '.join(most)} or {last} file (it starts with {data[:8]!r})")


def kind_of(head: bytes) -> str:
    """The kind of a file that begins so; nothing where it is no raster file."""
    return next((k for magic, k, _ in _FORMATS if _signature(head).startswith(magic)), "")


def _signature(data: bytes) -> bytes:
    return data[:4] + data[8:12] if data.startswith(b"RIFF") else data[:16]


def check_size(width: int, height: int) -> None:
    """Refuse a size that no image has, or that would take too much memory.

    Raises:
        UnreadableError: it is one.
    """
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
        return data[24], ()
    if isinstance(image, TiffImageFile):
        return inspect_tiff(image), ()
    if isinstance(image, Jpeg2KImageFile):
        return inspect_jpeg2000(data), ()
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


class RasterReader(Reader):
    """Reads raster files, each by its content, whatever its ending says."""

    formats = tuple(dict.fromkeys(kind for _, kind, _ in _FORMATS))
    suffixes = frozenset(
        (
            ".png .apng .jpg .jpeg .jpe .jfif .jif .pjpeg .pjp .tif .tiff .tf8 .btf .bmp .dib "
            ".webp .gif .jp2 .j2k .j2c .jpc .jpf .jpx"
        ).split()
    )

    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins so is a raster file."""
        return bool(kind_of(head))

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
