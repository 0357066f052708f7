"""Thresholds keep their rate, counts are tested exactly, groups weigh what they should."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binom

from synthograph.metrics.audit.calibration import (
    AgreementScale,
    calibrated,
    clopper_pearson,
    design_effect,
    excess,
    threshold_by_tail,
    threshold_of,
    upper_limit,
)
from synthograph.metrics.audit.search import Candidates


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


def candidates(values: torch.Tensor, train: torch.Tensor) -> Candidates:
    """One candidate of each image, with this agreement in one band."""
    groups = torch.arange(len(train))
    return Candidates.of(train[:, None], values[:, None, None].expand(-1, -1, 4), groups)


def twice(values: torch.Tensor, train: torch.Tensor) -> tuple[Candidates, Candidates]:
    """Candidates of images, and of the same with padding."""
    return candidates(values, train), candidates(values, train)


def test_two_groups_that_share_images_do_not_set_the_thresholds() -> None:
    n = 200
    values = torch.from_numpy(np.random.default_rng(0).uniform(0.2, 0.6, n)).to(torch.float32)
    rows, groups = torch.arange(n), torch.arange(n) // 2
    nearest = (rows + 2) % n
    plain = calibrated(*twice(values, nearest), rows, groups, (0.001, 0.01))
    assert not plain.twins.any()
    nearest[0], nearest[10] = 10, 0  # each other's nearest, of groups 0 and 5
    nearest[1] = 11  # of the same two groups
    values[[0, 1, 10]] = torch.tensor([0.999, 0.9, 0.999])
    found = calibrated(*twice(values, nearest), rows, groups, (0.001, 0.01))
    assert found.twins.nonzero()[:, 0].tolist() == [0, 1, 10]
    one, two = found.thresholds[0], plain.thresholds[0]
    assert one.score < 1.2 * two.score
    assert one.above == 3 and one.images == n  # they count in what chance gives
    nearest[10] = 12  # no longer mutual
    found = calibrated(*twice(values, nearest), rows, groups, (0.001, 0.01))
    assert not found.twins.any() and found.thresholds[0].score > 2 * two.score
    assert [each.rate for each in found.thresholds] == [0.001, 0.01]


def test_evidence_is_agreement_and_what_it_exceeds_that_of_other_patients_by() -> None:
    agreement = torch.tensor([[[0.9], [0.8], [0.5]]])
    train, groups = torch.tensor([[0, 1, 2]]), torch.tensor([7, 7, 8])
    evidence = Candidates.of(train, agreement, groups).evidence[0]
    z = torch.atanh(agreement[0, :, 0])
    assert torch.allclose(evidence[:, 0], z)
    assert torch.allclose(evidence[:, 1], torch.stack((z[0] - z[2], z[1] - z[2], z[2] - z[0])))
    alone = Candidates.of(train, agreement, torch.tensor([7, 7, 7])).evidence
    assert not alone[..., 1].any(), "no other patient to compare with"


def test_images_with_padding_are_judged_by_such() -> None:
    n, rows = 200, torch.arange(200)
    real = candidates(torch.linspace(0.2, 0.6, n), (rows + 2) % n)
    framed = candidates(torch.linspace(0.5, 0.9, n), (rows + 2) % n)
    scale = AgreementScale.of(real, framed)
    found = candidates(torch.full((2,), 0.85), rows[:2])
    plain = scale.scores(found)[0]
    inside = scale.scores(replace(found, padded=torch.tensor([False, True])))[0]
    assert inside[0] == plain[0] and inside[1] < 1 < 5 < plain[1]
