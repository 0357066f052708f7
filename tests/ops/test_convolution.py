"""Convolutions against the framework's, up to third derivatives."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import conv2d, conv_transpose2d

from synthograph.ops.convolution import (
    compute_two_columns,
    convolve,
    features_only,
    filter_channels,
    spread,
    spread_channels,
)

CASES = [(1, 1, 0), (3, 1, 1), (3, 2, 0)]


def drawn(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize(("kernel", "stride", "padding"), CASES)
def test_a_convolution_and_two_derivatives(kernel, stride, padding) -> None:
    x, weight, bias = drawn(2, 3, 5, 7), drawn(4, 3, kernel, kernel), drawn(4)
    got = convolve(x, weight, bias, stride=stride, padding=padding)
    torch.testing.assert_close(got, conv2d(x, weight, bias, stride, padding))

    def function(*inputs: torch.Tensor) -> torch.Tensor:
        return convolve(*inputs, stride=stride, padding=padding)

    assert gradcheck(function, (x, weight, bias))
    assert gradgradcheck(function, (x, weight, bias))


@pytest.mark.parametrize(("kernel", "stride", "padding"), CASES)
def test_its_adjoint_and_two_derivatives(kernel, stride, padding) -> None:
    weight = drawn(4, 3, kernel, kernel)
    y = conv2d(drawn(2, 3, 5, 7), weight, None, stride, padding).detach().requires_grad_()

    def function(y: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return spread(y, weight, (5, 7), stride=stride, padding=padding)

    torch.testing.assert_close(
        function(y, weight), conv_transpose2d(y, weight, None, stride, padding)
    )
    assert gradcheck(function, (y, weight))
    assert gradgradcheck(function, (y, weight))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [((4, 4), (1, 1), (2, 1)), ((4, 4), (2, 2), (1, 1)), ((1, 6), (1, 2), (0, 2))],
)
def test_filters_of_channels_and_two_derivatives(kernel, stride, padding) -> None:
    x, kernels = drawn(2, 3, 7, 8), drawn(3, 1, *kernel).detach()
    y = filter_channels(x, kernels, stride=stride, padding=padding)
    torch.testing.assert_close(y, conv2d(x, kernels, None, stride, padding, groups=3))

    def both(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return (
            filter_channels(x, kernels, stride=stride, padding=padding),
            spread_channels(y, kernels, (7, 8), stride=stride, padding=padding),
        )

    given = (x, y.detach().requires_grad_())
    adjoint = both(*given)[1]
    (expected,) = torch.autograd.grad(conv2d(x, kernels, None, stride, padding, groups=3), x, y)
    torch.testing.assert_close(adjoint, expected)
    assert gradcheck(both, given)
    assert gradgradcheck(both, given)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_filters_spread_alike_between_zeros(layout) -> None:
    """In bf16 a processor fills up with zeros what it transposes in fp32."""
    y = drawn(2, 3, 4, 5).detach().bfloat16().contiguous(memory_format=layout)
    kernels = torch.tensor([1.0, 2, 3, 4]).outer(torch.tensor([1.0, 2, -1, 0])).expand(3, 1, 4, 4)
    small, plain = (
        spread_channels(each, kernels.to(each), (9, 10), stride=(2, 2), padding=(1, 1))
        for each in (y, y.float())
    )
    assert small.dtype is torch.bfloat16
    assert small.is_contiguous(memory_format=layout)
    torch.testing.assert_close(small.float(), plain, rtol=1e-2, atol=1e-2)


def test_third_derivatives_are_those_of_the_framework() -> None:
    found = []
    for ours in (True, False):
        x, weight = drawn(2, 3, 5, 7), drawn(4, 3, 3, 3)
        y = convolve(x, weight, padding=1) if ours else conv2d(x, weight, padding=1)
        for _ in range(3):
            by_x, by_weight = torch.autograd.grad(y.pow(4).mean(), (x, weight), create_graph=True)
            y = torch.cat((by_x.flatten(), by_weight.flatten()))
        found.append(y.detach())
    torch.testing.assert_close(*found)


def test_no_gradients_of_kernels_are_computed_where_none_are_wanted(monkeypatch) -> None:
    computed = []
    backward = torch.ops.aten.convolution_backward
    monkeypatch.setattr(
        torch.ops.aten,
        "convolution_backward",
        lambda *given: computed.append(given[-1]) or backward(*given),
    )
    x, weight = drawn(2, 3, 5, 7), drawn(4, 3, 3, 3)
    with features_only():
        (by_x,) = torch.autograd.grad(convolve(x, weight).sum(), x, create_graph=True)
    assert computed == [[True, False, False]]
    by_x.square().sum().backward()
    assert weight.grad is not None
    assert weight.grad.any()
    assert [False, True, False] in computed


@pytest.mark.parametrize(
    ("kernel", "stride", "size"), [(3, 2, (4, 2)), (5, 2, (9, 1)), (3, 4, (8, 4))]
)
def test_results_of_one_column_are_those_of_the_framework(kernel, stride, size) -> None:
    plain = torch.nn.Conv2d(64, 96, kernel, stride, kernel // 2)
    guarded = torch.nn.Sequential(torch.nn.Conv2d(64, 96, kernel, stride, kernel // 2))
    guarded[0].load_state_dict(plain.state_dict())
    compute_two_columns(guarded)
    for shape in (size, (16, 16)):
        x = torch.randn(5, 64, *shape, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(guarded(x), plain(x))


def test_bf16_results_of_one_column_hold_nothing_else() -> None:
    """With AMX the framework's hold what lay in memory before."""
    guarded = torch.nn.Sequential(torch.nn.Conv2d(128, 256, 3, 2, 1))
    compute_two_columns(guarded)
    x = torch.rand(14, 128, 4, 2, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        exact = guarded(x)
        for _ in range(5):
            left = [torch.full((size,), 1e35) for size in (10**4, 10**5, 2 * 10**5, 10**6)]
            del left
            with torch.autocast("cpu", torch.bfloat16):
                found = guarded(x).float()
            torch.testing.assert_close(found, exact, rtol=0.05, atol=0.05)
