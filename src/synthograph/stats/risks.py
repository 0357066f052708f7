"""Probabilities read as risks: are they right on the whole, are they too extreme, and is acting on
them worth more than acting on everybody or nobody?

Statistics take a weighting of the images per row, as in `scores.py`; the intervals draw whole
groups (patients) again.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from synthograph.core.interval import Interval
from synthograph.stats.intervals import MIN_GROUPS, quantile
from synthograph.stats.paired import MIN_DEFINED
from synthograph.stats.ranks import ELEMENTS

# n image, e weighting, t threshold

THRESHOLDS = tuple(k / 100 for k in range(1, 100))
LEAST = 1e-6
"""Probabilities nearer to 0 or 1 count as so far from it: their logits have no end."""
STEPS = 50
SETTLED = 1e-6
"""Last step of a fit that is done, in logits."""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval over groups.

    Attributes:
        value: NaN where there is none.
        interval: None where fewer than `MIN_GROUPS` groups are of the class, or of another, and
            without a value in too many replicates. In simulations with 20 to 150 groups 91 to 100 %
            of the intervals hold the true value; those of net benefit are too wide at high
            thresholds.
    """

    value: float
    interval: Interval | None


@dataclass(frozen=True)
class Risk:
    """What a class's probability is worth as a risk.

    Attributes:
        share: of the images that are of the class, 0..1.
        slope: of the calibration: 1 where probabilities are as extreme as they may be, less where
            they are too extreme. NaN where the images are told apart without error, and where all
            probabilities are equal.
        intercept: of the calibration with slope 1: 0 where the class comes true as often as is
            said, above 0 where it comes true more often.
        benefit: standardised net benefit at `THRESHOLDS`: net benefit divided by `share`, so that
            1 finds all images of the class without a false alarm.
        everyone: that of saying the class of all images.
        gain: benefit less that of the better of two rules: the class is said of all, or of none.
    """

    share: float
    slope: Estimate
    intercept: Estimate
    benefit: tuple[Estimate, ...]
    everyone: tuple[float, ...]
    gain: tuple[Estimate, ...]


def risk(
    said: Float64[Tensor, " n"],
    positive: Bool[Tensor, " n"],
    groups: Int64[Tensor, " n"],
    replicates: Float64[Tensor, "e n"],
) -> Risk | None:
    """Calibration and net benefit of a class's probability that was `said`, 0..1; None without
    images of both kinds. Replicates are those of `paired.group_weights`.
    """
    if not positive.any() or positive.all():
        return None
    thresholds = torch.tensor(THRESHOLDS, dtype=torch.float64)
    odds = thresholds / (1 - thresholds)
    own, others = (len(groups[kind].unique()) for kind in (positive, ~positive))
    count = len(groups.unique()) if min(own, others) >= MIN_GROUPS else 0
    once = torch.ones(1, len(said), dtype=torch.float64)
    rows = (once, replicates if count else once[:0])

    def estimates(compute: Callable[[Tensor], Tensor], least: Tensor) -> list[Estimate]:
        (values,), found = (compute(each) for each in rows)
        columns = zip(values.tolist(), found.T, least.tolist(), strict=True)
        return [_estimate(value, column, count, more) for value, column, more in columns]

    def everyone(weights: Tensor) -> tuple[Tensor, Tensor]:
        share = (weights @ positive.double() / weights.sum(1))[:, None]
        return share, 1 - (1 - share) / share * odds

    def worth(weights: Tensor) -> Tensor:
        """Standardised net benefit, and behind it the gain."""
        share, every = everyone(weights)
        benefit = net_benefit(said, positive, weights, thresholds) / share
        return torch.cat((benefit, benefit - every.clamp(min=0)), dim=1)

    none, missed = torch.zeros(1), (odds.clamp(min=1) / own).square()
    (slope,) = estimates(lambda w: calibration_slope(said, positive, w)[:, None], none)
    (intercept,) = estimates(lambda w: calibration_intercept(said, positive, w)[:, None], none)
    both = tuple(estimates(worth, missed.repeat(2)))
    share, every = everyone(once)
    return Risk(
        share=float(share),
        slope=slope,
        intercept=intercept,
        benefit=both[: len(THRESHOLDS)],
        everyone=tuple(every[0].tolist()),
        gain=both[len(THRESHOLDS) :],
    )


def calibration_slope(
    said: Float64[Tensor, " n"], positive: Bool[Tensor, " n"], weights: Float64[Tensor, "e n"]
) -> Float64[Tensor, " e"]:
    """Slope b of the fit logit P(positive) = a + b logit(said); NaN where there is none: images are
    told apart without error, or all probabilities are equal.

    Source: Cox 1958, "Two further applications of a model for binary regression"; Van Calster et
    al. 2019, "Calibration: the Achilles heel of predictive analytics".
    """
    return _fit(said, positive, weights, slope=True)


def calibration_intercept(
    said: Float64[Tensor, " n"], positive: Bool[Tensor, " n"], weights: Float64[Tensor, "e n"]
) -> Float64[Tensor, " e"]:
    """Intercept a of the fit logit P(positive) = a + logit(said), "calibration in the large"; NaN
    where one kind of image has no weight. Sources as for `calibration_slope`.
    """
    return _fit(said, positive, weights, slope=False)


def _fit(
    said: Float64[Tensor, " n"],
    positive: Bool[Tensor, " n"],
    weights: Float64[Tensor, "e n"],
    *,
    slope: bool,
) -> Float64[Tensor, " e"]:
    step = max(1, ELEMENTS // max(len(said), 1))
    x = said.clamp(LEAST, 1 - LEAST).logit()
    x, y = (x - x.mean() if slope else x), positive.double()  # so a and b hardly depend on another
    start = torch.tensor([0.0, 0.0 if slope else 1.0], dtype=torch.float64)
    once = torch.ones(1, len(said), dtype=torch.float64)
    if _has_fit(x, positive, once, slope=slope):
        near = _newton(x, y, once, start, slope=slope)[:, 0]  # most weightings end near to it
        start = near if near.isfinite().all() else start
    found = torch.full((len(weights),), torch.nan, dtype=torch.float64)
    for first in range(0, len(weights), step):
        part = weights[first : first + step]
        good = _has_fit(x, positive, part, slope=slope)
        if good.any():
            ends = _newton(x, y, part[good], start, slope=slope)
            found[first : first + step][good] = ends[int(slope)]
    return found


def _has_fit(
    x: Float64[Tensor, " n"],
    positive: Bool[Tensor, " n"],
    weights: Float64[Tensor, "e n"],
    *,
    slope: bool,
) -> Bool[Tensor, " e"]:
    """Where the likelihood has a maximum: both kinds of image count and, for a slope, neither lies
    wholly above the other (Albert and Anderson 1984).
    """
    sides = [(weights > 0) & kind for kind in (positive, ~positive)]
    there = sides[0].any(1) & sides[1].any(1)
    if not slope:
        return there
    infinity = torch.tensor(math.inf, dtype=torch.float64)
    highest = [torch.where(side, x, -infinity).amax(1) for side in sides]
    lowest = [torch.where(side, x, infinity).amin(1) for side in sides]
    return there & (highest[0] > lowest[1]) & (highest[1] > lowest[0])


def _newton(
    x: Float64[Tensor, " n"],
    y: Float64[Tensor, " n"],
    weights: Float64[Tensor, "e n"],
    start: Float64[Tensor, " 2"],
    *,
    slope: bool,
) -> Float64[Tensor, "2 e"]:
    """Intercept and slope at the maximum of the likelihood, the slope as it was where it is given,
    by Newton's method with steps of at most 2; NaN where no step reaches it.
    """
    ends = start[:, None].repeat(1, len(weights))
    for _ in range(STEPS):
        expected = (ends[0][:, None] + ends[1][:, None] * x).sigmoid()
        left, bend = weights * (y - expected), weights * expected * (1 - expected)
        da, haa = left.sum(1), bend.sum(1).clamp(min=1e-300)
        if slope:
            db, hab, hbb = left @ x, bend @ x, bend @ x.square()
            det = (haa * hbb - hab * hab).clamp(min=1e-300)
            moves = torch.stack([(hbb * da - hab * db) / det, (haa * db - hab * da) / det])
        else:
            moves = torch.stack([da / haa, torch.zeros_like(da)])
        far = moves.abs().amax(0)
        ends = ends + moves / far.clamp(min=2) * 2
        if bool((far < SETTLED).all()):
            break
    return torch.where(far < SETTLED, ends, torch.nan)


def net_benefit(
    said: Float64[Tensor, " n"],
    positive: Bool[Tensor, " n"],
    weights: Float64[Tensor, "e n"],
    thresholds: Float64[Tensor, " t"],
) -> Float64[Tensor, "e t"]:
    """True positives less false positives times the odds of the threshold, per image, where the
    class is said from the threshold on: in units of true positives.

    Source: Vickers and Elkin 2006, "Decision curve analysis: a novel method for evaluating
    prediction models"; divided by the share of the class in Kerr et al. 2016, "Assessing the
    clinical impact of risk models with decision curves".
    """
    odds = thresholds / (1 - thresholds)
    chosen = (said[:, None] >= thresholds).double()
    worth = chosen * torch.where(positive[:, None], 1.0, -odds)
    return weights @ worth / weights.sum(1, keepdim=True)


def _estimate(value: float, found: Float64[Tensor, " e"], groups: int, least: float) -> Estimate:
    """Value plus or minus Student's quantile times the deviation of its replicates, which a
    bootstrap understates by one part in the number of groups.

    Args:
        value: with every image counted once.
        found: its replicates.
        groups: how many there are, 0 where they are too few.
        least: variance that is added. Few images lie between a threshold and the end of the scale,
            and none of them may be decided wrongly by chance: one group more that is makes the
            difference.
    """
    known = found[found.isfinite()]
    if groups == 0 or not math.isfinite(value) or len(known) < MIN_DEFINED * len(found):
        return Estimate(value, None)
    variance = float(known.var()) * groups / (groups - 1) + least
    width = quantile(groups - 1) * math.sqrt(variance)
    return Estimate(value, Interval(value - width, value + width))
