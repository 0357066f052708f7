"""How varied synthetic images are among themselves, against how varied real ones are.

- spread: how far apart two synthetic images lie, as a share of how far two real ones do (root of
  the mean squared distance of all pairs; the numbers of images do not matter);
- repetition: share of synthetic images that have a near duplicate in their own set. That is a
  neighbour at less than half the distance at which 95 % of real images keep from one another.
  Neighbours come nearer where there are more of them, so as many images are compared on both sides,
  mean over a few draws. One real image of each patient (group) is drawn: a second one adds next to
  nothing to what there is to resemble.

Two real images of one patient are no pair: they resemble each other whatever the set is like.
Neither measure asks where synthetic images lie; precision and recall do.

Spread falls where all images approach one another, as with a strong truncation; repetition rises
where some of them are copies, which may leave the spread as it is. Images without fine detail lie
nearer to each other than real ones, so "nearer than real ones" alone would call them copies. A set
that draws one image again and again has spread 0 and repetition 1.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from synthograph.core.seeds import Streams
from synthograph.metrics.manifold import neighbours, radii
from synthograph.metrics.measure import Measure, Source
from synthograph.results.evaluation import Value, compared
from synthograph.stats.intervals import (
    Plan,
    halving_plan,
    interval,
    plan,
    share_interval,
    undivided,
)
from synthograph.stats.nearest import centre_of
from synthograph.stats.sample import CHUNK, Sample, by_block, check_pair, chunks, too_few

# n image, d feature, g block, e evaluation

CLOSEST = 0.05
"""Share of real images whose neighbours may be nearer than the distance that real ones keep."""
NEAR = 0.5
"""Near duplicates lie nearer than this share of it. Of trained networks 0 to 4 % of the images do,
at 0.8 up to 58 %; copies lie at 0 (docs/results/diversity.md)."""
MIN_REPEATED = 10
"""Fewest patients, and synthetic images, for repetition: with less, one pair decides."""
SAME = 1e-30
"""Squared distances up to this are of equal images, which are no measure of what real ones keep."""
DRAWS = 5
"""Draws where not all images are compared at once."""


def spread(real: Sample, fake: Sample, *, seed: int = 0) -> Value:
    """The spread of synthetic images by that of real ones, with an interval.

    Raises:
        UserError: sets that cannot be compared.
    """
    check_pair(real, fake)
    cut = plan(real.groups, fake.groups, seed=seed)
    ratios = _ratios(real, fake, cut)
    reason = too_few(real, fake, 2)
    if reason is None and not math.isfinite(float(ratios[0])):
        reason = "no two real images of different groups differ"
        if len(real.groups.unique()) < 2:
            reason = "the real images are of one group, at least 2 are needed"
    if reason is not None:
        return compared("spread", None, real, fake, notes=(reason,))
    if cut.reason is None and not bool(ratios.isfinite().all()):
        cut = replace(cut, reason="no interval: only a few real images differ from others")
    value = float(ratios[0])
    ends = interval(ratios, cut, low=0.0)
    return compared("spread", value, real, fake, interval=ends, notes=(cut.reason,))


def _ratios(real: Sample, fake: Sample, cut: Plan) -> Float64[Tensor, " e"]:
    """The ratio for every evaluation of a plan."""
    ours, theirs = (_spreads(each, cut, place) for place, each in enumerate((real, fake)))
    return (theirs / ours).sqrt()


def _spreads(sample: Sample, cut: Plan, place: int) -> Float64[Tensor, " e"]:
    """Mean squared distance of the pairs of different groups, for every evaluation of a plan.

    Over any set of n images, the squared distances of all pairs sum up to n times the sum of the
    squared lengths, less the square of the sum. What the pairs within groups add is taken off.
    """
    centre = centre_of(sample.values)
    _, group = sample.groups.unique(return_inverse=True)
    count = int(group.max()) + 1 if len(group) else 0
    sums = torch.zeros(count, len(centre), dtype=torch.float64)
    squares = torch.zeros(count, dtype=torch.float64)
    for start, x in enumerate(chunks(sample.values)):
        rows = group[start * CHUNK : start * CHUNK + len(x)]
        x = x - centre
        sums.index_add_(0, rows, x)
        squares.index_add_(0, rows, x.square().sum(1))
    images = torch.bincount(group, minlength=count).to(torch.float64)
    block = torch.zeros(count, dtype=torch.int64).scatter_(0, group, cut.blocks[place])
    within = images * squares - sums.square().sum(1)

    def kept(values: Tensor) -> Tensor:
        total = torch.zeros(cut.count, *values.shape[1:], dtype=torch.float64)
        total.index_add_(0, block, values)
        return cut.kept.to(torch.float64) @ total

    number = kept(images)
    distances = number * kept(squares) - kept(sums).square().sum(1) - kept(within)
    return distances.clamp(min=0) / ((number.square() - kept(images.square())) / 2)


def repetition(real: Sample, fake: Sample, *, seed: int = 0) -> Value:
    """The repetition of synthetic images, with an interval.

    Raises:
        UserError: sets that cannot be compared.
    """
    check_pair(real, fake)
    groups, count = real.group_count, min(real.group_count, len(fake))
    if count < MIN_REPEATED:
        reason = (
            f"{groups} groups of real images and {len(fake)} synthetic images, at least "
            f"{MIN_REPEATED} of each are needed"
        )
        return compared("repetition", None, real, fake, notes=(reason,))
    cut = halving_plan(real.groups, fake.groups, seed=seed)
    shares = _repeated(real, fake, cut, seed)
    ends = share_interval(shares, cut, images=len(fake), groups=count)
    value, counts = float(shares[0]), {"images": count}
    return compared(
        "repetition", value, real, fake, interval=ends, notes=(cut.reason,), counts=counts
    )


def _repeated(real: Sample, fake: Sample, cut: Plan, seed: int = 0) -> Float64[Tensor, " e"]:
    """The share of synthetic images with a near duplicate, for every evaluation of a plan."""
    streams, centre = Streams(seed).under("metrics/repetition"), centre_of(real.values)
    all_at_once = real.group_count == len(real) == len(fake)
    draws = 1 if all_at_once else DRAWS
    total = torch.zeros(len(cut.kept), dtype=torch.float64)
    for draw in range(draws):
        ours, theirs = (_one_of_each(each, streams, draw) for each in (real, fake))
        count = min(len(ours), len(theirs))
        nearest = [
            _nearest(each, _evenly(rows, cut.blocks[place])[:count], cut, place, centre)
            for place, (each, rows) in enumerate(((real, ours), (fake, theirs)))
        ]
        total += torch.tensor([_share(*pair) for pair in zip(*nearest, strict=True)]) / draws
    return total


def _one_of_each(sample: Sample, streams: Streams, draw: int) -> Int64[Tensor, " g"]:
    """A random image of every group, in random order."""
    order = streams.permutation("images", draw, len(sample))
    _, group, sizes = sample.groups[order].unique(return_inverse=True, return_counts=True)
    first = torch.argsort(group, stable=True)[sizes.cumsum(0) - sizes]
    return order[first.sort().values]


def _evenly(rows: Int64[Tensor, " g"], blocks: Int64[Tensor, " n"]) -> Int64[Tensor, " g"]:
    """The same images in such an order that the first ones come from all blocks alike."""
    of_block = torch.nn.functional.one_hot(blocks[rows])
    before = (of_block.cumsum(0) * of_block).sum(1)
    return rows[torch.argsort(before, stable=True)]


def _nearest(
    sample: Sample,
    rows: Int64[Tensor, " m"],
    cut: Plan,
    place: int,
    centre: Float64[Tensor, " d"],
) -> Float32[Tensor, "e m"]:
    """Squared distance of some images to the nearest other of them, for every evaluation of a plan;
    -1 for images that it leaves out.
    """
    blocks = cut.blocks[place][rows]
    points = by_block(sample.subset(rows), blocks)
    near = neighbours(points, cut.count, 1, centre)
    return radii(near, 1, cut.kept, blocks[points.order]).T


def _share(real: Float32[Tensor, " n"], fake: Float32[Tensor, " m"]) -> float:
    """Share of synthetic images that are nearer to another than real ones ever are, but for a few;
    squared distances of images that are left out are negative.
    """
    ours, theirs = real[real > SAME].sort().values, fake[fake >= 0]
    if not len(ours):  # every real image is there twice, so no distance is too small
        return 0.0
    limit = ours[max(math.floor(CLOSEST * (len(ours) + 1)), 1) - 1]
    return float((theirs <= NEAR**2 * limit).to(torch.float64).mean())


def _estimate_spread(real: Sample, fake: Sample, seed: int) -> Mapping[str, Value]:
    return {"spread": spread(real, fake, seed=seed)}


def _plain_spread(real: Sample, fake: Sample) -> Mapping[str, float]:
    if min(len(real), len(fake)) < 2:
        return {}
    ratio = float(_ratios(real, fake, undivided(real.groups, fake.groups))[0])
    return {"spread": ratio} if math.isfinite(ratio) else {}


def _estimate_repetition(real: Sample, fake: Sample, seed: int) -> Mapping[str, Value]:
    return {"repetition": repetition(real, fake, seed=seed)}


def _plain_repetition(real: Sample, fake: Sample) -> Mapping[str, float]:
    if min(real.group_count, len(fake)) < MIN_REPEATED:
        return {}
    whole = undivided(real.groups, fake.groups)
    return {"repetition": float(_repeated(real, fake, whole)[0])}


SPREAD = Measure("spread", Source.FEATURES, _estimate_spread, _plain_spread)
REPETITION = Measure("repetition", Source.FEATURES, _estimate_repetition, _plain_repetition)
