"""Polygons with a class each, and what of a square of the plane they cover."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

HOLE = "hole"
"""The class of polygons that cut others: what they cover has no class."""
_AT_ONCE = 1 << 22
"""Crossings of edges and rows that are held at a time."""
_POINTS = 64
"""Points along the side of a tile by which the shares of classes are measured."""


@dataclass(frozen=True, slots=True)
class Polygon:
    """An area.

    Attributes:
        name: its class.
        rings: outline and holes, [n, 2] each, x before y; a point within an even number of rings
            lies outside.
    """

    name: str
    rings: tuple[np.ndarray, ...]

    def area(self) -> float:
        """Area of the outline less that of the holes (the shoelace formula)."""
        sizes = [abs(_signed_area(ring)) for ring in self.rings]
        return float(2 * max(sizes) - sum(sizes))


@dataclass(frozen=True)
class Polygons:
    """Polygons of one slide. Where some overlap, the smaller one lies on top.

    Attributes:
        polygons: the largest first.
    """

    polygons: tuple[Polygon, ...]

    @classmethod
    def of(cls, polygons: Sequence[Polygon]) -> "Polygons":
        """Polygons in any order; of those of one size the later lies on top."""
        return cls(tuple(sorted(polygons, key=lambda one: -one.area())))

    @cached_property
    def boxes(self) -> np.ndarray:
        """Left, top, right and bottom of each, [n, 4]."""
        ends = [(p.rings[0].min(0), p.rings[0].max(0)) for p in self.polygons]
        return np.array([np.concatenate(pair) for pair in ends]).reshape(-1, 4)

    def paint(
        self, corner: tuple[float, float], step: float, side: int, ids: Mapping[str, int]
    ) -> np.ndarray:
        """Ids of a square: a pixel has that of the topmost polygon in which its middle lies.

        Args:
            corner: left and top of the square.
            step: side of a pixel.
            side: of the square in pixels.
            ids: class -> id; polygons of other classes leave 0.

        Returns:
            [side, side], uint8; 0 where there is no polygon.
        """
        canvas = np.zeros((side, side), np.uint8)
        left, top, right, bottom = self.boxes.T
        x, y = corner
        end = step * side
        near = (left < x + end) & (right > x) & (top < y + end) & (bottom > y)
        for index in np.flatnonzero(near):
            polygon = self.polygons[index]
            rings = [(ring - (x, y)) / step for ring in polygon.rings]
            canvas[inside(rings, side, side)] = ids.get(polygon.name, 0)
        return canvas

    def shares(
        self, corner: tuple[float, float], side: float, ids: Mapping[str, int]
    ) -> dict[str, float]:
        """Class -> share of a square that it covers, measured at 64 x 64 points."""
        counts = np.bincount(self.paint(corner, side / _POINTS, _POINTS, ids).ravel())
        known = {name: k for name, k in ids.items() if 0 < k < len(counts) and counts[k]}
        return {name: counts[k] / _POINTS**2 for name, k in known.items()}


def inside(rings: Sequence[np.ndarray], height: int, width: int) -> np.ndarray:
    """Which pixels have their middle within an odd number of rings.

    Along a row of pixels each crossing of an edge changes in to out: crossings are counted where
    they are, and summed along the row.

    Args:
        rings: closed outlines [n, 2], x before y, in pixels.
        height: of the picture.
        width: of the picture.

    Returns:
        [height, width], bool.
    """
    starts = np.concatenate(rings)
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    down = starts[:, 1] <= ends[:, 1]
    x0, y0 = np.where(down[:, None], starts, ends).T
    x1, y1 = np.where(down[:, None], ends, starts).T
    first, stop = (np.clip(np.ceil(y - 0.5), 0, height).astype(np.int64) for y in (y0, y1))
    crossing = np.flatnonzero(stop > first)
    toggles = np.zeros(height * (width + 1), np.int64)
    for some in np.array_split(crossing, 1 + crossing.size * height // _AT_ONCE):
        counts = stop[some] - first[some]
        edge = np.repeat(some, counts)
        row = np.arange(edge.size) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
        slope = (x1[edge] - x0[edge]) / (y1[edge] - y0[edge])
        x = x0[edge] + (row + 0.5 - y0[edge]) * slope
        column = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
        toggles += np.bincount(row * (width + 1) + column, minlength=toggles.size)
    return (np.cumsum(toggles.reshape(height, width + 1), axis=1)[:, :width] & 1).astype(bool)


def _signed_area(ring: np.ndarray) -> float:
    x, y = (ring - ring[0]).T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
