"""Areas of masks as annotation programs write them: by their corners or radii, and run lengths of
three kinds.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from synthograph.core.record import UnreadableError

MAX_POINTS = 100_000
"""Corners of a polygon."""
ROUND = 1024
"""Corners of an ellipse: its border is a hundredth of a pixel off in an image of 4096 pixels."""


def polygon(points: Float[np.ndarray, "n 2"], height: int, width: int) -> Bool[np.ndarray, "h w"]:
    """Pixels whose centre lies inside a polygon (even-odd rule).

    Args:
        points: corners x, y in pixels; 0, 0 is the outer corner of the first pixel.
        height: of the image.
        width: of the image.

    Raises:
        UnreadableError: fewer than three corners, too many, or numbers that are not finite.
    """
    if not 3 <= len(points) <= MAX_POINTS or not np.isfinite(points).all():
        raise UnreadableError(f"a polygon needs 3 to {MAX_POINTS} corners of finite numbers")
    filled = np.zeros((height, width), dtype=bool)
    centres = np.arange(width) + 0.5
    x, y = points.T
    x2, y2 = np.roll(x, -1), np.roll(y, -1)
    first = max(int(np.floor(max(y.min(), 0))), 0)
    for row in range(first, min(int(np.ceil(y.max())), height)):
        level = row + 0.5
        crossing = (y <= level) != (y2 <= level)
        share = (level - y[crossing]) / (y2[crossing] - y[crossing])
        ends = np.sort(x[crossing] + share * (x2[crossing] - x[crossing]))
        filled[row] = np.searchsorted(ends, centres) % 2 == 1
    return filled


def box(x: float, y: float, x2: float, y2: float) -> Float[np.ndarray, "4 2"]:
    """Corners of a box between two of them."""
    return np.array([(x, y), (x2, y), (x2, y2), (x, y2)])


def ellipse(x: float, y: float, wide: float, high: float) -> Float[np.ndarray, "n 2"]:
    """Corners of an ellipse by its centre and its radii along the columns and the rows."""
    angles = np.arange(ROUND) * (2 * np.pi / ROUND)
    return np.stack((x + wide * np.cos(angles), y + high * np.sin(angles)), 1)


def turned(
    points: Float[np.ndarray, "n 2"], degrees: float, around: Float[np.ndarray, " 2"]
) -> Float[np.ndarray, "n 2"]:
    """Corners in pixels, turned clockwise around a place x, y.

    Raises:
        ValueError: the angle is no number.
    """
    if not degrees:
        return points
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    found: np.ndarray = (points - around) @ np.array([[cos, sin], [-sin, cos]]) + around
    return found


def _runs(counts: Sequence[int], size: int) -> Bool[np.ndarray, " size"]:
    """Alternating runs of nothing and something.

    Raises:
        UnreadableError: they do not add up to the size.
    """
    if any(count < 0 for count in counts):
        raise UnreadableError("run lengths below zero cannot add up to an image")
    if sum(counts) != size:
        raise UnreadableError(f"run lengths add up to {sum(counts)} and not to {size} pixels")
    filled: np.ndarray = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return filled


def coco_runs(counts: str | Sequence[int], height: int, width: int) -> Bool[np.ndarray, "h w"]:
    """Run lengths of COCO, which run down the columns; a text is the compressed form.

    Raises:
        UnreadableError: they do not fit the size.
    """
    numbers = _uncompressed(counts) if isinstance(counts, str) else counts
    return _runs(numbers, height * width).reshape(width, height).T


def _uncompressed(text: str) -> list[int]:
    """Numbers of five bits a letter, the lowest first, from the fourth on as differences to the
    one before the last (format of the COCO data set).
    """
    counts: list[int] = []
    value, shift = 0, 0
    for letter in text:
        code = ord(letter) - 48
        if not 0 <= code < 64 or shift > 60:
            raise UnreadableError("compressed run lengths of COCO cannot be read")
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            value -= (1 << shift) if code & 16 else 0
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value, shift = 0, 0
    return counts


def box_runs(
    counts: Sequence[int], box: tuple[int, int, int, int], height: int, width: int
) -> Bool[np.ndarray, "h w"]:
    """Run lengths of CVAT, which run along the rows of a box of left, top, width and height.

    Raises:
        UnreadableError: the box lies outside of the image, or they do not fit it.
    """
    left, top, wide, high = box
    if min(box) < 0 or left + wide > width or top + high > height:
        raise UnreadableError(f"a mask's box {box} lies outside of the {width}x{height} image")
    filled = np.zeros((height, width), dtype=bool)
    inner = _runs(counts, wide * high).reshape(high, wide)
    filled[top : top + high, left : left + wide] = inner
    return filled


def studio_runs(data: Sequence[int], height: int, width: int) -> Bool[np.ndarray, "h w"]:
    """Run lengths of Label Studio's brush: bits of RGBA values along the rows, of which the opacity
    is the mask.

    The bits: 32 for the number of values, 5 for their width less 1, four times 4 for the widths of
    run lengths less 1; then for each run 1 bit (one value repeated, or values one by one), 2 for
    which width its length less 1 has, the length, and the value or values.

    Raises:
        UnreadableError: they do not fit the size.
    """
    try:
        stream = _Bits(bytes(data))
    except (ValueError, TypeError):
        raise UnreadableError("a brush of Label Studio holds numbers from 0 to 255") from None
    size = 4 * height * width
    if (count := stream.number(32)) != size:
        raise UnreadableError(f"a brush of {count} values is not of a {width}x{height} image")
    wide = stream.number(5) + 1
    lengths = [stream.number(4) + 1 for _ in range(4)]
    values, place = np.zeros(size, dtype=np.uint32), 0
    while place < size:
        repeated = stream.number(1)
        run = stream.number(lengths[stream.number(2)]) + 1
        end = place + run
        if end > size:
            raise UnreadableError("a brush of Label Studio is longer than the image")
        values[place:end] = stream.number(wide) if repeated else stream.numbers(run, wide)
        place = end
    return values.reshape(height, width, 4)[:, :, 3] > 0


class _Bits:
    """Bits, read from the first byte's highest on."""

    def __init__(self, data: bytes) -> None:
        self._bits, self._place = np.unpackbits(np.frombuffer(data, np.uint8)), 0

    def number(self, bits: int) -> int:
        return int(self.numbers(1, bits)[0])

    def numbers(self, count: int, bits: int) -> np.ndarray:
        end = self._place + count * bits
        if end > len(self._bits):
            raise UnreadableError("a brush of Label Studio is cut short")
        part = self._bits[self._place : end].reshape(count, bits).astype(np.int64)
        self._place = end
        found: np.ndarray = part @ (1 << np.arange(bits)[::-1])
        return found
