"""A sample of grey values, and where they part into two kinds."""

import numpy as np

_BINS = 256


def drawn(values: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most so many of the values, drawn at random where there are more: every n-th one may be
    of the same slice, column or colour each time.

    Args:
        values: of any shape.
        most: how many are wanted, 1 or more.
        rng: which draw; the same value may come more than once.

    Returns:
        Values [n].
    """
    flat = values.reshape(-1)
    return flat if flat.size <= most else flat[rng.integers(flat.size, size=most)]


def otsu(values: np.ndarray) -> float:
    """The grey value between background and foreground: it makes the variance between both parts
    largest (Otsu 1979, eq. 18).

    Args:
        values: of any shape; those that are not finite are left out.

    Returns:
        The threshold; foreground lies above it. Of equal values, that value.
    """
    finite = values[np.isfinite(values)]
    if not finite.size or finite.min() == finite.max():
        return float(finite.flat[0]) if finite.size else 0.0
    counts, edges = np.histogram(finite, _BINS)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    sums = np.cumsum(counts * middles)
    share, mean = below / below[-1], sums / below[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (mean[-1] * share - mean) ** 2 / (share * (1 - share))
    best = np.flatnonzero(between[:-1] >= np.nanmax(between[:-1]))
    return float(edges[1:][best].mean())  # in the middle of the gap, where there is one
