"""All measures of two sets of rows at once: with intervals, plain for floors, and the floors."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from synthograph.core.seeds import Streams
from synthograph.metrics import frechet, kernel, manifold
from synthograph.metrics.names import SIMILARITY, SPECTRUM
from synthograph.metrics.result import Value
from synthograph.metrics.spectrum import spectrum_difference
from synthograph.stats.intervals import Plan, halve, interval, means, plan
from synthograph.stats.nearest import centre_of
from synthograph.stats.permutation import groups_that_fit
from synthograph.stats.sample import Sample

SPLITS = 3
"""Cuts into halves whose mean is a floor."""
MAX_HALF = 5000
"""Images in a half at most: the time grows with its square."""
LARGE_BIAS = 0.1
"""Share of a Frechet distance above which its bias is worth a word."""
SHARES = ("precision", "recall", "density", "coverage")


def compare(real: Sample, fake: Sample, wanted: Collection[str], *, seed: int = 0) -> list[Value]:
    """The measures of features that are wanted, with intervals.

    Args:
        real: features of real images.
        fake: features of generated images.
        wanted: names out of `names.FEATURE_MEASURES`.
        seed: which groups share a block.

    Raises:
        UserError: sets that cannot be compared.
    """
    values = []
    if "frechet" in wanted:
        value = frechet.frechet_distance(real, fake, seed=seed)
        values.append(value.noted(*_bias(real, fake, value, seed)))
    if "kernel" in wanted:
        values.append(kernel.kernel_distance(real, fake, seed=seed))
    if any(name in wanted for name in SHARES):
        found = manifold.manifold_measures(real, fake, seed=seed)
        values += [getattr(found, name) for name in SHARES if name in wanted]
    return values


def _bias(real: Sample, fake: Sample, value: Value, seed: int) -> list[str]:
    """A sentence where much of a Frechet distance comes from the number of images."""
    if value.value is None or value.value <= 0:
        return []
    beyond = frechet.extrapolate(real, fake, seed=seed)
    if beyond is None or beyond.bias <= LARGE_BIAS * value.value:
        return []
    share = min(beyond.bias / value.value, 1.0)
    thirds = min(len(real), len(fake)) // max(frechet.PARTS)
    least = ", or even less: thirds of the sets have fewer images than features"
    return [
        f"{share:.0%} of it is bias of the number of images; with endless images about "
        f"{max(beyond.limit, 0.0):.3g}{least if thirds <= real.features else ''}"
    ]


def plain(real: Sample, fake: Sample, wanted: Collection[str]) -> dict[str, float]:
    """The same measures as bare numbers, where there are images enough, and `spectrum` for rows
    that are spectra.
    """
    found: dict[str, float] = {}
    fewest = min(len(real), len(fake))
    cut = _undivided(real, fake)
    if "frechet" in wanted and fewest >= 2:
        found["frechet"] = frechet.distance(frechet.moments(real), frechet.moments(fake))
    if "kernel" in wanted and min(real.group_count, fake.group_count) >= 2:
        found["kernel"] = float(kernel.distances(real, fake, cut)[0][0])
    if SPECTRUM in wanted and fewest >= 1:
        gap = centre_of(fake.values) - centre_of(real.values)
        found[SPECTRUM] = float(gap.square().mean().sqrt())
    k_pr, k_dc = manifold.PR_NEIGHBOURS, manifold.DC_NEIGHBOURS
    if any(name in wanted for name in SHARES) and fewest > max(k_pr, k_dc):
        counted = manifold.count(real, fake, cut, k_pr=k_pr, k_dc=k_dc)
        every = {
            "precision": int(counted.n_precise[0]) / len(fake),
            "recall": int(counted.n_recalled[0]) / len(real),
            "density": int(counted.balls[0]) / (k_dc * len(fake)),
            "coverage": int(counted.n_covered[0]) / len(real),
        }
        found |= {name: number for name, number in every.items() if name in wanted}
    return found


def _undivided(*samples: Sample) -> Plan:
    """A plan of one block: nothing is left out."""
    blocks = tuple(torch.zeros(len(sample), dtype=torch.int64) for sample in samples)
    return Plan(torch.ones(1, 1, dtype=torch.bool), blocks, torch.ones(1, dtype=torch.float64))


@dataclass(frozen=True)
class Floor:
    """What a measure says where there is nothing to find: one half of the real images against the
    other, cut by group; and what it says of generated images at the same numbers.

    Attributes:
        value: mean over the cuts.
        low: smallest of them.
        high: largest of them.
        same: mean of the measure between the first halves and as many generated images as the
            second halves have; None where there are fewer.
        n: images in the two halves, on average.
        splits: number of cuts.
    """

    value: float
    low: float
    high: float
    same: float | None
    n: tuple[int, int]
    splits: int

    def json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "same_n": self.same,
            "n": list(self.n),
            "splits": self.splits,
        }


def floors(
    real: Sample, fake: Sample, wanted: Collection[str], *, splits: int = SPLITS, seed: int = 0
) -> dict[str, Floor]:
    """The floor of every measure that can be had at half the number of real images.

    Args:
        real: rows of real images.
        fake: rows of generated images.
        wanted: names of measures.
        splits: cuts into halves.
        seed: which groups are in which half.
    """
    if real.group_count < 2 or not wanted:
        return {}
    streams = Streams(seed)
    between: dict[str, list[float]] = {}
    same: dict[str, list[float]] = {}
    sizes = []
    for split in range(splits):
        second = halve(real.groups, streams, split)
        one, other = (real.subset(half.nonzero()[:MAX_HALF, 0]) for half in (~second, second))
        sizes.append((len(one), len(other)))
        _collect(between, plain(one, other, wanted))
        if len(fake) >= len(other):
            order = streams.permutation("metrics/floor", split, len(fake))[: len(other)]
            _collect(same, plain(one, fake.subset(order.sort().values), wanted))
    n = (sum(a for a, _ in sizes) // splits, sum(b for _, b in sizes) // splits)
    return {
        name: Floor(
            value=sum(found) / len(found),
            low=min(found),
            high=max(found),
            same=sum(same[name]) / len(same[name]) if name in same else None,
            n=n,
            splits=splits,
        )
        for name, found in between.items()
    }


def _collect(into: dict[str, list[float]], found: dict[str, float]) -> None:
    for name, number in found.items():
        into.setdefault(name, []).append(number)


def matched(sample: Sample, count: int, *, seed: int = 0) -> Sample:
    """At most `count` images of a sample, along whole groups in random order: measures of different
    numbers of images do not compare.
    """
    if len(sample) <= count:
        return sample
    _, inverse, sizes = sample.groups.unique(return_inverse=True, return_counts=True)
    order = Streams(seed).permutation("metrics/matched", 0, len(sizes))
    return sample.subset(groups_that_fit(sizes, order, count)[inverse])


def spectrum_value(real: Sample, fake: Sample, *, seed: int = 0) -> Value:
    """The spectrum difference of rows of spectra."""
    return spectrum_difference(real, fake, seed=seed)


def similarity_value(
    similar: Float[Tensor, " n"], notes: Sequence[str] = (), *, seed: int = 0
) -> Value:
    """Mean similarity of pairs from a column of `columns.similarity_column`, with an interval.

    Args:
        similar: of every image; negative where it has no pair.
        notes: what else to say.
        seed: which pairs share a block.
    """
    found = similar[similar >= 0]
    if not len(found):
        reason = "no two images to compare" if len(similar) else "no generated images"
        return Value(SIMILARITY, None, n_fake=len(similar), notes=(reason, *notes))
    cut = plan(torch.arange(len(found)), pairs=0, seed=seed)
    said = notes if cut.reason is None else (cut.reason, *notes)
    return Value(
        SIMILARITY,
        float(found.to(torch.float64).mean()),
        interval(means(found, cut), cut, low=0.0),
        n_fake=len(similar),
        notes=tuple(said),
        counts={"pairs": len(found)},
    )
