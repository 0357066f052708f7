"""How alike two images are: PSNR, structural similarity, and that at several scales.

Source: Wang, Bovik, Sheikh and Simoncelli 2004, "Image quality assessment: from error visibility to
structural similarity"; Wang, Simoncelli and Bovik 2003, "Multi-scale structural similarity for
image quality assessment" (window of 11 pixels, five scales and their weights).
"""

from functools import partial

import torch
from jaxtyping import Float, Float64, UInt
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from synthograph.core.errors import UserError

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


def psnr(x: UInt[Tensor, "n c h w"], y: UInt[Tensor, "n c h w"]) -> Float64[Tensor, " n"]:
    """Peak signal-to-noise ratio of image i of `x` and image i of `y`, in dB; infinite where they
    are equal. The peak is the largest number of their type.

    Args:
        x: 8-bit or 16-bit images.
        y: their partners, of the same type.
    """
    errors = (unit_range(x).double() - unit_range(y).double()).square().mean((1, 2, 3))
    return -10 * errors.log10()


def ssim(x: UInt[Tensor, "n c h w"], y: UInt[Tensor, "n c h w"]) -> Float64[Tensor, " n"]:
    """Structural similarity of image i of `x` and image i of `y`, -1..1: the mean over channels and
    over the places where the whole window lies inside the image.

    Args:
        x: 8-bit or 16-bit images.
        y: their partners, of the same type.

    Raises:
        UserError: sides below 11 pixels.
    """
    scales(*x.shape[2:])
    return _similarity(unit_range(x), unit_range(y))[0].double()


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
