"""Nearest real images for any choice of patients, from tables that are computed once.

Nearest-neighbour tests compare training images with held-out ones. Whichever set is larger has the
nearer images, so training is cut down to the hold-out's size and mix of classes, along whole
patients, many times over. For that every image gets a list of the patients of the pool (training
and hold-out together), nearest first; the nearest image among any of them is then a look into that
list.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, Int64
from torch import Tensor

from synthograph.core.seeds import Streams
from synthograph.stats.nearest import squared_distances
from synthograph.stats.permutation import Labels, pool_groups
from synthograph.stats.sample import Sample

# n image of the pool, m other image, d feature, g group, c class, k place in a list, r row

CHUNK = 512
FIRST = 16
"""Places of a list that are looked at first; few images need more."""
SMALL_GROUP = 0.02
"""Share of a class's target up to which no group need be passed over for being too large."""
MISSED = 1e-6
"""Chance that none of a list's groups is among those that are chosen."""


@dataclass(frozen=True)
class Pool:
    """Training and held-out images together, those of a group one after the other."""

    values: Float[Tensor, "n d"]
    groups: Int64[Tensor, " n"]  # 0, 0, 1, 2, 2, ...
    table: Int64[Tensor, "g c"]  # images of every group in every class
    held: Bool[Tensor, " g"]

    @property
    def count(self) -> int:
        """Images."""
        return len(self.values)

    @cached_property
    def starts(self) -> np.ndarray:
        """First image of every group."""
        sizes = self.table.sum(1)
        return (sizes.cumsum(0) - sizes).numpy()

    @cached_property
    def single(self) -> bool:
        """Whether no group has images of two classes."""
        return bool(((self.table > 0).sum(1) <= 1).all())

    @cached_property
    def cells(self) -> list[list[tuple[int, int]]]:
        """Of every group, its classes and how many images it has of them."""
        return [[(c, n) for c, n in enumerate(row) if n] for row in self.table.tolist()]

    def rows(self, chosen: Bool[Tensor, " g"]) -> Int64[Tensor, " r"]:
        """Images of the chosen groups."""
        return chosen[self.groups].nonzero()[:, 0]

    def list_length(self) -> int:
        """Groups that a list must name so that one of them is nearly always among those chosen."""
        groups, fewest = len(self.held), float(len(self.held))
        images = [int(self.table[side].sum()) for side in (self.held, ~self.held)]
        for side, here in zip((self.held, ~self.held), images, strict=True):
            fewest = min(fewest, int(side.sum()) * min(images) / max(here, 1))
        share = fewest / groups
        if share >= 0.5:
            return min(groups, 8 * FIRST)
        return min(groups, max(FIRST, math.ceil(math.log(MISSED) / math.log(1 - share))))


def pool_of(train: Sample, holdout: Sample, labels: Labels | None = None) -> Pool:
    """Put two sets together. Groups of one are never groups of the other.

    Raises:
        UserError: not one label for every image.
    """
    pooled = pool_groups(train.groups, holdout.groups, labels)
    order = torch.argsort(pooled.groups, stable=True)
    values = torch.cat((train.values, holdout.values))[order]
    return Pool(values, pooled.groups[order], pooled.table, pooled.of_second)


@dataclass(frozen=True)
class Ranked:
    """For every image the groups of a pool, nearest first."""

    squared: Float32[Tensor, "m k"]  # distance to the nearest image of each group
    groups: Int64[Tensor, "m k"]
    images: Int64[Tensor, "m k"]  # number of that image in the pool

    def nearest(
        self, chosen: Bool[Tensor, " g"], rows: Int64[Tensor, " r"] | None = None
    ) -> tuple[Float32[Tensor, " r"], Int64[Tensor, " r"]]:
        """The nearest image among chosen groups.

        Args:
            chosen: which groups of the pool count.
            rows: of which images; all by default.

        Returns:
            Squared distance, and the number of that image in the pool. An image with no chosen
            group in its list gets the end of its list, which is too near; see `MISSED`.
        """
        rows = torch.arange(len(self.squared)) if rows is None else rows
        hit = chosen[self.groups[rows, :FIRST]]
        place = hit.to(torch.uint8).argmax(1)
        far = (~hit.any(1)).nonzero()[:, 0]
        if len(far):
            hit = chosen[self.groups[rows[far]]]
            last = torch.full_like(far, hit.shape[1] - 1)
            place[far] = torch.where(hit.any(1), hit.to(torch.uint8).argmax(1), last)
        return self.squared[rows, place], self.images[rows, place]


def rank(
    values: Float[Tensor, "m d"], pool: Pool, *, own: Int64[Tensor, " m"] | None = None
) -> Ranked:
    """List the groups of a pool by distance.

    Args:
        values: features of the images that get a list.
        pool: whose groups.
        own: group of every image, which its list leaves out: images of one patient are near each
            other without anything having been copied.
    """
    centre = pool.values.to(torch.float64).mean(0)
    points = pool.values.to(torch.float64) - centre
    length, found = pool.list_length(), []
    number = torch.arange(pool.count)
    for start in range(0, len(values), CHUNK):
        some = values[start : start + CHUNK].to(torch.float64) - centre
        squared = squared_distances(some, points)
        if own is not None:
            same = own[start : start + CHUNK, None] == pool.groups[None]
            squared.masked_fill_(same, torch.inf)
        # floats that are not negative have the order of their bits, so one minimum finds both
        # the distance and the image
        packed = (squared.view(torch.int32).to(torch.int64) << 32) | number
        nearest = torch.from_numpy(np.minimum.reduceat(packed.numpy(), pool.starts, axis=1))
        found.append(nearest.topk(length, largest=False, sorted=True).values)
    every = torch.cat(found)
    images = every & 0xFFFFFFFF
    squared = (every >> 32).to(torch.int32).view(torch.float32)
    return Ranked(squared, pool.groups[images], images)


@dataclass(frozen=True)
class Draw:
    """Two choices of groups with about as many images of every class."""

    train: Bool[Tensor, " g"]
    holdout: Bool[Tensor, " g"]


def draws(
    pool: Pool, held: Bool[Tensor, " g"], count: int, streams: Streams, number: int = 0
) -> list[Draw]:
    """Cut the larger side down to the smaller one's size and mix of classes, along whole groups.

    Args:
        pool: both sides.
        held: groups that count as held out; the others count as training.
        count: how often.
        streams: where the order comes from.
        number: of this way to hold out, so that each has draws of its own.
    """
    ours, theirs = pool.table[~held].sum(0), pool.table[held].sum(0)
    target = torch.minimum(ours, theirs)
    found = []
    for draw in range(count):
        sides = []
        for name, side, images in (("train", ~held, ours), ("holdout", held, theirs)):
            if bool((images == target).all()):
                sides.append(side)
                continue
            order = streams.permutation(f"draw/{name}/{number}", draw, len(held))
            sides.append(choose(pool, side, target, order))
        found.append(Draw(*sides))
    return found


def choose(
    pool: Pool, allowed: Bool[Tensor, " g"], target: Int64[Tensor, " c"], order: Int[Tensor, " g"]
) -> Bool[Tensor, " g"]:
    """The `allowed` groups with about as many images of every class as `target`, looked at in this
    order.
    """
    order = order[allowed[order]]
    chosen = torch.zeros(len(allowed), dtype=torch.bool)
    needed = target[target > 0]
    if pool.single and len(needed) and int(pool.table.max()) <= SMALL_GROUP * int(needed.min()):
        table = pool.table[order]
        # twice the sum up to the middle of a group: more than half of it has to fit
        fits = 2 * table.cumsum(0) - table < 2 * target
        chosen[order] = (fits & (table > 0)).any(1)
        return chosen
    chosen[_nearer(pool.cells, target.tolist(), order.tolist())] = True
    return chosen


def _nearer(
    cells: Sequence[Sequence[tuple[int, int]]], lack: list[int], order: Sequence[int]
) -> list[int]:
    """Groups in their order: first those that exceed the target in no class, then those that bring
    the numbers of images, of every class and in all, nearer to it.
    """
    taken, over = [], []
    for group in order:
        if all(lack[c] >= n for c, n in cells[group]):
            taken.append(group)
            for c, n in cells[group]:
                lack[c] -= n
        else:
            over.append(group)
    total = sum(lack)
    for group in over:
        if total <= 0:
            break
        images = sum(n for _, n in cells[group])
        gain = abs(total) - abs(total - images)
        gain += sum(abs(lack[c]) - abs(lack[c] - n) for c, n in cells[group])
        if gain > 0:
            taken.append(group)
            total -= images
            for c, n in cells[group]:
                lack[c] -= n
    return taken


def permute_groups(pool: Pool, count: int, streams: Streams) -> list[Bool[Tensor, " g"]]:
    """Other ways to hold out about as many images of every class, groups exchanged at random."""
    target, every = pool.table[pool.held].sum(0), torch.ones_like(pool.held)
    return [
        choose(pool, every, target, streams.permutation("exchange", number, len(every)))
        for number in range(count)
    ]
