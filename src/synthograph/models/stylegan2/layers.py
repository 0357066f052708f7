"""Layers with equalised learning rate (Karras et al. 2018, section 4.1), shared by generator and
discriminator.

Weights are drawn from N(0, 1) and scaled by 1 / sqrt(fan in) when they are used. Parameters are
fp32; the features decide in which precision a layer computes.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear

from synthograph.ops import resample
from synthograph.ops.activation import LRELU_GAIN, lrelu_


class Linear(nn.Module):
    """Fully connected layer, optionally with leaky ReLU.

    Args:
        inputs: features in.
        outputs: features out.
        activate: leaky ReLU with gain sqrt(2) behind the layer.
        rate: learning-rate multiplier; the stored weights are larger by its inverse.
        bias: initial bias.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        activate: bool = False,
        rate: float = 1.0,
        bias: float = 0.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.activate = activate
        self.rate = rate

    def forward(self, x: Float[Tensor, "n i"]) -> Float[Tensor, "n o"]:
        """Apply the layer."""
        gain = self.rate * (LRELU_GAIN if self.activate else 1.0)
        weight = self.weight * (gain / math.sqrt(self.weight.shape[1]))
        y = linear(x, weight, self.bias * gain)
        return lrelu_(y) if self.activate else y


class Conv(nn.Module):
    """Convolution with optional resampling by two, bias and leaky ReLU.

    Args:
        inputs: channels in.
        outputs: channels out.
        kernel: 1 or 3.
        bias: with bias and activation; without, the layer is linear.
        convolve: `resample.conv`, `conv_up` (only without bias) or `conv_down`.
        clamp: limit of the absolute output, scaled by the gain.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel: int,
        bias: bool = True,
        convolve: Callable[..., Tensor] = resample.conv,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.convolve = convolve
        self.clamp = clamp

    def forward(self, x: Float[Tensor, "n i h w"], gain: float = 1.0) -> Float[Tensor, "n o u v"]:
        """Apply the layer; `gain` multiplies the output and the clamp."""
        scale = gain * (1.0 if self.bias is None else LRELU_GAIN)
        weight = (self.weight * (scale / math.sqrt(self.weight[0].numel()))).to(x.dtype)
        if self.bias is None:
            return self.convolve(x, weight)
        y = self.convolve(x, weight, (self.bias * scale).to(x.dtype))
        return lrelu_(y, clamp=None if self.clamp is None else self.clamp * gain)
