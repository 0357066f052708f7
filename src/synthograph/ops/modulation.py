"""Modulated convolution (Karras et al. 2020, "Analyzing and improving the image quality of
StyleGAN", section 2.2).
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

EPS = 1e-8


def demodulation(
    weight: Float[Tensor, "o i k k"], style: Float[Tensor, "n i"]
) -> Float[Tensor, "n o"]:
    """Factor per image and output channel that gives the modulated kernel unit norm (equation 3).

    The squared kernel is summed first, which leaves one small matrix product and no kernel per
    image.
    """
    energy = weight.square().sum((2, 3))
    return (style.square() @ energy.t() + EPS).rsqrt()


def modulated_conv(
    x: Float[Tensor, "n i h w"],
    weight: Float[Tensor, "o i k k"],
    style: Float[Tensor, "n i"],
    bias: Float[Tensor, " o"],
    *,
    convolve: Callable[[Tensor, Tensor], Tensor],
    gain: float = 1.0,
) -> Float[Tensor, "n o u v"]:
    """Convolve with a kernel scaled per image and input channel to unit norm, and add a bias.

    The activations are scaled in front of and behind one shared convolution.

    Args:
        x: features; their dtype is the dtype of the convolution.
        weight: kernel, fp32.
        style: factor per image and input channel, fp32.
        bias: added to the result, fp32.
        convolve: `resample.conv` or `conv_up`.
        gain: factor of the whole result.
    """
    scaled = x * style.to(x.dtype)[:, :, None, None]
    offset = (bias * gain).to(x.dtype)[None, :, None, None]
    factor = (demodulation(weight, style) * gain).to(x.dtype)[:, :, None, None]
    return _ScaleAndShift.apply(convolve(scaled, weight.to(x.dtype)), factor, offset)  # type: ignore[no-untyped-call]


def modulated_pointwise(
    x: Float[Tensor, "n i h w"], weight: Float[Tensor, "o i"], style: Float[Tensor, "n i"]
) -> Float[Tensor, "n o h w"]:
    """Convolve with a 1x1 kernel scaled per image and input channel, not demodulated.

    For few outputs: one small matrix per image, so that the features are read once and never
    scaled. Arguments as `modulated_conv`.
    """
    kernels = (style[:, None, :] * weight[None]).to(x.dtype)
    return (kernels @ x.flatten(2)).unflatten(2, x.shape[2:])


class _ScaleAndShift(torch.autograd.Function):
    """`x * factor + offset`; the framework's own way back multiplies all of `x` by 1 first."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: Tensor, offset: Tensor) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(x, factor)
        return torch.addcmul(offset, x, factor)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401
        (grad,), (x, factor) = grads, ctx.saved_tensors
        by_factor, by_offset = (grad * x).sum((2, 3), True), grad.sum((0, 2, 3), True)
        return grad * factor, by_factor, by_offset
