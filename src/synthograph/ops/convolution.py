"""Convolutions whose derivatives are convolutions again, of every order.

A convolution is linear in the features and in the kernel, so all derivatives of all orders are made
of three operations: `convolve`, its adjoint by the features and its adjoint by the kernel. The
framework takes a way of its own for second derivatives, a convolution with a kernel as large as the
features, one per group: with AMX R1 took three times as long.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, pad

# n image, i o channels in and out, c channel, k kernel

Context = Any
"""Where a function keeps what its derivative needs; torch gives it no type."""
Places = tuple[tuple[int, int], tuple[int, int]]
"""Stride and padding, each down and across."""


def convolve(
    x: Float[Tensor, "n i h w"],
    weight: Float[Tensor, "o i k k"],
    bias: Float[Tensor, " o"] | None = None,
    *,
    stride: int = 1,
    padding: int = 0,
) -> Float[Tensor, "n o u v"]:
    """Cross-correlation with zeros outside, as networks call a convolution."""
    return _Convolve.apply(x, weight, bias, (stride, padding))  # type: ignore[no-untyped-call]


def spread(
    y: Float[Tensor, "n o u v"],
    weight: Float[Tensor, "o i k k"],
    size: tuple[int, int],
    *,
    stride: int = 1,
    padding: int = 0,
) -> Float[Tensor, "n i h w"]:
    """The adjoint of `convolve` by the features, also called a transposed convolution: from what
    `convolve` returns for features of `size` (height and width), or its gradient.
    """
    return _Spread.apply(y, weight, size, (stride, padding))  # type: ignore[no-untyped-call]


def filter_channels(
    x: Float[Tensor, "n c h w"],
    kernels: Float[Tensor, "c 1 kh kw"],
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
) -> Float[Tensor, "n c u v"]:
    """Cross-correlation of every channel with a kernel of its own, zeros outside; no gradient comes
    to the kernels.
    """
    return _FilterChannels.apply(x, kernels, (stride, padding))  # type: ignore[no-untyped-call]


def spread_channels(
    y: Float[Tensor, "n c u v"],
    kernels: Float[Tensor, "c 1 kh kw"],
    size: tuple[int, int],
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
) -> Float[Tensor, "n c h w"]:
    """The adjoint of `filter_channels`, from what it returns for features of `size`, or its
    gradient.
    """
    return _SpreadChannels.apply(y, kernels, size, (stride, padding))  # type: ignore[no-untyped-call]


def compute_two_columns(network: nn.Module) -> None:
    """Have strided convolutions of a network of the framework whose result would be one column wide
    compute two, of which the first is kept.

    With AMX those of several rows in bf16 add whatever lay in memory before (seen with torch 2.13,
    kernels of 3 and 5, strides of 2 to 4; not where the result is wider, or one row high).
    """
    for module in network.modules():
        if type(module) is not nn.Conv2d or module.padding_mode != "zeros":
            continue
        if module.stride[1] > 1 and not isinstance(module.padding, str):
            module.__class__ = _OfTwoColumns


class _OfTwoColumns(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        reach = self.dilation[1] * (self.kernel_size[1] - 1)
        if x.shape[3] + 2 * int(self.padding[1]) - reach > self.stride[1]:
            return super().forward(x)
        return super().forward(pad(x, (0, self.stride[1])))[..., :1]


class _Wanted:
    """Which gradients a backward pass computes."""

    kernels = True


@contextmanager
def features_only() -> Iterator[None]:
    """Within it backward passes compute no gradients of kernels and biases.

    A penalty's first derivative is by images or styles only. The framework does not tell a
    function written in Python, which would compute all. Kernels must not depend on what the
    derivative is taken by: nothing would come through them.
    """
    before, _Wanted.kernels = _Wanted.kernels, False
    try:
        yield
    finally:
        _Wanted.kernels = before


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context, x: Tensor, weight: Tensor, bias: Tensor | None, how: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.how = how
        return conv2d(x, weight, bias, *how)

    @staticmethod
    def backward(ctx: Context, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        by_x, by_weight, by_bias, _ = ctx.needs_input_grad
        kernels = _Wanted.kernels
        return (
            _Spread.apply(grads[0], weight, x.shape[2:], ctx.how) if by_x else None,  # type: ignore[no-untyped-call]
            _Correlate.apply(x, grads[0], weight.shape, ctx.how) if by_weight and kernels else None,  # type: ignore[no-untyped-call]
            grads[0].sum((0, 2, 3)) if by_bias and kernels else None,
            None,
        )


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context, y: Tensor, weight: Tensor, size: tuple[int, int], how: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(y, weight)
        ctx.how = how
        if weight.shape[-1] == 1 and how == (1, 0):
            return conv2d(y, weight.transpose(0, 1))
        if torch.compiler.is_exporting():  # other programs know no gradients
            return _transposed(y, weight, size, how)
        like = y.new_empty(1).expand(len(y), weight.shape[1], *size)  # only its shape is read
        weight = weight.contiguous(memory_format=torch.channels_last)  # the result's format too
        return _gradient(0, y, like, weight, how)

    @staticmethod
    def backward(ctx: Context, *grads: Tensor) -> tuple[Tensor | None, ...]:
        y, weight = ctx.saved_tensors
        by_y, by_weight, *_ = ctx.needs_input_grad
        return (
            _Convolve.apply(grads[0], weight, None, ctx.how) if by_y else None,  # type: ignore[no-untyped-call]
            _Correlate.apply(grads[0], y, weight.shape, ctx.how)  # type: ignore[no-untyped-call]
            if by_weight and _Wanted.kernels
            else None,
            None,
            None,
        )


class _Correlate(torch.autograd.Function):
    """The adjoint of `convolve` by the kernel: what features and the gradient of the result have in
    common at every place of the kernel.
    """

    @staticmethod
    def forward(
        ctx: Context, x: Tensor, y: Tensor, shape: torch.Size, how: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(x, y)
        ctx.how = how
        like = x.new_empty(1).expand(shape)
        return _gradient(1, y, x, like, how)

    @staticmethod
    def backward(ctx: Context, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, y = ctx.saved_tensors
        by_x, by_y, *_ = ctx.needs_input_grad
        return (
            _Spread.apply(y, grads[0], x.shape[2:], ctx.how) if by_x else None,  # type: ignore[no-untyped-call]
            _Convolve.apply(x, grads[0], None, ctx.how) if by_y else None,  # type: ignore[no-untyped-call]
            None,
            None,
        )


class _FilterChannels(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, x: Tensor, kernels: Tensor, how: Places) -> Tensor:
        ctx.kernels, ctx.how, ctx.size = kernels, how, x.shape[2:]
        return conv2d(x, kernels, None, *how, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Context, *grads: Tensor) -> tuple[Tensor, None, None]:
        return _SpreadChannels.apply(grads[0], ctx.kernels, ctx.size, ctx.how), None, None  # type: ignore[no-untyped-call]


class _SpreadChannels(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context, y: Tensor, kernels: Tensor, size: tuple[int, int], how: Places
    ) -> Tensor:
        ctx.kernels, ctx.how = kernels, how
        (stride, padding), groups = how, y.shape[1]
        reach = [k - 1 - p for k, p in zip(kernels.shape[2:], padding, strict=True)]
        if stride != (1, 1):
            wide = [w - r + p for w, r, p in zip(size, reach, padding, strict=True)]
            if y.device.type == "cpu" and y.dtype != torch.bfloat16:
                # rows and columns at the end that the stride left out
                more = [
                    w - 1 - (v - 1) * s for w, v, s in zip(wide, y.shape[2:], stride, strict=True)
                ]
                return conv_transpose2d(y, kernels, None, stride, padding, more, groups)
            # on AMX a transposed depthwise convolution takes 25 times as long; on GPUs not measured
            y = _between_zeros(y, stride, wide)
        return conv2d(y, kernels.flip(2, 3), padding=reach, groups=groups)

    @staticmethod
    def backward(ctx: Context, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        return _FilterChannels.apply(grads[0], ctx.kernels, ctx.how), None, None, None  # type: ignore[no-untyped-call]


def _between_zeros(y: Tensor, stride: tuple[int, int], size: list[int]) -> Tensor:
    """`y` at every `stride`th place, in its own memory format."""
    plain = y.is_contiguous() and not y.is_contiguous(memory_format=torch.channels_last)
    layout = torch.contiguous_format if plain else torch.channels_last
    shape = (*y.shape[:2], *size)
    spaced = torch.empty(shape, dtype=y.dtype, device=y.device, memory_format=layout).zero_()
    spaced[:, :, :: stride[0], :: stride[1]] = y
    return spaced


def _transposed(y: Tensor, weight: Tensor, size: tuple[int, int], how: tuple[int, int]) -> Tensor:
    """`spread` by the framework's own transposed convolution."""
    (stride, padding), reach = how, weight.shape[-1] - 1 - 2 * how[1]
    more = [w - 1 - (v - 1) * stride - reach for w, v in zip(size, y.shape[2:], strict=True)]
    return conv_transpose2d(y, weight, None, stride, padding, more)


def _gradient(of: int, y: Tensor, x: Tensor, weight: Tensor, how: tuple[int, int]) -> Tensor:
    """The gradient of a convolution by its features (0) or its kernel (1)."""
    stride, padding = how
    wanted = [of == 0, of == 1, False]
    found: tuple[Tensor | None, ...] = torch.ops.aten.convolution_backward(
        y, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1, wanted
    )
    gradient = found[of]
    assert gradient is not None, "it was asked for"
    return gradient
