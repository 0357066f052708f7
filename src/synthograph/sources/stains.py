"""How strongly a slide is stained: optical densities of its tissue."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

_FAINT = 0.15
"""Density below which a pixel is glass (beta of Macenko et al. 2009)."""


@dataclass(frozen=True, slots=True)
class Stain:
    """Densities of the pixels of a slide that are no glass, of every channel.

    Attributes:
        mean: of the pixels.
        spread: their standard deviation.
        pixels: how many there are.
    """

    mean: tuple[float, ...]
    spread: tuple[float, ...]
    pixels: int


def optical_density(pixels: np.ndarray) -> np.ndarray:
    """-log10 of the share of light that passes (Ruifrok and Johnston 2001); 255 is all of it.

    Args:
        pixels: uint8, of any shape; 0 counts as 1.
    """
    return -np.log10(np.maximum(pixels, 1) / 255.0)


def measure_stain(tiles: Iterable[np.ndarray]) -> Stain | None:
    """The stain of a slide; None where no pixel of its tiles is stained.

    Args:
        tiles: [channels, h, w], uint8.
    """
    count, total, squares = 0, np.zeros(1), np.zeros(1)
    for tile in tiles:
        density = optical_density(tile).reshape(len(tile), -1)
        stained = density[:, density.max(axis=0) >= _FAINT]
        count += stained.shape[1]
        total = total + stained.sum(axis=1)
        squares = squares + np.square(stained).sum(axis=1)
    if not count:
        return None
    mean = total / count
    spread = np.sqrt(np.maximum(squares / count - np.square(mean), 0))
    return Stain(tuple(mean.tolist()), tuple(spread.tolist()), count)
