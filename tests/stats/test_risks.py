"""Probabilities as risks: against definitions, a general optimiser, and what must not change."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from synthograph.stats import risks
from synthograph.stats.paired import group_weights


def case(n: int = 120, seed: int = 0):
    """Probabilities that are too extreme, and what came true."""
    rng = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, generator=rng, dtype=torch.float64)
    positive = torch.rand(n, generator=rng, dtype=torch.float64) < (0.5 * logits + 0.4).sigmoid()
    return logits.sigmoid(), positive, torch.arange(n) // 3


def risk(said, positive, groups):
    return risks.risk(said, positive, groups, group_weights(groups, 1000, 0))


def once(n: int) -> torch.Tensor:
    return torch.ones(1, n, dtype=torch.float64)


def test_slope_and_intercept_are_those_that_a_general_optimiser_finds() -> None:
    said, positive, _ = case()
    weights = torch.randint(3, (4, len(said)), generator=torch.Generator().manual_seed(1)).double()
    x, y = said.logit().numpy(), positive.double().numpy()
    slopes = risks.calibration_slope(said, positive, weights)
    shifts = risks.calibration_intercept(said, positive, weights)
    for row, slope, shift in zip(weights.numpy(), slopes, shifts, strict=True):

        def loss(at, row=row):
            z = torch.from_numpy(at[0] + (at[1] if len(at) == 2 else 1.0) * x)
            p = z.sigmoid().numpy()
            return -(row * np.log(np.where(y == 1, p, 1 - p))).sum()

        both = minimize(loss, [0.0, 1.0], tol=1e-12).x
        assert float(slope) == pytest.approx(both[1], abs=1e-4)
        assert float(shift) == pytest.approx(minimize(loss, [0.0], tol=1e-12).x[0], abs=1e-4)


def test_twice_the_logits_halve_the_slope_and_a_shift_moves_the_intercept() -> None:
    said, positive, _ = case()
    weights = once(len(said))
    slope = float(risks.calibration_slope(said, positive, weights))
    assert 0.2 < slope < 0.9
    doubled = (2 * said.logit()).sigmoid()
    assert float(risks.calibration_slope(doubled, positive, weights)) == pytest.approx(slope / 2)
    shift = float(risks.calibration_intercept(said, positive, weights))
    moved = (said.logit() - 3).sigmoid()
    assert float(risks.calibration_intercept(moved, positive, weights)) == pytest.approx(shift + 3)


def test_images_told_apart_without_error_have_an_intercept_and_no_slope() -> None:
    said = torch.tensor([0.1, 0.2, 0.7, 0.9], dtype=torch.float64)
    positive = torch.tensor([False, False, True, True])
    assert math.isnan(float(risks.calibration_slope(said, positive, once(4))))
    assert math.isfinite(float(risks.calibration_intercept(said, positive, once(4))))
    assert math.isnan(float(risks.calibration_intercept(said, torch.ones(4).bool(), once(4))))


@pytest.mark.parametrize("negatives", [1, 20, 34, 40])
def test_a_classifier_that_is_sure_and_right_has_no_slope(negatives: int) -> None:
    positive = torch.arange(60) >= negatives
    said = positive.double()
    for shown in (said, said * 0.9999 + 0.00005, 0.4 + 0.2 * said):
        assert math.isnan(float(risks.calibration_slope(shown, positive, once(60))))
    wrong = risks.calibration_slope(1 - said, positive, once(60))
    assert math.isnan(float(wrong))
    once_wrong = torch.where(torch.arange(60) == 0, 1.0, said)
    assert math.isnan(float(risks.calibration_slope(once_wrong, positive, once(60))))
    twice_wrong = torch.where(torch.arange(60) == 59, 0.0, once_wrong)
    found = float(risks.calibration_slope(twice_wrong, positive, once(60)))
    assert math.isnan(found) if negatives == 1 else 0 < found < 1


def test_probabilities_of_0_and_1_and_equal_ones_are_survived() -> None:
    said = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0, 0.0], dtype=torch.float64)
    positive = torch.tensor([False, True, False, True, True, False])
    slope = float(risks.calibration_slope(said, positive, once(6)))
    ends = math.log((1 - risks.LEAST) / risks.LEAST)
    assert slope == pytest.approx(math.log(2) / ends)  # two of three are right on either side
    even = torch.full((6,), 0.5, dtype=torch.float64)
    assert math.isnan(float(risks.calibration_slope(even, positive, once(6))))


def test_net_benefit_by_its_definition() -> None:
    said = torch.tensor([0.05, 0.3, 0.3, 0.8], dtype=torch.float64)
    positive = torch.tensor([False, True, False, True])
    found = risks.net_benefit(
        said, positive, once(4), torch.tensor([0.1, 0.3, 0.5], dtype=torch.float64)
    )
    expected = [(2 - 1 / 9) / 4, (2 - 3 / 7) / 4, 1 / 4]
    assert found[0].tolist() == pytest.approx(expected)


def test_weights_equal_repeated_images() -> None:
    said, positive, _ = case(40)
    counts = torch.randint(3, (40,), generator=torch.Generator().manual_seed(2))
    rows = torch.arange(40).repeat_interleave(counts)
    thresholds = torch.tensor([0.2, 0.6]).double()
    for compute in (
        risks.calibration_slope,
        risks.calibration_intercept,
        lambda p, own, w: risks.net_benefit(p, own, w, thresholds),
    ):
        weighted = compute(said, positive, counts[None].double())
        repeated = compute(said[rows], positive[rows], once(len(rows)))
        torch.testing.assert_close(weighted, repeated)


def test_a_perfect_probability_gains_what_acting_on_all_or_none_loses() -> None:
    positive = torch.arange(40) % 4 == 0
    found = risk(positive.double(), positive, torch.arange(40))
    assert found is not None
    assert found.share == 0.25
    assert [each.value for each in found.benefit] == pytest.approx([1.0] * 99)
    assert found.everyone[9] == pytest.approx((0.25 - 0.75 / 9) / 0.25)
    assert found.gain[9].value == pytest.approx(1 - found.everyone[9])
    assert found.gain[49].value == pytest.approx(1.0)
    ends = found.gain[0].interval
    assert ends is not None
    assert ends.low < 0 < ends.high  # at 0.01 the groups cannot show that none would be missed
    low, high = found.benefit[49].interval, found.benefit[94].interval
    assert low is not None and high is not None
    assert low.low < 0.9 and high.low < -1  # nor at 0.95 that there would be no false alarm
    assert math.isnan(found.slope.value)
    assert found.slope.interval is None


def test_intervals_draw_patients_not_images() -> None:
    said, positive, groups = case()
    one = risk(said, positive, groups)
    four = risk(*(each.repeat(4) for each in (said, positive, groups)))
    assert one is not None and four is not None
    for a, b in ((one.slope, four.slope), (one.intercept, four.intercept)):
        assert a.interval is not None and b.interval is not None
        assert (a.interval.low, a.interval.high) == pytest.approx((b.interval.low, b.interval.high))


def test_no_interval_with_four_patients_of_a_class_and_nothing_without_both_kinds() -> None:
    said, positive, groups = case()
    few = torch.where(positive, groups % 4, groups + 10)
    found = risk(said, positive, few)
    assert found is not None
    assert (found.slope.interval, found.benefit[0].interval) == (None, None)
    assert math.isfinite(found.slope.value)
    assert risk(said, torch.zeros_like(positive), groups) is None
