"""Permutation tests with whole groups (patients) as the unit.

Under the null hypothesis the groups of two sets could have been exchanged, so what chance does
follows from exchanging them at random. Images of one group stay together: they resemble each other
whatever is tested. The data themselves count as one of the permutations, so p is never 0.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64, Int, Int64
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams

# g group, c class, e permutation (row 0: the data themselves), s statistic, n m image

DRAWN_AT_ONCE = 1 << 21
"""Random numbers in memory at a time."""


@dataclass(frozen=True)
class PooledGroups:
    """The groups of two sets as one list; a number means another group in either set."""

    groups: Int64[Tensor, " n"]  # of every image, 0..g-1, those of the first set first
    of_second: Bool[Tensor, " g"]  # which groups are of the second set
    classes: Int64[Tensor, " n"]  # of every image, 0..c-1; 0 everywhere without labels
    table: Int64[Tensor, "g c"]  # images of every group in every class


Labels = tuple[Sequence[str], Sequence[str]]
"""Class of every image of two sets."""


def pool_groups(
    first: Int[Tensor, " n"], second: Int[Tensor, " m"], labels: Labels | None = None
) -> PooledGroups:
    """Number the groups and the classes of two sets.

    Args:
        first: group of every image of the first set, any integers.
        second: the same of the second set.
        labels: classes of both; None where there are none.

    Raises:
        UserError: not one label for every image.
    """
    if labels is not None and [len(each) for each in labels] != [len(first), len(second)]:
        raise UserError(
            f"{len(labels[0])} and {len(labels[1])} labels for {len(first)} and {len(second)} "
            "images: give one for every image"
        )
    known, ours = first.unique(return_inverse=True)
    others, theirs = second.unique(return_inverse=True)
    groups = torch.cat((ours, theirs + len(known)))
    names = [""] * len(groups) if labels is None else [*labels[0], *labels[1]]
    numbers = {name: number for number, name in enumerate(sorted(set(names)))}
    classes = torch.tensor([numbers[name] for name in names], dtype=torch.int64)
    count = len(known) + len(others)
    table = torch.bincount(groups * len(numbers) + classes, minlength=count * len(numbers))
    of_second = torch.arange(count) >= len(known)
    return PooledGroups(groups, of_second, classes, table.reshape(count, len(numbers)))


def permute_groups(
    member: Bool[Tensor, " g"], strata: Int64[Tensor, " g"], count: int, streams: Streams
) -> Bool[Tensor, "e g"]:
    """Exchange the groups of two sets at random within strata, which keep as many of either set.

    Args:
        member: which groups are of the one set.
        strata: such as the class or the fold of every group; 0 everywhere for none.
        count: how many permutations are added to the data.
        streams: where the order comes from; one stream per stratum.

    Returns:
        Members: row 0 as they are, then `count` permutations.
    """
    members = member.repeat(count + 1, 1)
    for stratum in strata.unique().tolist():
        places = (strata == stratum).nonzero()[:, 0]
        size = int(member[places].sum())
        members[1:, places] = random_subsets(len(places), size, count, streams, str(stratum))
    return members


def permute_labels(
    labels: Int64[Tensor, " g"], count: int, streams: Streams, stream: str
) -> Int64[Tensor, "e g"]:
    """Deal the labels (such as folds) of groups out anew: row 0 as they are, then `count` times."""
    dealt = [labels[order] for order in _orders(len(labels), count, streams, stream)]
    return torch.cat((labels[None], *dealt))


def random_subsets(
    places: int, size: int, count: int, streams: Streams, stream: str
) -> Bool[Tensor, "e g"]:
    """`size` of so many places, drawn `count` times."""
    parts = [torch.zeros(0, places, dtype=torch.bool)]
    for order in _orders(places, count, streams, stream):
        chosen = torch.zeros(order.shape, dtype=torch.bool)
        parts.append(chosen.scatter_(1, order[:, :size], True))
    return torch.cat(parts)


def _orders(
    places: int, count: int, streams: Streams, stream: str
) -> Iterator[Int64[Tensor, "_ g"]]:
    """Random orders, one per row, some rows at a time; how many does not change them."""
    step = max(1, DRAWN_AT_ONCE // max(places, 1))
    for rows in torch.arange(count).split(step):
        yield streams.uniform(stream, rows, (places,)).argsort(dim=1)


def arrangements(member: Bool[Tensor, " g"], strata: Int64[Tensor, " g"]) -> int:
    """How many different permutations of groups there are within strata."""
    inside = [member[strata == stratum] for stratum in strata.unique()]
    return math.prod(math.comb(len(each), int(each.sum())) for each in inside)


def p_value(observed: float, null: Float64[Tensor, " e"], *, slack: float = 0.0) -> float:
    """Share of the permutations, the data included, with a statistic as large.

    Args:
        observed: the statistic of the data.
        null: the statistic of every permutation, the data left out.
        slack: how much smaller still counts as equal, where sums are not taken in one order.
    """
    return (1 + int((null >= observed - slack).sum())) / (1 + len(null))


def joint_p_value(table: Float64[Tensor, "e s"]) -> float:
    """One p for several statistics of the data (row 0) and of every permutation, whose large values
    mean something.

    Source: Westfall and Young 1993, "Resampling-Based Multiple Testing", minimum p.
    """
    columns, ordered = table.T.contiguous(), table.T.sort(dim=1).values.contiguous()
    smallest = (len(table) - torch.searchsorted(ordered, columns)).amin(0)
    return p_value(-float(smallest[0]), -smallest[1:].to(torch.float64))


def groups_that_fit(
    sizes: Int64[Tensor, " g"], order: Int64[Tensor, " g"], room: int
) -> Bool[Tensor, " g"]:
    """Whole groups in a given order, passing over those for which there is no room any more, of so
    many images at most.
    """
    fits = torch.zeros(len(sizes), dtype=torch.bool)
    images = sizes.tolist()
    for group in order.tolist():
        if images[group] <= room:
            fits[group] = True
            room -= images[group]
    return fits
