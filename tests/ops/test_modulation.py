"""Modulated convolution against one kernel per image."""

import math

import torch
from torch.autograd import gradcheck, gradgradcheck

from synthograph.ops import resample
from synthograph.ops.activation import LRELU_GAIN, lrelu_, rms_normalise
from synthograph.ops.modulation import demodulation, modulated_conv


def test_equals_one_demodulated_kernel_per_image() -> None:
    torch.manual_seed(0)
    x, weight, style = torch.randn(3, 4, 6, 6), torch.randn(5, 4, 3, 3), torch.randn(3, 4) + 1
    bias = torch.randn(5)
    got = modulated_conv(x, weight, style, bias, convolve=resample.conv, gain=2.0)
    for n in range(3):
        kernel = weight * style[n][None, :, None, None]
        kernel = kernel / (kernel.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        expected = torch.nn.functional.conv2d(x[n : n + 1], kernel, bias, padding=1) * 2
        torch.testing.assert_close(got[n : n + 1], expected, rtol=1e-4, atol=1e-5)


def test_demodulated_kernels_have_unit_norm() -> None:
    weight, style = torch.randn(5, 4, 3, 3).double(), torch.randn(2, 4).double()
    kernel = weight[None] * style[:, None, :, None, None]
    norm = kernel.square().sum((2, 3, 4)).sqrt() * demodulation(weight, style)
    torch.testing.assert_close(norm, torch.ones_like(norm))


def test_two_derivatives() -> None:
    x, style = torch.randn(2, 2, 4, 4).double(), torch.randn(2, 2).double()
    weight, bias = torch.randn(3, 2, 3, 3).double(), torch.randn(3).double()
    inputs = tuple(t.requires_grad_() for t in (x, weight, style, bias))

    def run(x, weight, style, bias):
        return modulated_conv(x, weight, style, bias, convolve=resample.conv_up)

    assert gradcheck(run, inputs)
    assert gradgradcheck(run, inputs)


def test_leaky_relu_keeps_the_second_moment() -> None:
    x = torch.randn(200_000, 1, generator=torch.Generator().manual_seed(0))
    moment = (lrelu_(x) * LRELU_GAIN).square().mean()
    assert math.isclose(moment, 1.04, rel_tol=0.02)  # 2 (1 + 0.2^2) / 2
    assert lrelu_(torch.full((1, 1), 9.0), clamp=2.0).item() == 2.0


def test_rows_get_unit_root_mean_square() -> None:
    rows = rms_normalise(torch.randn(4, 64) * 7)
    torch.testing.assert_close(rows.square().mean(1), torch.ones(4))
