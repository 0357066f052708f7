"""One convolution in place of two steps computes what the two steps do."""

import torch
from torch.nn.functional import avg_pool2d, conv2d, interpolate

from synthograph.ops.resample_nearest import conv_down, conv_up, enlarge, reduce, smooth


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_pixels_are_repeated_and_averaged() -> None:
    x = numbers(2, 3, 4, 6)
    assert torch.equal(reduce(enlarge(x)), x)
    assert torch.equal(enlarge(x, 4)[:, :, 5, 9], x[:, :, 1, 2])
    assert enlarge(x, 1) is x and reduce(x, 1) is x
    by_hand = sum(x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)) / 4
    assert torch.allclose(reduce(x), by_hand)


def test_the_filter_keeps_what_is_constant_away_from_the_edge() -> None:
    y = smooth(torch.ones(1, 2, 4, 4))
    assert torch.equal(y[:, :, 1:-1, 1:-1], torch.ones(1, 2, 2, 2))
    assert y[0, 0, 0].tolist() == [0.5625, 0.75, 0.75, 0.5625]
    point = torch.zeros(1, 1, 3, 3)
    point[0, 0, 1, 1] = 16
    assert smooth(point)[0, 0].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]


def test_doubling_and_halving_by_one_convolution() -> None:
    x, up, down, bias = numbers(2, 3, 4, 6), numbers(5, 3, 3, 3), numbers(5, 3, 3, 3), numbers(5)
    x.requires_grad_(True)
    pairs = [
        (conv_up(x, up), conv2d(interpolate(x, scale_factor=2, mode="nearest"), up, padding=1)),
        (conv_down(x, down, bias), avg_pool2d(conv2d(x, down, bias, padding=1), 2)),
        (conv_down(x, down), avg_pool2d(conv2d(x, down, padding=1), 2)),
    ]
    for ours, plain in pairs:
        assert torch.allclose(ours, plain)
        slopes = [
            torch.autograd.grad(y.pow(3).sum(), x, retain_graph=True)[0] for y in (ours, plain)
        ]
        assert torch.allclose(*slopes)
