"""Resampling by two with the separable filter [1, 3, 3, 1] (Karras et al. 2020, appendix B).

All functions are depthwise convolutions; on a processor they are an order of magnitude faster on
channels-last tensors than on NCHW ones, so callers keep their tensors in that format. The filter is
symmetric: filtering is its own adjoint, and halving is that of doubling.
"""

from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d

from synthograph.ops.convolution import convolve, spread

TAPS = (1.0, 3.0, 3.0, 1.0)


@lru_cache(maxsize=64)
def _filter(channels: int, gain: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    taps = torch.tensor(TAPS, dtype=torch.float64)
    kernel = torch.outer(taps, taps) / taps.sum().square() * gain
    return kernel.to(dtype=dtype, device=device).expand(channels, 1, 4, 4).contiguous()


def _filter_for(x: Tensor, gain: float) -> Tensor:
    with torch.inference_mode(False):  # a cached tensor must serve later training too
        return _filter(x.shape[1], gain, x.dtype, x.device)


def blur(x: Float[Tensor, "n c h w"], *, pad: int, gain: float = 1.0) -> Float[Tensor, "n c u v"]:
    """Filter without resampling; each side grows by 2 pad - 3 pixels (pad is 0 to 3), zeros
    outside.
    """
    return _Blur.apply(x, pad, gain)  # type: ignore[no-untyped-call]


def upsample(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Twice the size: zeros between the pixels, then the filter with gain 4."""
    return _Double.apply(x, (2 * x.shape[2], 2 * x.shape[3]), 4.0)  # type: ignore[no-untyped-call]


def downsample(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Half the size: the filter, then every second pixel."""
    return _Halve.apply(x, 1.0)  # type: ignore[no-untyped-call]


class _Blur(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, pad: int, gain: float) -> Tensor:  # noqa: ANN401
        ctx.pad, ctx.gain = pad, gain
        return conv2d(x, _filter_for(x, gain), padding=pad, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        return blur(grads[0], pad=3 - ctx.pad, gain=ctx.gain), None, None


class _Halve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: float) -> Tensor:  # noqa: ANN401
        ctx.size, ctx.gain = x.shape[2:], gain
        return conv2d(x, _filter_for(x, gain), stride=2, padding=1, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return _Double.apply(grads[0], ctx.size, ctx.gain), None  # type: ignore[no-untyped-call]


class _Double(torch.autograd.Function):
    """Its result may have a row or column more than twice as many, as `_Halve` leaves them out."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, size: tuple[int, int], gain: float) -> Tensor:  # noqa: ANN401
        ctx.gain = gain
        kernel, groups = _filter_for(x, gain), x.shape[1]
        if x.device.type == "cpu" and x.dtype != torch.bfloat16:
            more = [side - 2 * half for side, half in zip(size, x.shape[2:], strict=True)]
            return conv_transpose2d(
                x, kernel, stride=2, padding=1, output_padding=more, groups=groups
            )
        # on AMX a transposed depthwise convolution takes 25 times as long; on GPUs not measured
        shape, last = (*x.shape[:2], size[0] - 1, size[1] - 1), torch.channels_last
        spaced = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=last).zero_()
        spaced[:, :, ::2, ::2] = x
        return conv2d(spaced, kernel, padding=2, groups=groups)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        return _Halve.apply(grads[0], ctx.gain), None, None  # type: ignore[no-untyped-call]


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
