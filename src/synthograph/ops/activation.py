"""Activations and normalisations."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import leaky_relu

SLOPE = 0.2
LRELU_GAIN = math.sqrt(2)
"""Keeps the variance through a leaky ReLU (He et al. 2015).

Leaky ReLU is positively homogeneous, so callers scale the weights and bias in front of it instead
of its output, which saves a pass over the features.
"""


def lrelu_(x: Float[Tensor, "n *s"], *, clamp: float | None = None) -> Float[Tensor, "n *s"]:
    """Leaky ReLU with slope 0.2, then a limit of the absolute output where `clamp` is given.

    The first overwrites `x`, whose sign the output keeps: one tensor is held for the way back
    instead of two. So `x` must be nobody else's.
    """
    return limit(leaky_relu(x, SLOPE, inplace=True), clamp)


def limit(x: Float[Tensor, "*any"], clamp: float | None) -> Float[Tensor, "*any"]:
    """Clamp to +-`clamp`; None leaves everything.

    On a processor one pass that only reads finds out whether anything has to be clamped, which is
    rare and takes six passes, forth and back. On a GPU the question would cost more than the work,
    and a graph that is exported cannot ask it.
    """
    if clamp is None:
        return x
    asks = x.device.type == "cpu" and not torch.compiler.is_exporting()
    if asks and _within(x.detach(), clamp):
        return x
    return x.clamp(-clamp, clamp)


def _within(x: Tensor, most: float) -> bool:
    """No element is beyond +-`most` or not a number."""
    if x.dim() == 4:  # a reduction is ten times as fast along memory
        x = x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
    low, high = torch.aminmax(x.reshape(-1))
    return low.item() >= -most and high.item() <= most


def rms_normalise(x: Float[Tensor, "n c"], eps: float = 1e-8) -> Float[Tensor, "n c"]:
    """Divide every row by its root mean square (Karras et al. 2018, section 4.2, on vectors)."""
    return x * (x.square().mean(1, keepdim=True) + eps).rsqrt()
