"""Resampling against plain definitions, and its second derivatives."""

import numpy as np
import pytest
import torch
from scipy.signal import upfirdn
from torch.autograd import gradcheck, gradgradcheck

from synthograph.ops import resample

TAPS = np.array([1.0, 3.0, 3.0, 1.0]) / 8


def doubled(row: np.ndarray) -> np.ndarray:
    return upfirdn(TAPS * 2, row, up=2)[1:][: 2 * len(row)]


def halved(row: np.ndarray) -> np.ndarray:
    return upfirdn(TAPS, row, up=1, down=1)[2:][::2][: len(row) // 2]


@pytest.mark.parametrize(
    ("ours", "plain"), [(resample.upsample, doubled), (resample.downsample, halved)]
)
def test_resampling_equals_scipy(ours, plain) -> None:
    image = np.random.default_rng(0).normal(size=(8, 12))
    expected = np.apply_along_axis(plain, 1, np.apply_along_axis(plain, 0, image))
    got = ours(torch.from_numpy(image)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_constants_stay_constant_away_from_the_border() -> None:
    image = torch.ones(1, 2, 8, 8)
    for result in (resample.upsample(image), resample.downsample(image)):
        torch.testing.assert_close(
            result[:, :, 2:-2, 2:-2], torch.ones_like(result)[:, :, 2:-2, 2:-2]
        )


def test_conv_up_is_zero_insertion_transposed_kernel_and_filter() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    weight = torch.randn(6, 3, 3, 3, generator=generator, dtype=torch.float64)
    spread = torch.zeros(2, 3, 7, 9, dtype=torch.float64)
    spread[:, :, ::2, ::2] = x
    full = torch.nn.functional.conv2d(spread, weight.flip(2, 3), padding=2)
    expected = resample.blur(full, pad=1, gain=4)
    torch.testing.assert_close(resample.conv_up(x, weight), expected)


@pytest.mark.parametrize("size", [(8, 6), (7, 5)])
def test_derivatives_of_resampling_in_bf16_are_those_in_fp32(size) -> None:
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.linspace(-1, 1, 3 * size[0] * size[1]).reshape(1, 3, *size).to(dtype)
        x.requires_grad_()
        half, twice = resample.downsample(x), resample.upsample(x)
        (half.float().square().sum() + twice.float().square().sum()).backward()
        found.append([y.float() for y in (half.detach(), twice.detach(), x.grad)])
    assert found[0][0].shape[2:] == (size[0] // 2, size[1] // 2)
    for exact, rounded in zip(*found, strict=True):
        torch.testing.assert_close(rounded, exact, atol=0.03, rtol=0.03)


@pytest.mark.parametrize("size", [(4, 6), (7, 5)])
@pytest.mark.parametrize("operation", [resample.upsample, resample.downsample])
def test_two_derivatives_of_resampling(operation, size) -> None:
    x = torch.randn(1, 2, *size, dtype=torch.float64, requires_grad=True)
    assert gradcheck(operation, x)
    assert gradgradcheck(operation, x)


@pytest.mark.parametrize("kernel", [1, 3])
def test_conv_down_is_filter_then_every_second(kernel: int) -> None:
    x = torch.randn(1, 2, 8, 6, dtype=torch.float64)
    weight, bias = torch.randn(4, 2, kernel, kernel, dtype=torch.float64), torch.randn(4).double()
    fine = torch.nn.functional.conv2d(resample.blur(x, pad=2), weight, bias, padding=kernel // 2)
    # the blurred image has a pixel more on each side, which a 3x3 kernel uses up
    expected = fine[:, :, 1::2, 1::2] if kernel == 3 else fine[:, :, 1:-1:2, 1:-1:2]
    got = resample.conv_down(x, weight, bias)
    assert got.shape == (1, 4, 4, 3)
    torch.testing.assert_close(got, expected[:, :, :4, :3])


@pytest.mark.parametrize("operation", ["conv", "conv_up", "conv_down"])
def test_two_derivatives(operation: str) -> None:
    function = getattr(resample, operation)
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(function, (x, weight))
    assert gradgradcheck(function, (x, weight))
