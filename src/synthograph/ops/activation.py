"""Activations and normalisations."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

SLOPE = 0.2
LRELU_GAIN = math.sqrt(2)  # keeps the variance through a leaky ReLU (He et al. 2015)


def biased_lrelu(
    x: Float[Tensor, "n c *hw"],
    bias: Float[Tensor, " c"],
    *,
    gain: float = 1.0,
    clamp: float | None = None,
) -> Float[Tensor, "n c *hw"]:
    """Add a bias per channel, apply leaky ReLU (slope 0.2) and scale by sqrt(2) x gain.

    Args:
        x: input, channels in the second dimension.
        bias: one value per channel.
        gain: further factor of the output.
        clamp: limit of the absolute output, itself scaled by `gain`; None for no limit.
    """
    y = torch.nn.functional.leaky_relu(_add_bias(x, bias), SLOPE) * (LRELU_GAIN * gain)
    return y if clamp is None else y.clamp(-clamp * gain, clamp * gain)


def biased_linear(
    x: Float[Tensor, "n c *hw"],
    bias: Float[Tensor, " c"],
    *,
    gain: float = 1.0,
    clamp: float | None = None,
) -> Float[Tensor, "n c *hw"]:
    """As `biased_lrelu` without the non-linearity and its sqrt(2)."""
    y = _add_bias(x, bias)
    y = y if gain == 1 else y * gain
    return y if clamp is None else y.clamp(-clamp * gain, clamp * gain)


def _add_bias(x: Tensor, bias: Tensor) -> Tensor:
    return x + bias.to(x.dtype).reshape(1, -1, *[1] * (x.ndim - 2))


def rms_normalise(x: Float[Tensor, "n c"], eps: float = 1e-8) -> Float[Tensor, "n c"]:
    """Divide every row by its root mean square (Karras et al. 2018, section 4.2, on vectors)."""
    return x * (x.square().mean(1, keepdim=True) + eps).rsqrt()
