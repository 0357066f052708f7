"""Kernel distance: the squared maximum mean discrepancy with a cubic polynomial kernel.

Source: Binkowski et al. 2018, "Demystifying MMD GANs", section 3 and equation 4:
k(x, y) = (x.y / d + 1)^3.
"""

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor
from torch.nn.functional import one_hot

from synthograph.core.seeds import Streams
from synthograph.metrics.measure import Measure, Source
from synthograph.results.evaluation import Value, compared
from synthograph.stats.intervals import Plan, plan, squared_interval, undivided
from synthograph.stats.sample import CHUNK, Sample, check_pair, too_few

# n m image, d feature, g block, e evaluation

SUBSETS = 100
SUBSET_SIZE = 1000
BLOCKS = 40


def kernel(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> Float64[Tensor, "n m"]:
    """(x.y / d + 1)^3 for all pairs of rows; products in the precision given, powers in float64."""
    return (x @ y.T).to(torch.float64).div_(x.shape[1]).add_(1).pow_(3)


def subset_distances(
    real: Sample, fake: Sample, *, subsets: int = SUBSETS, size: int = SUBSET_SIZE, seed: int = 0
) -> Float64[Tensor, " k"]:
    """Unbiased squared MMD of random subsets, drawn without replacement inside each subset; their
    mean is the published form of the kernel distance.

    Args:
        real: features of real images.
        fake: features of synthetic images.
        subsets: number of subsets.
        size: images per subset and side; fewer where a set has fewer.
        seed: which images.

    Raises:
        UserError: sets that cannot be compared.
    """
    check_pair(real, fake)
    size = min(size, len(real), len(fake))
    streams = Streams(seed)
    values = []
    for index in range(subsets):
        x = real.values[streams.permutation("metrics/kid/real", index, len(real))[:size]]
        y = fake.values[streams.permutation("metrics/kid/fake", index, len(fake))[:size]]
        within = _within(x) + _within(y)
        values.append(within / (size * (size - 1)) - 2 * float(kernel(x, y).mean()))
    return torch.tensor(values, dtype=torch.float64)


def _within(x: Float[Tensor, "n d"]) -> float:
    every = kernel(x, x)
    return float(every.sum() - every.diagonal().sum())


def kernel_distance(real: Sample, fake: Sample, *, seed: int = 0) -> Value:
    """Unbiased squared MMD of all images, with an interval.

    Pairs of images of one group are left out, so the estimate stays unbiased where the images of a
    patient resemble each other; with one image per group it is the published estimator. It may be
    below 0. The interval is for the true squared MMD.

    Raises:
        UserError: sets that cannot be compared.
    """
    check_pair(real, fake)
    reason = too_few(real, fake, 2)
    if reason is None and min(real.group_count, fake.group_count) < 2:
        reason = "all images of a set come from one group, so they do not count as several cases"
    if reason is not None:
        return compared("kernel", None, real, fake, notes=(reason,))
    cut = plan(real.groups, fake.groups, most=BLOCKS, seed=seed)
    values, bias = distances(real, fake, cut)
    ends = squared_interval(values, cut, bias=bias)
    return compared("kernel", float(values[0]), real, fake, interval=ends, notes=(cut.reason,))


def distances(real: Sample, fake: Sample, cut: Plan) -> tuple[Float64[Tensor, " e"], float]:
    """Unbiased squared MMD of what every evaluation of a plan keeps.

    Returns:
        The distances, and what leaving out pairs of one group (and images with themselves) took
        off the first; with it, it is the squared length of a difference and never below 0.
    """
    keep, (x, y) = cut.kept.to(torch.float64), cut.blocks
    within, bias = torch.zeros(len(keep), dtype=torch.float64), 0.0
    for sample, blocks in ((real, x), (fake, y)):
        total, same = block_sums(sample, blocks, cut.count)
        means = _over_kept(keep, total) / _over_kept(keep, _pairs(sample, blocks, cut.count))
        within += means
        bias += (float(total.sum()) + same) / len(sample) ** 2 - float(means[0])
    total = cross_sums(real, fake, x, y, cut.count)
    pairs = torch.outer(*(torch.bincount(each, minlength=cut.count) for each in (x, y)))
    across = _over_kept(keep, total) / _over_kept(keep, pairs.to(torch.float64))
    return within - 2 * across, bias


def _over_kept(
    keep: Float64[Tensor, "e g"], table: Float64[Tensor, "g g"]
) -> Float64[Tensor, " e"]:
    """Sum of a table over the pairs of blocks that are both kept."""
    return ((keep @ table) * keep).sum(1)


def block_sums(
    sample: Sample, blocks: Int64[Tensor, " n"], count: int
) -> tuple[Float64[Tensor, "g g"], float]:
    """Sums of the kernel over pairs of images of different groups, for every two blocks, and the
    sum over pairs of one group.
    """
    hot = one_hot(blocks, count).to(torch.float64)
    total, own = torch.zeros(count, count, dtype=torch.float64), 0.0
    for start in range(0, len(sample), CHUNK):
        rows = slice(start, start + CHUNK)
        for other in range(0, start + 1, CHUNK):
            columns, twice = slice(other, other + CHUNK), 1 if start == other else 2
            values = kernel(sample.values[rows], sample.values[columns])
            same = sample.groups[rows, None] == sample.groups[None, columns]
            own += twice * float(values[same].sum())
            part = hot[rows].T @ (values.masked_fill_(same, 0) @ hot[columns])
            total += part if start == other else part + part.T
    return total, own


def _pairs(sample: Sample, blocks: Int64[Tensor, " n"], count: int) -> Float64[Tensor, "g g"]:
    """Numbers of pairs of images of different groups; a group lies in one block."""
    _, inverse, sizes = sample.groups.unique(return_inverse=True, return_counts=True)
    images = torch.bincount(blocks, minlength=count).to(torch.float64)
    same = torch.bincount(blocks, weights=sizes[inverse].to(torch.float64), minlength=count)
    return torch.outer(images, images) - torch.diag(same)


def cross_sums(
    real: Sample, fake: Sample, x: Int64[Tensor, " n"], y: Int64[Tensor, " m"], count: int
) -> Float64[Tensor, "g g"]:
    """Sums of the kernel between the sets, for a block of real and one of synthetic images."""
    left, right = (one_hot(blocks, count).to(torch.float64) for blocks in (x, y))
    total = torch.zeros(count, count, dtype=torch.float64)
    for start in range(0, len(real), CHUNK):
        rows = slice(start, start + CHUNK)
        for other in range(0, len(fake), CHUNK):
            columns = slice(other, other + CHUNK)
            values = kernel(real.values[rows], fake.values[columns])
            total += left[rows].T @ (values @ right[columns])
    return total


def _estimate(real: Sample, fake: Sample, seed: int) -> dict[str, Value]:
    return {"kernel": kernel_distance(real, fake, seed=seed)}


def _plain(real: Sample, fake: Sample) -> dict[str, float]:
    if min(real.group_count, fake.group_count) < 2:
        return {}
    return {"kernel": float(distances(real, fake, undivided(real.groups, fake.groups))[0][0])}


KERNEL = Measure("kernel", Source.FEATURES, _estimate, _plain)
