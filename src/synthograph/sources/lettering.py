"""Finds what looks like text that was burned into an image: letters of one height and brightness
on a straight line. It reads nothing, and proves nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

LEAST = 4
"""Letters of a line."""
_STROKE = 7  # pixels; wider strokes vanish in the opening, and are found at half the size
_CONTRAST = 0.12  # of the image's range that letters differ from what is around them
_REACH = 9  # pixels around one that its share of the strongest contrast is taken of
_SHARES = (0.5, 0.7)  # with more, letters part from each other and from what they lie on
_HEIGHTS = (5, 48)
_WIDEST = 2.5  # times its height: letters may touch
_SOLID = 0.78  # share of its box that a bar or spot covers, most letters cover less
_NARROW = 0.4  # times the height; lashes, fingers and marks of a scale are narrower
_GAP = 1.3  # times the height, between letters and words
_HIGHER, _SLANT = 2.0, 0.3  # times the height of the smaller neighbour; capitals are higher
_RANGE = (0.0, 99.9)  # percentiles
_MAX_PARTS = 3000
_MAX_READ = 8192  # pixels of a side; of longer ones every N-th is read
_MAX_SIDE = 2048  # of larger images every other pixel is looked at


@dataclass(frozen=True, slots=True)
class Line:
    """Where a line of letters may be: its corners in pixels, and how many there are."""

    left: int
    top: int
    right: int
    bottom: int
    letters: int


def find_lines(pixels: np.ndarray) -> list[Line]:
    """Lines of letters in an image [h, w, channels] of any range, bright or dark ones."""
    step = max(*pixels.shape[:2], 1) // _MAX_READ + 1
    coarsest = 4 * step
    grey = _normalised(pixels[::step, ::step])
    found: list[Line] = []
    while min(grey.shape) >= 2 * _HEIGHTS[0]:
        if max(grey.shape) <= _MAX_SIDE:
            for bright in (grey, 1 - grey):
                found += [_scaled(line, step) for line in _lines(bright)]
        if min(grey.shape) < 128 or step >= coarsest:
            break
        grey, step = _halved(grey), 2 * step
    return found


def _scaled(line: Line, step: int) -> Line:
    return Line(
        line.left * step, line.top * step, line.right * step, line.bottom * step, line.letters
    )


def _normalised(pixels: np.ndarray) -> np.ndarray:
    """Grey values [h, w], 0 to 1."""
    grey = np.nan_to_num(pixels.astype(np.float32).mean(axis=2))
    low, high = np.percentile(grey, _RANGE)
    top = max(float(high), float(low) + 1e-6)
    return np.asarray(np.clip((grey - low) / (top - low), 0, 1))


def _halved(grey: np.ndarray) -> np.ndarray:
    height, width = (side // 2 * 2 for side in grey.shape)
    return np.asarray(grey[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3)))


@dataclass(frozen=True, slots=True)
class _Parts:
    """Connected parts of an image: their boxes, share of the box, and strongest contrast."""

    left: np.ndarray
    top: np.ndarray
    right: np.ndarray
    bottom: np.ndarray
    fill: np.ndarray
    peak: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> "_Parts":
        return _Parts(
            *(getattr(self, n)[chosen] for n in ("left", "top", "right", "bottom", "fill", "peak"))
        )

    @property
    def height(self) -> np.ndarray:
        return np.asarray(self.bottom - self.top)

    @property
    def width(self) -> np.ndarray:
        return np.asarray(self.right - self.left)


def _parts(grey: np.ndarray, share: float) -> _Parts:
    """Thin bright parts of letter size, of at least that share of the contrast around them."""
    thin = grey - ndimage.grey_opening(grey, size=(_STROKE, _STROKE))
    strong = ndimage.maximum_filter(thin, _REACH)
    ids, count = ndimage.label(thin > np.maximum(_CONTRAST, share * strong), np.ones((3, 3)))
    boxes = ndimage.find_objects(ids)
    spans = np.array([(x.start, y.start, x.stop, y.stop) for y, x in boxes], np.int64).reshape(
        -1, 4
    )
    areas = np.bincount(ids.reshape(-1), minlength=count + 1)[1:]
    peaks = np.asarray(ndimage.maximum(grey, ids, np.arange(1, count + 1))).reshape(-1)
    left, top, right, bottom = spans.T
    height, width = bottom - top, right - left
    fitting = (height >= _HEIGHTS[0]) & (height <= _HEIGHTS[1]) & (width <= _WIDEST * height)
    fill = areas / np.maximum(height * width, 1)
    return _Parts(left, top, right, bottom, fill, peaks)[np.flatnonzero(fitting)[:_MAX_PARTS]]


def _lines(grey: np.ndarray) -> Iterator[Line]:
    for share in _SHARES:
        yield from _lines_among(_parts(grey, share))


def _lines_among(parts: _Parts) -> Iterator[Line]:
    if len(parts.left) < LEAST:
        return
    h = parts.height.astype(float)
    pair = np.minimum(h[:, None], h)
    gap = parts.left - parts.right[:, None]
    right_of = (gap >= -0.3 * pair) & (gap <= _GAP * pair) & (parts.left > parts.left[:, None])
    level = np.abs(parts.bottom - parts.bottom[:, None]) <= np.maximum(1, _SLANT * pair)
    alike = np.maximum(h[:, None], h) <= _HIGHER * pair
    same = np.abs(parts.peak - parts.peak[:, None]) <= 0.1
    i, j = np.nonzero(right_of & level & alike & same)
    count = len(h)
    graph = coo_array((np.ones(len(i)), (i, j)), (count, count))
    groups, owner = connected_components(graph, directed=False)
    for group in np.flatnonzero(np.bincount(owner, minlength=groups) >= LEAST):
        line = parts[np.flatnonzero(owner == group)]
        if _is_text(line):
            yield Line(
                int(line.left.min()),
                int(line.top.min()),
                int(line.right.max()),
                int(line.bottom.max()),
                len(line.left),
            )


def _is_text(line: _Parts) -> bool:
    """Whether most parts stand on one line, few are solid or bars, and all are as bright."""
    height = float(np.median(line.height))
    middle = np.median(line.bottom)
    level = np.abs(line.bottom - middle) <= max(1.0, 0.08 * height)
    hollow = (line.fill < _SOLID) & (line.width >= _NARROW * line.height)
    return bool(
        level.sum() >= max(LEAST, 0.7 * len(level))
        and hollow.mean() >= 0.5
        and line.peak.std() <= 0.06
    )
