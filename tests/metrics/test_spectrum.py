"""Spectra: frequencies in their rings, artefacts that show, sizes and bit depths."""

import math

import pytest
import torch

from synthograph.core.errors import UserError
from synthograph.metrics.spectrum import rings, spectra, spectrum_difference
from synthograph.stats.sample import Sample


def wave(height: int, width: int, down: float, across: float, bits: int = 8) -> torch.Tensor:
    """A cosine of so many periods along the two axes."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    phase = 2 * math.pi * (down * y / height + across * x / width)
    top = 2**bits - 1
    pixels = (top / 2 * (1 + 0.8 * phase.cos())).round().to(torch.int32)
    return pixels.to(torch.uint8 if bits == 8 else torch.uint16)[None, None]


def noise(count: int, seed: int, size: tuple[int, int] = (32, 32)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 2, *size), generator=generator).to(torch.uint8)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    ("size", "periods", "ring"),
    [
        ((32, 32), (0, 4), 3),
        ((32, 32), (4, 0), 3),
        ((32, 32), (3, 4), 4),
        ((32, 64), (0, 8), 3),  # the same cycles per pixel as 4 periods in 32
        ((64, 32), (8, 0), 3),
        ((33, 32), (0, 16), 15),
    ],
)
def test_a_wave_lies_in_its_ring(size, periods, ring: int, bits: int) -> None:
    found = spectra(wave(*size, *periods, bits=bits))[0]
    assert int(found.argmax()) == ring
    assert float(found[ring] - found.sort().values[-2]) > 10


@pytest.mark.parametrize("size", [(32, 32), (24, 40), (31, 33)])
def test_powers_are_means_over_the_whole_transform(size: tuple[int, int]) -> None:
    batch = noise(3, 0, size)
    full = torch.fft.fft2(batch.double() / 255, norm="ortho").abs().square().mean(1)
    along = [torch.fft.fftfreq(side, dtype=torch.float64) for side in size]
    radius = (along[0][:, None].square() + along[1][None].square()).sqrt()
    place = (radius / (0.5 / (min(size) // 2))).round().long() - 1
    got = spectra(batch)
    assert got.shape[1] == int(rings(*size).max()) + 1
    for ring in range(got.shape[1]):
        expected = 10 * torch.log10(full[:, place == ring].mean(1) + 1 / (12 * 255**2))
        torch.testing.assert_close(got[:, ring], expected, rtol=1e-4, atol=1e-4)


def test_a_flat_image_has_finite_powers() -> None:
    assert bool(spectra(torch.full((2, 3, 16, 16), 7, dtype=torch.uint8)).isfinite().all())


def measured(real: torch.Tensor, fake: torch.Tensor):
    samples = [Sample.singles(spectra(each).float()) for each in (real, fake)]
    return spectrum_difference(*samples)


def test_a_checkerboard_shows_at_the_highest_frequencies() -> None:
    real, fake = noise(100, 0) // 2, noise(100, 1) // 2
    board = ((torch.arange(32)[:, None] + torch.arange(32)[None]) % 2 * 40).to(torch.uint8)
    clean, marked = measured(real, fake), measured(real, fake + board)
    assert clean.value < 0.3
    assert marked.value > 3 * clean.value
    assert max(range(len(marked.curve)), key=lambda i: marked.curve[i]) == len(marked.curve) - 1
    assert marked.interval is not None and clean.interval is not None
    assert marked.interval.low > clean.interval.high
    assert clean.value in clean.interval


def test_blur_takes_high_frequencies_away() -> None:
    real = noise(60, 0)
    blurred = torch.nn.functional.avg_pool2d(noise(60, 1).float(), 3, stride=1, padding=1).byte()
    curve = measured(real, blurred).curve
    assert curve[14] < -10 < -3 < curve[0]


def test_bad_input() -> None:
    with pytest.raises(UserError, match="sides of at least 4"):
        spectra(noise(1, 0, (2, 16)))
    with pytest.raises(UserError, match="differ in size"):
        measured(noise(5, 0, (16, 16)), noise(5, 0, (32, 32)))
