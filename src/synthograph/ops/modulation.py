"""Modulated convolution (Karras et al. 2020, "Analyzing and improving the image quality of
StyleGAN", section 2.2).
"""

from collections.abc import Callable

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
    return torch.addcmul(offset, convolve(scaled, weight.to(x.dtype)), factor)
