"""Modulated convolution (Karras et al. 2020, "Analyzing and improving the image quality of
StyleGAN", section 2.2).
"""

from collections.abc import Callable

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
    *,
    convolve: Callable[[Tensor, Tensor], Tensor],
    demodulate: bool = True,
) -> Float[Tensor, "n o u v"]:
    """Convolve with a kernel scaled per image and input channel, by scaling the activations.

    Args:
        x: features; their dtype is the dtype of the convolution.
        weight: kernel, fp32.
        style: factor per image and input channel, fp32.
        convolve: `resample.conv`, `conv_up` or `conv_down`.
        demodulate: give the scaled kernel unit norm per image and output channel.
    """
    factor = demodulation(weight, style) if demodulate else None
    y = convolve(x * style.to(x.dtype)[:, :, None, None], weight.to(x.dtype))
    return y if factor is None else y * factor.to(y.dtype)[:, :, None, None]
