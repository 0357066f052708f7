"""Is one way of training better than another, for patients and generators that were not drawn?

Two conditions predict the same images, out of fold. Their difference varies for two reasons that a
test over images sees neither of: other patients, and another training (another draw of the
generator and of the classifier). Both variances are measured and added:

- patients: whole groups are drawn again with all their images, the same ones for both conditions
  (the paired cluster bootstrap: Field and Welsh 2007, "Bootstrapping clustered data");
- trainings: how much the score moves where one fold's predictions are replaced by those of another
  draw, from the differences between draws within each fold. Folds that share a generator move
  together: its chance is the same in all of them.

The difference plus or minus a t quantile times the root of the sum is the interval; `_width` says
which quantile. With one draw the second part is unknown: the interval then holds for this training
alone, and `Difference.trainings` is None.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int64
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri, stdtr, stdtrit
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.core.interval import Interval
from synthograph.core.seeds import Streams
from synthograph.stats.intervals import LEVEL, MIN_GROUPS, quantile, wilson
from synthograph.stats.outcomes import O, Outcome, Score
from synthograph.stats.scores import Predictions

# n image, k class, e weighting, d draw, f fold

REPLICATES = 1000
FEW = 4
"""Comparisons of draws that folds share below which all that they differ by counts."""
POWER = 0.8
"""Chance to see a difference of the size that a plan calls detectable."""
MIN_DEFINED = 0.9
"""Share of the replicates in which a score must have a value, for an interval."""
EQUAL = 1e-18
"""Variance over replicates that is rounding: whichever groups are drawn, the value is the same."""


Together = Sequence[Collection[int]]
"""Sets of folds that share what a draw draws."""


@dataclass(frozen=True)
class Difference:
    """Score of a condition less that of its reference.

    Attributes:
        value: the difference, means over the draws.
        interval: holds the true difference in `LEVEL` of repeated studies; None where `reason`
            says why.
        p: two-sided, against no difference; None without an interval.
        patients: standard error from patients.
        trainings: standard error from draws of the training; None with a single draw of both.
        reason: why there is no interval.
    """

    value: float
    interval: Interval | None = None
    p: float | None = None
    patients: float | None = None
    trainings: float | None = None
    reason: str | None = None

    @property
    def error(self) -> float | None:
        """Standard error of the difference, from patients and trainings together."""
        if self.patients is None:
            return None
        return math.hypot(self.patients, self.trainings or 0.0)


def group_weights(
    groups: Int64[Tensor, " n"], replicates: int, seed: int
) -> Float64[Tensor, "e n"]:
    """How often every image counts in each replicate: groups drawn with repetition, as many as
    there are.
    """
    _, inverse = groups.unique(return_inverse=True)
    count = int(inverse.max()) + 1
    drawn = Streams(seed).integers("bootstrap", torch.arange(replicates * count), count)
    counts = torch.zeros(replicates, count, dtype=torch.float64)
    counts.scatter_add_(1, drawn.reshape(replicates, count), torch.ones_like(counts))
    return counts[:, inverse]


def score_interval(
    score: Score[O], outcome: O, *, replicates: int = REPLICATES, seed: int = 0
) -> tuple[float, Interval | None]:
    """A score and its interval over groups; for this training of the classifier.

    The bootstrap over groups says how many independent images would show its variance, for a share
    of images at most as many as there are; Wilson's interval follows from that number. The rarest
    class says how far it can be trusted: degrees of freedom are its groups less one, and where
    nothing varies, as at 0 and 1, so many groups count. A sensitivity rests on the groups of its
    class alone. In simulations 93 to 100 % of the intervals hold the true value, with 5 to 20
    patients of the rarest class (docs/results/rare_classes.py).

    Returns:
        The value, and None for the interval with fewer than `MIN_GROUPS` groups of a class or where
        the score has no value in too many replicates.
    """
    value, count = score.value(outcome), outcome.fewest_groups(score.classes)
    if count < MIN_GROUPS or not math.isfinite(value):
        return value, None
    rows = outcome.about(score.classes)
    groups = outcome.groups[rows]
    weights = torch.zeros(replicates, len(outcome), dtype=torch.float64)
    weights[:, rows] = group_weights(groups, replicates, seed)
    found = score.compute(outcome, weights)
    if not _mostly_defined(found):
        return value, None
    share = min(max(value / score.top, 0.0), 1.0)
    spread = _variance(found / score.top, len(groups.unique()))
    if score.each is not None:
        spread += _unseen(score.each(outcome, weights), outcome)
    varies = spread > EQUAL and 0 < share < 1
    number = share * (1 - share) / spread if varies else count
    if score.share:
        number = min(number, len(groups))
    ends = wilson(share, number, quantile(count - 1))
    return value, Interval(ends.low * score.top, ends.high * score.top)


def compare(
    score: Score[O],
    arm: list[O],
    reference: list[O],
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
    together: tuple[Together, Together] = ((), ()),
) -> Difference:
    """The difference of a score between two conditions that predicted the same images.

    Where it is the same whichever groups are drawn, such as where both conditions are right on all
    images, the bootstrap has no width. Then one group of the rarest class counts as if it told them
    apart: so few groups cannot show that the next ones will not. Of a mean over classes that holds
    for each class by itself.

    Args:
        score: what is compared.
        arm: one set of out-of-fold predictions per draw of the training, the same images in the
            same order; classifier seeds of one draw were averaged before.
        reference: likewise for the condition that it is compared with.
        replicates: of the bootstrap over groups.
        seed: of the bootstrap.
        together: of both conditions, folds whose images one generator made, so that a draw is one
            for all of them.
    """
    _check_same(arm, reference)
    value = _mean_value(score, arm) - _mean_value(score, reference)
    groups = arm[0].groups
    count = arm[0].fewest_groups(score.classes)
    if not math.isfinite(value):
        return Difference(value, reason=f"{score.title} has no value on these images")
    if count < MIN_GROUPS:
        reason = f"no interval: a class has {count} groups, at least {MIN_GROUPS} are needed"
        return Difference(value, reason=reason)
    weights = group_weights(groups, replicates, seed)
    found = _mean_scores(score, arm, weights) - _mean_scores(score, reference, weights)
    if not _mostly_defined(found):
        reason = f"no interval: {score.title} has no value in many replicates, a class is too rare"
        return Difference(value, reason=reason)
    spread = _variance(found, len(groups.unique()))
    if score.each is not None and spread > EQUAL:
        sides = [[score.each(one, weights) for one in side] for side in (arm, reference)]
        ours, theirs = (torch.stack(side).mean(0) for side in sides)
        spread += _unseen(ours - theirs, arm[0])
    parts = [(spread if spread > EQUAL else (score.top / count) ** 2, count - 1.0)]
    both = zip((arm, reference), together, strict=True)
    draws = [_draw_variance(score, one, weights, same) for one, same in both if len(one) > 1]
    parts += draws
    width = _width(parts, 1 - LEVEL)
    return Difference(
        value,
        Interval(value - width, value + width),
        _p_value(abs(value), parts),
        math.sqrt(parts[0][0]),
        math.sqrt(sum(part for part, _ in draws)) if draws else None,
    )


def corrected_t(differences: list[float], test_share: float) -> tuple[float, float]:
    """Corrected resampled t-test over folds, whose training sets overlap.

    Args:
        differences: of every fold, and of every repetition of the folds.
        test_share: test groups divided by training groups of a fold.

    Returns:
        t and its two-sided p. Source: Nadeau and Bengio 2003, "Inference for the generalization
        error", section 3: the variance is taken times (1 / J + n2 / n1) instead of 1 / J.
    """
    values = torch.tensor(differences, dtype=torch.float64)
    count = len(values)
    if count < 2:
        raise UserError(f"{count} fold: the corrected test needs at least 2")
    error = math.sqrt(float(values.var()) * (1 / count + test_share))
    if error == 0:
        return (0.0, 1.0) if float(values.mean()) == 0 else (math.inf, 0.0)
    t = float(values.mean()) / error
    return t, 2 * float(stdtr(count - 1, -abs(t)))


def auroc_difference(
    scores: Float64[Tensor, "two n"], labels: Int64[Tensor, " n"], groups: Int64[Tensor, " n"]
) -> tuple[float, float]:
    """Difference of two areas under the ROC curve on the same images, and its standard error.

    Args:
        scores: of both classifiers for every image.
        labels: 1 for positive images, 0 for others.
        groups: patient of every image; a patient may have images of both kinds.

    Returns:
        First less second, and the standard error. Source: Obuchowski 1997, "Nonparametric analysis
        of clustered ROC curve data"; where every group is one image it is that of DeLong et al.
        1988.
    """
    positive = labels == 1
    if not positive.any() or positive.all():
        raise UserError("areas under the ROC curve need positive and negative images")
    high, low = scores[:, positive], scores[:, ~positive]
    below, above = _share_below(high, low), 1 - _share_below(low, high)
    areas = below.mean(1)
    difference = areas[0] - areas[1]
    of_high = below[0] - below[1] - difference
    of_low = above[0] - above[1] - difference
    _, inverse = groups.unique(return_inverse=True)
    count = int(inverse.max()) + 1
    sums = torch.zeros(2, count, dtype=torch.float64)
    sums[0].index_add_(0, inverse[positive], of_high)
    sums[1].index_add_(0, inverse[~positive], of_low)
    has = [len(inverse[kind].unique()) for kind in (positive, ~positive)]
    if min(has) < 2:
        raise UserError("a standard error needs two groups with positive and two with negatives")
    sizes = (int(positive.sum()), int((~positive).sum()))
    variance = sum(
        has[side] / (has[side] - 1) * float(sums[side].square().sum()) / sizes[side] ** 2
        for side in (0, 1)
    )
    variance += 2 * count / (count - 1) * float((sums[0] * sums[1]).sum()) / (sizes[0] * sizes[1])
    return float(difference), math.sqrt(max(variance, 0.0))


def _share_below(
    values: Float64[Tensor, "two n"], others: Float64[Tensor, "two m"]
) -> Float64[Tensor, "two n"]:
    """Share of a row's others below each value, equal ones counted half (the placements of Sun and
    Xu 2014): no table of all pairs, which large sets would not fit in memory.
    """
    places, values = others.sort(dim=1).values.contiguous(), values.contiguous()
    left, right = (torch.searchsorted(places, values, right=each) for each in (False, True))
    return (left + right).double() / (2 * others.shape[1])


def folded_auroc_difference(arm: Predictions, reference: Predictions) -> tuple[float, float]:
    """Difference of two areas under the ROC curve out of fold, and its standard error for these
    trainings: pairs within folds only, as `scores.auroc` counts them. Two classes.

    Raises:
        UserError: there are more classes, or a fold has fewer than two groups of a class.
    """
    if arm.classes != 2:
        raise UserError(f"{arm.classes} classes: the test is for two")
    _check_same([arm], [reference])
    both = torch.stack((arm.probabilities[:, 1], reference.probabilities[:, 1]))
    total, variance, pairs = 0.0, 0.0, 0
    for fold in arm.folds.unique().tolist():
        rows = arm.folds == fold
        labels = arm.labels[rows]
        weight = int((labels == 1).sum()) * int((labels == 0).sum())
        difference, error = auroc_difference(both[:, rows], labels, arm.groups[rows])
        total, variance = total + weight * difference, variance + (weight * error) ** 2
        pairs += weight
    return total / pairs, math.sqrt(variance) / pairs


def normal_p(value: float, error: float) -> float:
    """Two-sided p of a value against 0, by its standard error."""
    if error == 0:
        return float(value == 0)
    return 2 * float(ndtr(-abs(value) / error))


def detectable(error: float, freedom: float = math.inf, power: float = POWER) -> float:
    """Smallest true difference that a study sees with the given power, from its standard error."""
    return (quantile(freedom) + float(ndtri(power))) * error


def auroc_error(area: float, positives: int, negatives: int, correlation: float = 0.5) -> float:
    """Expected standard error of the difference of two areas near `area`, for planning.

    Args:
        area: expected area under the ROC curve, 0.5..1.
        positives: groups with the class.
        negatives: groups without it.
        correlation: of the two areas over sets of patients; the same patients are in both.

    Source: Hanley and McNeil 1982, "The meaning and use of the area under a ROC curve", equation
    1, and 1983 for pairs.
    """
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area)
    variance += (positives - 1) * (one - area**2) + (negatives - 1) * (two - area**2)
    return math.sqrt(2 * (1 - correlation) * variance / (positives * negatives))


def paired_error(spread: float, groups: int, correlation: float = 0.5) -> float:
    """Expected standard error of the difference of two means over the same groups, for planning.

    Args:
        spread: standard deviation from group to group, of either mean.
        groups: at least one.
        correlation: of what both make of one group.
    """
    return spread * math.sqrt(2 * (1 - correlation) / groups)


def _mean_value(score: Score[O], draws: list[O]) -> float:
    return sum(score.value(each) for each in draws) / len(draws)


def _mean_scores(score: Score[O], draws: list[O], weights: Tensor) -> Tensor:
    return torch.stack([score.compute(each, weights) for each in draws]).mean(0)


def _variance(found: Float64[Tensor, " e"], groups: int) -> float:
    """Of a statistic over replicates; as many groups are drawn as there are, which understates it
    by one part in their number.
    """
    return float(found[found.isfinite()].var()) * groups / (groups - 1)


def _unseen(each: Float64[Tensor, "e k"], outcome: Outcome) -> float:
    """What the variance of a mean over classes lacks: that of a class which hardly varies over
    replicates is at least that of one of its groups.
    """
    classes = each.shape[1]
    counts = torch.tensor([outcome.fewest_groups((c,)) for c in range(classes)])
    defined = each[each.isfinite().all(1)]
    return float((counts.double() ** -2 - defined.var(0)).clamp(min=0).sum()) / classes**2


def _draw_variance(
    score: Score[O],
    draws: list[O],
    weights: Float64[Tensor, "e n"],
    together: Together,
) -> tuple[float, float]:
    """Variance of the mean over draws, and its degrees of freedom.

    One fold's predictions at a time come from another draw than the rest, or those of folds that
    belong together; others were trained independently, so their variances add. What draws differ by
    on these patients alone, which the bootstrap over groups holds already, is taken off; not of
    folds that belong together where there are fewer than `FEW` comparisons, since nothing would be
    left too often (docs/results/useful.md, "Do the intervals hold what they say?").
    """
    first, *others = draws
    there = set(first.folds.tolist())
    joint = [there & set(some) for some in together if there & set(some)]
    parts = [*({fold} for fold in there.difference(*joint)), *joint]
    total, freedom = 0.0, len(parts) * (len(draws) - 1)
    every = torch.cat((torch.ones(1, weights.shape[1], dtype=torch.float64), weights))
    unchanged = score.compute(first, every)
    for part in parts:
        inside = torch.isin(first.folds, torch.tensor(sorted(part)))
        moved = [score.compute(first.mixed(each, inside), every) for each in others]
        values = torch.stack([unchanged, *moved])
        values = values[:, values.isfinite().all(0)]
        apart = values - values.mean(0)
        chance = float(apart[:, 1:].var(1).sum()) / (len(draws) - 1)
        known = not joint or freedom >= FEW
        total += (float(values[:, 0].var()) - chance * known) / len(draws)
    return max(total, 0.0), float(freedom)


def _width(parts: list[tuple[float, float]], alpha: float) -> float:
    """Half of an interval from variances with their degrees of freedom.

    Source: Cochran 1964, "Approximate significance levels of the Behrens-Fisher test": the
    quantile is the mean of those of the parts, weighted by variance.
    """
    total = sum(part for part, _ in parts)
    if total == 0:
        return 0.0
    t = sum(part * float(stdtrit(freedom, 1 - alpha / 2)) for part, freedom in parts) / total
    return t * math.sqrt(total)


def _p_value(distance: float, parts: list[tuple[float, float]]) -> float:
    """The level at which the interval just reaches 0."""
    if distance == 0 or sum(part for part, _ in parts) == 0:
        return float(distance == 0)
    least = 1e-12
    if _width(parts, least) < distance:
        return least
    return float(brentq(lambda alpha: _width(parts, alpha) - distance, least, 1.0))


def _mostly_defined(found: Float64[Tensor, " e"]) -> bool:
    return float(found.isfinite().double().mean()) >= MIN_DEFINED


def _check_same(arm: list[O], reference: list[O]) -> None:
    if not all(arm[0].same_images(each) for each in (*arm[1:], *reference)):
        raise UserError("conditions are compared on the same images in the same order")
