"""Drawing on a supersampled canvas: coordinates, smooth noise, soft edges, masks, area averages."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_array

SMALL_SIDE = 48
LARGE_SIDE = 512
MAX_ZOOM = 1.4
# Variance that cubic B-spline interpolation leaves of white unit noise, per axis:
# the mean over t of the sum of b_i(t)^2.
SPLINE_VARIANCE = 151 / 315

Colour = Sequence[float]  # one number per channel, 0 to 1


@dataclass(frozen=True, slots=True)
class Canvas:
    """A square drawing surface, finer than the image that it becomes.

    Attributes:
        size: side of the final image in pixels.
        zoom: visible field relative to the standard field; 1.2 shows 20 % more, all things smaller.
    """

    size: int
    zoom: float = 1.0

    @property
    def factor(self) -> int:
        """Drawn pixels per final pixel along a side."""
        if self.size <= SMALL_SIDE:
            return 4
        return 2 if self.size <= LARGE_SIDE else 1

    @property
    def side(self) -> int:
        """Drawn pixels along a side."""
        return self.size * self.factor

    @property
    def x(self) -> np.ndarray:
        """Columns [1, side], rightwards; the standard field is -1 to 1."""
        return _axis(self.side, self.zoom)[None, :]

    @property
    def y(self) -> np.ndarray:
        """Rows [side, 1], downwards; the standard field is -1 to 1."""
        return _axis(self.side, self.zoom)[:, None]

    def noise(
        self,
        generator: np.random.Generator,
        *,
        cells: int,
        octaves: int = 1,
        fields: int = 1,
        fading: float = 0.5,
    ) -> np.ndarray:
        """Smooth noise of mean 0 and standard deviation 1 that shows the same at every size.

        Args:
            generator: source of the random grid.
            cells: knots across the standard field in the coarsest octave.
            octaves: each further one has twice the knots.
            fields: how many independent fields.
            fading: amplitude of an octave relative to the coarser one.

        Returns:
            float32 [fields, side, side].
        """
        total = np.zeros((self.side, fields, self.side), dtype=np.float32)
        variance = 0.0
        for octave in range(octaves):
            basis = _spline_basis(self.side, cells << octave, self.zoom)
            count = basis.shape[1]
            knots = generator.standard_normal((count, count * fields), dtype=np.float32)
            amplitude = fading**octave
            if cells << octave <= self.side // 2:  # finer knots would average out
                drawn = _interpolate(basis, knots.reshape(count, count, fields), basis)
                total += drawn * np.float32(amplitude / SPLINE_VARIANCE)
            variance += amplitude**2
        scaled = total / np.float32(np.sqrt(variance))
        return np.ascontiguousarray(scaled.transpose(1, 0, 2))

    def shrink(self, drawn: np.ndarray) -> np.ndarray:
        """Area average of [..., side, side] to [..., size, size]."""
        f, n = self.factor, self.size
        if f == 1:
            return drawn
        # Adding slices is several times faster than a mean over short axes.
        rows = drawn.reshape(*drawn.shape[:-2], n, f, n * f).sum(axis=-2)
        return sum((rows[..., i::f] for i in range(1, f)), rows[..., ::f]) * np.float32(1 / f**2)

    def shrink_mask(self, layers: Sequence[np.ndarray], *, thin: int | None = None) -> np.ndarray:
        """Class ids [size, size] from one layer per class 1, 2, ...; 0 is what none covers.

        A pixel belongs to the class that covers most of it. Every class that was drawn keeps at
        least its best covered pixel, so that a thin structure does not vanish from a small image.

        Args:
            layers: booleans [side, side] without overlap.
            thin: class whose coverage counts double, for layers thinner than a pixel.
        """
        covered = self.shrink(np.stack(layers).astype(np.float32))
        background = 1 - covered.sum(axis=0, keepdims=True)
        coverage = np.concatenate([background, covered])
        if thin is not None:
            coverage[thin] *= 2
        ids = coverage.argmax(axis=0).astype(np.uint8)
        for number in range(1, len(coverage)):
            if coverage[number].max() > 0 and not (ids == number).any():
                ids.flat[coverage[number].argmax()] = number
        return ids


@lru_cache(maxsize=32)
def _axis(side: int, zoom: float) -> np.ndarray:
    """Pixel centres; shared by all pictures, so it is locked."""
    axis = (((np.arange(side) + 0.5) / side * 2 - 1) * zoom).astype(np.float32)
    axis.flags.writeable = False
    return axis


@lru_cache(maxsize=128)
def _spline_basis(side: int, cells: int, zoom: float) -> csr_array:
    """Cubic B-spline weights [side, knots] of knots equally spaced over the largest field."""
    total = int(np.ceil(cells * MAX_ZOOM))
    place = (_axis(side, zoom) + MAX_ZOOM) / (2 * MAX_ZOOM) * total
    return _basis_at(np.clip(place, 0, total - 1e-3), total + 3)


def _basis_at(place: np.ndarray, knots: int) -> csr_array:
    """Weights [places, knots], four per row; columns wrap."""
    first = np.floor(place).astype(int)
    columns = (first[:, None] + np.arange(4)) % knots
    weights = _spline(place - first).astype(np.float32)
    starts = np.arange(0, 4 * len(place) + 1, 4)
    shape = (len(place), knots)
    return csr_array((weights.ravel(), columns.ravel(), starts), shape=shape)


def _interpolate(down: csr_array, knots: np.ndarray, right: csr_array) -> np.ndarray:
    """[h, fields, w] from knots [columns, rows, fields].

    Sparse products, because dense ones start threads, which for arrays this small is slower, and
    add in an order that depends on their number.
    """
    columns, rows, fields = knots.shape
    across = right @ knots.reshape(columns, rows * fields)
    turned_round = across.reshape(-1, rows, fields).transpose(1, 2, 0).reshape(rows, -1)
    drawn: np.ndarray = down @ turned_round
    return drawn.reshape(down.shape[0], fields, right.shape[0])


def _spline(t: np.ndarray) -> np.ndarray:
    """The four uniform cubic B-spline weights [n, 4] at t in [0, 1)."""
    one = 1 - t
    return np.stack(
        [one**3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (3 * one**3 - 6 * one**2 + 4) / 6, t**3 / 6],
        axis=1,
    )


@lru_cache(maxsize=16)
def _polar_bases(radii: int, angles: int, samples: tuple[int, int]) -> tuple[csr_array, csr_array]:
    """B-spline weights along a radius and once round a circle, each [samples, knots]."""
    along = _basis_at(np.linspace(0, radii - 1e-3, samples[0]), radii + 3)
    return along, _basis_at(np.arange(samples[1]) / samples[1] * angles, angles)


def ring_noise(
    generator: np.random.Generator, *, angles: int, radii: int, samples: tuple[int, int]
) -> np.ndarray:
    """Smooth noise in polar coordinates without a seam, mean 0, standard deviation 1.

    Args:
        generator: source of the random grid.
        angles: knots round the circle.
        radii: cells from the centre outwards.
        samples: (radial, angular) samples of the table.

    Returns:
        float32 table `samples`; the angular axis covers [0, 2 pi) and wraps.
    """
    along, around = _polar_bases(radii, angles, samples)
    knots = generator.standard_normal((angles, along.shape[1], 1), dtype=np.float32)
    return _interpolate(along, knots, around)[:, 0] / np.float32(SPLINE_VARIANCE)


def soft(distance: np.ndarray, width: float) -> np.ndarray:
    """A step with a soft edge: 0 below -width/2, 1 above width/2, smooth between."""
    t = np.clip(distance * np.float32(1 / width) + np.float32(0.5), 0, 1)
    return t * t * (3 - 2 * t)


def soft_max(first: np.ndarray, second: np.ndarray, width: float) -> np.ndarray:
    """Union of two signed distances (positive inside) with a fillet of the given width."""
    overlap = np.clip(width - np.abs(first - second), 0, None)
    return np.maximum(first, second) + overlap * overlap * np.float32(0.25 / width)


def ellipse(
    x: np.ndarray, y: np.ndarray, *, centre: tuple[float, float], radii: tuple[float, float]
) -> np.ndarray:
    """About the signed distance to an ellipse, positive inside; exact for a circle."""
    a, b = max(radii[0], 1e-6), max(radii[1], 1e-6)
    scaled = np.sqrt(((x - centre[0]) / a) ** 2 + ((y - centre[1]) / b) ** 2)
    return (1 - scaled) * np.float32(min(a, b))


def turned(x: np.ndarray, y: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates in a frame that is turned by `angle` (radians)."""
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * cos + y * sin, y * cos - x * sin


def plane(colour: Colour | np.ndarray) -> np.ndarray:
    """A colour as [channels, 1, 1] float32, ready to broadcast."""
    return np.asarray(colour, dtype=np.float32)[:, None, None]


def between(colours: Sequence[Colour], share: float) -> np.ndarray:
    """The colour [channels] at `share`, 0 to 1, of the way through a row of colours."""
    place = share * (len(colours) - 1)
    return np.array([np.interp(place, range(len(colours)), c) for c in zip(*colours, strict=True)])


def paint(image: np.ndarray, colour: Colour | float | np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """`image` [c, h, w] or [h, w] with something over it.

    Args:
        image: what lies below.
        colour: what is painted: c numbers, one for all, or an array that broadcasts to the image.
        alpha: opacity [h, w], 0 to 1.
    """
    over = plane(colour) if isinstance(colour, Sequence) else colour
    return image + (over - image) * alpha
