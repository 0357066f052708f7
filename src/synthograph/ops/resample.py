"""Resampling by two with the separable filter [1, 3, 3, 1] (Karras et al. 2020, appendix B).

All functions are depthwise convolutions; on a processor they are an order of magnitude faster on
channels-last tensors than on NCHW ones, so callers keep their tensors in that format. Doubling is
the adjoint of halving.
"""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from synthograph.ops.convolution import convolve, filter_channels, spread, spread_channels

TAPS = (1.0, 3.0, 3.0, 1.0)


@lru_cache(maxsize=64)
def _filter(channels: int, gain: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    taps = torch.tensor(TAPS, dtype=torch.float64)
    kernel = torch.outer(taps, taps) / taps.sum().square() * gain
    return kernel.to(dtype=dtype, device=device).expand(channels, 1, 4, 4).contiguous()


def _filter_for(x: Tensor, gain: float) -> Tensor:
    if torch.compiler.is_exporting():  # its tensors have no numbers: they are nothing to keep
        return _filter.__wrapped__(x.shape[1], gain, x.dtype, x.device)
    with torch.inference_mode(False):  # a cached tensor must serve later training too
        return _filter(x.shape[1], gain, x.dtype, x.device)


def blur(x: Float[Tensor, "n c h w"], *, pad: int, gain: float = 1.0) -> Float[Tensor, "n c u v"]:
    """Filter without resampling; each side grows by 2 pad - 3 pixels (pad is 0 to 3), zeros
    outside.
    """
    return filter_channels(x, _filter_for(x, gain), padding=(pad, pad))


def upsample(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Twice the size: zeros between the pixels, then the filter with gain 4."""
    size = (2 * x.shape[2], 2 * x.shape[3])
    return spread_channels(x, _filter_for(x, 4.0), size, stride=(2, 2), padding=(1, 1))


def downsample(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Half the size: the filter, then every second pixel."""
    return filter_channels(x, _filter_for(x, 1.0), stride=(2, 2), padding=(1, 1))


def conv(
    x: Float[Tensor, "n i h w"],
    weight: Float[Tensor, "o i k k"],
    bias: Float[Tensor, " o"] | None = None,
) -> Float[Tensor, "n o h w"]:
    """Convolution that keeps the size; k is 1 or 3."""
    return convolve(x, weight, bias, padding=weight.shape[-1] // 2)


def conv_up(
    x: Float[Tensor, "n i h w"], weight: Float[Tensor, "o i k k"]
) -> Float[Tensor, "n o h2 w2"]:
    """Convolve with zeros between the pixels, then filter: twice the size (k is 1 or 3).

    The kernel acts as that of a transposed convolution, as published.
    """
    if weight.shape[-1] == 1:  # a 1x1 kernel and the filter commute: fewer operations at low size
        return upsample(convolve(x, weight))
    size = (2 * x.shape[2] + 1, 2 * x.shape[3] + 1)
    return blur(spread(x, weight.transpose(0, 1), size, stride=2), pad=1, gain=4.0)


def conv_down(
    x: Float[Tensor, "n i h w"],
    weight: Float[Tensor, "o i k k"],
    bias: Float[Tensor, " o"] | None = None,
) -> Float[Tensor, "n o h2 w2"]:
    """Filter, convolve and keep every second pixel (k is 1 or 3)."""
    if weight.shape[-1] == 1:
        return convolve(downsample(x), weight, bias)
    return convolve(blur(x, pad=2), weight, bias, stride=2)
