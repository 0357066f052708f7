"""Perceptual path length: how much an image changes for a small step between two latents.

Source: Karras et al. 2019, "A style-based generator architecture", section 4.1; the variants are
those of StyleGAN and StyleGAN2. The images come from `sampling`, the distances from `features`.
"""

import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.features.vgg16 import MIN_SIDE
from synthograph.ops.pixels import reduced
from synthograph.results.evaluation import Value
from synthograph.stats.intervals import interval, plan

# n distance or pair of images, e evaluation

LOWER, UPPER = 1.0, 99.0

Pairs = Iterable[tuple[Tensor, Tensor]]
"""Batches of the first and the second images of steps, each [n, c, h, w], fp32 on the scale 0 ...
255, neither cut nor rounded."""


class Space(enum.Enum):
    """Where the two latents of a step lie."""

    Z = "z"  # on the sphere, spherical interpolation
    W = "w"  # linear interpolation


class Sampling(enum.Enum):
    """Where on the way between two latents steps are taken."""

    FULL = "full"  # anywhere
    END = "end"  # its start


@dataclass(frozen=True)
class PathVariant:
    """How a published path length is measured."""

    name: str
    space: Space  # of the interpolation
    sampling: Sampling
    crop: bool
    """Whether distances see only the centre of a face: rows 3/8 to 7/8 of the height, columns 2/8
    to 6/8 of the width."""
    epsilon: float = 1e-4  # length of the step; distances are divided by its square
    pairs: int = 50_000  # published number of steps
    size: int = 256  # pixels to which the longer side of larger images is reduced before

    def describe(self) -> dict[str, Any]:
        """The rules as plain data."""
        return {
            "space": self.space.value,
            "places": self.sampling.value,
            "epsilon": self.epsilon,
            "crop": "rows 3/8 to 7/8, columns 2/8 to 6/8" if self.crop else None,
            "longest_side": self.size,
            "percentiles_kept": [LOWER, UPPER],
        }


VARIANTS = {
    variant.name: variant
    for variant in (
        PathVariant("ppl2_wend", Space.W, Sampling.END, crop=False),
        PathVariant("ppl_zfull", Space.Z, Sampling.FULL, crop=True),
        PathVariant("ppl_wfull", Space.W, Sampling.FULL, crop=True),
        PathVariant("ppl_zend", Space.Z, Sampling.END, crop=True),
        PathVariant("ppl_wend", Space.W, Sampling.END, crop=True),
    )
}


def check_size(variant: PathVariant, height: int, width: int) -> None:
    """Refuse images that are too small for the distance.

    Raises:
        UserError: they are, or what the variant leaves of them is.
    """
    rows, columns = (part.stop - part.start for part in _window(variant, height, width))
    if min(rows, columns) < MIN_SIDE:
        left = f", of which {variant.name} leaves {columns}x{rows}" if variant.crop else ""
        raise UserError(
            f"images of {width}x{height}{left}: a perceptual distance needs sides of at least "
            f"{MIN_SIDE} pixels" + ("; ppl2_wend takes whole images" if variant.crop else "")
        )


def step_lengths(
    pairs: Pairs, variant: PathVariant, distance: Callable[[Tensor, Tensor], Tensor]
) -> Iterator[Float64[Tensor, " n"]]:
    """Perceptual distances of pairs of images, divided by the square of the step.

    Args:
        pairs: images a step of `variant.epsilon` apart.
        variant: how they are cut and reduced.
        distance: such as `features.lpips.PerceptualDistance`.
    """
    for pair in pairs:
        first, second = (seen(images, variant) for images in pair)
        yield distance(first, second).to(torch.float64) / variant.epsilon**2


def seen(images: Float[Tensor, "n c h w"], variant: PathVariant) -> Float[Tensor, "n c hh ww"]:
    """The part of the images that is compared: cut as the variant says, then the longer side
    reduced to `variant.size` by means over areas.
    """
    rows, columns = _window(variant, *images.shape[2:])
    images = images[:, :, rows, columns]
    return reduced(images, variant.size)


def _window(variant: PathVariant, height: int, width: int) -> tuple[slice, slice]:
    if not variant.crop:
        return slice(0, height), slice(0, width)
    return slice(3 * height // 8, 7 * height // 8), slice(2 * width // 8, 6 * width // 8)


def path_length(
    distances: Iterable[Float[Tensor, " _"]], *, name: str = "ppl2_wend", seed: int = 0
) -> Value:
    """Mean of the distances from the 1st to the 99th percentile.

    The percentiles are distances that occur (the next lower and the next higher one), and both
    count, as published.

    Args:
        distances: perceptual distances divided by epsilon^2, in batches; every pair of images
            stands for itself.
        name: of the variant.
        seed: which pairs share a block.

    Raises:
        UserError: a distance is negative, NaN or infinite.
    """
    none = torch.zeros(0, dtype=torch.float64)
    every = torch.cat([none, *(batch.to(torch.float64) for batch in distances)])
    if not bool((every.isfinite() & (every >= 0)).all()):
        raise UserError(
            f"{name}: a perceptual distance is negative or not a finite number; look at the images "
            "of the network, or measure in fp32"
        )
    if len(every) == 0:
        return Value(name=name, value=None, notes=("no pairs of images",))
    cut = plan(torch.arange(len(every)), pairs=0, seed=seed)
    values = torch.stack([trimmed_mean(every[cut.rows(0, e)]) for e in range(len(cut.kept))])
    return Value(
        name=name,
        value=float(values[0]),
        interval=interval(values, cut, low=0.0),
        n_fake=len(every),
        notes=() if cut.reason is None else (cut.reason,),
    )


def trimmed_mean(distances: Float64[Tensor, " n"]) -> Float64[Tensor, ""]:
    """Mean of what lies between the percentiles, both included."""
    ordered, last = distances.sort().values, len(distances) - 1
    low, high = int(LOWER / 100 * last), -int(-UPPER / 100 * last // 1)
    inside = (distances >= ordered[low]) & (distances <= ordered[high])
    return distances[inside].mean()
