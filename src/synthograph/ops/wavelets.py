"""Symlet wavelets (Daubechies 1992, table 8.3) and the filters that augmentation makes of them."""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv1d

SYM2 = (-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314469025)
SYM6 = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)
"""Orthonormal low-pass filters: squares sum to 1, taps to sqrt(2), shifts by two are orthogonal."""


@lru_cache(maxsize=8)
def octave_bank(bands: int = 4) -> Float[Tensor, "b t"]:
    """Filters that cut a signal into octaves, coarsest first, and add up to the identity.

    With the half-band filter a(z) = H(z) H(1/z) / 2 of the sym2 wavelet and b = 1 - a, the finest
    band is b(z), the next a(z) b(z^2), and so on; the coarsest is what is left. All are symmetric.
    """
    low = torch.tensor(SYM2, dtype=torch.float64)
    half = _convolve(low, low.flip(0)) / 2
    identity = torch.zeros_like(half)
    identity[len(half) // 2] = 1
    high = identity - half
    result, smooth = [], torch.ones(1, dtype=torch.float64)
    for level in range(bands - 1):
        result.append(_convolve(smooth, _spread(high, 2**level)))
        smooth = _convolve(smooth, _spread(half, 2**level))
    result.append(smooth)
    return torch.stack([_centred(f, len(smooth)) for f in reversed(result)])


def _spread(taps: Tensor, step: int) -> Tensor:
    """Zeros between the taps: f(z) becomes f(z^step)."""
    spread = torch.zeros((len(taps) - 1) * step + 1, dtype=taps.dtype)
    spread[::step] = taps
    return spread


def _convolve(one: Tensor, other: Tensor) -> Tensor:
    return conv1d(one[None, None], other.flip(0)[None, None], padding=len(other) - 1)[0, 0]


def _centred(taps: Tensor, length: int) -> Tensor:
    margin = (length - len(taps)) // 2
    return torch.nn.functional.pad(taps, (margin, margin))
