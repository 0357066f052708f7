"""Differences between conditions: right in simulated studies with patient and training effects."""

import math
from dataclasses import replace

import pytest
import torch

from docs.results.paired import normal
from docs.results.paired import study as simulated
from synthograph.core.errors import UserError
from synthograph.stats import paired
from synthograph.stats.intervals import quantile
from synthograph.stats.scores import (
    ACCURACY,
    AUROC,
    BALANCED_ACCURACY,
    BRIER,
    SENSITIVITY,
    SPECIFICITY,
    Predictions,
)


def study(seed: int, effect: float = 0.0, **settings: float) -> tuple[list, list]:
    """Two conditions with a few patients."""
    few = {"patients": 60, "images": 2, "training": 0.4}
    return simulated(torch.Generator().manual_seed(seed), effect, **{**few, **settings})


@pytest.mark.parametrize("training", [0.0, 0.5])
def test_two_names_for_one_condition_seldom_differ(training: float) -> None:
    ps = [
        paired.compare(AUROC, *study(seed, training=training), replicates=100, seed=seed).p
        for seed in range(40)
    ]
    assert sum(p < 0.05 for p in ps) <= 6  # of 40; more than 6 has p 0.003 at a true level of 5 %
    assert sum(p < 0.5 for p in ps) >= 8  # and the test is not one that never rejects


def test_one_generator_for_all_folds_is_one_draw_and_not_one_per_fold() -> None:
    """What a generator does by chance is the same in every fold, and no average of five."""
    differ = {True: 0, False: 0}
    for seed in range(40):
        arm, reference = study(seed, training=0.5, together=True)
        for known in differ:
            alike = ([range(5)] if known else [], [])
            p = paired.compare(BRIER, arm, reference, replicates=100, seed=seed, together=alike).p
            differ[known] += p < 0.05
    assert differ[True] <= 6
    assert differ[False] > differ[True] + 5


def test_a_real_difference_is_found_and_its_interval_holds_it() -> None:
    found = paired.compare(AUROC, *study(1, 3.0, patients=200, training=0.1), seed=1)
    assert found.p < 0.01
    assert found.interval.low > 0
    assert found.interval.low < found.value < found.interval.high
    assert found.trainings is not None


def test_p_is_the_level_at_which_the_interval_reaches_zero() -> None:
    found = paired.compare(AUROC, *study(4, 0.5), replicates=200)
    assert (found.p < 0.05) == (0 not in found.interval)


def test_one_draw_leaves_the_training_out_of_the_error() -> None:
    arm, reference = study(2)
    one = paired.compare(AUROC, arm[:1], reference[:1], replicates=200)
    assert one.trainings is None
    assert one.error == one.patients


def test_images_of_a_patient_are_no_independent_images() -> None:
    """Every patient ten times over: the same knowledge, so about the same interval."""
    arm, reference = study(3, images=1, draws=1)
    rows = torch.arange(60).repeat_interleave(10)
    many = [[each.subset(rows) for each in side] for side in (arm, reference)]
    few = paired.compare(AUROC, arm, reference, replicates=400)
    again = paired.compare(AUROC, *many, replicates=400)
    assert again.error == pytest.approx(few.error, rel=0.02)


def test_conditions_on_other_images_are_refused() -> None:
    arm, reference = study(0)
    turned = [each.subset(torch.arange(len(each)).flip(0)) for each in reference]
    with pytest.raises(UserError, match="same images"):
        paired.compare(AUROC, arm, turned)


def test_too_few_patients_of_a_class_give_a_reason() -> None:
    arm, reference = study(0, patients=8)
    found = paired.compare(AUROC, arm, reference)
    assert found.interval is None
    assert "a class has" in found.reason


def test_equal_conditions_have_no_difference() -> None:
    arm, _ = study(0, draws=1)
    found = paired.compare(BALANCED_ACCURACY, arm, arm)
    assert found.value == 0
    assert found.p == 1


@pytest.mark.parametrize("patients", [20, 200])
def test_two_faultless_conditions_are_not_equal_for_sure(patients: int) -> None:
    labels = torch.arange(patients) % 2
    right = torch.nn.functional.one_hot(labels, 2).double()
    folds = torch.zeros(patients, dtype=torch.long)
    arm, reference = (
        Predictions(sure * right + (1 - sure) / 2, labels, torch.arange(patients), folds)
        for sure in (0.9, 0.6)
    )
    for score in (AUROC, BALANCED_ACCURACY):
        found = paired.compare(score, [arm], [reference], replicates=200)
        assert (found.value, found.p) == (0, 1)
        width = 2 / patients * quantile(patients // 2 - 1)  # one patient of the rarest class
        assert found.interval.high == -found.interval.low == pytest.approx(width)


def test_interval_of_one_score_is_wider_with_fewer_patients() -> None:
    many, _ = study(5, patients=400, draws=1)
    few, _ = study(5, patients=40, draws=1)
    value, wide = paired.score_interval(AUROC, few[0])
    _, narrow = paired.score_interval(AUROC, many[0])
    assert value in wide
    assert narrow.high - narrow.low < wide.high - wide.low
    single = replace(few[0], groups=torch.zeros(len(few[0]), dtype=torch.long))
    assert paired.score_interval(AUROC, single)[1] is None


def test_an_interval_stays_in_range_and_has_a_width_at_its_end() -> None:
    labels = torch.arange(20) % 2
    right = torch.nn.functional.one_hot(labels, 2).double()
    perfect = Predictions(right, labels, torch.arange(20), torch.zeros(20, dtype=torch.long))
    value, ends = paired.score_interval(AUROC, perfect)
    assert value == ends.high == 1
    assert 0.6 < ends.low < 0.8  # ten patients of each class without a fault
    value, ends = paired.score_interval(BRIER, perfect)
    assert value == ends.low == 0
    assert ends.high > 0.1


def decided(labels: torch.Tensor, as_positive: torch.Tensor) -> Predictions:
    """One image of each patient, with a class that is decided without doubt."""
    sure = torch.nn.functional.one_hot(as_positive.long(), 2).double()
    count = len(labels)
    return Predictions(sure, labels, torch.arange(count), torch.zeros(count, dtype=torch.long))


def test_a_rare_class_has_the_interval_of_its_few_patients() -> None:
    labels = (torch.arange(200) < 5).long()
    wrong = (torch.arange(200) >= 5) & (torch.arange(200) % 20 == 0)
    said = decided(labels, (labels == 1) | wrong)
    value, ends = paired.score_interval(SENSITIVITY, said)
    assert value == ends.high == 1 and ends.low < 0.55, "5 of 5 are found"
    _, balanced = paired.score_interval(BALANCED_ACCURACY, said)
    assert balanced.low < 0.8
    _, area = paired.score_interval(AUROC, said)
    _, specific = paired.score_interval(SPECIFICITY, said)
    _, exact = paired.score_interval(ACCURACY, said)
    assert specific.high - specific.low < 0.08 and exact.high - exact.low < 0.08
    assert area.high - area.low > specific.high - specific.low
    fewer = said.subset(torch.arange(200) != 0)  # 4 of 4
    assert paired.score_interval(SENSITIVITY, fewer)[1] is None
    assert paired.score_interval(BALANCED_ACCURACY, fewer)[1] is None
    assert paired.score_interval(ACCURACY, fewer)[1] is not None


def test_a_rare_class_without_discordant_patients_widens_a_difference() -> None:
    """One negative patient tells the conditions apart; of eight positive ones none does."""
    labels = (torch.arange(200) < 8).long()
    arm, reference = decided(labels, labels == 1), decided(labels, torch.arange(200) < 9)
    found = paired.compare(BALANCED_ACCURACY, [arm], [reference], replicates=200)
    assert found.patients > 0.9 / 16, "as if one of them did: 1/8, halved by the mean over classes"
    many = (torch.arange(200) < 100).long()
    arm, reference = decided(many, many == 1), decided(many, torch.arange(200) < 101)
    assert paired.compare(BALANCED_ACCURACY, [arm], [reference], replicates=200).patients < 0.01


def delong_by_placements(scores: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """DeLong et al. 1988 with its covariance matrices, written out."""
    high, low = scores[:, labels == 1], scores[:, labels == 0]
    wins = (high[:, :, None] > low[:, None, :]).double()
    wins += (high[:, :, None] == low[:, None, :]).double() / 2
    areas = wins.mean((1, 2))
    covariance = torch.cov(wins.mean(2)) / high.shape[1] + torch.cov(wins.mean(1)) / low.shape[1]
    contrast = torch.tensor([1.0, -1.0], dtype=torch.float64)
    return float(areas[0] - areas[1]), math.sqrt(float(contrast @ covariance @ contrast))


def test_areas_of_single_images_are_compared_as_by_delong() -> None:
    rng = torch.Generator().manual_seed(0)
    labels = (torch.rand(50, generator=rng) < 0.4).long()
    scores = labels + normal(rng, 2, 50) * torch.tensor([[1.0], [1.5]], dtype=torch.float64)
    difference, error = paired.auroc_difference(scores, labels, torch.arange(50))
    expected, expected_error = delong_by_placements(scores, labels)
    assert difference == pytest.approx(expected, abs=1e-12)
    assert error == pytest.approx(expected_error, rel=1e-6)


def test_areas_of_many_images_with_ties_need_no_table_of_all_pairs() -> None:
    rng = torch.Generator().manual_seed(2)
    labels = (torch.rand(300, generator=rng) < 0.4).long()
    scores = ((labels + normal(rng, 2, 300)) * 2).round()
    difference, error = paired.auroc_difference(scores, labels, torch.arange(300))
    expected, expected_error = delong_by_placements(scores, labels)
    assert difference == pytest.approx(expected, abs=1e-12)
    assert error == pytest.approx(expected_error, rel=1e-2)  # the bootstrap's n / (n - 1) inside
    many = torch.arange(300).repeat(400)  # 2.4e9 pairs
    again, less = paired.auroc_difference(scores[:, many], labels[many], torch.arange(len(many)))
    assert again == pytest.approx(difference, abs=1e-12)
    assert less == pytest.approx(error / 20, rel=1e-2)


def test_areas_of_patients_with_many_images_keep_their_error() -> None:
    rng = torch.Generator().manual_seed(0)
    labels = (torch.rand(50, generator=rng) < 0.4).long()
    scores = labels + normal(rng, 2, 50)
    rows = torch.arange(50).repeat_interleave(6)
    _, once = paired.auroc_difference(scores, labels, torch.arange(50))
    _, repeated = paired.auroc_difference(scores[:, rows], labels[rows], rows)
    _, as_if_independent = paired.auroc_difference(
        scores[:, rows], labels[rows], torch.arange(len(rows))
    )
    assert repeated == pytest.approx(once, rel=1e-6)
    assert as_if_independent < 0.5 * once


def test_corrected_t_by_hand() -> None:
    values = [0.01, 0.03, 0.02, 0.04, 0.0]
    t, p = paired.corrected_t(values, test_share=0.25)
    spread = math.sqrt(0.00025)  # standard deviation with n - 1
    assert t == pytest.approx(0.02 / (spread * math.sqrt(1 / 5 + 0.25)))
    assert 0.1 < p < 0.2
    with pytest.raises(UserError, match="at least 2"):
        paired.corrected_t([0.1], 0.25)


def test_planned_error_is_hanley_and_mcneils() -> None:
    # Hanley and McNeil 1982, table 3: area 0.80, 50 and 50: standard error about 0.045
    single = paired.auroc_error(0.8, 50, 50, correlation=0.5)
    assert single == pytest.approx(0.0444, abs=0.001)
    assert paired.auroc_error(0.8, 50, 50, correlation=0.9) < single
    assert paired.detectable(0.02) == pytest.approx(0.02 * (1.95996 + 0.84162), rel=1e-4)
