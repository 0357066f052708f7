"""Probabilities read as risks: are they right on the whole, are they too extreme, and is acting on
them worth more than acting on everybody or nobody?

Statistics take a weighting of the images per row, as in `scores.py`; the intervals draw whole
groups (patients) again.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from synthograph.core.interval import Interval
from synthograph.stats.intervals import MIN_GROUPS, quantile
from synthograph.stats.paired import MIN_DEFINED, REPLICATES, group_weights
from synthograph.stats.ranks import ELEMENTS

# n image, e weighting, t threshold

THRESHOLDS = tuple(k / 100 for k in range(1, 100))
LEAST = 1e-6
"""Probabilities nearer to 0 or 1 count as so far from it: their logits have no end."""
STEPS = 50
STEEPEST = 100.0
"""A slope beyond it means that the images are told apart without error: it has no value."""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval over groups.

    Attributes:
        value: NaN where there is none.
        interval: None where fewer than `MIN_GROUPS` groups are of the class, or of another, and
            without a value in too many replicates. In simulations with 20 to 150 groups 90 to 99 %
            of the intervals hold the true value, of a gain 93 to 100 %.
    """

    value: float
    interval: Interval | None


@dataclass(frozen=True)
class Risk:
    """What a class's probability is worth as a risk.

    Attributes:
        share: of the images that are of the class, 0..1.
        slope: of the calibration: 1 where probabilities are as extreme as they may be, less where
            they are too extreme. NaN where the images are told apart without error.
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
    *,
    seed: int = 0,
) -> Risk | None:
    """Calibration and net benefit of a class's probability; None without images of both kinds.

    Args:
        said: probability of the class for every image, 0..1.
        positive: images of the class.
        groups: patient of every image.
        seed: of the intervals.
    """
    if not positive.any() or positive.all():
        return None
    thresholds = torch.tensor(THRESHOLDS, dtype=torch.float64)
    weights = torch.cat(
        (torch.ones(1, len(said), dtype=torch.float64), group_weights(groups, REPLICATES, seed))
    )
    share = (weights @ positive.double() / weights.sum(1))[:, None]
    everyone, benefit = (
        net_benefit(said_so, positive, weights, thresholds) / share
        for said_so in (torch.ones_like(said), said)
    )
    own, others = (len(groups[kind].unique()) for kind in (positive, ~positive))
    count = len(groups.unique()) if min(own, others) >= MIN_GROUPS else 0
    return Risk(
        share=float(share[0]),
        slope=_estimate(calibration_slope(said, positive, weights), count),
        intercept=_estimate(calibration_intercept(said, positive, weights), count),
        benefit=tuple(_estimate(column, count) for column in benefit.T),
        everyone=tuple(everyone[0].tolist()),
        gain=tuple(
            _estimate(column, count, 1 / own**2) for column in (benefit - everyone.clamp(min=0)).T
        ),
    )


def calibration_slope(
    said: Float64[Tensor, " n"], positive: Bool[Tensor, " n"], weights: Float64[Tensor, "e n"]
) -> Float64[Tensor, " e"]:
    """Slope b of the fit logit P(positive) = a + b logit(said); NaN where there is none.

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
    x, y = said.clamp(LEAST, 1 - LEAST).logit(), positive.double()
    parts = [_newton(x, y, weights[k : k + step], slope) for k in range(0, len(weights), step)]
    return torch.cat(parts)


def _newton(
    x: Float64[Tensor, " n"],
    y: Float64[Tensor, " n"],
    weights: Float64[Tensor, "e n"],
    slope: bool,
) -> Float64[Tensor, " e"]:
    """Maximum of the likelihood by Newton's method, steps of at most 2 in logits; the slope, or
    the intercept with slope 1. NaN where it lies at infinity, or no step reaches it.
    """
    b = torch.full((len(weights),), 0.0 if slope else 1.0, dtype=torch.float64)
    centre = (weights @ x / weights.sum(1).clamp(min=1e-300))[:, None] if slope else 0.0
    at = x - centre  # of weighted mean 0, so that the two steps hardly depend on each other
    share = (weights @ y / weights.sum(1)).clamp(1e-12, 1 - 1e-12)
    a = share.logit() if slope else torch.zeros_like(b)
    for _ in range(STEPS):
        expected = (a[:, None] + b[:, None] * at).sigmoid()
        left, bend = weights * (y - expected), weights * expected * (1 - expected)
        da, haa = left.sum(1), bend.sum(1).clamp(min=1e-300)
        if slope:
            db, hab, hbb = (left * at).sum(1), (bend * at).sum(1), (bend * at * at).sum(1)
            det = (haa * hbb - hab * hab).clamp(min=1e-300)
            moves = (hbb * da - hab * db) / det, (haa * db - hab * da) / det
        else:
            moves = da / haa, torch.zeros_like(b)
        largest = torch.stack(moves).abs().amax(0).clamp(min=2) / 2
        a, b = a + moves[0] / largest, b + moves[1] / largest
        if bool((torch.stack(moves).abs().amax(0) < 1e-9).all()):
            break
    settled = torch.stack(moves).abs().amax(0) < 1e-6
    both = ((weights @ y) > 0) & ((weights @ (1 - y)) > 0)
    good = settled & both & (b.abs() < STEEPEST) & (a.abs() < STEEPEST)
    if slope:
        good &= weights @ x.square() - (weights @ x).square() / weights.sum(1) > 1e-9  # x varies
    return torch.where(good, b if slope else a, torch.nan)


def net_benefit(
    said: Float64[Tensor, " n"],
    positive: Bool[Tensor, " n"],
    weights: Float64[Tensor, "e n"],
    thresholds: Float64[Tensor, " t"],
) -> Float64[Tensor, "e t"]:
    """True positives less false positives times the odds of the threshold, per image, where the
    class is said from the threshold on: in units of true positives.

    Source: Vickers and Elkin 2006, "Decision curve analysis: a novel method for evaluating
    prediction models".
    """
    odds = thresholds / (1 - thresholds)
    chosen = (said[:, None] >= thresholds).double()
    worth = chosen * torch.where(positive[:, None], 1.0, -odds)
    return weights @ worth / weights.sum(1, keepdim=True)


def _estimate(found: Float64[Tensor, " e"], groups: int, least: float = 0.0) -> Estimate:
    """The first is the value, the others are its replicates: plus or minus Student's quantile times
    their deviation, which a bootstrap understates by one part in the number of groups.

    Args:
        found: value and replicates.
        groups: how many there are, 0 where they are too few.
        least: variance that is added. Where few images are below a threshold, none of them may be
            of the class by chance. One more group of it that is missed makes the difference.
    """
    value, known = float(found[0]), found[1:][found[1:].isfinite()]
    if groups == 0 or not math.isfinite(value) or len(known) < MIN_DEFINED * (len(found) - 1):
        return Estimate(value, None)
    variance = float(known.var()) * groups / (groups - 1) + least
    width = quantile(groups - 1) * math.sqrt(variance)
    return Estimate(value, Interval(value - width, value + width))
