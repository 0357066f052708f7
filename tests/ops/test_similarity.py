"""PSNR and structural similarity against torchmetrics and scikit-image."""

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d

from synthograph.core.errors import UserError
from synthograph.ops.similarity import WEIGHTS, ms_ssim, psnr, scales, ssim
from tests.metrics.peers import peer


def images(count: int, channels: int, size: tuple[int, int], bits: int = 8) -> torch.Tensor:
    """Smooth noise."""
    generator = torch.Generator().manual_seed(count + channels)
    coarse = torch.rand(count, channels, size[0] // 4, size[1] // 4, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear")
    dtype = torch.uint8 if bits == 8 else torch.uint16
    return (fine * (2**bits - 1)).round().to(torch.int32).to(dtype)


def noisy(x: torch.Tensor) -> torch.Tensor:
    y = x.float() * 0.8 + 40 * torch.rand(x.shape, generator=torch.Generator().manual_seed(1))
    return y.clamp(0, 255).to(torch.uint8)


def plain(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    """One image with values 0..1, CHW."""
    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(taps, taps) / taps.sum() ** 2
    result = 1.0
    for scale, weight in enumerate(weights):
        found = []
        for a, b in zip(x, y, strict=True):
            a1, b1, a2, b2, ab = (
                convolve2d(each, window, mode="valid") for each in (a, b, a * a, b * b, a * b)
            )
            part = (2 * (ab - a1 * b1) + 0.03**2) / (a2 - a1**2 + b2 - b1**2 + 0.03**2)
            if scale == len(weights) - 1:
                part = part * (2 * a1 * b1 + 0.01**2) / (a1**2 + b1**2 + 0.01**2)
            found.append(part.mean())
        result *= max(np.mean(found), 0) ** weight
        h, w = (side // 2 * 2 for side in x.shape[1:])
        x, y = (
            each[:, :h, :w].reshape(len(each), h // 2, 2, w // 2, 2).mean((2, 4)) for each in (x, y)
        )
    return result


@pytest.mark.parametrize(
    ("size", "channels", "bits"), [((176, 180), 3, 8), ((32, 36), 1, 16), ((64, 48), 5, 8)]
)
def test_equals_the_plain_formula(size: tuple[int, int], channels: int, bits: int) -> None:
    x = images(3, channels, size, bits)
    y = images(4, channels, size, bits)[1:] if bits == 16 else noisy(x)
    weights = np.array(WEIGHTS[: scales(*size)])
    top = 2**bits - 1
    for i, got in enumerate(ms_ssim(x, y).tolist()):
        a, b = (each[i].to(torch.float64).numpy() / top for each in (x, y))
        assert got == pytest.approx(plain(a, b, weights / weights.sum()), rel=1e-4, abs=1e-5)


def test_is_near_torchmetrics() -> None:
    """Near, since it mirrors the image beyond its border at the last scale."""
    metrics = peer("torchmetrics.functional.image.ssim")
    x = images(4, 3, (192, 192))
    theirs = metrics.multiscale_structural_similarity_index_measure(
        x / 255, noisy(x) / 255, data_range=1.0, reduction="none"
    )
    torch.testing.assert_close(ms_ssim(x, noisy(x)), theirs.double(), rtol=2e-3, atol=0)


def test_number_of_scales() -> None:
    found = {size: scales(size, size) for size in (11, 21, 22, 32, 64, 128, 175, 176, 1024)}
    assert found == {11: 1, 21: 1, 22: 2, 32: 2, 64: 3, 128: 4, 175: 4, 176: 5, 1024: 5}
    assert scales(1024, 32) == 2
    with pytest.raises(UserError, match="8x20 pixels"):
        scales(8, 20)


def test_equal_images_are_equal_and_bits_do_not_matter() -> None:
    x = images(2, 3, (32, 40))
    torch.testing.assert_close(ms_ssim(x, x), torch.ones(2, dtype=torch.float64))
    y = images(4, 3, (32, 40))[2:]
    wide = [(each.to(torch.int32) * 257).to(torch.uint16) for each in (x, y)]
    torch.testing.assert_close(ms_ssim(*wide), ms_ssim(x, y), rtol=1e-5, atol=1e-7)


def test_psnr_and_ssim_equal_those_of_scikit_image() -> None:
    peers = pytest.importorskip("skimage.metrics", reason="`make setup` installs scikit-image")
    for x, y in (
        (images(3, 3, (48, 40)), noisy(images(3, 3, (48, 40)))),
        (images(3, 1, (32, 36), 16), images(4, 1, (32, 36), 16)[1:]),
    ):
        top = torch.iinfo(x.dtype).max
        pairs = [(a.numpy() / top, b.numpy() / top) for a, b in zip(x, y, strict=True)]
        noise = [peers.peak_signal_noise_ratio(a, b, data_range=1) for a, b in pairs]
        torch.testing.assert_close(psnr(x, y), torch.tensor(noise), rtol=1e-5, atol=0)
        for got, (a, b) in zip(ssim(x, y).tolist(), pairs, strict=True):
            options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
            _, places = peers.structural_similarity(
                a, b, channel_axis=0, data_range=1, full=True, **options
            )
            inner = places[:, 5:-5, 5:-5]  # where the whole window lies inside
            assert got == pytest.approx(inner.mean(), rel=1e-4)


def test_equal_images_have_no_noise() -> None:
    x = images(2, 1, (16, 16))
    assert psnr(x, x).isinf().all() and ssim(x, x).allclose(torch.ones(2).double())


def test_other_types_and_small_images_are_refused() -> None:
    with pytest.raises(UserError, match="8 or 16 bits"):
        ms_ssim(torch.zeros(1, 1, 32, 32, dtype=torch.uint32), torch.zeros(1, 1, 32, 32).byte())
    with pytest.raises(UserError, match="8x9 pixels"):
        ssim(torch.zeros(1, 1, 8, 9).byte(), torch.zeros(1, 1, 8, 9).byte())
