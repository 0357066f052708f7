"""Files of several images: pages of TIFF, planes of ImageJ and OME stacks, frames of animations.

They are taken apart only where somebody asks for it: without that, a stack is refused, since its
pages may be copies, masks or channels as well as slices.
"""

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import BinaryIO

import numpy as np
import tifffile

from synthograph.core.record import Pixels, UnreadableError, array_of
from synthograph.sources.base import Frame, Reader, Reading, SourceFile
from synthograph.sources.pages import PAGED, count_frames, read_page, read_page_ids
from synthograph.sources.raster import TIFF, check_size, failures, kind_of
from synthograph.sources.thresholds import otsu
from synthograph.sources.tiff import refuse_pages
from synthograph.sources.tiff_axes import (
    CHANNEL,
    MAX_PLANES,
    PAGE,
    Axes,
    described_axes,
    pages,
)

_IMAGE_DEPTH, _WHITE_IS_ZERO, _GREYS = 32997, 0, (0, 1, 3)
_COLOURS = (1, 3)  # channels that an image without further ones has
_MAX_BLOCK = 1 << 29  # bytes of a page with depth, which is decoded as a whole
_PACKED = "its planes lie packed in one page; save it as a TIFF with a page for each"
_SAMPLE = 64  # rows and columns of a page that the threshold of the foreground is found from
_COLUMNS = {"z": "slice", "t": "time", PAGE: "page"}
"""Axis -> column of the manifest; other axes have their own letter."""


@dataclass(frozen=True, slots=True)
class _Stack:
    """What is known of a file before any plane is decoded.

    Attributes:
        kind: of the file.
        axes: of its planes.
        samples: channels of a pixel within a plane.
        offsets: where each page begins, of TIFF; one where planes follow each other in one page.
    """

    kind: str
    axes: Axes
    samples: int = 1
    offsets: tuple[int, ...] = ()

    @property
    def apart(self) -> bool:
        """Whether planes are pages of their own."""
        return len(self.offsets) == self.axes.planes or not self.offsets


class StackReader(Reader):
    """Takes files apart, where pages or channels are wanted."""

    formats = ("TIFF stack",)
    suffixes: frozenset[str] = frozenset()

    def recognises(self, head: bytes) -> bool:
        """Never: they begin as other raster files do."""
        return False

    def claims(self, file: SourceFile, reading: Reading) -> bool:
        """Whether a file has several planes, or channels that are no colours, and these are
        wanted.
        """
        if not reading.pages and not reading.channels:
            return False
        with contextlib.suppress(UnreadableError):  # said when it is read
            stack = _stack(file)
            return stack is not None and (
                stack.axes.planes > 1 or (bool(reading.channels) and stack.samples not in _COLOURS)
            )
        return False

    def frames(self, file: SourceFile, reading: Reading) -> Iterator[Frame]:
        """Its images: every page, or slice and time; those of one file are one group."""
        names = list(_wanted(_known(file), reading))
        shares = _foregrounds(self, file, names, reading)
        for name in names:
            if shares.get(name, 1.0) >= reading.min_foreground:
                yield Frame(name, reading.group(_group(file.name)), _columns(name))

    def read(
        self, file: SourceFile, frame: str, reading: Reading
    ) -> tuple[Pixels, tuple[str, ...]]:
        """Pixels of an image [h, w, channels]: all channels that are wanted, else 1 or 3."""
        stack = _known(file)
        planes = _planes(stack, frame, reading)
        read = [_plane(file, stack, plane, reading) for plane in planes]
        arrays = [array_of(pixels) for pixels, _ in read]
        if len(read) == 1 and (reading.channels or arrays[0].shape[2] in _COLOURS):
            return read[0]
        if len({(array.shape, array.dtype) for array in arrays}) > 1 or arrays[0].shape[2] > 1:
            raise UnreadableError("its channels differ in size or kind, or are colours themselves")
        notes = dict.fromkeys(note for _, some in read for note in some)
        return np.concatenate(arrays, axis=2), tuple(notes)

    def read_mask(self, file: SourceFile, frame: str, reading: Reading) -> np.ndarray:
        """Class ids [h, w] of a page."""
        stack = _known(file)
        plane, *others = _planes(stack, frame, reading)
        if others:
            raise UnreadableError("a mask has one channel")
        if not stack.apart:
            values = _values(file, plane)
            if values.ndim != 2 or values.dtype != np.uint8:
                raise UnreadableError("a mask holds one class id of 0 to 255 per pixel")
            return values
        with _stream(file) as stream:
            return read_page_ids(stream, stack.kind, plane, stack.offsets)


def _group(name: str) -> str:
    """A stack without a known patient is a group of its own: its pages stay together."""
    return str(PurePosixPath(name).with_suffix(""))


def _columns(frame: str) -> dict[str, str]:
    """Where an image lies in its stack."""
    digits = "".join(c if c.isdigit() else f" {c}" for c in frame).split()
    return {_COLUMNS.get(part[0], part[0]): str(int(part[1:])) for part in digits}


def _planes(stack: _Stack, frame: str, reading: Reading) -> Sequence[int]:
    planes = _axes(stack, reading).frames().get(frame)
    if planes is None:
        raise UnreadableError(f"has no image {frame or 'by itself'}: it holds {stack.axes.planes}")
    return planes


def _axes(stack: _Stack, reading: Reading) -> Axes:
    """Those of a stack as they are wanted: where only channels are asked for, pages without a
    meaning are such; where only pages are, channels without names are pages, since programs write
    a stack of slices so, too.
    """
    axes = stack.axes
    if reading.channels and not reading.pages and axes.letters == PAGE:
        return Axes(CHANNEL, axes.counts)
    if reading.pages and not reading.channels and axes.letters == CHANNEL and not axes.names:
        return Axes(PAGE, axes.counts)
    return axes


def _wanted(stack: _Stack, reading: Reading) -> Iterator[str]:
    """Names of the images that are wanted, of every N-th slice, page or time.

    Raises:
        UnreadableError: how they are wanted was not said.
    """
    axes = _axes(stack, reading)
    frames = axes.frames()
    channels = max(len(next(iter(frames.values()))), stack.samples)
    if axes.channels > 1 and not reading.channels:
        names = axes.names or tuple(f"c{n}" for n in range(channels))
        said = f" ({', '.join(names)})" if axes.names else ""
        raise UnreadableError(
            f"the file holds {channels} channels{said}; name a modality for each, such as "
            f"--channels {','.join(map(_as_modality, names))}"
        )
    if reading.channels and channels != len(reading.channels):
        raise UnreadableError(
            f"the file holds {channels} channel{'s' * (channels > 1)}, "
            f"--channels names {len(reading.channels)}"
        )
    if len(frames) > 1 and not reading.pages:
        refuse_pages(len(frames), "pages")
    along = next((a for a in "zt" if a in axes.letters), axes.letters[0])
    for name in frames:
        place = _columns(name).get(_COLUMNS.get(along, along), "0")
        if int(place) % reading.every == 0:
            yield name


def _as_modality(name: str) -> str:
    """A name as the option takes it."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in name)
    return kept if kept[:1].isalpha() else f"c{kept}"


def _foregrounds(
    reader: StackReader, file: SourceFile, names: Sequence[str], reading: Reading
) -> dict[str, float]:
    """Image -> share of its pixels above the threshold of the file; nothing if it is not asked."""
    if not reading.min_foreground:
        return {}
    small = {}
    for name in names:
        pixels = array_of(reader.read(file, name, reading)[0]).max(axis=2)
        small[name] = pixels[:: -(-len(pixels) // _SAMPLE), :: -(-pixels.shape[1] // _SAMPLE)]
    level = otsu(np.concatenate([part.reshape(-1) for part in small.values()]))
    return {name: float((part > level).mean()) for name, part in small.items()}


def _known(file: SourceFile) -> _Stack:
    stack = _stack(file)
    assert stack is not None, "only what was claimed is read"
    return stack


def _stack(file: SourceFile) -> _Stack | None:
    return _found(file, file.container.stamp(file.name))


@lru_cache(maxsize=64)
def _found(file: SourceFile, stamp: str) -> _Stack | None:
    """What a file holds; None for one of another kind.

    Raises:
        UnreadableError: damaged, or it claims too many planes.
    """
    kind = kind_of(file.head())
    if kind not in PAGED:
        return None
    with _stream(file) as stream, failures(kind):
        found = _tiff(stream) if kind == TIFF else _Stack(kind, pages(count_frames(stream, kind)))
    if found.axes.planes > MAX_PLANES:
        raise UnreadableError(f"claims {found.axes.planes} images, more than {MAX_PLANES}")
    return found


def _tiff(stream: BinaryIO) -> _Stack:
    with tifffile.TiffFile(stream) as file:
        offsets, page = tuple(int(page.offset) for page in file.pages), file.pages.first
        samples = int(page.samplesperpixel)
        told = described_axes(
            page.description,
            depth=int(page.tags.valueof(_IMAGE_DEPTH, 1)),
            size=(int(page.imagewidth), int(page.imagelength)),
            samples=samples,
        )
    if len(offsets) > 1 and told.planes != len(offsets):
        told = pages(len(offsets))
    return _Stack(TIFF, told, samples, offsets)


@contextlib.contextmanager
def _stream(file: SourceFile) -> Iterator[BinaryIO]:
    """The file, of which parts are read where it lies by itself."""
    path = file.local()
    if path is None:
        yield io.BytesIO(file.read())
        return
    try:
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        raise UnreadableError(f"cannot be opened ({error.strerror or error})") from None


def _plane(
    file: SourceFile, stack: _Stack, plane: int, reading: Reading
) -> tuple[Pixels, tuple[str, ...]]:
    if stack.apart and not (reading.channels and stack.samples not in _COLOURS):
        with _stream(file) as stream:
            return read_page(stream, stack.kind, plane, stack.offsets)
    values = _values(file, plane) if not stack.apart else _bands(file, plane)
    return (values if values.ndim == 3 else values[:, :, None]), ()


def _bands(file: SourceFile, plane: int) -> np.ndarray:
    """All channels of a page [h, w, channels]."""
    with _stream(file) as stream, failures(TIFF), tifffile.TiffFile(stream) as tiff:
        page = tiff.pages[plane].aspage()
        if int(page.imagedepth) > 1:
            raise UnreadableError(_PACKED)
        check_size(int(page.imagewidth), int(page.imagelength) * int(page.samplesperpixel))
        values = page.asarray()
        return np.moveaxis(values, 0, 2) if page.planarconfig == 2 else values


def _values(file: SourceFile, plane: int) -> np.ndarray:
    """Values [h, w] or [h, w, samples] of a plane that lies behind the first one.

    Raises:
        UnreadableError: packed, in pieces, or cut short.
    """
    with _stream(file) as stream, failures(TIFF), tifffile.TiffFile(stream) as tiff:
        page = tiff.pages.first
        if int(page.imagedepth) > max(plane, 1) and page.nbytes <= _MAX_BLOCK:
            return np.asarray(page.asarray()[plane])
        if page.compression != 1 or page.dtype is None or not page.is_contiguous:
            raise UnreadableError(_PACKED)
        height, width = int(page.imagelength), int(page.imagewidth)
        shape = (height, width) + ((page.samplesperpixel,) if page.samplesperpixel > 1 else ())
        check_size(width, height)
        dtype = page.dtype.newbyteorder(tiff.byteorder)
        size = int(np.prod(shape)) * dtype.itemsize
        stream.seek(page.dataoffsets[0] + plane * size)
        data = stream.read(size)
        turned = page.photometric == _WHITE_IS_ZERO and page.dtype.kind == "u"
    if len(data) < size:
        raise UnreadableError(f"TIFF is cut short: plane {plane} is not all there")
    values = np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))
    return np.iinfo(values.dtype).max - values if turned else values
