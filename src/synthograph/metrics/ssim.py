"""Likeness of generated images to each other: multi-scale structural similarity of pairs.

Source: Wang, Simoncelli and Bovik 2003, "Multi-scale structural similarity for image quality
assessment" (window of 11 pixels, five scales and their weights); as a measure of diversity: Odena,
Olah and Shlens 2017. Near 1: all images look the same.
"""

from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float, Float64, UInt
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from synthograph.core.errors import UserError
from synthograph.metrics.result import Value
from synthograph.stats.intervals import interval, means, plan

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
    mean_a, mean_b = _smooth(a), _smooth(b)
    var_a, var_b = _smooth(a * a) - mean_a**2, _smooth(b * b) - mean_b**2
    covariance = _smooth(a * b) - mean_a * mean_b
    c1, c2 = (factor**2 for factor in STABLE)
    contrast = (2 * covariance + c2) / (var_a + var_b + c2)
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return (luminance * contrast).mean((1, 2, 3)), contrast.mean((1, 2, 3))


def _smooth(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c u v"]:
    """Gaussian window without padding."""
    offset = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    taps = torch.exp(-offset.square() / (2 * SIGMA**2))
    taps = (taps / taps.sum()).to(x.dtype)
    flat = x.flatten(0, 1)[:, None]
    smooth = conv2d(conv2d(flat, taps.reshape(1, 1, 1, -1)), taps.reshape(1, 1, -1, 1))
    return smooth.unflatten(0, x.shape[:2])[:, :, 0]


def diversity(
    batches: Iterable[UInt[Tensor, "_ _ _ _"]], *, level: float = 0.95, seed: int = 0
) -> Value:
    """Mean similarity of pairs of generated images: first with second, third with fourth, ...

    Every image is in one pair, so the pairs are independent. An odd last image is left out.

    Args:
        batches: generated images in the order in which they were made.
        level: of the interval, which is for the expectation of the mean.
        seed: which pairs share a block.

    Raises:
        UserError: images that are too small, of different sizes, or neither 8 nor 16 bits.
    """
    found, size, images = [], (0, 0), 0
    for batch in _even(batches):
        images, size = images + len(batch), (batch.shape[2], batch.shape[3])
        found.append(ms_ssim(batch[0::2], batch[1::2]))
    if not found:
        return Value("ms_ssim", None, n_fake=images, notes=("fewer than 2 generated images",))
    similar = torch.cat(found)
    cut = plan(torch.arange(len(similar)), pairs=0, seed=seed)
    notes = [] if cut.reason is None else [cut.reason]
    if scales(*size) < len(WEIGHTS):
        notes.append(f"{scales(*size)} of {len(WEIGHTS)} scales: images of {size[0]}x{size[1]}")
    ends = interval(means(similar, cut), cut, level=level, low=0.0)
    return Value(
        "ms_ssim",
        float(similar.mean()),
        ends,
        n_fake=images,
        notes=tuple(notes),
        counts={"pairs": len(similar)},
    )


def _even(batches: Iterable[UInt[Tensor, "_ _ _ _"]]) -> Iterator[UInt[Tensor, "_ _ _ _"]]:
    """The images in batches of even length; a batch's odd last one goes in front of the next."""
    left: Tensor | None = None
    shape: tuple[int, ...] | None = None
    for batch in batches:
        shape = shape or tuple(batch.shape[1:])
        if shape != tuple(batch.shape[1:]):
            raise UserError(
                f"an image of {_words(batch.shape[1:])} among images of {_words(shape)}: pairs "
                "need images of one size"
            )
        images = batch if left is None else torch.cat((left, batch))
        even = len(images) // 2 * 2
        left = images[even:] if even < len(images) else None
        if even:
            yield images[:even]


def _words(shape: tuple[int, ...]) -> str:
    channels, height, width = shape
    return f"{height}x{width} pixels and {channels} channels"
