"""Whether synthetic images lie nearer to training images than to images that were held out.

Five ways to ask, all about features, all with training cut down to the hold-out's size and mix of
classes along whole patients, on average over many draws:

- nearer: share of synthetic images whose nearest training image is nearer than their nearest
  held-out one; with nothing memorised 50 %. Beside it the mean ratio of both distances,
  and the share of those at less than half the distance (less the share of the contrary);
- adversarial accuracy: how well a nearest neighbour tells synthetic from held-out images, less the
  same for training images ("privacy loss", Yale et al. 2020, "Generation and evaluation of privacy
  preserving synthetic health data", Neurocomputing 416, equations 1 and 2);
- authenticity: share of synthetic images that are farther from the nearest training image than this
  is from its own nearest neighbour (Alaa et al. 2022, "How faithful is your synthetic data?",
  section 4), held-out less training images;
- data copying: C_T (Meehan, Chaudhuri and Dasgupta 2020, "A non-parametric test to detect
  data-copying in generative models", section 4): rank test of the distances to training images of
  synthetic against held-out images, in every cell of the space; less the same with both sides in
  each other's place, since C_T alone also says how good synthetic images are. Cells are those of
  all real images rather than of training images, so that they do not depend on which were held out.

Two images of one patient are never neighbours of each other, since they resemble each other
whatever a generator does.

What chance does follows from exchanges: had the generator memorised nothing, patients that were
trained on and patients that were held out could have changed places. Every test is repeated for
random exchanges of whole patients, the synthetic images staying as they are, so neither likeness
of images of one patient nor likeness of synthetic images narrows an interval. Exchanges assume
that patients were held out at random.
"""

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.core.progress import Track
from synthograph.core.seeds import Streams
from synthograph.metrics.audit.findings import DRAWS, PermutedTests
from synthograph.metrics.audit.neighbours import (
    Draw,
    Pool,
    Ranked,
    draws,
    permute_groups,
    pool_of,
    rank,
)
from synthograph.stats.intervals import MIN_GROUPS
from synthograph.stats.nearest import nearest_squared, squared_distances
from synthograph.stats.permutation import Labels, groups_that_fit
from synthograph.stats.sample import Sample, check_pair

# n image of the pool, m synthetic image, d feature, g group, t test, b exchange

EXCHANGES = 199
MAX_SYNTHETIC = 2000
MAX_REAL = 5000
"""Images that take part at most; the time grows with their product."""
MIN_GROUPS_KEPT = 10
"""Held-out groups that fit into half of `MAX_REAL`, however many images they have: of larger ones
a part is drawn, in training as well, or the two sides would not be alike."""
MAX_CELLS = 5
PER_CELL = 50
MIN_IN_CELL = 20
BINS = 30
MAX_RATIO = 10.0
"""Ratios of distances count up to this, so that equal images do not outweigh all others."""
QUARTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


def too_small(train: Sample, holdout: Sample) -> str | None:
    """Why sets are too small for any test, or None."""
    for sample, what in ((train, "training"), (holdout, "held-out")):
        if sample.group_count < MIN_GROUPS:
            return (
                f"{sample.group_count} groups of {what} images: at least {MIN_GROUPS} are needed "
                "to know what chance does"
            )
    return None


def measure(
    train: Sample,
    holdout: Sample,
    synthetic: Sample,
    *,
    extractor: str,
    labels: Labels | None = None,
    seed: int = 0,
    exchanges: int = EXCHANGES,
    track: Track = lambda items, total: items,
) -> PermutedTests:
    """Compute all tests for one extractor, as they are and under exchanges.

    Args:
        train: features of training images, with their patients.
        holdout: features of held-out images, with their patients, none of whom was trained on.
        synthetic: features of images of the generator.
        extractor: name of the features.
        labels: class of every training and every held-out image; None without classes.
        seed: of draws, exchanges and cells.
        exchanges: how many; at least 39 for an interval.
        track: shows progress, in exchanges.

    Raises:
        UserError: features that do not fit each other, or too few groups.
    """
    before, streams = (train, holdout, synthetic), Streams(seed).under("audit")
    train, holdout, labels = _cut(train, holdout, labels, streams)
    reason = too_small(train, holdout)
    if reason is not None:
        raise UserError(f"{reason}; add patients, or hold out fewer")
    for sample in (train, holdout):
        check_pair(sample, synthetic)
    synthetic = synthetic.subset(torch.arange(min(len(synthetic), MAX_SYNTHETIC)))
    tables = _distance_tables(train, holdout, synthetic, labels, streams)
    ways = permute_groups(tables.pool, exchanges, streams)
    rows = [
        tables.tests(draws(tables.pool, held, DRAWS, streams, number + 1))
        for number, held in track(list(enumerate(ways)), len(ways))
    ]
    ours = draws(tables.pool, tables.pool.held, DRAWS, streams)
    return PermutedTests(
        extractor,
        tables.tests(ours),
        torch.stack(rows),
        tables.detail(ours),
        tables.distances(ours),
        len(synthetic),
        tuple(_left_out(before, (train, holdout, synthetic))),
    )


@dataclass(frozen=True)
class DistanceTables:
    """Everything that a test looks up.

    `subset` are the synthetic images that adversarial accuracy takes, `within` the squared distance
    of each to the nearest other, `to_synthetic` that of every real image to the nearest of them.
    """

    pool: Pool
    synthetic: Ranked
    real: Ranked  # without their own groups
    to_synthetic: Float[Tensor, " n"]
    subset: Int64[Tensor, " s"]
    within: Float[Tensor, " s"]
    cells: Int64[Tensor, " _"]  # of every real image, then of every synthetic one

    def tests(self, ways: Sequence[Draw]) -> Float64[Tensor, " t"]:
        """Every test, on average over draws."""
        side = functools.cache(self.side)  # the smaller side is the same tensor in every draw
        rows = [self.compare(side(way.train), side(way.holdout)) for way in ways]
        return torch.tensor(rows, dtype=torch.float64).mean(0)

    def side(self, chosen: Bool[Tensor, " g"]) -> "_Side":
        """The numbers of one side."""
        images = self.pool.rows(chosen)
        squared, nearest = self.synthetic.nearest(chosen)
        real = self.real.nearest(chosen)[0]
        mine = _above(self.to_synthetic[images], real[images])
        theirs = _above(squared[self.subset], self.within)
        authentic = _above(squared, real[nearest])
        return _Side(images, squared, real, authentic, (mine + theirs) / 2)

    def compare(self, train: "_Side", holdout: "_Side") -> list[float]:
        """The tests in the order of `RULES`."""
        near, far = train.squared, holdout.squared
        ratio = _log_ratio(near, far).clamp(-math.log(MAX_RATIO), math.log(MAX_RATIO))
        much = (near < far / 4).double().mean() - (far < near / 4).double().mean()
        return [
            _above(far, near),
            float(ratio.double().mean()),
            float(much),
            holdout.adversarial - train.adversarial,
            holdout.authentic - train.authentic,
            self.copying(train, holdout) - self.copying(holdout, train),
        ]

    def copying(self, train: "_Side", other: "_Side") -> float:
        """C_T: mean over cells, by their share of the other real images, of the standardised U."""
        between = train.real[other.images]
        real, synthetic = self.cells[other.images], self.cells[self.pool.count :]
        n, m = (torch.bincount(c, minlength=MAX_CELLS).double() for c in (real, synthetic))
        # one sorted list for all cells, those of a cell between two whole numbers
        scale = 1 + max(float(between.max()), float(train.squared.max()))
        p = (real.double() + between.double() / scale).sort().values
        q = synthetic.double() + train.squared.double() / scale
        below = torch.searchsorted(p, q) + torch.searchsorted(p, q, right=True)
        u = torch.zeros_like(n).index_add_(0, synthetic, below.double() / 2)
        u -= (n.cumsum(0) - n) * m + n * m / 2
        used = torch.minimum(n, m) >= MIN_IN_CELL
        score = torch.where(used, n * u / (n * m * (n + m + 1) / 12).sqrt(), 0.0)
        return float(score.sum() / (n * used).sum().clamp_min(1))

    def detail(self, ways: Sequence[Draw]) -> dict[str, dict[str, Any]]:
        """The parts that tests are made of, on average over draws."""
        side = functools.cache(self.side)
        train, holdout = [side(way.train) for way in ways], [side(way.holdout) for way in ways]
        held = self.synthetic.nearest(self.pool.held)[0]
        others = self.synthetic.nearest(~self.pool.held)[0]

        def mean(numbers: Iterable[float]) -> float:
            return sum(numbers) / len(ways)

        return {
            "closer_to_training": {
                "training_images": mean(len(side.images) for side in train),
                "held_out_images": mean(len(side.images) for side in holdout),
                "with_all_training_images": _above(held, others),
            },
            "adversarial_accuracy": {
                "train": mean(side.adversarial for side in train),
                "holdout": mean(side.adversarial for side in holdout),
            },
            "authenticity": {
                "train": mean(side.authentic for side in train),
                "holdout": mean(side.authentic for side in holdout),
            },
            "data_copying": {
                "train": mean(map(self.copying, train, holdout)),
                "holdout": mean(map(self.copying, holdout, train)),
            },
        }

    def distances(self, ways: Sequence[Draw]) -> dict[str, Any]:
        """Nearest distances of synthetic images to both sides, over all draws, and of held-out
        images to training images.
        """
        near = torch.cat([self.synthetic.nearest(way.train)[0] for way in ways]).sqrt()
        far = torch.cat([self.synthetic.nearest(way.holdout)[0] for way in ways]).sqrt()
        real = [self.real.nearest(w.train, self.pool.rows(w.holdout))[0] for w in ways]
        every = self.synthetic.nearest(~self.pool.held)[0].sqrt()
        both = torch.cat((near, far))
        low, high = float(both.min()), float(both.max())
        high = high if high > low else low + 1.0
        counts = {
            name: (torch.histc(each, BINS, low, high) / len(each)).tolist()
            for name, each in (("to_train", near), ("to_holdout", far))
        }
        edges = torch.linspace(low, high, BINS + 1).tolist()
        return {
            "to_train": _quartiles(near),
            "to_holdout": _quartiles(far),
            "holdout_to_train": _quartiles(torch.cat(real).sqrt()),
            "to_all_training": _quartiles(every),
            "ratio": _quartiles(_log_ratio(near.square(), far.square()).exp()),
            "histogram": {"edges": edges, **counts},
        }


@dataclass(frozen=True)
class _Side:
    """One choice of real images, and the numbers of it that do not depend on the other side."""

    images: Int64[Tensor, " r"]
    squared: Float[Tensor, " m"]  # distance of every synthetic image to the nearest of them
    real: Float[Tensor, " n"]  # the same of every real image, to those of other groups
    authentic: float
    adversarial: float


def _above(x: Float[Tensor, " n"], y: Float[Tensor, " n"]) -> float:
    """Share of x that are above their y, ties half."""
    return float((x > y).double().mean() + (x == y).double().mean() / 2)


def _log_ratio(near: Float[Tensor, " m"], far: Float[Tensor, " m"]) -> Float[Tensor, " m"]:
    """Logarithm of the ratio of two distances, from their squares."""
    tiny = torch.finfo(torch.float32).tiny
    return (near.clamp_min(tiny).log() - far.clamp_min(tiny).log()) / 2


def _quartiles(values: Float[Tensor, " n"]) -> dict[str, float]:
    names = ("least", "lower", "median", "upper", "most")
    ends = torch.quantile(
        values.double()[:: max(1, len(values) // 1_000_000)],
        torch.tensor(QUARTILES, dtype=torch.float64),
    )
    return dict(zip(names, ends.tolist(), strict=True))


def _distance_tables(
    train: Sample, holdout: Sample, synthetic: Sample, labels: Labels | None, streams: Streams
) -> DistanceTables:
    values = synthetic.values
    pool = pool_of(train, holdout, labels)
    centre = pool.values.to(torch.float64).mean(0)
    fewest = min(int(pool.table[side].sum()) for side in (pool.held, ~pool.held))
    subset = streams.permutation("some", 0, len(values))[:fewest]
    return DistanceTables(
        pool=pool,
        synthetic=rank(values, pool),
        real=rank(pool.values, pool, own=pool.groups),
        to_synthetic=nearest_squared(pool.values, values[subset], centre)[:, 0],
        subset=subset,
        within=nearest_squared(values[subset], values[subset], centre, same=True)[:, 0],
        cells=_cells(pool.values, values, fewest, streams),
    )


def _cut(
    train: Sample, holdout: Sample, labels: Labels | None, streams: Streams
) -> tuple[Sample, Sample, Labels | None]:
    """As many groups as fit, and no more of one than of any other where there are too many."""
    limits = (MAX_REAL, MAX_REAL // 2)
    if len(train) <= limits[0] and len(holdout) <= limits[1]:
        return train, holdout, labels
    most_of_group = limits[1] // MIN_GROUPS_KEPT
    ours, theirs = (
        _fitting(sample.groups, most, most_of_group, streams)
        for sample, most in zip((train, holdout), limits, strict=True)
    )
    if labels is not None:
        labels = ([labels[0][row] for row in ours], [labels[1][row] for row in theirs])
    return train.subset(ours), holdout.subset(theirs), labels


def _fitting(
    groups: Int64[Tensor, " n"], most: int, most_of_group: int, streams: Streams
) -> Int64[Tensor, " r"]:
    """Images of groups in random order, passing over those for which there is no room."""
    _, group, sizes = groups.unique(return_inverse=True, return_counts=True)
    drawn = streams.permutation(f"most/{most}", 0, len(sizes))
    kept = groups_that_fit(sizes.clamp_max(most_of_group), drawn, most)
    mixed = streams.permutation(f"inside/{most}", 0, len(groups))
    order = mixed[group[mixed].argsort(stable=True)]
    place = torch.empty_like(group)
    place[order] = torch.arange(len(groups)) - (sizes.cumsum(0) - sizes)[group[order]]
    return (kept[group] & (place < most_of_group)).nonzero()[:, 0]


def _left_out(before: Sequence[Sample], after: Sequence[Sample]) -> Iterator[str]:
    """What the tests did not look at, in words."""
    for whole, part, what in zip(before, after, ("training", "held-out", "synthetic"), strict=True):
        if len(part) < len(whole):
            words = f"tests of nearest neighbours took {len(part)} of {len(whole)} {what} images"
            if what != "synthetic":
                words += f", of {part.group_count} of {whole.group_count} groups"
            yield words


def _cells(
    real: Float[Tensor, "n d"], synthetic: Float[Tensor, "m d"], fewest: int, streams: Streams
) -> Int64[Tensor, " _"]:
    """Cells of the space around means of real images (Lloyd 1982); of real, then synthetic ones."""
    count = max(1, min(MAX_CELLS, fewest // PER_CELL))
    points = real.to(torch.float64)
    shift = points.mean(0)
    points = points - shift
    means = points[streams.permutation("cells", 0, len(points))[:count]]
    for _ in range(20):
        cell = squared_distances(points, means).argmin(1)
        sums = torch.zeros_like(means).index_add_(0, cell, points)
        sizes = torch.bincount(cell, minlength=count)[:, None]
        means = torch.where(sizes > 0, sums / sizes.clamp_min(1), means)
    return squared_distances(
        torch.cat((points, synthetic.to(torch.float64) - shift)), means
    ).argmin(1)
