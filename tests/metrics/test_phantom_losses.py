"""Phantoms know the truth: what is taken away from a set has to show where it should."""

import numpy as np
import pytest
import torch
from torch import Tensor

from synthograph.core.seeds import Streams
from synthograph.features.packaged import RANDOM
from synthograph.features.registry import extractor
from synthograph.metrics.defects import drop, narrow
from synthograph.metrics.measures import plain
from synthograph.metrics.probes import BY_LABEL, Labelled, coverage_per_class
from synthograph.sources.phantoms import PhantomOptions, make_phantoms

COUNT, POOL, FLOORS = 48, 220, 6
FACTOR = "diameter"


class Lesions:
    """Skin phantoms of one patient each, the first of them real ones, the others to choose from."""

    def __init__(self) -> None:
        made = make_phantoms(
            PhantomOptions(kind="skin", count=COUNT + POOL, size=16, images_per_patient=1)
        )
        pixels = np.stack([item.decode().modalities["image"] for item in made.items])
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
        self.features = extractor(RANDOM)(images)
        self.labels = torch.tensor([made.classes.index(item.label or "") for item in made.items])
        self.size = torch.tensor([float(item.columns[FACTOR]) for item in made.items])
        self.classes, self.pool = made.classes, torch.arange(COUNT, COUNT + POOL)
        self.real = self.subset(torch.arange(COUNT))

    def subset(self, rows: Tensor) -> Labelled:
        return Labelled(self.features[rows], torch.arange(len(rows)), self.labels[rows])

    def chosen(self, rows: Tensor, draw: int) -> Labelled:
        """As many images as real ones, out of some."""
        assert len(rows) >= COUNT
        return self.subset(rows[Streams(draw).permutation("chosen", 0, len(rows))[:COUNT]])


@pytest.fixture(scope="module")
def lesions() -> Lesions:
    return Lesions()


def recall(lesions: Lesions, fake: Labelled) -> float:
    return plain(lesions.real, fake, ["recall"])["recall"]


def test_a_lost_range_of_a_factor_lowers_recall(lesions: Lesions) -> None:
    floor = [recall(lesions, lesions.chosen(lesions.pool, i)) for i in range(FLOORS)]
    found = []
    for lost in (0.25, 0.5, 0.75):
        small = narrow(FACTOR, lesions.size, lost).select(lesions.pool, Streams(0))
        assert float(lesions.size[small].max()) < float(lesions.size.quantile(1 - lost)) + 0.5
        sets = [recall(lesions, lesions.chosen(small, 100 + i)) for i in range(3)]
        found.append(float(np.median(sets)))
    assert found[0] > found[1] > found[2]
    assert found[2] < min(floor) - 0.1, "only the small quarter of the lesions"


def test_real_images_that_are_not_reached_are_those_of_the_lost_range(lesions: Lesions) -> None:
    """Recall of the large real lesions falls, that of the small ones does not."""
    small = narrow(FACTOR, lesions.size, 0.75).select(lesions.pool, Streams(0))
    large = lesions.size[:COUNT] > lesions.size[small].max()
    whole, narrowed = lesions.chosen(lesions.pool, 0), lesions.chosen(small, 0)

    def reached(rows: Tensor, fake: Labelled) -> float:
        part = lesions.subset(torch.arange(COUNT)[rows])
        return plain(part, fake, ["recall"])["recall"]

    assert reached(large, whole) - reached(large, narrowed) > 0.3
    assert reached(~large, whole) - reached(~large, narrowed) < 0.1


@pytest.mark.parametrize("label", [0, 1])
def test_a_lost_class_shows_per_class(lesions: Lesions, label: int) -> None:
    """Overall the loss may go unseen, since the classes of these phantoms look much alike."""
    name = lesions.classes[label]
    probe = coverage_per_class(lesions.classes)
    floor = [probe.function(lesions.real, lesions.chosen(lesions.pool, i)) for i in range(FLOORS)]
    rest = drop(lesions.labels, label, name, 1.0).select(lesions.pool, Streams(0))
    lost = probe.function(lesions.real, lesions.chosen(rest, 0))
    other = lesions.classes[1 - label]
    lowest = {n: min(each[BY_LABEL, n] or 0.0 for each in floor) for n in lesions.classes}
    assert lost[BY_LABEL, name] == 0 < 0.5 < lowest[name]
    assert (lost[BY_LABEL, other] or 0.0) > lowest[other] - 0.1
