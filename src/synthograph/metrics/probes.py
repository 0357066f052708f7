"""Measures as columns of a sensitivity table: plain numbers of two sets, without intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int, Int64
from torch import Tensor

from synthograph.metrics import manifold
from synthograph.metrics.measures import BY_NAME, plain
from synthograph.metrics.names import FEATURE_MEASURES
from synthograph.results.measures import Direction
from synthograph.stats.nearest import centre_of, nearest_squared
from synthograph.stats.sample import Sample

# n image, k image of a selection


@dataclass(frozen=True)
class Labelled(Sample):
    """Features with the class of every image; negative without a class."""

    labels: Int64[Tensor, " n"]

    def subset(self, rows: Int[Tensor, " k"] | Bool[Tensor, " n"]) -> "Labelled":
        """The images at `rows`, copied."""
        return Labelled(self.values[rows], self.groups[rows], self.labels[rows])


BY_LABEL, UNLABELLED = "coverage per class", "unlabelled per class"

Numbers = Mapping[tuple[str, str], float | None]
"""Column and part (such as a class; "" for the whole) to a number; None where there is none."""


@dataclass(frozen=True)
class Probe:
    """A function of two sets that fills one or more columns of the table.

    Attributes:
        columns: names, and which values are better.
        function: of real and synthetic images to numbers. A column notices what any of its parts
            does.
    """

    columns: Mapping[str, Direction]
    function: Callable[[Labelled, Labelled], Numbers]


def standard_probes(classes: Sequence[str] = ()) -> tuple[Probe, ...]:
    """Frechet and kernel distance, precision, recall, density and coverage, and with classes the
    coverage per class in both forms; without intervals, which would cost many times as much.

    Args:
        classes: names, in the order of the labels.
    """

    def function(real: Labelled, fake: Labelled) -> Numbers:
        found = plain(real, fake, FEATURE_MEASURES)
        return {(name, ""): number for name, number in found.items()}

    columns = {name: BY_NAME[name].about.better or Direction.LOW for name in FEATURE_MEASURES}
    per_class = [coverage_per_class(classes, unlabelled=free) for free in (False, True)]
    return (Probe(columns, function), *(per_class if classes else ()))


def coverage_per_class(classes: Sequence[str], *, unlabelled: bool = False) -> Probe:
    """Coverage of the real images of one class, a part for each class.

    By label it compares real with synthetic images of one class, as a set by itself. `unlabelled`
    asks whether any synthetic image lies in the ball of a real one of the class; balls then reach
    to neighbours of any class. That is for synthetic images without labels, or with labels that
    may be wrong, and sees a class only where no other looks like it.
    """

    def by_label(real: Labelled, fake: Labelled) -> Numbers:
        found = {}
        for label, name in enumerate(classes):
            ours, theirs = real.subset(real.labels == label), fake.subset(fake.labels == label)
            if len(ours) > manifold.DC_NEIGHBOURS:
                found[BY_LABEL, name] = _mean(covered(ours, theirs))
        return found

    def by_look(real: Labelled, fake: Labelled) -> Numbers:
        if len(real) <= manifold.DC_NEIGHBOURS:
            return {}
        inside, found = covered(real, fake), {}
        for label, name in enumerate(classes):
            ours = inside[real.labels == label]
            if len(ours):
                found[UNLABELLED, name] = _mean(ours)
        return found

    if unlabelled:
        return Probe({UNLABELLED: Direction.HIGH}, by_look)
    return Probe({BY_LABEL: Direction.HIGH}, by_label)


def _mean(values: Bool[Tensor, " n"]) -> float:
    return float(values.to(torch.float64).mean())


def covered(real: Sample, fake: Sample) -> Bool[Tensor, " n"]:
    """Which real images have a synthetic one in their ball (Naeem et al. 2020, equation 5).

    Args:
        real: features of more than `DC_NEIGHBOURS` real images.
        fake: features of synthetic images; there may be none.
    """
    values, centre = real.values, centre_of(real.values)
    own = nearest_squared(values, values, centre, k=manifold.DC_NEIGHBOURS, same=True)[:, -1]
    return nearest_squared(values, fake.values, centre)[:, 0] <= manifold.enlarged(own)
