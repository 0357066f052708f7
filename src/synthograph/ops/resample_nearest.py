"""Resampling by two with nearest neighbours and area means, and the filter [1, 2, 1] (Karras et al.
2019, section 2 and appendix C).

A convolution behind a doubling, or in front of a halving, is the same as one convolution with a
4x4 kernel and a stride, which is what `conv_up` and `conv_down` compute.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from synthograph.ops.convolution import convolve, filter_channels, spread

TAPS = (1.0, 2.0, 1.0)


def enlarge(x: Float[Tensor, "n c h w"], times: int = 2) -> Float[Tensor, "n c h2 w2"]:
    """Every pixel `times` by `times`."""
    return x if times == 1 else interpolate(x, scale_factor=times, mode="nearest")


def reduce(x: Float[Tensor, "n c h w"], times: int = 2) -> Float[Tensor, "n c u v"]:
    """The means of `times` by `times` pixels."""
    return x if times == 1 else avg_pool2d(x, times)


def smooth(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Filter with [1, 2, 1] across and down, zeros outside."""
    taps = torch.tensor(TAPS, dtype=x.dtype, device=x.device)
    kernel = torch.outer(taps, taps) / taps.sum().square()
    return filter_channels(x, kernel.expand(x.shape[1], 1, 3, 3), padding=(1, 1))


def conv_up(
    x: Float[Tensor, "n i h w"], weight: Float[Tensor, "o i 3 3"]
) -> Float[Tensor, "n o h2 w2"]:
    """Convolution of the image enlarged by two, as one transposed convolution."""
    size = (2 * x.shape[2], 2 * x.shape[3])
    return spread(x, _widened(weight.flip(2, 3)).transpose(0, 1), size, stride=2, padding=1)


def conv_down(
    x: Float[Tensor, "n i h w"],
    weight: Float[Tensor, "o i 3 3"],
    bias: Float[Tensor, " o"] | None = None,
) -> Float[Tensor, "n o u v"]:
    """Convolution, then the means of two by two pixels, as one convolution with stride 2."""
    return convolve(x, _widened(weight) / 4, bias, stride=2, padding=1)


def _widened(weight: Float[Tensor, "o i 3 3"]) -> Float[Tensor, "o i 4 4"]:
    """The kernel summed over two by two places."""
    wide = pad(weight, (1, 1, 1, 1))
    rows = wide[:, :, 1:] + wide[:, :, :-1]
    return rows[:, :, :, 1:] + rows[:, :, :, :-1]
