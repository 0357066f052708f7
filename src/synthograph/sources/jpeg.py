"""JPEG files whose picture is all there: libjpeg fills what is missing with grey, and Pillow does
not tell.
"""

import enum
import io
import re
import struct
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from PIL.JpegImagePlugin import JpegImageFile

from synthograph.core.record import UnreadableError
from synthograph.core.untrusted.png_files import PASSED_OVER

_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)
"""A marker in a scan, where FF is followed by 0 or by the number of a restart."""
_PART_END = re.compile(rb"\xff[^\x00\xff]")
_START, _END, _SCAN, _INTERVAL = 0xD8, 0xD9, 0xDA, 0xDD
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
_SIMPLE = frozenset((0xC0, 0xC1))
_METADATA = frozenset((*range(0xE1, 0xEE), 0xEF, 0xFE))
"""Markers of segments that do not decide the pixels: not APP0 (JFIF) and APP14 (Adobe)."""
_EOI = b"\xff\xd9"
_BETWEEN_SCANS = frozenset((0xC4, 0xDA, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE))
_RESTART = re.compile(rb"(?<!\xff)\xff+[\xd0-\xd7]")
_SPARE = 16  # bytes that some cameras leave in a scan behind the picture
_LONG = 48  # equal bytes at the end of a scan that may be padding
_AHEAD = b"\xff\0" * 8  # as many bits as a decoder takes in advance; no code is made of ones
_LAST = 16  # bytes at the end of a scan without which its picture is another one
_ZEROS = bytes(64)
_MAX_PROOFS = 4
_PADDING = bytes((0xA6, 0x59, 0x3C, 0x93)) * 24
"""What no picture goes on with; longer than a block can be."""


@dataclass(slots=True)
class _Layout:
    """Where the parts of a JPEG are."""

    frame: int = 0
    size: tuple[int, int] = (0, 0)
    components: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Component -> how often it is sampled across and down."""
    interval: int = 0
    """Blocks from one restart to the next; 0 without any."""
    missing_bits: dict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    """Component -> coefficient -> lowest bits that no scan has brought yet."""
    metadata: list[tuple[int, int]] = field(default_factory=list)
    scanned: tuple[int, ...] = ()
    """Components of the last scan."""
    scans: list[tuple[int, int]] = field(default_factory=list)
    """Where the bits of every scan begin and end."""
    first_scan: int = 0
    """Where the bits of the first scan begin."""
    scan: int = 0
    """Where those of the last one begin."""
    end: int = 0
    """Where they end."""
    ended: bool = False
    """Whether the mark of the end follows."""
    quick: bool = False
    """Whether the last bytes of the file were taken for the end, which a further picture has too.
    """
    fault: str | None = None
    """What is wrong with the order of its parts."""

    @property
    def progressive(self) -> bool:
        return self.frame in _PROGRESSIVE

    @property
    def simple(self) -> bool:
        """Whether there is one scan, which is decoded as it comes."""
        return self.frame in _SIMPLE and self.first_scan == self.scan

    def refuse_faults(self) -> None:
        """Refuse what cannot be decoded whole.

        Raises:
            UnreadableError: parts are missing, or something is between them.
        """
        if self.fault or not self.complete():
            raise UnreadableError(f"JPEG is damaged: {self.fault or 'scans of it are missing'}")

    def padded(self, data: bytes) -> bytes:
        """The file with `_PADDING` behind every part of its scans that is decoded by itself."""
        kept, place = [], 0
        for first, end in self.scans:
            bits = data[first:end].rstrip(b"\xff")  # fills the space in front of a marker
            part = _RESTART.sub(lambda mark: _PADDING + mark[0], bits)
            kept += [data[place:first], part, _PADDING]
            place = end
        return b"".join([*kept, data[place : self.end], _EOI])

    def complete(self) -> bool:
        """Whether all coefficients of all components came in some scan."""
        places = range(64) if self.progressive else range(1)
        brought = self.missing_bits
        return all(brought[c].get(k, 1) == 0 for c in self.components for k in places)


class _Need(enum.Enum):
    """How much of a file Pillow asked for before the picture was done."""

    LESS = enum.auto()
    """The end of the scan was not needed."""
    ALMOST = enum.auto()
    """All but the last few bytes of the scan."""
    BARE = enum.auto()
    """The scan without its padding."""
    ALL = enum.auto()
    PADDING = enum.auto()
    """A part of what looks like padding."""
    MORE = enum.auto()
    """The scan ended before the picture."""


class _InPieces(io.BytesIO):
    """Hands out a file piece by piece, and counts the stops at which Pillow asked for more."""

    def __init__(self, data: bytes, stops: Sequence[int]) -> None:
        super().__init__(data)
        self._stops = (*stops, len(data))
        self.asked = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to the next stop; Pillow reads a JPEG from its beginning to its end."""
        place = self.tell()
        while place >= self._stops[self.asked] and self.asked + 1 < len(self._stops):
            self.asked += 1
        left = self._stops[self.asked] - place
        return super().read(left if size is None or size < 0 else min(size, left))


def open_jpeg(data: bytes) -> tuple[JpegImageFile, tuple[str, ...]]:
    """A JPEG before its pixels are decoded, and what had to be left out.

    Raises:
        Exception: Pillow cannot open it.
    """
    try:
        return JpegImageFile(io.BytesIO(data)), ()
    except Exception:
        layout = _layout(data)
        if not layout.metadata:
            raise
        kept, place = [], 0
        for first, end in layout.metadata:
            kept.append(data[place:first])
            place = end
        return JpegImageFile(io.BytesIO(b"".join([*kept, data[place:]]))), (PASSED_OVER,)


def load_jpeg(image: JpegImageFile) -> tuple[str, ...]:
    """Decode a JPEG that `open_jpeg` opened, if its picture is all there.

    A scan must end where the picture does. That is seen while a simple file is decoded, whose
    bytes Pillow takes as it needs them. For others, and where there is a doubt, it is proved:
    whatever is put behind the scan, the picture stays the same, and with other bytes at its end it
    is another one. Doubtful are scans of growing precision, those in parts, and zeros in a scan.

    Returns:
        What was odd about it.

    Raises:
        UnreadableError: rows or parts of the picture are missing, or bytes in it were changed so
            that it ends elsewhere.
        Exception: Pillow cannot decode it.
    """
    assert isinstance(image.fp, io.BytesIO), "only what open_jpeg opened can be loaded"
    data = image.fp.getvalue()
    layout = _layout(data, quick=True)
    layout.refuse_faults()
    need = _load(image, data, layout)
    if layout.quick and need is not _Need.ALL:
        layout = _layout(data)  # what was taken for the end may belong to a further picture
        layout.refuse_faults()
        need = _load(open_jpeg(data)[0], data, layout)
    scan = data[: layout.end]
    if not layout.simple:
        scan = _proved(image, scan, layout.padded(data))
    elif layout.interval and not _same(image, layout.padded(data)):
        raise UnreadableError("JPEG is damaged: a part of its scan ends before its picture does")
    if need in _FAULTS:
        raise UnreadableError(f"JPEG is {_FAULTS[need]}")
    if need is _Need.BARE:
        scan = _bare(scan)
    if scan.find(_ZEROS, layout.first_scan) >= 0:
        _prove_parts(image, layout, scan)
    odd = {
        "end of the JPEG is not marked": not layout.ended,
        "a few bytes of the JPEG are left over, which may be damage": need is _Need.ALMOST,
    }
    return tuple(note for note, holds in odd.items() if holds)


_CUT = "cut short: its scan ends before the picture does"
_OVERWRITTEN = "damaged: parts of its scan are overwritten"
_FAULTS = {
    _Need.LESS: "damaged: its picture ends before its scan does",
    _Need.PADDING: _OVERWRITTEN,
    _Need.MORE: _CUT,
}


def _load(image: JpegImageFile, data: bytes, layout: _Layout) -> _Need:
    """Decode, and say how much of it was needed; that is seen of simple files only."""
    scan = data[: layout.end]
    if not layout.simple:
        image.fp = io.BytesIO(data if layout.ended else scan + _EOI)
        image.load()
        return _Need.ALL
    run = len(scan) - len(scan.rstrip(scan[-1:]))
    last = max(len(scan) - run - (run > 1), layout.scan + 1)  # of what is no padding
    stops = [max(last - _SPARE, layout.scan), last, len(scan) + len(_AHEAD)]
    needs = [_Need.LESS, _Need.ALMOST, _Need.ALL, _Need.MORE]
    if run >= _LONG:
        stops[2:2] = [last + _SPARE, len(scan) - 1]
        needs[2:2] = [_Need.BARE, _Need.PADDING]
    fed = _InPieces(scan + _AHEAD + _EOI, stops)
    image.fp = fed
    image.load()
    return needs[fed.asked]


def _proved(image: JpegImageFile, scan: bytes, padded: bytes) -> bytes:
    """The scan without padding, once it is proved to end where the picture does."""
    if not _same(image, padded):
        raise UnreadableError(f"JPEG is {_CUT}")
    bare = _bare(scan)
    if len(bare) + _LONG > len(scan):
        return scan
    if not _same(image, bare + _EOI):
        raise UnreadableError(f"JPEG is {_OVERWRITTEN}")
    return bare


def _bare(scan: bytes) -> bytes:
    return scan.rstrip(scan[-1:]) + 2 * scan[-1:]


def _prove_parts(image: JpegImageFile, layout: _Layout, scan: bytes) -> None:
    """Prove each part of the scan that holds zeros; nothing can be seen in a flat picture."""
    if all(high - low < 4 for low, high in _bands(image.getextrema())):
        return
    ends = [m.start() for m in _PART_END.finditer(scan, layout.first_scan)]
    parts = list(zip([layout.first_scan, *ends], [*ends, len(scan)], strict=True))
    zeros = [(first, end) for first, end in parts if scan.find(_ZEROS, first, end) >= 0]
    for first, end in zeros[:_MAX_PROOFS]:
        whole = end == len(scan) or _same(image, scan[:end] + _PADDING + scan[end:] + _EOI)
        spare = min(_LAST, (end - first) // 4)
        others = (
            scan[: end - spare] + bytes(b ^ flip for b in _PADDING[:spare]) + scan[end:] + _EOI
            for flip in (0, 0xAA, 0x18)
        )
        if not whole or all(_same(image, other) for other in others):
            raise UnreadableError(f"JPEG is {_OVERWRITTEN}")


def _bands(extrema: tuple[Any, ...]) -> tuple[tuple[int, int], ...]:
    return extrema if isinstance(extrema[0], tuple) else (extrema,)


def _same(image: JpegImageFile, data: bytes) -> bool:
    other, _ = open_jpeg(data)
    try:
        other.load()
    except Exception:  # noqa: BLE001 - Pillow has a dozen kinds for broken files
        return False
    return other.tobytes() == image.tobytes()


def _layout(data: bytes, *, quick: bool = False) -> _Layout:
    """Walk the markers; a walk that ends in nonsense is as one of a file that is cut there.

    Args:
        data: the whole file.
        quick: do not walk through the one scan of a simple file, which takes time.
    """
    layout, place = _Layout(), 2
    while layout.fault is None:
        found = _MARKER.search(data, place)
        if found is None or len(data) < found.end() + 2 and found[1][0] != _END:
            layout.end = len(data) if found is None else found.start()
            _check_scan(layout, data, _END)
            break
        kind, first = found[1][0], found.end()
        layout.end, layout.ended = found.start(), kind == _END
        if layout.scan:
            _check_scan(layout, data, kind)
        if layout.ended:
            break
        place = first + (0 if kind in (_START, 1) else struct.unpack_from(">H", data, first)[0])
        _note(layout, kind, (found.start(), place), data[first + 2 : place])
        simple = kind == _SCAN and not (layout.progressive or layout.interval)
        if quick and simple and layout.complete() and data.endswith(_EOI):
            layout.end, layout.ended, layout.quick = len(data) - 2, True, True
            break
    while data[layout.end - 1 : layout.end] == b"\xff":
        layout.end -= 1  # fills the space in front of a marker
    return layout


def _note(layout: _Layout, kind: int, place: tuple[int, int], segment: bytes) -> None:
    if kind in _METADATA:
        layout.metadata.append(place)
    elif kind in _FRAMES and len(segment) >= 6:
        height, width = struct.unpack_from(">HH", segment, 1)
        layout.frame, layout.size = kind, (width, height)
        layout.components = {
            name: (max(sampling >> 4, 1), max(sampling & 15, 1))
            for name, sampling in zip(segment[6::3], segment[7::3], strict=False)
        }
    elif kind == _INTERVAL and len(segment) >= 2:
        layout.interval = struct.unpack_from(">H", segment)[0]
    elif kind == _SCAN and len(segment) >= 6:
        layout.scan = place[1]
        layout.first_scan = layout.first_scan or place[1]
        layout.scanned = tuple(segment[1:-3:2])
        start, end, bits = segment[-3:]
        for component in layout.scanned:
            for coefficient in range(start, min(end, 63) + 1) if layout.progressive else (0,):
                left = bits & 15 if layout.progressive else 0
                layout.missing_bits[component][coefficient] = left


def _check_scan(layout: _Layout, data: bytes, following: int) -> None:
    """Faults of the scan that the marker `following` ends, or of what is between two scans."""
    if layout.scanned:
        layout.scans.append((layout.scan, layout.end))
    if following not in _BETWEEN_SCANS and following != _END:
        layout.fault = f"marker {following:#x} in its scan"
    if not layout.scanned:
        return
    found = sum(1 for _ in _RESTART.finditer(data, layout.scan, layout.end))
    needed = ceil(_blocks(layout) / layout.interval) - 1 if layout.interval else 0
    layout.scanned = ()  # counted
    if found < needed:
        layout.fault = f"{needed - found} of {needed} parts of its scan are missing"


def _blocks(layout: _Layout) -> int:
    """Blocks of the scan: of all its components at once, or those of one."""
    across = max(h for h, _ in layout.components.values())
    down = max(v for _, v in layout.components.values())
    width, height = layout.size
    if len(layout.scanned) > 1:
        return ceil(width / (8 * across)) * ceil(height / (8 * down))
    h, v = layout.components.get(layout.scanned[0], (across, down))
    return ceil(ceil(width * h / across) / 8) * ceil(ceil(height * v / down) / 8)
