"""Scores of masks: the rules of empty cases, and agreement with MONAI."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from synthograph.core.errors import UserError
from synthograph.stats.masks import (
    IGNORED,
    Overlaps,
    averaged,
    cases,
    compare_masks,
    hausdorff,
    mask_measure,
    mask_scores,
)
from synthograph.stats.outcomes import joined
from synthograph.stats.paired import compare, score_interval

SIDE = 12
DICE = mask_measure("dice", ["nothing", "cell"])


def square(value: int = 1, *, top: int = 2, left: int = 2, side: int = 4) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[top : top + side, left : left + side] = value
    return mask


EMPTY = np.zeros((SIDE, SIDE), np.uint8)


def overlaps(*pairs: tuple[np.ndarray, np.ndarray], classes: int = 2) -> Overlaps:
    truth, said = zip(*pairs, strict=True)
    return compare_masks(np.stack(truth), np.stack(said), classes, groups=torch.arange(len(pairs)))


def value(name: str, found: Overlaps, k: int = 1) -> float:
    scores = {each.name: each for each in mask_scores([k], found.diagonal)}
    return scores[name].value(found)


def test_empty_cases_follow_their_rules() -> None:
    full = square()
    found = overlaps((full, full), (full, EMPTY), (EMPTY, full), (EMPTY, EMPTY))
    assert found.dice[:3, 1].tolist() == [1, 0, 0]
    assert found.dice[3, 1].isnan()
    assert found.distance[:3, 1].tolist() == [0, math.hypot(SIDE, SIDE), math.hypot(SIDE, SIDE)]
    assert found.distance[3, 1].isnan()
    assert value("dice", found) == pytest.approx(1 / 3)
    assert value("dice_present", found) == pytest.approx(1 / 2)
    assert value("dice_set", found) == pytest.approx(1 / 2)
    assert value("iou_set", found) == pytest.approx(1 / 3)
    counts = cases(found, 1)
    assert (counts.both, counts.missed, counts.false_alarms, counts.neither) == (1, 1, 1, 1)


def test_ignored_pixels_count_for_nobody() -> None:
    truth, said = square(), square()
    truth[0], said[0] = IGNORED, 1
    found = overlaps((truth, said))
    assert (float(found.dice[0, 1]), float(found.distance[0, 1])) == (1, 0)
    nothing = overlaps((np.full_like(EMPTY, IGNORED), said))
    assert nothing.dice[0, 1].isnan()


def test_a_class_that_never_occurs_is_in_no_mean() -> None:
    half = square()
    half[:, 4:] = 0
    found = overlaps((square(), half), (EMPTY, EMPTY), classes=4)
    assert found.occurring == [1]
    assert DICE.value(found) == pytest.approx(2 / 3)
    assert math.isnan(DICE.value(overlaps((EMPTY, EMPTY))))


def test_a_measure_is_of_all_classes_or_of_one() -> None:
    half = square(2)
    half[:, 4:] = 0
    found = overlaps((square(1), square(1)), (square(2), half), classes=3)
    names = ["nothing", "rim", "core"]
    assert mask_measure("iou:core", names).value(found) == pytest.approx(1 / 2)
    assert mask_measure("iou", names).value(found) == pytest.approx(3 / 4)
    for text in ("dice:nothing", "dice:cor", "auroc"):
        with pytest.raises(UserError, match="measure"):
            mask_measure(text, names)


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
def test_distances_agree_with_monai() -> None:
    metrics = pytest.importorskip("monai.metrics", reason="monai is missing")
    rng = np.random.default_rng(0)
    for trial in range(30):
        one, other = (
            rng.random((17, 23)) < share for share in ((0.02, 0.05) if trial % 2 else (0.6, 0.5))
        )
        for share in (95, 100):
            told = metrics.compute_hausdorff_distance(
                torch.tensor(one)[None, None].float(),
                torch.tensor(other)[None, None].float(),
                include_background=True,
                percentile=share,
            )
            assert hausdorff(one, other, share) == pytest.approx(float(told), rel=1e-5)


def test_dice_agrees_with_monai() -> None:
    metrics = pytest.importorskip("monai.metrics", reason="monai is missing")
    rng = np.random.default_rng(1)
    truth, said = rng.integers(0, 3, (2, 5, SIDE, SIDE)).astype(np.uint8)
    found = overlaps(*zip(truth, said, strict=True), classes=3)
    one_hot = [
        torch.nn.functional.one_hot(torch.tensor(each).long(), 3).movedim(3, 1)
        for each in (said, truth)
    ]
    torch.testing.assert_close(
        found.dice.float(), metrics.compute_dice(*one_hot, include_background=True).float()
    )


def some(seed: int, count: int = 30, noise: int = 2) -> Overlaps:
    rng = np.random.default_rng(seed)
    pairs = []
    for n in range(count):
        top, left = rng.integers(0, noise + 1, 2)
        pairs.append((square(top=n % 5, left=2), square(top=n % 5 + top, left=2 + left)))
    return overlaps(*pairs)


def test_intervals_and_comparisons_are_those_of_predictions() -> None:
    found = some(0)
    score, distance = (mask_scores([1], found.diagonal)[i] for i in (0, 5))
    number, ends = score_interval(score, found, replicates=200)
    assert number in ends and ends.high < 1
    number, ends = score_interval(distance, found, replicates=200)
    assert number in ends and ends.high < found.diagonal / 3
    same = compare(score, [some(1), some(2)], [some(3), some(4)], replicates=200)
    assert 0 in same.interval
    better = compare(score, [some(1, noise=0), some(2, noise=0)], [some(3), some(4)])
    assert better.interval.low > 0


def test_an_interval_counts_groups_of_the_classes_that_the_score_is_about() -> None:
    """Neither a false alarm nor a rare class that nobody asked for takes it away."""
    score = mask_measure("dice:rim", ["nothing", "rim", "core"])
    arm, reference = (replace(some(seed), **more(some(seed))) for seed in (1, 3))
    plain = compare(score, [arm], [reference], replicates=200)
    assert plain.interval is not None
    stray = arm.predicted.clone()
    stray[0, 2] = 1
    there = arm.truth.clone()
    there[:3, 2] = 5
    rare = [replace(each, truth=there) for each in (arm, reference)]
    pairs = (
        (replace(arm, predicted=stray), reference),
        (arm, replace(reference, predicted=stray)),
        rare,
    )
    for one, other in pairs:
        assert compare(score, [one], [other], replicates=200) == plain
    whole = compare(
        mask_measure("dice", ["nothing", "rim", "core"]),
        *([each] for each in rare),
        replicates=200,
    )
    assert whole.interval is None and "3 groups" in whole.reason


def more(found: Overlaps) -> dict[str, torch.Tensor]:
    """The same with a third class that no mask has."""
    names = ("hits", "truth", "predicted", "distance")
    return {n: torch.nn.functional.pad(getattr(found, n), (0, 1)) for n in names}


@pytest.mark.parametrize("count", [10, 13, 50])
@pytest.mark.parametrize("side", [32, 64])
def test_a_class_that_is_never_found_has_intervals(count: int, side: int) -> None:
    """Every distance is the diagonal, and its mean differs from it by rounding."""
    there = np.zeros((side, side), np.uint8)
    there[4:12, 4:12] = 1
    found = overlaps(*[(there, np.zeros_like(there))] * count)
    dice, distance = (mask_scores([1], found.diagonal)[i] for i in (0, 5))
    assert score_interval(dice, found)[0] == 0
    value, ends = score_interval(distance, found)
    assert value == pytest.approx(found.diagonal)
    assert 0.5 * found.diagonal < ends.low < 0.95 * found.diagonal


def test_trainings_of_several_seeds_become_one() -> None:
    one, other = some(5), some(6)
    both = averaged([one, other])
    assert DICE.value(both) == pytest.approx((DICE.value(one) + DICE.value(other)) / 2)
    assert DICE.value(averaged([both, both])) == pytest.approx(DICE.value(both))
    rows = torch.arange(3)
    halves = [DICE.value(each.subset(rows)) for each in (one, other)]
    assert DICE.value(both.subset(rows)) == pytest.approx(sum(halves) / 2)
    assert DICE.value(both.mixed(both, torch.ones(len(both), dtype=torch.bool))) == pytest.approx(
        DICE.value(both)
    )
    mixed = averaged([one, one]).mixed(averaged([other, other]), torch.arange(len(one)) < 3)
    assert DICE.value(mixed) == pytest.approx(
        DICE.value(one.mixed(other, torch.arange(len(one)) < 3))
    )
    torch.testing.assert_close(both.distance[:, 1], (one.distance + other.distance)[:, 1] / 2)


def test_a_false_alarm_of_one_seed_counts_for_that_one_only() -> None:
    """Two images, the class in the first alone: Dice 1 there, and one of two seeds sees it in both.
    Its score is 1/2, that of the other 1; of mean pixels it would be 1/2.
    """
    there, nothing = np.ones((4, 4), np.uint8), np.zeros((4, 4), np.uint8)
    right = overlaps((there, there), (nothing, nothing))
    stray = overlaps((there, there), (nothing, there))
    score = mask_measure("dice", ["nothing", "cell"])
    assert [score.value(each) for each in (right, stray)] == [1, 0.5]
    assert score.value(averaged([right, stray])) == pytest.approx(3 / 4)
    once = [averaged([each, each]) for each in (right, stray)]
    assert [score.value(each) for each in once] == [1, 0.5]
    whole = joined(once)
    assert score.value(whole) == pytest.approx(2 / 3)
