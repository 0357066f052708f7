"""Shares of images that lie where the other set lies, by balls around nearest neighbours.

Every image has a ball that reaches to its k-th nearest neighbour in its own set.

- precision: share of synthetic images in the ball of a real image; recall: share of real images in
  the ball of a synthetic one (Kynkaanniemi et al. 2019, equations 1 and 2, k = 3);
- density: number of balls of real images that hold a synthetic image, divided by k; coverage: share
  of real images with a synthetic image in their ball (Naeem et al. 2020, equations 4 and 5, k = 5).

Distances are exact (`stats.nearest`).
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor

from synthograph.metrics.measure import Measure, Source
from synthograph.results.evaluation import Value, compared
from synthograph.stats.intervals import (
    Plan,
    halves_interval,
    halving_plan,
    share_interval,
    undivided,
)
from synthograph.stats.nearest import centre_of, keep_nearest, squared_distances
from synthograph.stats.sample import CHUNK, ByBlock, Sample, by_block, check_pair, too_few

# n real image, m synthetic image, d feature, g block, e evaluation, k neighbour

PR_NEIGHBOURS = 3
DC_NEIGHBOURS = 5


@dataclass(frozen=True)
class Manifold:
    """The four measures of two sets of images."""

    precision: Value
    recall: Value
    density: Value
    coverage: Value


def manifold_measures(real: Sample, fake: Sample, *, seed: int = 0) -> Manifold:
    """Precision, recall, density and coverage with intervals.

    The values depend on the numbers of images; the intervals are for their expectations at these
    numbers.

    Raises:
        UserError: sets that cannot be compared.
    """
    check_pair(real, fake)
    k_pr, k_dc = PR_NEIGHBOURS, DC_NEIGHBOURS
    reason = too_few(real, fake, max(k_pr, k_dc) + 1)
    if reason is not None:
        names = ("precision", "recall", "density", "coverage")
        return Manifold(*(compared(name, None, real, fake, notes=(reason,)) for name in names))
    cut = halving_plan(real.groups, fake.groups, seed=seed)
    fewest, needed = min(len(real), len(fake)), 4 * max(k_pr, k_dc)
    if cut.reason is None and fewest < needed:
        cut = replace(cut, reason=f"no interval: {fewest} images, at least {needed} are needed")
    counted = count(real, fake, cut, k_pr=k_pr, k_dc=k_dc)
    least = min(int(counted.n_real.min()), int(counted.n_fake.min()))
    if cut.reason is None and least <= max(k_pr, k_dc):  # balls without end, or none
        cut = replace(cut, reason=f"no interval: a half of the images has {least} of a set")
    density = counted.balls.to(torch.float64) / (k_dc * counted.n_fake)

    def share(
        name: str, hits: Int64[Tensor, " e"], images: Int64[Tensor, " e"], of: Sample
    ) -> Value:
        counts = {"hits": int(hits[0]), "images": int(images[0])}
        shares = hits.to(torch.float64) / images
        ends = share_interval(shares, cut, images=len(of), groups=of.group_count)
        return compared(
            name, float(shares[0]), real, fake, interval=ends, notes=(cut.reason,), counts=counts
        )

    return Manifold(
        precision=share("precision", counted.n_precise, counted.n_fake, fake),
        recall=share("recall", counted.n_recalled, counted.n_real, real),
        density=compared(
            "density",
            float(density[0]),
            real,
            fake,
            interval=halves_interval(density, cut),
            notes=(cut.reason,),
            counts={"balls": int(counted.balls[0]), "images": int(counted.n_fake[0])},
        ),
        coverage=share("coverage", counted.n_covered, counted.n_real, real),
    )


@dataclass(frozen=True)
class ManifoldCounts:
    """Whole numbers behind the four measures, for every evaluation of a plan."""

    n_real: Int64[Tensor, " e"]  # real images kept
    n_fake: Int64[Tensor, " e"]  # synthetic images kept
    n_precise: Int64[Tensor, " e"]  # synthetic images in the ball of a real one
    n_recalled: Int64[Tensor, " e"]  # real images in the ball of a synthetic one
    balls: Int64[Tensor, " e"]  # pairs of a synthetic image and a ball of a real one that holds it
    n_covered: Int64[Tensor, " e"]  # real images with a synthetic image in their ball


def count(real: Sample, fake: Sample, cut: Plan, *, k_pr: int, k_dc: int) -> ManifoldCounts:
    """Count what lies in which ball, for every evaluation of a plan."""
    centre = centre_of(real.values)
    ours, theirs = by_block(real, cut.blocks[0]), by_block(fake, cut.blocks[1])
    owner = (cut.blocks[0][ours.order], cut.blocks[1][theirs.order])
    near = neighbours(ours, cut.count, max(k_pr, k_dc), centre)
    far = neighbours(theirs, cut.count, k_pr, centre)
    real_pr, real_dc = (radii(near, k, cut.kept, owner[0]) for k in (k_pr, k_dc))
    fake_pr = radii(far, k_pr, cut.kept, owner[1])
    evaluations = len(cut.kept)
    precise = torch.zeros(len(fake), evaluations, dtype=torch.bool)
    recalled = torch.zeros(len(real), evaluations, dtype=torch.bool)
    balls = torch.zeros(evaluations, dtype=torch.int64)
    nearest = torch.full((len(real), cut.count), torch.inf)
    for start in range(0, len(real), CHUNK):  # images that are not kept have balls of radius -1
        rows = slice(start, start + CHUNK)
        x = ours.rows(start, start + CHUNK).values.to(torch.float64) - centre
        for b, *other in theirs.spans:
            columns = slice(*other)
            squared = squared_distances(x, theirs.rows(*other).values.to(torch.float64) - centre)
            nearest[rows, b] = torch.minimum(nearest[rows, b], squared.amin(1))
            for e in cut.kept[:, b].nonzero()[:, 0].tolist():
                precise[columns, e] |= (squared <= real_pr[rows, e, None]).any(0)
                recalled[rows, e] |= (squared <= fake_pr[columns, e]).any(1)
                balls[e] += (squared <= real_dc[rows, e, None]).count_nonzero()
    return ManifoldCounts(
        n_real=cut.kept[:, owner[0]].sum(1),
        n_fake=cut.kept[:, owner[1]].sum(1),
        n_precise=precise.sum(0),
        n_recalled=(recalled & cut.kept.T[owner[0]]).sum(0),
        balls=balls,
        n_covered=_covered(nearest, real_dc, cut.kept),
    )


def _covered(
    nearest: Float32[Tensor, "n g"], radius: Float32[Tensor, "n e"], kept: Bool[Tensor, "e g"]
) -> Int64[Tensor, " e"]:
    """Real images whose nearest synthetic image, among the blocks kept, is in their ball."""
    covered = [
        (nearest.masked_fill(~blocks, torch.inf).amin(1) <= radius[:, e]).sum()
        for e, blocks in enumerate(kept)
    ]
    return torch.stack(covered)


@dataclass(frozen=True)
class Neighbours:
    """The nearest images of every image of its own set, nearest first, itself left out."""

    squared: Float32[Tensor, "n c"]  # distances; infinite where there are no more images
    blocks: Int64[Tensor, "n c"]  # of every neighbour


def neighbours(points: ByBlock, count: int, k: int, centre: Float64[Tensor, " d"]) -> Neighbours:
    """The k nearest images of every image in each block: enough, whichever blocks are left out."""
    table = torch.full((len(points.sample), count, k), torch.inf)
    for place, (a, *span) in enumerate(points.spans):
        x = points.rows(*span).values.to(torch.float64) - centre
        for b, *other in points.spans[: place + 1]:
            squared = squared_distances(x, points.rows(*other).values.to(torch.float64) - centre)
            if span == other:
                squared.fill_diagonal_(torch.inf)
            else:
                keep_nearest(table[slice(*other), a], squared.T)
            keep_nearest(table[slice(*span), b], squared)
    squared, places = table.flatten(1).sort(dim=1)
    return Neighbours(squared, places // k)


def radii(
    near: Neighbours, k: int, kept: Bool[Tensor, "e g"], owner: Int64[Tensor, " n"]
) -> Float32[Tensor, "n e"]:
    """Squared radius of every image's ball when only some blocks are kept.

    Args:
        near: neighbours in plenty.
        k: which neighbour the ball reaches.
        kept: blocks of every evaluation.
        owner: block of every image.

    Returns:
        Squared radii, one unit of rounding larger, so that a tie is inside; -1 for images that are
        not kept, whose balls hold nothing.
    """
    columns = []
    for blocks in kept:
        alive = blocks[near.blocks] & near.squared.isfinite()
        kth = alive & (alive.cumsum(1) == k)
        radius = torch.where(kth, near.squared, torch.inf).amin(1)
        columns.append(enlarged(radius).masked_fill(~blocks[owner], -1))
    return torch.stack(columns, dim=1)


def enlarged(radius: Float32[Tensor, " n"]) -> Float32[Tensor, " n"]:
    """Larger by one unit of rounding, so that a tie is inside."""
    return torch.nextafter(radius, torch.full_like(radius, torch.inf))


def _estimate(real: Sample, fake: Sample, seed: int) -> dict[str, Value]:
    return vars(manifold_measures(real, fake, seed=seed))


def _plain(real: Sample, fake: Sample) -> dict[str, float]:
    if min(len(real), len(fake)) <= max(PR_NEIGHBOURS, DC_NEIGHBOURS):
        return {}
    whole = undivided(real.groups, fake.groups)
    counted = count(real, fake, whole, k_pr=PR_NEIGHBOURS, k_dc=DC_NEIGHBOURS)
    return {
        "precision": int(counted.n_precise[0]) / len(fake),
        "recall": int(counted.n_recalled[0]) / len(real),
        "density": int(counted.balls[0]) / (DC_NEIGHBOURS * len(fake)),
        "coverage": int(counted.n_covered[0]) / len(real),
    }


PRECISION, DENSITY = (
    Measure(name, Source.FEATURES, _estimate, _plain) for name in ("precision", "density")
)
RECALL, COVERAGE = (
    Measure(name, Source.FEATURES, _estimate, _plain, of_real_parts=True)
    for name in ("recall", "coverage")
)
