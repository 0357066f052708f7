"""How much of the variety of synthetic images is lost where all are drawn with the same noise.

Noise inputs are there for random fine detail: the place of a hair, the texture of skin. A network
whose latents do little may draw outlines and colours by noise. While each image has its own noise,
as in measures, its images vary as those of a good network do, and measures of variety are content.
Drawn with the same noise, as `generate` draws unless told otherwise, they look more alike; and what
noise draws, no latent holds.

Every image is drawn twice, with noise of its own and with the fixed noise of the network, and
reduced to means over areas, 8 along its longer side. The share is 1 minus the ratio of the second
variance to the first, at least 0.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor

from synthograph.archive.batches import ImageSet
from synthograph.core.interval import Interval
from synthograph.metrics.columns import Column, Step, channels_of, digest
from synthograph.metrics.measure import Measure, Source
from synthograph.ops.pixels import reduced
from synthograph.results.diversity import NOISE_SHARE
from synthograph.results.evaluation import Value
from synthograph.stats.intervals import Plan, interval, means, plan
from synthograph.stats.sample import Sample

# n image, d place of a reduced image, e evaluation

SIDE = 8
"""Places along the longer side of a reduced image."""
PAIRS = 1000
"""Images of a set at most that are drawn twice: enough for a share, however large the set is."""
FEWEST = 10
"""Images below which there is no share."""
SAME = 1e-9
"""Variance, in squared grey levels, up to which images are the same."""
NO_NOISE = (
    f"skipped: {NOISE_SHARE}: images of an archive, and of a network without noise inputs, cannot "
    "be drawn with other noise; name a network that has some (--network)"
)


def noise_column(images: ImageSet, modality: str | None = None) -> Column:
    """Every image reduced, and the same latent reduced that was drawn with the fixed noise, behind
    a 1; zeros for images that are not drawn twice.
    """
    part, again = channels_of(images.spec, modality), images.fixed_noise
    assert again is not None, f"{images.name} is made with noise"
    height, width = images.spec.height, images.spec.width

    def small(pixels: Tensor) -> Float32[Tensor, "n d"]:
        return reduced(pixels[:, part].to(torch.float32), SIDE).flatten(1)

    dims = 1 + 2 * small(torch.zeros(1, images.spec.channels, height, width)).shape[1]

    def begin(start: int) -> Step:
        numbers = range(start, min(images.count, PAIRS))
        others = again(numbers) if numbers else iter(())

        def step(batch: Tensor) -> Float32[Tensor, "n d"]:
            rows, other = torch.zeros(len(batch), dims), next(others, None)
            if other is not None:
                marks, pair = torch.ones(len(other), 1), (batch[: len(other)], other)
                rows[: len(other)] = torch.cat([marks, *map(small, pair)], 1)
            return rows

        return step

    about = ["noise", 2, SIDE, PAIRS, part.start, part.stop]
    return Column("noise", digest(about), dims, begin, alone=False)


def noise_share(own: Float[Tensor, "n d"], fixed: Float[Tensor, "n d"], seed: int = 0) -> Value:
    """The share with an interval.

    Args:
        own: reduced images, each drawn with noise of its own.
        fixed: of the same latents, all drawn with the same noise.
        seed: which images share a block.
    """
    count = len(own)
    if count < FEWEST:
        reason = f"{count} images were drawn with fixed noise, too, at least {FEWEST} are needed"
        return Value(name=NOISE_SHARE, value=None, n_fake=count, notes=(reason,))
    cut = plan(torch.arange(count), seed=seed)
    whole = _variances(own, cut)
    shares = 1 - _variances(fixed, cut) / whole.where(whole > SAME, 0)
    if not math.isfinite(float(shares[0])):
        reason = "all synthetic images are the same once they are reduced"
        return Value(name=NOISE_SHARE, value=None, n_fake=count, notes=(reason,))
    if cut.reason is None and not bool(shares.isfinite().all()):
        cut = replace(cut, reason="no interval: only a few images differ from others")
    ends = interval(shares, cut)
    return Value(
        name=NOISE_SHARE,
        value=max(float(shares[0]), 0.0),
        interval=ends and Interval(max(ends.low, 0.0), min(max(ends.high, 0.0), 1.0)),
        n_fake=count,
        notes=() if cut.reason is None else (cut.reason,),
    )


def _variances(rows: Float[Tensor, "n d"], cut: Plan) -> Float64[Tensor, " e"]:
    """Mean squared distance from the mean, for every evaluation of a plan."""
    rows = rows.to(torch.float64)
    rows = rows - rows.mean(0)
    return means(rows.square().sum(1), cut) - means(rows, cut).square().sum(1)


def _estimate(real: Sample, fake: Sample, seed: int) -> Mapping[str, Value]:
    """Real images have no latents, and are not used."""
    rows = fake.values[fake.values[:, 0] > 0, 1:]
    own, fixed = rows.chunk(2, 1)
    return {NOISE_SHARE: noise_share(own, fixed, seed)}


NOISE = Measure(NOISE_SHARE, Source.NOISE, _estimate)
