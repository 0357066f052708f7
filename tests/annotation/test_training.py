"""Learning masks: what is left out is never seen, and says what to expect."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from synthograph.annotation.features import at_pixels
from synthograph.annotation.forecast import expected, forecasts
from synthograph.annotation.heads import HeadShape
from synthograph.annotation.pixels import sample_pixels
from synthograph.annotation.training import (
    DEEP,
    PUBLISHED,
    HeadConfig,
    LeftOut,
    Painted,
    fit,
    folds,
    leave_out,
)

SMALL = HeadConfig(shape=HeadShape(members=2), steps=40, batch=128, checks=4)


def painted(count: int, *, ring: bool = False) -> Painted:
    """Images of one class in two layers; the mask is a line through their features, or a ring."""
    draws = torch.Generator().manual_seed(0)
    coarse = torch.randn(count, 2, 4, 4, generator=draws)
    fine = torch.randn(count, 2, 8, 8, generator=draws)
    large = torch.nn.functional.interpolate(coarse, (8, 8), mode="bilinear")
    value = large[:, 0] + fine[:, 1]
    if ring:
        value = 1.5 - fine[:, 0].square() - fine[:, 1].square()
    masks = (value > 0).to(torch.uint8)

    def layers(number: int) -> list[torch.Tensor]:
        return [coarse[number : number + 1], fine[number : number + 1]]

    sample = sample_pixels(masks, 4, seed=0)
    features = torch.cat([at_pixels(layers(n), sample.of(n), (8, 8)) for n in range(count)])
    return Painted(masks.numpy(), sample, features, layers, (2, 2), 2)


def test_a_linear_head_finds_a_linear_mask_and_a_deep_one_a_ring() -> None:
    (line,) = leave_out(SMALL, painted(5), seed=0)
    assert line.value is not None and line.value > 0.9
    wavy = painted(6, ring=True)
    deep = DEEP.model_copy(update={"shape": HeadShape(members=2, widths=[16]), "batch": 256})
    one, other = (leave_out(config, wavy, seed=0)[0] for config in (SMALL, deep))
    assert other.beats(one) and not one.beats(other)


def test_images_left_out_are_not_seen() -> None:
    """Other masks and features of an image change nothing for those who never see it."""
    whole = painted(4)
    own = whole.sample.images == 3
    spoilt = whole.features.clone()
    spoilt[own] = 1e3
    masks = whole.masks.copy()
    masks[3] = 1 - masks[3]
    other = Painted(masks, whole.sample, spoilt, whole.layers, whole.channels, 2)
    for config in (SMALL, SMALL.model_copy(update={"shape": PUBLISHED.shape})):
        one, two = (list(fit(config, each, [0, 1, 2], seed=1))[-1] for each in (whole, other))
        for name, tensor in one.state_dict().items():
            assert torch.equal(tensor, two.state_dict()[name]), name


def test_checks_are_even_and_the_same_seed_gives_the_same_head() -> None:
    data = painted(3)
    states = [h.first.detach().clone() for h in fit(SMALL, data, [0, 1, 2], seed=3)]
    assert len(states) == SMALL.checks
    again = [h.first.detach().clone() for h in fit(SMALL, data, [0, 1, 2], seed=3)]
    assert all(torch.equal(a, b) for a, b in zip(states, again, strict=True))
    last = list(fit(SMALL, data, [0, 1, 2], seed=4))[-1]
    assert not torch.equal(last.first, states[-1])


def test_a_class_of_one_image_has_no_value_there() -> None:
    data = painted(3)
    masks = data.masks.copy()
    masks[1, :2] = 2
    sample = sample_pixels(torch.from_numpy(masks), 4, seed=0)
    features = torch.cat([at_pixels(data.layers(n), sample.of(n), (8, 8)) for n in range(3)])
    (found,) = leave_out(SMALL, Painted(masks, sample, features, data.layers, (2, 2), 3), seed=0)
    assert np.isnan(found.best_dice[1, 2])
    assert np.isfinite(found.best_dice[:, 1]).all()
    forecast = forecasts(masks, ["none", "line", "rare"], found)[2]
    assert forecast.painted == 1


def test_images_of_one_patient_are_left_out_together() -> None:
    """So a class that two images of one patient have is seen by nobody who is asked for it."""
    assert folds([0, 1, 0, 2]) == [[0, 2], [1], [3]]
    assert folds(range(10)) == [[0, 8], [1, 9], *([k] for k in range(2, 8))]
    data = painted(4)
    masks = data.masks.copy()
    masks[[0, 2], :2] = 2
    sample = sample_pixels(torch.from_numpy(masks), 4, seed=0)
    features = torch.cat([at_pixels(data.layers(n), sample.of(n), (8, 8)) for n in range(4)])
    own = Painted(masks, sample, features, data.layers, (2, 2), 3)
    alone, together = (
        leave_out(SMALL, replace(own, groups=groups), seed=0)[0] for groups in ((), (0, 1, 0, 2))
    )
    assert alone.dice.shape == (4, 4, 3) and together.dice.shape == (4, 3, 3)
    assert np.isfinite(alone.dice[:, [0, 2], 2]).all()
    assert np.isnan(together.dice[:, 0, 2]).all()
    assert np.isfinite(together.dice[:, :, 1]).all()
    assert together.share == 1 / 2


def test_more_images_than_folds_are_each_left_out_once() -> None:
    quick = SMALL.model_copy(update={"steps": 4})
    (found,) = leave_out(quick, painted(19), seed=0)
    assert found.dice.shape == (4, 19, 2)
    assert np.isfinite(found.dice[:, :, 1]).all()


def test_an_image_network_takes_part_and_the_head_alone_is_told_too() -> None:
    """One that knows the masks makes the mean better, one that is wrong makes it worse."""
    data = painted(4)
    truth = torch.nn.functional.one_hot(torch.from_numpy(data.masks).long(), 2).movedim(3, 1)
    right, alone = leave_out(SMALL, data, seed=0, network=list(truth.float()))
    wrong, again = leave_out(SMALL, data, seed=0, network=list(1 - truth.float()))
    np.testing.assert_array_equal(alone.dice, again.dice)
    np.testing.assert_array_equal(alone.dice, leave_out(SMALL, data, seed=0)[0].dice)
    assert right.value == pytest.approx(1)
    assert wrong.value is not None and alone.value is not None
    assert wrong.value < 0.1 < alone.value


def test_better_beyond_the_interval_of_the_difference() -> None:
    def left(values: list[float]) -> LeftOut:
        return LeftOut(np.array([[[1.0, v] for v in values]]))

    assert left([0.9, 0.8, 0.85]).beats(left([0.8, 0.75, 0.77]))
    assert not left([0.9, 0.8, 0.85]).beats(left([0.8, 0.77, 0.82])), "t is 2.3, and 4.3 is needed"
    assert not left([0.9, 0.5, 0.8]).beats(left([0.7, 0.6, 0.85]))
    assert not left([0.9, math.nan]).beats(left([0.1, math.nan])), "one image says nothing"


def test_the_interval_is_students() -> None:
    values = np.array([0.7, 0.72, 0.68, 0.66, math.nan])
    mean, ends = expected(values)
    known = values[:4]
    low, high = stats.t.interval(0.95, 3, loc=known.mean(), scale=stats.sem(known))
    assert mean == pytest.approx(known.mean())
    assert ends is not None
    assert (ends.low, ends.high) == pytest.approx((low, high))
    more = expected(values, 1 / 3)[1]
    assert more is not None and mean is not None
    assert more.high - mean == pytest.approx((high - known.mean()) * (1 + 4 / 3) ** 0.5)
    assert expected(np.array([0.5])) == (0.5, None)
    assert expected(np.array([math.nan])) == (None, None)
    wide = expected(np.array([0.2, 0.9]))[1]
    assert wide is not None and (wide.low, wide.high) == (0, 1)
