"""Every fast operation against its reference: value, gradient, gradient of the gradient."""

import pytest
import torch
from torch import Tensor

from benchmarks import reference
from synthograph.ops import activation, modulation, resample

TAKES = {"upsample": 1, "downsample": 1, "conv": 3, "conv_up": 2, "conv_down": 3}


def derivatives(function, inputs: list[Tensor]) -> list[Tensor]:
    """Value, first derivatives of a curved sum, and derivatives of their squared norm."""
    value = function(*inputs)
    first = torch.autograd.grad(
        value.square().sum() + value.pow(3).sum(), inputs, create_graph=True
    )
    norm = torch.stack([g.square().sum() for g in first]).sum()
    second = torch.autograd.grad(norm, inputs)
    return [value.detach(), *(g.detach() for g in first), *second]


def drawn(*shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
        for shape in shapes
    ]


def compare(fast, plain, inputs: list[Tensor]) -> None:
    for got, expected in zip(derivatives(fast, inputs), derivatives(plain, inputs), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", TAKES)
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("channels_last", [False, True])
def test_resampling(name: str, kernel: int, channels_last: bool) -> None:
    inputs = drawn((2, 3, 4, 6), (5, 3, kernel, kernel), (5,))[: TAKES[name]]
    if channels_last:
        inputs[0] = inputs[0].detach().contiguous(memory_format=torch.channels_last)
        inputs[0].requires_grad_()
    compare(getattr(resample, name), getattr(reference, name), inputs)


@pytest.mark.parametrize("name", ["conv", "conv_up"])
def test_modulated_convolution(name: str) -> None:
    inputs = drawn((2, 3, 4, 4), (5, 3, 3, 3), (2, 3), (5,))

    def call(module, convolve):
        return lambda x, w, s, b: module.modulated_conv(x, w, s, b, convolve=convolve, gain=1.5)

    compare(
        call(modulation, getattr(resample, name)), call(reference, getattr(reference, name)), inputs
    )


def test_modulated_pointwise_convolution() -> None:
    inputs = drawn((2, 3, 4, 5), (2, 3), (2, 3))
    compare(modulation.modulated_pointwise, reference.modulated_pointwise, inputs)


@pytest.mark.parametrize("clamp", [None, 0.5, 100.0])
def test_activation(clamp: float | None) -> None:
    compare(
        lambda x: activation.lrelu_(x.clone(), clamp=clamp),
        lambda x: reference.lrelu(x, clamp=clamp),
        drawn((2, 3, 4, 5)),
    )


def test_clamping_sees_what_is_not_a_number() -> None:
    x = torch.tensor([[0.1, torch.nan, -7.0]])
    assert torch.equal(activation.limit(x, 1.0).isnan(), x.isnan())
    assert activation.limit(torch.tensor([[0.1, torch.inf]]), 1.0)[0, 1] == 1
