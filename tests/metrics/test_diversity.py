"""Spread and repetition, against plain computations."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch

from synthograph.metrics.diversity import repetition, spread
from synthograph.metrics.measures import plain
from synthograph.results.evaluation import Value
from synthograph.stats.sample import Sample
from tests.metrics.contract import MeasureContract
from tests.metrics.draws import gaussian


class TestSpread(MeasureContract):
    name = "spread"

    def rows(self, seed: int, count: int, *, shift: float = 0.0, per: int = 1) -> Sample:
        return nearer(super().rows(seed, count, per=per), shift)


class TestRepetition(MeasureContract):
    name = "repetition"

    def rows(self, seed: int, count: int, *, shift: float = 0.0, per: int = 1) -> Sample:
        return nearer(super().rows(seed, count, per=per), shift)


def nearer(sample: Sample, shift: float) -> Sample:
    """The same images nearer to one another."""
    return Sample(sample.values / (1 + shift), sample.groups)


def _pairs(sample: Sample) -> list[float]:
    """Distances of all pairs of different groups, one by one."""
    both = itertools.combinations(zip(sample.values, sample.groups, strict=True), 2)
    return [float((x - y).double().norm()) for (x, g), (y, h) in both if g != h]


def test_spread_is_the_ratio_of_mean_distances_of_pairs_of_different_groups() -> None:
    real, fake = gaussian(0, 13, 4, per=3, likeness=0.9), gaussian(1, 31, 4, shift=7.0)
    means = [
        sum(d * d for d in distances) / len(distances) for distances in map(_pairs, (fake, real))
    ]
    expected = math.sqrt(means[0] / means[1])
    assert spread(real, fake).value == pytest.approx(expected, rel=1e-9)
    assert plain(real, fake, ["spread"])["spread"] == pytest.approx(expected, rel=1e-9)


def test_repetition_counts_images_at_less_than_half_the_distance_of_real_ones() -> None:
    real, fake = gaussian(0, 60, 4), nearer(gaussian(1, 60, 4), 1.5)

    def nearest(sample: Sample) -> list[float]:
        far = torch.cdist(sample.values.double(), sample.values.double())
        return sorted(far.fill_diagonal_(math.inf).amin(1).tolist())

    limit = nearest(real)[2]  # the third of 60 real images: a twentieth
    twins = sum(distance <= limit / 2 + 1e-6 for distance in nearest(fake))
    assert 0 < twins < 60
    found = repetition(real, fake)
    assert found.counts == {"images": 60} and found.value == pytest.approx(twins / 60)


def test_sets_of_one_kind_are_as_varied_at_any_numbers() -> None:
    for count in (20, 100, 400):
        real, fake = gaussian(0, 100, 6, per=2, likeness=0.7), gaussian(1, count, 6)
        held, again = spread(real, fake), repetition(real, fake)
        assert held.interval is not None and 1.0 in held.interval
        assert again.interval is not None and again.interval.low == 0


def test_one_image_again_and_again_has_no_spread_and_twins_only() -> None:
    real = gaussian(0, 60, 5)
    one = Sample.singles(gaussian(1, 1, 5).values.repeat(60, 1))
    held, again = spread(real, one), repetition(real, one)
    assert held.value == pytest.approx(0, abs=1e-9)
    assert held.interval is not None and held.interval.high < 0.5
    assert again.value == 1 and again.interval is not None and again.interval.low > 0.5


def test_half_of_the_images_copied_shows_in_repetition_alone() -> None:
    real, fake = gaussian(0, 200, 5), gaussian(1, 200, 5)
    copied = Sample.singles(fake.values[:100].repeat(2, 1))
    held, again = spread(real, copied), repetition(real, copied)
    assert held.value == pytest.approx(1, abs=0.1)
    assert again.value == 1


def test_duplicates_among_real_images_excuse_none_among_synthetic_ones() -> None:
    values = gaussian(0, 100, 5).values
    some = Sample.singles(torch.where(torch.arange(100)[:, None] < 20, values[0], values))
    assert repetition(some, gaussian(1, 100, 5)).value == 0
    assert repetition(some, some).value == pytest.approx(0.2, abs=0.05)
    doubled = Sample.singles(values.repeat(2, 1))
    assert repetition(doubled, doubled).value == 0  # nothing to measure by


def test_real_images_that_are_all_but_equal_give_no_interval() -> None:
    values = torch.zeros(30, 4)
    values[0] = 1
    real = Sample(values, torch.arange(30) // 6)
    found = spread(real, gaussian(1, 40, 4))
    assert found.value is not None and found.interval is None
    assert found.notes == ("no interval: only a few real images differ from others",)


@pytest.mark.parametrize("measure", [spread, repetition])
def test_real_images_of_one_group_have_no_pairs(measure: Callable[..., Value]) -> None:
    real = Sample(gaussian(0, 40, 5).values, torch.zeros(40, dtype=torch.int64))
    found = measure(real, gaussian(1, 40, 5))
    assert found.value is None and "group" in found.notes[0]
    assert "differ" not in found.notes[0], "they may differ as much as they like"
