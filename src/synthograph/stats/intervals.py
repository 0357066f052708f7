"""Intervals from parts of the sets, cut along whole patients and never with repetition.

A with-replacement bootstrap repeats images, which shrinks nearest-neighbour radii and biases
Frechet distances: its interval may miss the value itself. Leaving images out does neither.

The images of every set are cut into g blocks of whole groups; block j of the real and block j of
the synthetic images go together, so a statistic is a function of g independent units. Two schemes;
simulation says which suits a statistic. On Gaussians a jackknife by single blocks overstates the
standard error of the shares 1.4 to 1.9 times; halves are right to 20 %:

- leaving out one block at a time: the delete-a-block jackknife, with weights that stay right where
  the images of a group resemble each other. It counts what comes from pairs of units twice, which
  would double the variance where real and synthetic images agree, so that part is measured by
  leaving out two blocks (Efron and Stein 1981, "The jackknife estimate of variance", section 4)
  and taken off. For smooth statistics: Frechet and kernel distance, means;
- cutting the blocks into two halves: subsampling without replacement (Politis and Romano 1994),
  from how much the two halves differ, over many cuts. For nearest-neighbour measures, whose
  variance comes from interactions of every order, which a jackknife counts several times.
"""

import heapq
import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Float64, Int, Int64
from scipy.special import ndtri, stdtrit
from torch import Tensor

from synthograph.core.interval import Interval
from synthograph.core.seeds import Streams

# n image, g block, e evaluation

MIN_GROUPS = 5
MAX_BLOCKS = 20
SPLITS = 20
LEVEL = 0.95
"""Share of intervals that hold what they estimate, as in `Interval`."""
MIN_PAIR_SHARE = 0.5
"""A variance is at least this share of its part from pairs of units, which is always there."""


@dataclass(frozen=True)
class Plan:
    """Which images every evaluation of a statistic sees.

    Attributes:
        kept: blocks of every evaluation; row 0 keeps all. From `plan`, rows 1..g leave out one
            block each and later rows two blocks.
        blocks: for every set, the block of each of its images.
        shares: share of the images in each block.
        reason: why there is no interval; then `kept` has row 0 only.
    """

    kept: Bool[Tensor, "e g"]
    blocks: tuple[Int64[Tensor, " _"], ...]
    shares: Float64[Tensor, " g"]
    reason: str | None = None

    @property
    def count(self) -> int:
        """Number of blocks."""
        return self.kept.shape[1]

    def rows(self, place: int, evaluation: int) -> Bool[Tensor, " n"]:
        """Which images of set `place` an evaluation keeps."""
        return self.kept[evaluation][self.blocks[place]]


def plan(
    *groups: Int[Tensor, " _"], most: int = MAX_BLOCKS, pairs: int | None = None, seed: int = 0
) -> Plan:
    """Cut sets of images into blocks of whole groups.

    Args:
        *groups: group of every image, one tensor per set; the first (real images) sets the sizes of
            the blocks, the others follow as well as their groups allow.
        most: number of blocks; fewer where there are fewer groups.
        pairs: how many pairs of blocks are left out; all of them by default.
        seed: which groups share a block.

    Returns:
        The plan. With fewer than `MIN_GROUPS` groups in a set, or a few huge ones, it says why
        there is no interval.
    """
    cut = _blocks(groups, most, seed)
    if cut.reason is not None:
        return cut
    return replace(cut, kept=_leave_out(cut.count, pairs))


def halving_plan(
    *groups: Int[Tensor, " _"], most: int = MAX_BLOCKS, splits: int = SPLITS, seed: int = 0
) -> Plan:
    """Cut sets of images into blocks of whole groups, and the blocks into halves, `splits` times.

    With an odd number of blocks one block stays out of a cut. Rows 2i+1 and 2i+2 of `kept` are the
    two halves of cut i. Arguments and result otherwise as for `plan`.
    """
    cut = _blocks(groups, most, seed)
    if cut.reason is not None:
        return cut
    half, streams = cut.count // 2, Streams(seed)
    kept = torch.zeros(1 + 2 * splits, cut.count, dtype=torch.bool)
    kept[0] = True
    for split in range(splits):
        order = streams.permutation("metrics/halves", split, cut.count)
        kept[2 * split + 1, order[:half]] = True
        kept[2 * split + 2, order[half : 2 * half]] = True
    return replace(cut, kept=kept)


def _blocks(groups: tuple[Int[Tensor, " _"], ...], most: int, seed: int) -> Plan:
    """A plan with its blocks, and only the evaluation that keeps all of them."""
    if any(len(each) == 0 for each in groups):
        return undivided(*groups, reason="a set is empty")
    fewest = min(len(each.unique()) for each in groups)
    if fewest < MIN_GROUPS:
        one = "1 group" if fewest == 1 else f"{fewest} groups"
        return undivided(
            *groups, reason=f"no interval: {one} of images, at least {MIN_GROUPS} are needed"
        )
    count = min(most, fewest)
    target = torch.full((count,), 1 / count, dtype=torch.float64)
    blocks, shares = [], []
    for place, each in enumerate(groups):
        blocks.append(_assign(each, target, seed, f"metrics/blocks/{place}"))
        shares.append(torch.bincount(blocks[-1], minlength=count).to(torch.float64) / len(each))
        target = shares[0]
    mean = torch.stack(shares).mean(0)
    if 1 / float(mean.square().sum()) < MIN_GROUPS - 1:
        return undivided(*groups, reason="no interval: most images come from a few groups")
    return Plan(torch.ones(1, count, dtype=torch.bool), tuple(blocks), mean)


def undivided(*groups: Int[Tensor, " _"], reason: str | None = None) -> Plan:
    """A plan of one block, from which nothing is left out, and why there is no interval."""
    blocks = tuple(torch.zeros(len(each), dtype=torch.int64) for each in groups)
    every = torch.ones(1, 1, dtype=torch.bool)
    return Plan(every, blocks, torch.ones(1, dtype=torch.float64), reason)


def parts(groups: Int[Tensor, " n"], count: int, *, seed: int = 0) -> Int64[Tensor, " n"]:
    """The part of every image, 0..count-1, where a set is cut into parts of about equal size, along
    whole groups; at most as many as there are groups.
    """
    target = torch.full((count,), 1 / count, dtype=torch.float64)
    return _assign(groups, target, seed, f"metrics/parts/{count}")


def halve(groups: Int64[Tensor, " n"], streams: Streams, split: int) -> Bool[Tensor, " n"]:
    """One of two halves along whole groups: groups in random order, each to the smaller half.

    `parts` takes large groups first: with groups of different sizes its cuts would all be the same.

    Returns:
        Whether an image is in the second half.
    """
    _, inverse, sizes = groups.unique(return_inverse=True, return_counts=True)
    counts, side = [0, 0], torch.zeros(len(sizes), dtype=torch.bool)
    images = sizes.tolist()
    for group in streams.permutation("halves", split, len(sizes)).tolist():
        ours = counts[1] < counts[0] or (counts[1] == counts[0] and split % 2 == 0)
        side[group] = ours
        counts[ours] += images[group]
    return side[inverse]


def _assign(
    groups: Int[Tensor, " n"], target: Float64[Tensor, " g"], seed: int, stream: str
) -> Int64[Tensor, " n"]:
    """The block of every image: large groups first, each into the block that lacks most images.

    Groups of one size come in random order, so that a block is no stretch of a sorted list.
    """
    _, inverse, sizes = groups.unique(return_inverse=True, return_counts=True)
    order = Streams(seed).permutation(stream, 0, len(sizes))
    order = order[torch.argsort(sizes[order], descending=True, stable=True)]
    lacking = [(-float(share) * len(groups), block) for block, share in enumerate(target)]
    heapq.heapify(lacking)
    block_of = torch.empty(len(sizes), dtype=torch.int64)
    counts = sizes.tolist()
    for group in order.tolist():
        need, block = lacking[0]
        block_of[group] = block
        heapq.heapreplace(lacking, (need + counts[group], block))
    return block_of[inverse]


def _leave_out(count: int, pairs: int | None) -> Bool[Tensor, "e g"]:
    every = [(i, (i + step) % count) for step in range(1, count // 2 + 1) for i in range(count)]
    chosen = list(dict.fromkeys((min(pair), max(pair)) for pair in every))[:pairs]
    kept = torch.ones(1 + count + len(chosen), count, dtype=torch.bool)
    kept[1 : count + 1].fill_diagonal_(False)
    if chosen:
        rows = torch.arange(count + 1, len(kept))[:, None]
        kept[rows, torch.tensor(chosen)] = False
    return kept


def means(values: Float[Tensor, " n *d"], cut: Plan, *, place: int = 0) -> Float64[Tensor, " e *d"]:
    """Mean over the images that every evaluation keeps, of a number or a row of numbers for every
    image of the set at `place`.
    """
    blocks, shape = cut.blocks[place], values.shape[1:]
    sums = torch.zeros(cut.count, *shape, dtype=torch.float64)
    sums.index_add_(0, blocks, values.to(torch.float64))
    images = torch.bincount(blocks, minlength=cut.count).to(torch.float64)
    keep = cut.kept.to(torch.float64)
    total = keep @ sums.reshape(cut.count, -1) / (keep @ images)[:, None]
    return total.reshape(len(keep), *shape)


def variance(values: Float64[Tensor, " e"], cut: Plan, *, least: float = 0.0) -> float:
    """Variance of a statistic from its values under a plan of `plan`.

    Args:
        values: the statistic of the images that every evaluation keeps.
        cut: the plan; it must have an interval.
        least: smallest share of the variance by single blocks that is believed.
    """
    count, whole, single = cut.count, values[0], values[1 : cut.count + 1]
    shift = (1 - cut.shares) * (whole - single)
    # what all blocks share is bias, which grows with the share left out
    spread = shift - cut.shares * shift.sum()
    first = float(spread.square().sum()) * count / (count - 1)
    if len(values) == count + 1:
        return first
    scaled = (cut.kept.to(torch.float64) @ cut.shares) * values
    left = (~cut.kept[count + 1 :]).nonzero()[:, 1].reshape(-1, 2)
    alone = scaled[1 : count + 1]
    joint = scaled[0] - alone[left[:, 0]] - alone[left[:, 1]] + scaled[count + 1 :]
    # a common part is bias that does not follow 1 / n
    raw = float(joint.var(correction=0)) * count * (count - 1) / 2
    in_first, in_joint = _pair_factors(count)
    second = raw / in_joint
    return max(first - (in_first - 1) * second, MIN_PAIR_SHARE * second, least * first)


def _pair_factors(count: int) -> tuple[float, float]:
    """How often the variance from pairs of units is counted, by leaving out one and two units.

    Both follow from T = 2 / (g (g - 1)) sum h_ij with uncorrelated h_ij.
    """
    in_first = 2 * count * (count - 1) / (count - 2) ** 2
    own, sums = 1 / (count - 3), -1 / ((count - 2) * (count - 3))
    in_joint = (own**2 + 2 * own * sums * 2 + 2 * (count - 1) * sums**2) * (count - 1) ** 2
    return in_first, in_joint


def halves_variance(values: Float64[Tensor, " e"], cut: Plan) -> float:
    """Variance of a statistic from its values under a plan of `halving_plan`."""
    halves = values[1:].reshape(-1, 2)
    share = (cut.count // 2) / cut.count
    return float((halves[:, 0] - halves[:, 1]).square().mean()) * share / 2


def halves_interval(values: Float64[Tensor, " e"], cut: Plan) -> Interval | None:
    """An interval for a number that is never below 0, such as a mean count, from halves.

    It is symmetric for the root of the number, whose spread depends least on the size of the set.
    """
    if cut.reason is not None:
        return None
    value, root = float(values[0]), values.sqrt()
    width = quantile(cut.count - 1) * math.sqrt(halves_variance(root, cut))
    low, high = max(float(root[0]) - width, 0.0) ** 2, (float(root[0]) + width) ** 2
    return Interval(min(low, value), max(high, value))


def interval(
    values: Float64[Tensor, " e"], cut: Plan, *, low: float | None = None
) -> Interval | None:
    """The value plus or minus a t quantile times the standard error.

    Args:
        values: the statistic under every evaluation of the plan.
        cut: the plan.
        low: smallest possible value of the statistic, if there is one.

    Returns:
        An interval that holds the value itself, or None where the plan has no interval.
    """
    if cut.reason is not None:
        return None
    value = float(values[0])
    width = quantile(cut.count - 1) * math.sqrt(variance(values, cut))
    return Interval(value - width if low is None else max(value - width, low), value + width)


def squared_interval(
    values: Float64[Tensor, " e"], cut: Plan, *, bias: float = 0.0, least: float = 0.0
) -> Interval | None:
    """An interval for a squared distance: symmetric for the root of the distance with its bias.

    The spread of a squared distance grows with its root, so a small value by chance comes with a
    small standard error; on the scale of the root it does not.

    Args:
        values: the squared distance under every evaluation of a plan of `plan`.
        cut: the plan.
        bias: what was taken off a distance that is never below 0; 0 where nothing was.
        least: as for `variance`.
    """
    if cut.reason is not None:
        return None
    value, width = float(values[0]), quantile(cut.count - 1)
    raised, spread = max(value + bias, 0.0), width**2 * variance(values, cut, least=least)
    if raised == 0 or spread == 0:
        return Interval(value - math.sqrt(spread), value + math.sqrt(spread))
    # |sqrt(a) - sqrt(b)| is at most sqrt(|a - b|), which holds where the distance is nearly nothing
    root, part = math.sqrt(raised), min(math.sqrt(spread / (4 * raised)), spread**0.25)
    low, high = max(root - part, 0.0) ** 2 - bias, (root + part) ** 2 - bias
    return Interval(min(low, value), max(high, value))


def share_interval(
    values: Float64[Tensor, " e"], cut: Plan, *, images: int, groups: int
) -> Interval | None:
    """An interval inside [0, 1] for a share of images, from halves.

    Wilson's interval (1927) with the number of independent images that would show the variance
    found, at most the number there are. The variance is that of the arcsine of the root of the
    share, which depends least on the share and on the size of the set: 1 / (4 n). Where no half
    differs from another, such as at a share of 0 or 1, every group counts as one image.

    Args:
        values: the share under every evaluation of a plan of `halving_plan`.
        cut: the plan.
        images: of how many images it is the share.
        groups: of how many groups these are.
    """
    if cut.reason is not None:
        return None
    share = float(values[0])
    spread = halves_variance(values.clamp(0, 1).sqrt().asin(), cut)
    number = groups if spread == 0 else min(1 / (4 * spread), images)
    return wilson(share, number, quantile(cut.count - 1))


def wilson(share: float, number: float, t: float) -> Interval:
    """Wilson's interval (1927) for a share of `number` independent images.

    Args:
        share: 0..1.
        number: of independent images.
        t: the quantile, such as 1.96.

    Returns:
        An interval inside [0, 1] that holds the share; it has a width where the share is 0 or 1.
    """
    centre = share + t * t / (2 * number)
    width = t * math.sqrt(share * (1 - share) / number + t * t / (4 * number**2))
    scale = 1 + t * t / number
    low, high = max((centre - width) / scale, 0.0), min((centre + width) / scale, 1.0)
    return Interval(min(low, share), max(high, share))


def quantile(freedom: float) -> float:
    """Two-sided quantile of Student's t, for `LEVEL`; with infinite freedom, of the normal."""
    end = (1 + LEVEL) / 2
    return float(ndtri(end) if math.isinf(freedom) else stdtrit(freedom, end))
