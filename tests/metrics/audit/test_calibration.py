"""Thresholds keep their rate, counts are tested exactly, groups weigh what they should."""

import pytest
import torch
from scipy.stats import binom

from synthograph.metrics.audit.calibration import (
    clopper_pearson,
    design_effect,
    excess,
    threshold_by_tail,
    threshold_of,
    upper_limit,
)


def draws(count: int, seed: int) -> torch.Tensor:
    return -torch.rand(count, generator=torch.Generator().manual_seed(seed)).log()


@pytest.mark.parametrize(
    ("count", "how"),
    [(100, threshold_of), (400, threshold_of), (1000, threshold_by_tail)],
)
def test_extrapolated_thresholds_keep_their_rate(count: int, how) -> None:
    over = [float((draws(20000, s + 100) >= how(draws(count, s), 0.001).score).float().mean())
            for s in range(60)]  # fmt: skip
    assert sum(over) / 60 < 0.003
    assert sorted(over)[30] <= 0.0015


def test_many_images_fix_a_threshold_by_counting() -> None:
    scores = draws(20000, 1)
    threshold = threshold_of(scores, 0.001)
    assert not threshold.extrapolated
    assert threshold.above == 20 == int((scores >= threshold.score).sum())


def test_duplicates_move_the_tail_little() -> None:
    scores = draws(1000, 2)
    more = torch.cat((scores[:970], torch.full((30,), 50.0)))
    clean, dirty = (threshold_by_tail(each, 0.001).score for each in (scores, more))
    assert dirty < 2 * clean
    assert threshold_of(more, 0.001).score >= 50


def test_excess_is_exact_for_a_threshold_that_is_the_highest_real_score() -> None:
    # the chance that at least one of 5 new ones exceeds the largest of 20 is 5 / 25
    assert excess(1, 5, 1, 20) == pytest.approx(5 / 25)
    assert excess(0, 5, 1, 20) == 1


def test_excess_approaches_the_binomial_law() -> None:
    assert excess(8, 1000, 1e4, 1e7) == pytest.approx(binom.sf(7, 1000, 1e-3), rel=0.01)


def test_limits() -> None:
    assert upper_limit(0, 1000) == pytest.approx(3 / 1000, rel=0.01)
    assert clopper_pearson(10, 10) == (pytest.approx(0.6915, abs=1e-3), 1.0)


def test_copies_within_groups_count_once() -> None:
    values, groups = draws(50, 3), torch.arange(50)
    assert design_effect(values, groups) == 1
    assert design_effect(values.repeat_interleave(4), groups.repeat_interleave(4)) > 3.5
    assert design_effect(draws(200, 4), groups.repeat_interleave(4)) < 1.6
