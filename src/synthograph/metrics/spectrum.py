"""Spectra of real against synthetic images: traces of upsampling that Frechet distances miss.

Source: Durall, Keuper and Keuper 2020, "Watch your up-convolution": the power of the Fourier
transform, averaged over all directions, per image.
"""

import torch
from jaxtyping import Float64, Int64, UInt
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.core.interval import Interval
from synthograph.metrics.measure import Measure, Source
from synthograph.ops.similarity import unit_range
from synthograph.results.evaluation import Value, compared
from synthograph.stats.intervals import interval, means, plan
from synthograph.stats.nearest import centre_of
from synthograph.stats.sample import Sample, check, too_few

# n image, c channel, b ring of frequencies


def rings(height: int, width: int) -> Int64[Tensor, "h v"]:
    """Ring of every frequency of a real transform; -1 for the mean of the image.

    Rings are equally wide in cycles per pixel along both axes, so that images need not be square:
    min(height, width) // 2 of them up to half a cycle per pixel, more up to the corners. Each ring
    is centred on its multiple of the width.
    """
    along_y = torch.fft.fftfreq(height, dtype=torch.float64)[:, None]
    along_x = torch.fft.rfftfreq(width, dtype=torch.float64)[None]
    step = 0.5 / (min(height, width) // 2)
    return ((along_y.square() + along_x.square()).sqrt() / step).round().to(torch.int64) - 1


def spectra(images: UInt[Tensor, "n c h w"]) -> Float64[Tensor, "n b"]:
    """Power in decibels of every ring of frequencies, one row per image.

    Powers are of pixels in 0..1, averaged over channels and directions; noise as strong as the
    rounding of the pixels is added, which keeps the logarithm of a flat image finite.

    Raises:
        UserError: sides below 4 pixels, or neither 8 nor 16 bits.
    """
    height, width = images.shape[2:]
    if min(height, width) < 4:
        raise UserError(f"images of {width}x{height} pixels: spectra need sides of at least 4")
    power = torch.fft.rfft2(unit_range(images), norm="ortho").abs().square().mean(1)
    ring = rings(height, width)
    # a real transform holds most frequencies once that the full one holds twice
    weight = torch.full((width // 2 + 1,), 2.0, dtype=torch.float64)
    weight[0] = 1
    if width % 2 == 0:
        weight[-1] = 1
    weights = weight.expand(height, -1).clone()
    weights[ring < 0] = 0
    place, count = ring.clamp(min=0).flatten(), int(ring.max()) + 1
    total = torch.zeros(count, dtype=torch.float64).index_add_(0, place, weights.flatten())
    powers = torch.zeros(len(images), count, dtype=torch.float64)
    powers.index_add_(1, place, power.to(torch.float64).flatten(1) * weights.flatten())
    rounding = 1 / (12 * torch.iinfo(images.dtype).max ** 2)
    return 10 * torch.log10(powers / total + rounding)


def spectrum_difference(real: Sample, fake: Sample, *, seed: int = 0) -> Value:
    """Root mean square over frequencies of the difference of mean spectra, in decibels.

    Args:
        real: rows of `spectra` (as float32) of real images.
        fake: the same of synthetic images.
        seed: which groups share a block.

    Returns:
        The number, with an interval for its expectation at these numbers of images; `curve` is the
        difference (synthetic less real) from low to high frequencies.

    Raises:
        UserError: images of different sizes, or spectra that are no numbers.
    """
    if real.features != fake.features:
        raise UserError("real and synthetic images differ in size, so their spectra do too")
    check(real, "real")
    check(fake, "synthetic")
    reason = too_few(real, fake, 1)
    if reason is not None:
        return compared("spectrum", None, real, fake, notes=(reason,))
    cut = plan(real.groups, fake.groups, seed=seed)
    gap = means(fake.values, cut, place=1) - means(real.values, cut, place=0)
    squares = gap.square().mean(1)
    ends = interval(squares, cut, low=0.0)
    return compared(
        "spectrum",
        float(squares[0].sqrt()),
        real,
        fake,
        interval=None if ends is None else Interval(ends.low**0.5, ends.high**0.5, ends.level),
        notes=(cut.reason,),
        curve=tuple(gap[0].tolist()),
    )


def _estimate(real: Sample, fake: Sample, seed: int) -> dict[str, Value]:
    return {"spectrum": spectrum_difference(real, fake, seed=seed)}


def _plain(real: Sample, fake: Sample) -> dict[str, float]:
    if min(len(real), len(fake)) < 1:
        return {}
    gap = centre_of(fake.values) - centre_of(real.values)
    return {"spectrum": float(gap.square().mean().sqrt())}


SPECTRUM = Measure("spectrum", Source.SPECTRA, _estimate, _plain)
