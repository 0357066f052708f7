"""How similar synthetic images are to each other: multi-scale structural similarity of pairs.

Source: Wang, Simoncelli and Bovik 2003, "Multi-scale structural similarity for image quality
assessment" (window of 11 pixels, five scales and their weights); as a measure of diversity: Odena,
Olah and Shlens 2017. Near 1: all images look the same.
"""

from functools import partial

import torch
from jaxtyping import Float, Float64, UInt
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.metrics.measure import Measure, Source
from synthograph.results.evaluation import Floor, Value
from synthograph.stats.intervals import interval, means, plan
from synthograph.stats.sample import Sample

# n image, c channel

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW = 11
SIGMA = 1.5
STABLE = (0.01, 0.03)


def scales(height: int, width: int) -> int:
    """How many scales images of this size allow: the window must fit into the smallest.

    Raises:
        UserError: the window does not fit at all.
    """
    short = min(height, width)
    if short < WINDOW:
        raise UserError(
            f"images of {height}x{width} pixels: structural similarity needs {WINDOW} pixels a side"
        )
    return next(s for s in range(len(WEIGHTS), 0, -1) if short >> (s - 1) >= WINDOW)


def ms_ssim(x: UInt[Tensor, "n c h w"], y: UInt[Tensor, "n c h w"]) -> Float64[Tensor, " n"]:
    """Multi-scale structural similarity of image i of `x` and image i of `y`, 0..1.

    Every channel counts alike. Where an image is too small for five scales the weights of the
    scales that remain are raised in proportion, to sum to 1. Only places where the whole window
    lies inside the image count, at every scale.

    Args:
        x: 8-bit or 16-bit images.
        y: their partners, of the same type.

    Raises:
        UserError: sides below 11 pixels.
    """
    number = scales(*x.shape[2:])
    weights = torch.tensor(WEIGHTS[:number], dtype=torch.float64)
    a, b = unit_range(x), unit_range(y)
    result = torch.ones(len(x), dtype=torch.float64)
    for scale, weight in enumerate(weights / weights.sum()):
        whole, contrast = _similarity(a, b)
        part = whole if scale == number - 1 else contrast
        result *= part.to(torch.float64).clamp(min=0) ** weight
        if scale < number - 1:
            a, b = avg_pool2d(a, 2), avg_pool2d(b, 2)
    return result


def unit_range(images: UInt[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Pixels as float32 in 0..1.

    Raises:
        UserError: neither 8 nor 16 bits.
    """
    if images.dtype not in (torch.uint8, torch.uint16):
        raise UserError(f"pixels of type {images.dtype}: images must have 8 or 16 bits, unsigned")
    return images.to(torch.float32) / torch.iinfo(images.dtype).max


def _similarity(
    a: Float[Tensor, "n c h w"], b: Float[Tensor, "n c h w"]
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Structural similarity and its contrast-structure part, means over channels and places."""
    smooth = partial(gaussian_means, reach=WINDOW // 2, sigma=SIGMA)
    mean_a, mean_b = smooth(a), smooth(b)
    var_a, var_b = smooth(a * a) - mean_a**2, smooth(b * b) - mean_b**2
    covariance = smooth(a * b) - mean_a * mean_b
    c1, c2 = (factor**2 for factor in STABLE)
    contrast = (2 * covariance + c2) / (var_a + var_b + c2)
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return (luminance * contrast).mean((1, 2, 3)), contrast.mean((1, 2, 3))


def gaussian_means(
    x: Float[Tensor, "n c h w"], reach: int, sigma: float
) -> Float[Tensor, "n c u v"]:
    """Means in a Gaussian window of 2 `reach` + 1 pixels a side, where it lies inside the image."""
    offset = torch.arange(-reach, reach + 1, dtype=torch.float64)
    taps = torch.exp(-offset.square() / (2 * sigma**2))
    taps = (taps / taps.sum()).to(x.dtype)
    flat = x.flatten(0, 1)[:, None]
    smooth = conv2d(conv2d(flat, taps.reshape(1, 1, 1, -1)), taps.reshape(1, 1, -1, 1))
    return smooth.unflatten(0, x.shape[:2])[:, :, 0]


def mean_similarity(similar: Float[Tensor, " n"], *, seed: int = 0) -> Value:
    """Mean similarity of pairs of synthetic images, with an interval. No image is in two pairs, so
    the pairs are independent.

    Args:
        similar: of every image to its partner, see `columns.similarity_column`; negative for an
            image that has none, or is the first of its pair.
        seed: which pairs share a block.
    """
    found = similar[similar >= 0]
    if not len(found):
        reason = "no two images to compare" if len(similar) else "no synthetic images"
        return Value(name="ms_ssim", value=None, n_fake=len(similar), notes=(reason,))
    cut = plan(torch.arange(len(found)), pairs=0, seed=seed)
    return Value(
        name="ms_ssim",
        value=float(found.to(torch.float64).mean()),
        interval=interval(means(found, cut), cut, low=0.0),
        n_fake=len(similar),
        notes=() if cut.reason is None else (cut.reason,),
        counts={"pairs": len(found)},
    )


def _estimate(real: Sample, fake: Sample, seed: int) -> dict[str, Value]:
    found = mean_similarity(fake.values[:, 0], seed=seed)
    if bool((real.values[:, 0] >= 0).any()):
        found = found.replace(n_real=len(real)).noted("real vs real: pairs of real images")
    return {"ms_ssim": found}


def _floor(real: Sample, fake: Sample, seed: int) -> Floor | None:
    """The similarity of pairs of real images."""
    own, other = (mean_similarity(each.values[:, 0], seed=seed) for each in (real, fake))
    if own.value is None:
        return None
    pairs = (own.counts["pairs"], other.counts.get("pairs", 0))
    return Floor(
        value=own.value, low=own.value, high=own.value, same_n=other.value, n=pairs, splits=1
    )


def _refusal(spec: ImageSpec) -> str | None:
    if min(spec.height, spec.width) >= WINDOW:
        return None
    return f"images of {spec.width}x{spec.height} are smaller than its window of {WINDOW}"


MS_SSIM = Measure("ms_ssim", Source.SIMILARITIES, _estimate, own_floor=_floor, refusal=_refusal)
