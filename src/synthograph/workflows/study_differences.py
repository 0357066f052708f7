"""One arm of a study beside another: the difference, its interval, second opinions and what it
says.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic

import torch
from jaxtyping import Float64
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.core.interval import Interval
from synthograph.results.classification import CalibrationCurve
from synthograph.results.study import Finding, FoldValue, SecondOpinion, StudyDifference
from synthograph.stats.intervals import LEVEL, quantile
from synthograph.stats.outcomes import O, Score, joined
from synthograph.stats.paired import (
    Together,
    compare,
    corrected_t,
    folded_auroc_difference,
    normal_p,
)
from synthograph.stats.scores import AUROC, Predictions, reliability

ALPHA = 1 - LEVEL
SAME = 1e-9
"""Differences of folds that are nearer than that are equal."""


@dataclass(frozen=True)
class Rules(Generic[O]):
    """What was fixed before any test image was looked at.

    Attributes:
        score: that is compared.
        margin: largest loss that does not matter.
        test_share: test groups divided by training groups of a fold; from the folds where None.
        seed, replicates: of the bootstrap.
    """

    score: Score[O]
    margin: float | None
    test_share: float | None
    seed: int
    replicates: int

    def gain(self, difference: float) -> float:
        """A difference, positive where the arm is better."""
        return difference if self.score.higher_is_better else -difference


@dataclass(frozen=True)
class Side(Generic[O]):
    """An arm on one set of test images.

    Attributes:
        name: of the arm.
        draws: what every draw found.
        together: sets of folds whose synthetic images come from one generator.
    """

    name: str
    draws: Sequence[O]
    together: Together = ()

    def value(self, score: Score[O]) -> float | None:
        """Mean of a score over the draws; None where it has no value."""
        return known(self.over_draws(score).value(self.draws[0]))

    def over_draws(self, score: Score[O]) -> Score[O]:
        """The mean of a score over the draws, as a score of any of them."""

        def compute(_: O, weights: Float64[Tensor, "e n"]) -> Float64[Tensor, " e"]:
            return torch.stack([score.compute(each, weights) for each in self.draws]).mean(0)

        def of_classes(_: O, weights: Float64[Tensor, "e n"]) -> Float64[Tensor, "e k"]:
            assert score.each is not None, "it is asked for where it is"
            return torch.stack([score.each(each, weights) for each in self.draws]).mean(0)

        return replace(score, compute=compute, each=score.each and of_classes)

    def fold_values(self, score: Score[O]) -> tuple[FoldValue, ...]:
        """Mean of a score over the draws, in every fold."""
        first = self.draws[0]
        numbers = first.folds.unique()
        inside = first.folds == numbers[:, None]
        values = self.over_draws(score).compute(first, inside.double())
        return tuple(
            FoldValue(
                fold=fold,
                value=known(value),
                images=int(rows.sum()),
                groups=len(first.groups[rows].unique()),
            )
            for fold, value, rows in zip(numbers.tolist(), values.tolist(), inside, strict=True)
        )

    @property
    def predictions(self) -> "Side[Predictions]":
        """The same where it is of classes; no draw where it is of masks."""
        return Side(self.name, [each for each in self.draws if isinstance(each, Predictions)])


def by_group(side: Side[Predictions]) -> Side[Predictions]:
    """One prediction per group."""
    return Side(side.name, [each.by_group() for each in side.draws])


def calibration(side: Side[Predictions]) -> CalibrationCurve:
    """Reliability of the predictions of all draws."""
    said = reliability(joined(side.draws))
    return CalibrationCurve(
        said=tuple(said.said.tolist()),
        came=tuple(said.came.tolist()),
        counts=tuple(said.counts.tolist()),
        error=said.error,
    )


def known(value: float) -> float | None:
    """None in place of NaN."""
    return value if value == value else None


def difference(arm: Side[O], other: Side[O], rules: Rules[O]) -> StudyDifference:
    """An arm less another one; `judged` says what it means."""
    found = compare(
        rules.score,
        list(arm.draws),
        list(other.draws),
        replicates=rules.replicates,
        seed=rules.seed,
        together=(arm.together, other.together),
    )
    folds = tuple(_fold_differences(arm, other, rules.score))
    draws = found.trainings is not None
    alike = draws and bool(arm.together or other.together)
    second = [*_corrected(folds, rules.test_share, alike=alike)]
    trainings = [*_obuchowski(arm.predictions, other.predictions, rules.score)]
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
        others=(
            *(_agreeing(each, found.p) for each in second),
            # with several draws it answers another question
            *(trainings if draws else [_agreeing(each, found.p) for each in trainings]),
        ),
        reason=found.reason or "",
    )


def judged(
    found: StudyDifference, rules: Rules[O], *, primary: bool = False, adjusted: float | None = None
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
    found: StudyDifference, rules: Rules[O], *, primary: bool, adjusted: float | None
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


def _fold_differences(arm: Side[O], other: Side[O], score: Score[O]) -> Iterator[FoldValue]:
    for ours, theirs in zip(arm.fold_values(score), other.fold_values(score), strict=True):
        defined = ours.value is not None and theirs.value is not None
        yield ours.replace(value=(ours.value or 0.0) - (theirs.value or 0.0) if defined else None)


def _corrected(
    folds: Sequence[FoldValue], test_share: float | None, *, alike: bool
) -> Iterator[SecondOpinion]:
    """The test over folds; draws of one fold share its test images, so their mean counts once.

    Folds that are `alike` have draws of one generator: what it does by chance is the same in all of
    them, so their spread does not tell it. With one draw it is given, as it is for the interval.
    """
    if len(folds) < 2:
        return
    test = "corrected t-test (Nadeau and Bengio 2003)"
    values = [each.value for each in folds if each.value is not None]
    if len(values) < len(folds):
        yield SecondOpinion(test=test, reason="the measure has no value in a fold")
        return
    if alike:
        yield SecondOpinion(test=test, reason="one generator serves several folds")
        return
    if any(values) and max(values) - min(values) < SAME:
        yield SecondOpinion(test=test, reason="the difference is the same in every fold")
        return
    share = 1 / (len(folds) - 1) if test_share is None else test_share
    yield SecondOpinion(test=test, p=corrected_t(values, share)[1])


def _obuchowski(
    arm: Side[Predictions], other: Side[Predictions], score: Score[O]
) -> Iterator[SecondOpinion]:
    """The test of two areas under the ROC curve. DeLong's takes every image for independent, so it
    is that of single images only.
    """
    if score is not AUROC or not arm.draws or arm.draws[0].classes != 2:
        return
    first = arm.draws[0]
    single = len(first.groups.unique()) == len(first)
    name = "DeLong (1988" if single else "Obuchowski (1997"
    test = f"{name}, for these trainings alone)"
    count = max(len(arm.draws), len(other.draws))
    pairs = [
        (arm.draws[n % len(arm.draws)], other.draws[n % len(other.draws)]) for n in range(count)
    ]
    try:
        found = [folded_auroc_difference(*pair) for pair in pairs]
    except UserError as problem:
        yield SecondOpinion(test=test, reason=str(problem))
        return
    value = sum(each for each, _ in found) / count
    error = sum(each for _, each in found) / count  # at least that of the mean over draws
    width = quantile(math.inf) * error
    ends = Interval(value - width, value + width)
    yield SecondOpinion(test=test, p=normal_p(value, error), interval=ends)


def _agreeing(second: SecondOpinion, p: float | None) -> SecondOpinion:
    """With whether it decides as the first test does."""
    if p is None or second.p is None:
        return second
    return second.replace(agrees=(second.p < ALPHA) == (p < ALPHA))
