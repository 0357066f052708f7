"""One arm of a study beside another: the difference, its interval, second opinions and what it
says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from synthograph.core.errors import UserError
from synthograph.core.interval import Interval
from synthograph.results.classification import CalibrationCurve
from synthograph.results.study import Finding, FoldValue, SecondOpinion, StudyDifference
from synthograph.stats.intervals import LEVEL, quantile
from synthograph.stats.paired import (
    compare,
    corrected_t,
    folded_auroc_difference,
    normal_p,
)
from synthograph.stats.scores import AUROC, Predictions, PredictionScore, reliability

ALPHA = 1 - LEVEL


@dataclass(frozen=True)
class Rules:
    """What was fixed before any test image was looked at.

    Attributes:
        score: that is compared.
        margin: largest loss that does not matter.
        test_share: test groups divided by training groups of a fold; from the folds where None.
        seed, replicates: of the bootstrap.
    """

    score: PredictionScore
    margin: float | None
    test_share: float | None
    seed: int
    replicates: int

    def gain(self, difference: float) -> float:
        """A difference, positive where the arm is better."""
        return difference if self.score.higher_is_better else -difference


@dataclass(frozen=True)
class Side:
    """An arm on one set of test images: its name, and its predictions of every draw."""

    name: str
    draws: Sequence[Predictions]

    def value(self, score: PredictionScore) -> float | None:
        """Mean of a score over the draws; None where it has no value."""
        return known(sum(map(score.value, self.draws)) / len(self.draws))

    def over_draws(self, score: PredictionScore) -> PredictionScore:
        """The mean of a score over the draws as a score of any of them."""
        return replace(
            score,
            compute=lambda _, weights: torch.stack(
                [score.compute(each, weights) for each in self.draws]
            ).mean(0),
        )

    def by_group(self) -> "Side":
        """One prediction per group."""
        return Side(self.name, [each.by_group() for each in self.draws])

    def folds(self) -> Iterator[tuple[int, "Side"]]:
        """The images of every fold."""
        of = self.draws[0].folds
        for fold in of.unique().tolist():
            yield fold, Side(self.name, [each.subset(of == fold) for each in self.draws])

    def fold_values(self, score: PredictionScore) -> tuple[FoldValue, ...]:
        """A score in every fold."""
        return tuple(_fold_value(fold, side, side.value(score)) for fold, side in self.folds())

    def calibration(self) -> CalibrationCurve:
        """Reliability of the predictions of all draws."""
        first = self.draws[0]
        every = replace(
            first,
            probabilities=torch.cat([each.probabilities for each in self.draws]),
            labels=first.labels.repeat(len(self.draws)),
            groups=first.groups.repeat(len(self.draws)),
            folds=first.folds.repeat(len(self.draws)),
        )
        said = reliability(every)
        return CalibrationCurve(
            said=tuple(said.said.tolist()),
            came=tuple(said.came.tolist()),
            counts=tuple(said.counts.tolist()),
            error=said.error,
        )


def known(value: float) -> float | None:
    """None in place of NaN."""
    return value if value == value else None


def difference(arm: Side, other: Side, rules: Rules) -> StudyDifference:
    """An arm less another one; `judged` says what it means."""
    found = compare(
        rules.score,
        list(arm.draws),
        list(other.draws),
        replicates=rules.replicates,
        seed=rules.seed,
    )
    folds = tuple(_fold_differences(arm, other, rules.score))
    second = [*_corrected(folds, rules), *_obuchowski(arm, other, rules)]
    return StudyDifference(
        arm=arm.name,
        against=other.name,
        value=known(found.value),
        interval=found.interval,
        p=found.p,
        finding=Finding.UNDECIDED,
        patients=found.patients,
        trainings=found.trainings,
        draws=len(arm.draws),
        folds=folds if len(folds) > 1 else (),
        others=tuple(_agreeing(each, found.p) for each in second),
        reason=found.reason or "",
    )


def judged(
    found: StudyDifference, rules: Rules, *, primary: bool = False, adjusted: float | None = None
) -> StudyDifference:
    """A difference with what it says.

    Args:
        found: the difference.
        rules: what was fixed before.
        primary: whether it is that of the primary condition, for which the margin was fixed.
        adjusted: its p by Holm, where several are tested.
    """
    finding = _finding(found, rules, primary=primary, adjusted=adjusted)
    return found.replace(primary=primary, adjusted_p=adjusted, finding=finding)


def _finding(
    found: StudyDifference, rules: Rules, *, primary: bool, adjusted: float | None
) -> Finding:
    p = found.p if adjusted is None else adjusted
    if p is None or found.interval is None or found.value is None:
        return Finding.UNDECIDED
    gain = rules.gain(found.value)
    if p < ALPHA and gain > 0:
        return Finding.BETTER
    least = min(map(rules.gain, (found.interval.low, found.interval.high)))
    if primary and rules.margin is not None and least > -rules.margin:
        return Finding.NON_INFERIOR
    return Finding.WORSE if p < ALPHA else Finding.NO_DIFFERENCE


def _fold_value(fold: int, side: Side, value: float | None) -> FoldValue:
    first = side.draws[0]
    return FoldValue(fold=fold, value=value, images=len(first), groups=len(first.groups.unique()))


def _fold_differences(arm: Side, other: Side, score: PredictionScore) -> Iterator[FoldValue]:
    for (fold, ours), (_, theirs) in zip(arm.folds(), other.folds(), strict=True):
        mine, others = ours.value(score), theirs.value(score)
        apart = None if mine is None or others is None else mine - others
        yield _fold_value(fold, ours, apart)


def _corrected(folds: Sequence[FoldValue], rules: Rules) -> Iterator[SecondOpinion]:
    """The test over folds; draws of one fold share its test images, so their mean counts once."""
    if len(folds) < 2:
        return
    test = "corrected t-test (Nadeau and Bengio 2003)"
    values = [each.value for each in folds if each.value is not None]
    if len(values) < len(folds):
        yield SecondOpinion(test=test, reason="the measure has no value in a fold")
        return
    share = 1 / (len(folds) - 1) if rules.test_share is None else rules.test_share
    yield SecondOpinion(test=test, p=corrected_t(values, share)[1])


def _obuchowski(arm: Side, other: Side, rules: Rules) -> Iterator[SecondOpinion]:
    """The test of two areas under the ROC curve for these trainings. DeLong's takes every image for
    independent, so it is that of single images only.
    """
    first = arm.draws[0]
    if rules.score is not AUROC or first.classes != 2:
        return
    single = len(first.groups.unique()) == len(first)
    test = "DeLong 1988" if single else "Obuchowski 1997, DeLong's test for groups of images"
    count = max(len(arm.draws), len(other.draws))
    pairs = [
        (arm.draws[n % len(arm.draws)], other.draws[n % len(other.draws)]) for n in range(count)
    ]
    try:
        found = [folded_auroc_difference(*pair) for pair in pairs]
    except UserError as error:
        yield SecondOpinion(test=test, reason=str(error))
        return
    value = sum(each for each, _ in found) / count
    spread = sum(each for _, each in found) / count  # at least that of the mean over draws
    width = quantile(float("inf")) * spread
    yield SecondOpinion(
        test=test, p=normal_p(value, spread), interval=Interval(value - width, value + width)
    )


def _agreeing(second: SecondOpinion, p: float | None) -> SecondOpinion:
    """With whether it decides as the first test does."""
    if p is None or second.p is None:
        return second
    return second.replace(agrees=(second.p < ALPHA) == (p < ALPHA))
