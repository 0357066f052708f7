"""What seeds of the same settings differ by."""

import math

import numpy as np
import pytest
from scipy import stats

from synthograph.workflows.search_analysis import noise_between


def test_noise_is_that_of_a_t_test_with_pooled_spread() -> None:
    """Against the interval of scipy's t test of two samples with equal variances."""
    one, other = [1.0, 1.4, 1.1], [2.0, 2.3, 2.6]
    noise = noise_between([one, other])
    assert noise is not None and noise.freedom == 4
    ends = stats.ttest_ind(one, other).confidence_interval(0.95)
    assert noise.of_difference(3) == pytest.approx((ends.high - ends.low) / 2)
    interval = noise.of_mean(1.0, 3)
    half = stats.t.ppf(0.975, 4) * noise.spread / math.sqrt(3)
    assert interval.high - interval.low == pytest.approx(2 * half)


def test_a_difference_of_the_same_settings_is_within_noise_in_95_percent() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.normal(0, 2, (2000, 3, 3))
    inside = [
        abs(each[0].mean() - each[1].mean()) <= noise.of_difference(3)
        for each in drawn
        if (noise := noise_between(each.tolist())) is not None
    ]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


def test_noise_needs_two_seeds() -> None:
    assert noise_between([]) is None and noise_between([[1.0], [2.0], []]) is None
