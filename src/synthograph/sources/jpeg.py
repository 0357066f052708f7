"""JPEG files whose picture is all there: libjpeg fills what is missing with grey, and Pillow does
not tell.
"""

import io
import re
import struct
from collections import defaultdict
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
_PROGRESSIVE, _ARITHMETIC = frozenset((0xC2, 0xC6, 0xCA, 0xCE)), frozenset(range(0xC9, 0xD0))
_METADATA = frozenset((*range(0xE1, 0xEE), 0xEF, 0xFE))
"""Markers of segments that do not decide the pixels: not APP0 (JFIF) and APP14 (Adobe)."""
_EOI = b"\xff\xd9"
_BETWEEN_SCANS = frozenset((0xC4, 0xDA, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE))
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_GREY = (127, 128)  # what stands where nothing was decoded
_SPARE = 64  # bytes behind the picture in a scan that are no mere padding
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

    def refuse_faults(self) -> None:
        """Refuse what cannot be decoded whole.

        Raises:
            UnreadableError: parts are missing, or something is between them.
        """
        if self.fault or not self.complete():
            raise UnreadableError(f"JPEG is damaged: {self.fault or 'scans of it are missing'}")

    def complete(self) -> bool:
        """Whether all coefficients of all components came in some scan."""
        places = range(64) if self.progressive else range(1)
        brought = self.missing_bits
        return all(brought[c].get(k, 1) == 0 for c in self.components for k in places)


class _InTwoPieces(io.BytesIO):
    """Hands out the end of the scan by itself, and knows whether Pillow asked for it."""

    def __init__(self, data: bytes, stop: int) -> None:
        super().__init__(data)
        self._stop = stop
        self.asked = False

    def read(self, size: int | None = -1, /) -> bytes:
        place, stop = self.tell(), self._stop
        self.asked = self.asked or place == stop
        if place < stop and (size is None or size < 0 or place + size > stop):
            size = stop - place
        return super().read(size)


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

    Where there is a doubt a scan is proved to be whole: whatever is put behind it, the picture
    stays the same, and with other bytes at its end it is another one. Doubtful are files without
    the mark of the end, scans of growing precision, corners as grey as what is missing, and zeros
    in a scan. Where the picture is done before its scan is, the rest must be padding.

    Returns:
        What was odd about it.

    Raises:
        UnreadableError: rows or parts of the picture are missing.
        Exception: Pillow cannot decode it.
    """
    assert isinstance(image.fp, io.BytesIO), "only what open_jpeg opened can be loaded"
    data = image.fp.getvalue()
    layout = _layout(data, quick=True)
    layout.refuse_faults()
    asked = _load(image, data, layout)
    zeros = data.find(_ZEROS, layout.first_scan) >= 0
    doubt = zeros or not asked or _grey_corner(image)
    if layout.quick:
        if not doubt:
            return ()
        layout = _layout(data)  # what was taken for the end may belong to a further picture
        layout.refuse_faults()
        asked = _load(open_jpeg(data)[0], data, layout)
    scan = data[: layout.end]
    doubt = doubt or not layout.ended or layout.progressive or layout.frame in _ARITHMETIC
    if doubt and not _same(image, scan + _PADDING + _EOI):
        raise UnreadableError("JPEG is cut short: its scan ends before the picture does")
    if not asked:
        scan = scan.rstrip(scan[-1:]) + 2 * scan[-1:]  # without padding
        if not _same(image, scan + _EOI):
            raise UnreadableError("JPEG is damaged: parts of its scan are overwritten")
    if zeros:
        _prove_parts(image, layout, scan)
    return () if layout.ended else ("end of the JPEG is not marked",)


def _load(image: JpegImageFile, data: bytes, layout: _Layout) -> bool:
    """Decode, and say whether the end of the scan was needed for it."""
    spare = min(_SPARE, (layout.end - layout.scan) // 4)
    fed = _InTwoPieces(
        data if layout.ended else data[: layout.end] + _EOI, max(layout.end - spare, 1)
    )
    image.fp = fed
    image.load()
    return fed.asked


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
            raise UnreadableError("JPEG is damaged: parts of its scan are overwritten")


def _bands(extrema: tuple[Any, ...]) -> tuple[tuple[int, int], ...]:
    return extrema if isinstance(extrema[0], tuple) else (extrema,)


def _grey_corner(image: JpegImageFile) -> bool:
    """Whether the last pixel is as bright as one that was not decoded; its colour comes from its
    neighbours, too.
    """
    corner = image.getpixel((image.width - 1, image.height - 1))
    if not isinstance(corner, tuple):
        return corner in _GREY
    if len(corner) == 4:
        return corner[3] in _GREY
    return 127 <= 0.299 * corner[0] + 0.587 * corner[1] + 0.114 * corner[2] <= 129


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
    if following not in _BETWEEN_SCANS and following != _END:
        layout.fault = f"marker {following:#x} in its scan"
    if not layout.interval or not layout.scanned:
        return
    found = sum(1 for _ in _RESTART.finditer(data, layout.scan, layout.end))
    needed = ceil(_blocks(layout) / layout.interval) - 1
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
