"""Changes of how images look."""

import pytest
import torch

from synthograph.ops.appearance import STAINS, blur, equalise, transfer_style, vary_stains


def images(n: int = 3, channels: int = 3, height: int = 24, width: int = 32) -> torch.Tensor:
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(1))


def test_style_of_share_zero_is_the_mean_brightness_and_of_itself_nothing() -> None:
    own = 0.4 + 0.2 * images()
    other = 0.3 + 0.2 * images().flip(0)
    zero = transfer_style(own, other, torch.zeros(3))
    assert zero.mean((2, 3)).allclose(other.mean((2, 3)), atol=1e-5)
    assert (zero - zero.mean((2, 3), keepdim=True)).allclose(
        own - own.mean((2, 3), keepdim=True), atol=1e-5
    )
    assert transfer_style(own, own, torch.full((3,), 0.2)).allclose(own, atol=1e-5)
    assert transfer_style(own, other, torch.full((3,), -1.0)).equal(own)


def test_style_agrees_with_the_paper_s_equations() -> None:
    """The whole spectrum, centred, as the authors write it."""
    own, other = 0.4 + 0.2 * images(1), 0.3 + 0.2 * images(1).flip(2)
    height, width = own.shape[2:]
    found = transfer_style(own, other, torch.tensor([0.1]))
    mine, its = (torch.fft.fftshift(torch.fft.fft2(x), dim=(2, 3)) for x in (own, other))
    reach = int(0.1 * min(height, width))
    rows = slice(height // 2 - reach, height // 2 + reach + 1)
    columns = slice(width // 2 - reach, width // 2 + reach + 1)
    amplitude = mine.abs()
    amplitude[:, :, rows, columns] = its.abs()[:, :, rows, columns]
    mixed = torch.polar(amplitude, mine.angle())
    wanted = torch.fft.ifft2(torch.fft.ifftshift(mixed, dim=(2, 3))).real.clamp(0, 1)
    assert found.allclose(wanted, atol=1e-4)


def test_stains_of_pure_haematoxylin_follow_the_law_of_beer_and_lambert() -> None:
    stain = torch.nn.functional.normalize(torch.tensor(STAINS), dim=1)[0]
    pure = torch.exp(-0.8 * stain)[None, :, None, None].expand(1, 3, 4, 4)
    more = vary_stains(pure, torch.tensor([[1.5, 1, 1]]), torch.zeros(1, 3))
    assert more.allclose(torch.exp(-1.2 * stain)[None, :, None, None].expand_as(more), atol=1e-4)


def test_stains_without_a_change_leave_black_and_white_too() -> None:
    both = torch.stack((torch.zeros(3, 4, 4), torch.ones(3, 4, 4)))
    assert vary_stains(both, torch.ones(2, 3), torch.zeros(2, 3)).equal(both)


def test_equalise_agrees_with_one_tile_by_hand() -> None:
    """Without a limit a tile's values become their place in its histogram."""
    ramp = (torch.arange(64).float() / 63).reshape(1, 1, 8, 8) ** 3
    found = equalise(ramp, limit=1e9, tiles=1)
    order = torch.arange(1, 65) / 64
    assert (found.flatten().sort().values - order).abs().max() <= 1 / 8
    assert (found.flatten()[1:] >= found.flatten()[:-1]).all()


def test_equalise_raises_contrast_where_there_is_little_and_is_limited() -> None:
    dull = 0.45 + 0.1 * images(2, 1, 64, 64)
    found = equalise(dull)
    assert dull.std() < found.std() < equalise(dull, limit=40).std()
    flat = torch.full((1, 1, 64, 64), 0.3)
    assert (equalise(flat) - flat).abs().max() < 0.02


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_equalise_takes_sizes_that_tiles_do_not_divide(channels: int) -> None:
    found = equalise(images(2, channels, 30, 45))
    assert found.shape == (2, channels, 30, 45)
    assert 0 <= float(found.min()) <= float(found.max()) <= 1


def test_equalise_keeps_the_steps_of_16_bits_apart() -> None:
    fine = (30000 + torch.arange(64 * 64).float()).reshape(1, 1, 64, 64) / 65535
    assert len(equalise(fine, tiles=1).unique()) > 1000


def test_blur_keeps_the_mean_leaves_sigma_zero_and_spreads_as_a_gaussian() -> None:
    point = torch.zeros(2, 1, 33, 33)
    point[:, :, 16, 16] = 1
    found = blur(point, torch.tensor([0.0, 2.0]))
    assert found[0].allclose(point[0], atol=1e-6)
    assert float(found[1].sum()) == pytest.approx(1, abs=1e-4)
    places = torch.arange(33.0) - 16
    assert float((found[1, 0].sum(0) * places**2).sum()) == pytest.approx(4, rel=0.03)


def test_blur_of_a_tiny_image() -> None:
    assert blur(images(1, 3, 4, 4), torch.tensor([5.0])).shape == (1, 3, 4, 4)
