"""From the predictions of all arms of a study to differences and to what may be claimed.

Every arm is compared with one real-only arm, the reference: the one whose score on validation
images is best. It is chosen without a look at the test images, so nothing has to be corrected for
the choice. Differences of the primary condition to the other arms stand beside it.

The primary condition was fixed before, with its measure and margin, and is tested first and
unadjusted. The other conditions are adjusted by Holm among themselves and are never claimed alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic

from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.core.version import VERSION
from synthograph.report.claims import claims
from synthograph.results.study import ArmKind, Study, StudyArm, StudyFacts, StudyScore, StudySet
from synthograph.stats.comparisons import holm
from synthograph.stats.outcomes import O, Score
from synthograph.stats.paired import REPLICATES, Together, score_interval
from synthograph.stats.scores import scores_of
from synthograph.workflows.study_differences import (
    Rules,
    Side,
    by_group,
    calibration,
    difference,
    judged,
)


@dataclass(frozen=True)
class Arm(Generic[O]):
    """What one way of training predicted.

    Attributes:
        name: as in the study file.
        kind: what its training images are.
        draws: predictions of all test images, out of fold, one entry per draw of the generator,
            means over the seeds of the classifier. Every arm predicts the same images in the same
            order. An arm without synthetic images has as many, each trained anew: with one entry,
            the chance in its own training is in no interval.
        validation: the measure of the study on validation images, mean over folds and draws.
        ratio: synthetic images per real one.
        external: the same of every external set, by its name: per draw the mean over the folds, all
            images in fold 0.
        together: sets of folds whose synthetic images come from one generator.
    """

    name: str
    kind: ArmKind
    draws: tuple[O, ...]
    validation: float | None = None
    ratio: float | None = None
    external: Mapping[str, tuple[O, ...]] = field(default_factory=dict)
    together: Together = ()


def analyse(
    arms: Sequence[Arm[O]],
    *,
    about: StudyFacts,
    primary: str = "",
    measure: Score[O],
    margin: float | None = None,
    seed: int = 0,
    replicates: int = REPLICATES,
) -> Study:
    """All differences of a study, and what may be claimed of them.

    Args:
        arms: all conditions and controls.
        about: what the study is about.
        primary: name of the condition that the study is about, fixed before; empty for none, in a
            study of real images alone.
        measure: the score that is compared, fixed before.
        margin: largest loss of the measure that does not matter, 0..1, fixed before; without it
            nothing is called non-inferior.
        seed: of the bootstrap.
        replicates: of the bootstrap.

    Raises:
        UserError: no arm but the primary one is real only, the primary one is none of the arms or
            is a control, several arms are real only and one has no score on validation images, or
            arms predict other images.
    """
    if margin is not None and not 0 < margin < 1:
        raise UserError(f"margin: {margin} is not between 0 and 1; leave it out for no margin")
    rules = Rules(measure, margin, about.test_share, seed, replicates)
    _check_primary(arms, primary)
    reference, why = _reference(arms, primary, rules)
    sets = {"": {arm.name: Side(arm.name, arm.draws, arm.together) for arm in arms}}
    sets |= _external(arms)
    internal, *external = [
        _study_set(name, arms, sides, (primary, reference), rules) for name, sides in sets.items()
    ]
    study = Study(
        about=about,
        measure=measure.name,
        measure_title=measure.title,
        higher_is_better=measure.higher_is_better,
        margin=margin,
        primary=primary,
        reference=reference,
        reference_rule=why,
        internal=internal,
        external=tuple(external),
        seed=seed,
        version=VERSION,
    )
    may, may_not = claims(study)
    return study.replace(may=may, may_not=may_not)


def _check_primary(arms: Sequence[Arm[O]], primary: str) -> None:
    names = [arm.name for arm in arms]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"two arms are called {twice!r}: give each a name of its own")
    may = [arm.name for arm in arms if arm.kind.condition or arm.kind.real_only]
    if primary and primary not in may:
        raise UserError(f"primary: {primary!r} is none of the arms: {nearest(primary, may)}")


def _reference(arms: Sequence[Arm[O]], primary: str, rules: Rules[O]) -> tuple[str, str]:
    """Name of the real-only arm that others are compared with, and how it was chosen."""
    every = [arm for arm in arms if arm.kind.real_only]
    real = [arm for arm in every if arm.name != primary]
    other = "other " * (len(real) < len(every))
    if not real:
        raise UserError("no arm is real only: add one, there is nothing to compare with otherwise")
    if len(real) == 1:
        return real[0].name, f"'{real[0].name}' is the only {other}arm without synthetic images."
    scored = {arm.name: rules.gain(arm.validation) for arm in real if arm.validation is not None}
    for arm in real:
        if arm.name not in scored:
            raise UserError(
                f"{arm.name!r} has no score on validation images, which choose the best of "
                f"{len(real)} real-only arms: test images must not choose it"
            )
    best = max(scored, key=lambda name: scored[name])
    return best, (
        f"Arms are compared with '{best}'. Of {len(real)} {other}arms without synthetic images it "
        f"has the best {rules.score.title} on validation images. With several folds these are test "
        "images of other folds, so it looks a little better than it is."
    )


def _external(arms: Sequence[Arm[O]]) -> dict[str, dict[str, Side[O]]]:
    """Sides of every external set, which all arms predict."""
    names = dict.fromkeys(name for arm in arms for name in arm.external)
    for name in names:
        for arm in arms:
            if name not in arm.external:
                raise UserError(f"external set {name}: there are no predictions of {arm.name!r}")
    return {name: {a.name: Side(a.name, a.external[name]) for a in arms} for name in names}


def _study_set(
    name: str,
    arms: Sequence[Arm[O]],
    sides: Mapping[str, Side[O]],
    compared: tuple[str, str],
    rules: Rules[O],
) -> StudySet:
    """All arms on one set of test images.

    Args:
        name: of the set.
        arms: all of them.
        sides: what they predicted here, by their names.
        compared: names of the primary condition and of the reference.
        rules: what was fixed before.
    """
    primary, reference = compared
    found = [
        difference(sides[arm.name], sides[reference], rules)
        for arm in arms
        if arm.name != reference
    ]
    further = [
        arm.name for arm in arms if arm.name != primary and (arm.kind.condition or not primary)
    ]
    ps = {each.arm: each.p for each in found if each.arm in further}
    adjusted = dict(zip(ps, holm(list(ps.values())), strict=True))
    controls = [a.name for a in arms if not a.kind.condition and a.name not in compared]
    first = sides[reference].draws[0]
    return StudySet(
        name=name,
        images=len(first),
        groups=len(first.groups.unique()),
        arms=tuple(_arm(arm, sides[arm.name], rules) for arm in arms),
        differences=tuple(
            judged(each, rules, primary=each.arm == primary, adjusted=adjusted.get(each.arm))
            for each in found
        ),
        to_others=tuple(
            judged(difference(sides[primary], sides[each], rules), rules)
            for each in (controls if primary else ())
        ),
    )


def _arm(arm: Arm[O], side: Side[O], rules: Rules[O]) -> StudyArm:
    first, said = side.draws[0], side.predictions
    settings = {"replicates": rules.replicates, "seed": rules.seed}
    _, interval = score_interval(side.over_draws(rules.score), first, **settings)
    every = scores_of(said.draws[0].classes) if said.draws else ()
    own = [score for score in every if score.name == rules.score.name]
    return StudyArm(
        name=arm.name,
        kind=arm.kind,
        ratio=arm.ratio,
        draws=len(side.draws),
        validation=arm.validation,
        value=side.value(rules.score),
        interval=interval,
        by_group=by_group(said).value(own[0]) if own else None,
        folds=side.fold_values(rules.score),
        scores=tuple(
            StudyScore(score=each.name, value=said.value(each)) for each in every if each not in own
        ),
        calibration=calibration(said) if said.draws else None,
    )
