"""How much of the variety of synthetic images their noise inputs make, and not their latents.

Noise inputs are there for detail that nobody would miss: the place of a hair, the grain of a
tissue. A network whose latents do little may draw shapes and colours by noise. Its images vary as
those of a good one do, so measures of variety are content, and look alike where all are drawn with
the same noise, as `generate` draws them unless told otherwise.

Two images of every latent, with different noise, are reduced to means over areas, in which grain is
gone. The share is their mean squared difference by that of two images of different latents: 0 where
noise decides nothing that is left, 1 where it decides everything.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from synthograph.archive.batches import ImageSet
from synthograph.core.spec import ImageSpec
from synthograph.metrics.columns import Column, Step, channels_of, digest
from synthograph.metrics.measure import Measure, Source
from synthograph.results.diversity import NOISE_SHARE
from synthograph.results.evaluation import Value
from synthograph.stats.intervals import Plan, interval, means, plan
from synthograph.stats.sample import Sample

# n image, d place of a reduced image, e evaluation

SIDE = 8
"""Places along the longer side of a reduced image."""
PAIRS = 1000
"""Images of a set at most that are drawn again: enough for a share, however large the set is."""
NO_NOISE = f"skipped: {NOISE_SHARE}: needs a generator that has noise inputs"
FEWEST = 10
"""Images below which there is no share."""


def noise_column(images: ImageSet, modality: str | None = None) -> Column:
    """Every image reduced, and the same latent reduced that was drawn with other noise, behind a 1;
    zeros for images that are not drawn again.
    """
    part, again = channels_of(images.spec, modality), images.other_noise
    assert again is not None, f"{images.name} is made with noise"
    height, width = _reduced_size(images.spec)
    dims = 1 + 2 * (part.stop - part.start) * height * width

    def begin(start: int) -> Step:
        numbers = range(start, min(images.count, PAIRS))
        others = again(numbers) if numbers else iter(())
        return _Twice(others, part, (height, width), dims)

    about = ["noise", 1, SIDE, PAIRS, part.start, part.stop]
    return Column("noise", digest(about), dims, begin)


class _Twice:
    """The step of `noise_column`: batches of the set and of its other images, side by side."""

    def __init__(
        self, others: Iterator[Tensor], part: slice, size: tuple[int, int], dims: int
    ) -> None:
        self._others, self._part, self._size, self._dims = others, part, size, dims

    def __call__(self, images: Tensor) -> Float32[Tensor, "n d"]:
        rows = torch.zeros(len(images), self._dims)
        other = next(self._others, None)
        if other is not None:
            pair = (images[: len(other)], other)
            rows[: len(other)] = torch.cat(
                [torch.ones(len(other), 1), *(self._reduced(each) for each in pair)], 1
            )
        return rows

    def _reduced(self, images: Tensor) -> Float32[Tensor, "n d"]:
        cut = images[:, self._part].to(torch.float32)
        return adaptive_avg_pool2d(cut, self._size).flatten(1)


def _reduced_size(spec: ImageSpec) -> tuple[int, int]:
    longer = max(spec.height, spec.width)
    height, width = (
        side if longer <= SIDE else max(1, round(side * SIDE / longer))
        for side in (spec.height, spec.width)
    )
    return height, width


def noise_share(first: Float[Tensor, "n d"], second: Float[Tensor, "n d"], seed: int = 0) -> Value:
    """The share with an interval.

    Args:
        first: reduced images.
        second: of the same latents with other noise.
        seed: which images share a block.
    """
    count = len(first)
    if count < FEWEST:
        reason = f"{count} images were drawn again with other noise, at least {FEWEST} are needed"
        return Value(name=NOISE_SHARE, value=None, n_fake=count, notes=(reason,))
    cut = plan(torch.arange(count), seed=seed)
    shares = _shares(first.to(torch.float64), second.to(torch.float64), cut)
    if not math.isfinite(float(shares[0])):
        reason = "all synthetic images are the same once they are reduced"
        return Value(name=NOISE_SHARE, value=None, n_fake=count, notes=(reason,))
    if cut.reason is None and not bool(shares.isfinite().all()):
        cut = replace(cut, reason="no interval: only a few images differ from others")
    return Value(
        name=NOISE_SHARE,
        value=float(shares[0]),
        interval=interval(shares, cut, low=0.0),
        n_fake=count,
        notes=() if cut.reason is None else (cut.reason,),
        counts={"pairs": count},
    )


def _shares(
    first: Float64[Tensor, "n d"], second: Float64[Tensor, "n d"], cut: Plan
) -> Float64[Tensor, " e"]:
    """The share for every evaluation of a plan. The squared distances of all images of one set to
    all of the other follow from sums, as in `diversity`; those of the same latent are taken off.
    """
    centre = first.mean(0)
    first, second = first - centre, second - centre
    within = means((first - second).square().sum(1), cut)
    squares = means(first.square().sum(1) + second.square().sum(1), cut)
    products = (means(first, cut) * means(second, cut)).sum(1)
    images = torch.bincount(cut.blocks[0], minlength=cut.count).to(torch.float64)
    count = cut.kept.to(torch.float64) @ images
    between = (count * (squares - 2 * products) - within) / (count - 1)
    return within / between


def _estimate(real: Sample, fake: Sample, seed: int) -> Mapping[str, Value]:
    """Real images have no latents, and are not used."""
    rows = fake.values[fake.values[:, 0] > 0, 1:]
    first, second = rows.chunk(2, 1)
    return {NOISE_SHARE: noise_share(first, second, seed).replace(n_fake=len(fake))}


NOISE = Measure(NOISE_SHARE, Source.NOISE, _estimate)
