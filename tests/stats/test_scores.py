"""Scores of predictions: against definitions written out, and with no value where there is none."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from synthograph.core.errors import UserError
from synthograph.stats import scores
from synthograph.stats.scores import Predictions


def predictions(rows, labels, groups=None, folds=None, threshold=None, vote=False) -> Predictions:
    n = len(labels)
    return Predictions(
        torch.tensor(rows, dtype=torch.float64),
        torch.tensor(labels),
        torch.arange(n) if groups is None else torch.tensor(groups),
        torch.zeros(n, dtype=torch.long) if folds is None else torch.tensor(folds),
        threshold,
        vote,
    )


def of_two(ps, labels, **more) -> Predictions:
    return predictions([[1 - p, p] for p in ps], labels, **more)


def random_case(n: int = 40, k: int = 3, seed: int = 0) -> Predictions:
    rng = torch.Generator().manual_seed(seed)
    rows = torch.rand(n, k, generator=rng, dtype=torch.float64).mul(4).round() / 4 + 0.05
    labels = torch.randint(k, (n,), generator=rng)
    groups = torch.randint(12, (n,), generator=rng)
    return Predictions(rows / rows.sum(1, keepdim=True), labels, groups, torch.arange(n) % 3)


def by_pairs(p, positive, weights, folds) -> float:
    wins = pairs = 0.0
    for i, j in itertools.product(range(len(p)), repeat=2):
        if positive[i] and not positive[j] and folds[i] == folds[j]:
            pair = float(weights[i] * weights[j])
            pairs += pair
            wins += pair * (1.0 if p[i] > p[j] else 0.5 if p[i] == p[j] else 0.0)
    return wins / pairs


def test_area_counts_pairs_within_folds_ties_by_half_and_images_as_often_as_they_weigh() -> None:
    case = random_case()
    weights = torch.randint(4, (5, len(case)), generator=torch.Generator().manual_seed(1)).double()
    p, positive = case.probabilities[:, 1], case.labels == 1
    found = scores.auroc(p, positive, weights, case.folds)
    for row, value in zip(weights, found, strict=True):
        assert float(value) == pytest.approx(by_pairs(p, positive, row, case.folds), abs=1e-12)


def test_area_of_folds_on_other_scales_is_that_of_the_folds() -> None:
    labels, folds = [0, 1, 0, 1], [0, 0, 1, 1]
    case = of_two([0.1, 0.2, 0.8, 0.9], labels, folds=folds)
    assert scores.AUROC.value(case) == 1.0
    assert scores.AUROC.value(of_two([0.1, 0.2, 0.8, 0.9], labels)) == 0.75


def test_weights_equal_repeated_images() -> None:
    case = random_case(seed=3)
    counts = torch.randint(3, (len(case),), generator=torch.Generator().manual_seed(2))
    repeated = case.subset(torch.arange(len(case)).repeat_interleave(counts))
    for score in scores.SCORES:
        weighted = float(score.compute(case, counts[None].double())[0])
        assert weighted == pytest.approx(score.value(repeated), abs=1e-12), score.name


def test_scores_of_three_classes_against_definitions() -> None:
    case = random_case(seed=5)
    decided, labels = case.probabilities.argmax(1), case.labels
    recalls, f1s = [], []
    for c in range(3):
        hits = int(((decided == c) & (labels == c)).sum())
        recalls.append(hits / int((labels == c).sum()))
        f1s.append(2 * hits / int((labels == c).sum() + (decided == c).sum()))
    assert scores.BALANCED_ACCURACY.value(case) == pytest.approx(sum(recalls) / 3)
    assert scores.MACRO_F1.value(case) == pytest.approx(sum(f1s) / 3)
    assert scores.ACCURACY.value(case) == pytest.approx(float((decided == labels).double().mean()))
    rows = case.probabilities.clone()
    rows[torch.arange(len(case)), labels] -= 1
    assert scores.BRIER.value(case) == pytest.approx(float(rows.square().sum(1).mean()))


def test_average_precision_by_hand() -> None:
    case = of_two([0.9, 0.8, 0.8, 0.1], [1, 0, 1, 1])
    # thresholds 0.9: 1 of 1; 0.8: 2 of 3 (both of one score enter together); 0.1: 3 of 4
    assert scores.AVERAGE_PRECISION.value(case) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


def test_average_precision_compares_no_images_of_two_folds() -> None:
    """Each fold ranks its images without a fault; their probabilities are on two scales."""
    case = of_two([0.9, 0.8, 0.3, 0.2], [1, 0, 1, 0])
    apart = replace(case, folds=torch.tensor([0, 0, 1, 1]))
    assert scores.AVERAGE_PRECISION.value(apart) == scores.AUROC.value(apart) == 1.0
    assert scores.AVERAGE_PRECISION.value(case) == pytest.approx((1 + 2 / 3) / 2)


def test_a_class_without_images_gives_no_value() -> None:
    case = of_two([0.2, 0.3], [0, 0])
    for score in (scores.AUROC, scores.AVERAGE_PRECISION, scores.BALANCED_ACCURACY):
        assert math.isnan(score.value(case)), score.name
    assert math.isnan(scores.SENSITIVITY.value(case))
    assert scores.SPECIFICITY.value(case) == 1.0


def test_a_threshold_decides_between_two_classes_only() -> None:
    case = of_two([0.2, 0.3, 0.4], [0, 1, 1], threshold=0.3)
    assert case.decided.tolist() == [0, 1, 1]
    assert scores.SENSITIVITY.value(case) == 1.0
    with pytest.raises(UserError, match="3 classes"):
        predictions([[0.2, 0.3, 0.5]], [0], threshold=0.5)
    with pytest.raises(UserError, match="each class has its own"):
        predictions([[0.2, 0.3, 0.5]], [0], threshold=(0.5, 0.5))


def test_of_several_classes_the_one_that_stands_out_from_its_share_is_decided() -> None:
    rows = [[0.6, 0.3, 0.1], [0.75, 0.15, 0.1], [0.5, 0.1, 0.4]]
    case = predictions(rows, [1, 0, 2], groups=[0, 0, 1], threshold=(0.7, 0.2, 0.1))
    assert case.decided.tolist() == [1, 0, 2]
    assert predictions(rows, [1, 0, 2]).decided.tolist() == [0, 0, 0]
    assert case.subset(torch.tensor([2])).decided.tolist() == [2]
    other = predictions(rows, [1, 0, 2], groups=[0, 0, 1], threshold=(0.1, 0.8, 0.1))
    mixed = case.mixed(other, torch.tensor([True, False, False]))
    assert mixed.decided.tolist() == [0, 0, 2]
    of_one = predictions(rows, [0, 0, 2], groups=[0, 0, 1], threshold=(0.7, 0.2, 0.1)).by_group()
    assert of_one.decided.tolist() == [1, 2]  # 0.675, 0.225 and 0.1 of the first group


def test_two_classes_with_shares_are_decided_as_by_the_threshold() -> None:
    one = of_two([0.2, 0.3, 0.4], [0, 1, 1], threshold=0.3)
    two = of_two([0.2, 0.3, 0.4], [0, 1, 1], threshold=(0.7, 0.3))
    assert one.decided.tolist() == two.decided.tolist() == [0, 1, 1]
    assert torch.equal(one.shares, two.shares)


def test_best_threshold_separates_what_can_be_separated() -> None:
    case = of_two([0.1, 0.2, 0.6, 0.7], [0, 0, 1, 1])
    assert 0.2 < scores.best_threshold(case) <= 0.6
    with pytest.raises(UserError, match="both"):
        scores.best_threshold(of_two([0.1, 0.2], [0, 0]))


def test_groups_are_scored_by_their_mean_probability() -> None:
    case = of_two([0.2, 0.6, 0.9], [0, 0, 1], groups=[7, 7, 3])
    found = case.by_group()
    assert found.groups.tolist() == [3, 7]
    assert found.probabilities[:, 1].tolist() == pytest.approx([0.9, 0.4])


def test_by_vote_a_group_is_what_most_of_its_images_are() -> None:
    ps, labels, groups = [0.1, 0.6, 0.6, 0.7, 0.1], [1, 1, 1, 0, 0], [3, 3, 3, 5, 5]
    mean = of_two(ps, labels, groups=groups)
    vote = of_two(ps, labels, groups=groups, vote=True)
    assert mean.by_group().decided.tolist() == [0, 0]
    assert vote.by_group().decided.tolist() == [1, 0]  # of equal votes the mean decides
    assert vote.by_group().probabilities[:, 1].tolist() == pytest.approx([2 / 3, 1 / 2])
    assert vote.decided.tolist() == mean.decided.tolist()
    rows = [[0.5, 0.1, 0.4], [0.5, 0.1, 0.4], [0.05, 0.5, 0.45], [0.05, 0.5, 0.45], [0.0, 0.3, 0.7]]
    three = predictions(rows, [0] * 5, groups=[1] * 5, vote=True)
    assert three.by_group().decided.tolist() == [1]  # of the two with most votes the likelier one
    turned = predictions([row[::-1] for row in rows], [0] * 5, groups=[1] * 5, vote=True)
    assert turned.by_group().decided.tolist() == [1]
    strict = of_two(ps, labels, groups=groups, vote=True, threshold=0.65)
    assert strict.by_group().decided.tolist() == [0, 0]


def test_calibration_error_is_the_distance_of_said_and_came() -> None:
    right = of_two([0.8] * 10, [1] * 8 + [0] * 2)
    assert scores.reliability(right, bins=1).error == pytest.approx(0.0, abs=1e-12)
    wrong = of_two([0.9] * 10, [1] * 5 + [0] * 5)
    assert scores.reliability(wrong, bins=1).error == pytest.approx(0.4)
    assert scores.reliability(wrong, bins=25).counts.sum() == 10  # fewer images than bins


def test_majority_baseline() -> None:
    assert scores.majority_baseline(torch.tensor([0, 1, 1, 2])) == 0.5
