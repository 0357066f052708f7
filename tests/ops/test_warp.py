"""The geometric warp: the fast forms against the filter form, which the fixtures agree with."""

import math

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from synthograph.ops import transforms, warp


def maps(count: int, side: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randn(5, count, generator=generator, dtype=torch.float64)
    turn = transforms.rotation(drawn[0])
    scale = transforms.scaling(torch.exp2(drawn[1] * 0.2), torch.exp2(drawn[2] * 0.2))
    return turn @ scale @ transforms.translation(drawn[3] * side / 8, drawn[4] * side / 8)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 32), (33, 20)])
def test_products_with_matrices_equal_filters(height: int, width: int, monkeypatch) -> None:
    images = torch.randn(6, 2, height, width, dtype=torch.float64, requires_grad=True)
    results = []
    for longest in (0, 256):
        monkeypatch.setitem(warp.LONGEST_BY_MATRIX, "cpu", longest)
        result = warp.warp(images, maps(6, height))
        (slope,) = torch.autograd.grad(result.square().sum(), [images])
        results.append((result.detach(), slope))
    torch.testing.assert_close(results[0], results[1])


def test_whole_shifts_equal_resampling() -> None:
    images = torch.randn(5, 3, 16, 24, dtype=torch.float64)
    shifts = torch.tensor([[0, 0], [3, -2], [-5, 4], [0, 7], [-8, 0]], dtype=torch.float64)
    moved = transforms.translation(shifts[:, 0], shifts[:, 1])
    got, expected = warp.warp(images, moved), warp.resample(images, moved)
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)  # the filter's published digits
    torch.testing.assert_close(got[1, :, 2:, :-3], images[1, :, :-2, 3:])


def test_a_batch_may_hold_both_kinds(monkeypatch) -> None:
    images, some = torch.randn(6, 1, 16, 16, dtype=torch.float64), maps(6, 16)
    some[::2] = transforms.translation(*torch.tensor([[2.0, 0, -1], [0, 0, 3]]).double())
    expected = warp.resample(images, some)
    seen: list[int] = []
    whole = warp.resample
    monkeypatch.setattr(warp, "resample", lambda x, m: (seen.append(len(x)), whole(x, m))[1])
    torch.testing.assert_close(warp.warp(images, some), expected, atol=1e-6, rtol=0)
    assert seen == [3], "only what needs it is resampled"


def test_quarter_turns_and_flips_pass_the_filter(monkeypatch) -> None:
    angles = torch.tensor([math.pi / 2, math.pi])
    for change in (transforms.rotation(angles), transforms.scaling(-torch.ones(2), torch.ones(2))):
        seen: list[int] = []
        monkeypatch.setattr(warp, "resample", lambda x, m, seen=seen: (seen.append(len(x)), x)[1])
        warp.warp(torch.randn(2, 1, 8, 8), change)
        assert seen == [2]


@pytest.mark.parametrize("twice", [True, False])
@pytest.mark.parametrize("longest", [0, 256])
def test_two_derivatives(longest: int, twice: bool, monkeypatch) -> None:
    monkeypatch.setitem(warp.LONGEST_BY_MATRIX, "cpu", longest)
    monkeypatch.setattr(warp, "TWICE", twice)
    images = torch.randn(3, 1, 4, 6, dtype=torch.float64, requires_grad=True)
    some = maps(3, 4)
    some[1] = transforms.translation(torch.ones(1), torch.zeros(1))[0]
    assert gradcheck(lambda x: warp.warp(x, some), (images,))
    assert gradgradcheck(lambda x: warp.warp(x, some), (images,))


def test_sampling_for_older_versions_equals_that_of_torch() -> None:
    generator = torch.Generator().manual_seed(2)
    images = torch.randn(2, 3, 9, 7, generator=generator, requires_grad=True)
    grid = torch.rand(2, 5, 6, 2, generator=generator) * 2.4 - 1.2
    values = torch.randn(2, 3, 5, 6, generator=generator)
    found = []
    for form in (warp.bilinear, warp.Bilinear.apply):
        seen = form(images, grid)
        (first,) = torch.autograd.grad((seen * values).sum(), images, create_graph=True)
        (penalty,) = torch.autograd.grad(
            torch.autograd.grad(seen.square().sum(), images, create_graph=True)[0].square().sum(),
            images,
        )
        found.append((seen, first, penalty))
    for native, ours in zip(*found, strict=True):
        torch.testing.assert_close(native, ours)
        assert bool(native.detach().any())


def test_margins_come_in_few_sizes() -> None:
    """Every other size of a padded image takes memory for a kernel of its own."""
    generator = torch.Generator().manual_seed(3)
    shifts = torch.rand(200, 2, generator=generator) * 40
    sizes = {warp._margins(transforms.translation(s[:1], s[1:]), 64, 64) for s in shifts}
    assert len({left for left, _ in sizes}) <= 7
    for shift in shifts:
        left, top = warp._margins(transforms.translation(shift[:1], shift[1:]), 64, 64)
        assert left >= min(float(shift[0]), 63)
        assert top >= min(float(shift[1]), 63)
