"""The operations as the papers write them: one kernel per image, zeros between pixels, one pass per
step, NCHW.

Slow and obvious. Tests hold the fast versions against these, benchmarks quote the ratio.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d, leaky_relu, pad

from synthograph.ops import resample
from synthograph.ops.activation import SLOPE
from synthograph.ops.modulation import EPS

# n image, i o channels in and out, k kernel


def spread(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Twice the size: every pixel followed by a zero along both axes."""
    n, c, h, w = x.shape
    return pad(x.reshape(n, c, h, 1, w, 1), (0, 1, 0, 0, 0, 1)).reshape(n, c, 2 * h, 2 * w)


def smooth(
    x: Float[Tensor, "n c h w"], margins: tuple[int, int, int, int], gain: float = 1.0
) -> Float[Tensor, "n c u v"]:
    """The filter [1, 3, 3, 1] along both axes.

    Args:
        x: features.
        margins: zeros added left, right, above and below; a negative number crops.
        gain: factor of the whole filter.
    """
    taps = torch.tensor(resample.TAPS, dtype=x.dtype, device=x.device)
    kernel = torch.outer(taps, taps) / taps.sum().square() * gain
    channels = x.shape[1]
    return conv2d(pad(x, margins), kernel.expand(channels, 1, 4, 4), groups=channels)


def upsample(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Zeros between the pixels, then the filter with gain 4."""
    return smooth(spread(x), (2, 1, 2, 1), gain=4.0)


def downsample(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """The filter, then every second pixel."""
    return smooth(x, (1, 1, 1, 1))[:, :, ::2, ::2]


def conv(
    x: Float[Tensor, "n i h w"],
    weight: Float[Tensor, "o j k k"],
    bias: Float[Tensor, " o"] | None = None,
    groups: int = 1,
) -> Float[Tensor, "n o h w"]:
    """Convolution that keeps the size, then the bias."""
    y = conv2d(x.contiguous(), weight.contiguous(), padding=weight.shape[-1] // 2, groups=groups)
    return y if bias is None else y + bias[None, :, None, None]


def conv_up(
    x: Float[Tensor, "n i h w"], weight: Float[Tensor, "o j k k"], groups: int = 1
) -> Float[Tensor, "n o h2 w2"]:
    """Zeros between the pixels, the kernel turned by half a turn, then the filter with gain 4."""
    k = weight.shape[-1]
    zeros = pad(spread(x.contiguous()), (k - 1, k - 2, k - 1, k - 2))
    margin = (5 - k) // 2
    return smooth(conv2d(zeros, weight.flip(2, 3), groups=groups), (margin,) * 4, gain=4.0)


def conv_down(
    x: Float[Tensor, "n i h w"],
    weight: Float[Tensor, "o i k k"],
    bias: Float[Tensor, " o"] | None = None,
) -> Float[Tensor, "n o h2 w2"]:
    """The filter, the convolution, every second pixel, then the bias."""
    k = weight.shape[-1]
    margin = k // 2
    y = conv2d(smooth(x.contiguous(), (1 + margin,) * 4), weight)[:, :, ::2, ::2]
    return y if bias is None else y + bias[None, :, None, None]


def modulated_conv(
    x: Float[Tensor, "n i h w"],
    weight: Float[Tensor, "o i k k"],
    style: Float[Tensor, "n i"],
    bias: Float[Tensor, " o"],
    *,
    convolve: Callable[..., Tensor] = conv,
    gain: float = 1.0,
) -> Float[Tensor, "n o u v"]:
    """A kernel of unit norm for every image, all of them as groups of one convolution.

    Source: Karras et al. 2020, "Analyzing and improving the image quality of StyleGAN",
    equations 1 and 3. Arguments as `synthograph.ops.modulation.modulated_conv`.
    """
    n, i, h, w = x.shape
    kernel = weight[None] * style[:, None, :, None, None]
    kernel = kernel * (kernel.square().sum((2, 3, 4), keepdim=True) + EPS).rsqrt()
    y = convolve(x.reshape(1, n * i, h, w), kernel.flatten(0, 1), groups=n)
    return (y.reshape(n, -1, *y.shape[2:]) + bias[None, :, None, None]) * gain


def modulated_pointwise(
    x: Float[Tensor, "n i h w"], weight: Float[Tensor, "o i"], style: Float[Tensor, "n i"]
) -> Float[Tensor, "n o h w"]:
    """A 1x1 kernel for every image, all of them as groups of one convolution."""
    n, i, h, w = x.shape
    kernels = (weight[None] * style[:, None]).to(x.dtype).flatten(0, 1)
    y = conv(x.reshape(1, n * i, h, w), kernels[:, :, None, None], groups=n)
    return y.reshape(n, -1, h, w)


def lrelu(x: Float[Tensor, "n *s"], *, clamp: float | None = None) -> Float[Tensor, "n *s"]:
    """Leaky ReLU, then the limit."""
    return limit(leaky_relu(x, SLOPE), clamp)


def limit(x: Float[Tensor, "*any"], clamp: float | None) -> Float[Tensor, "*any"]:
    """Clamp to +-`clamp`; None leaves everything."""
    return x if clamp is None else x.clamp(-clamp, clamp)
