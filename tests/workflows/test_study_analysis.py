"""From simulated predictions to what may be claimed."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from docs.results.studies import DIFFERS, simulated
from synthograph.core.errors import UserError
from synthograph.results import Study, load
from synthograph.results.study import ArmKind, Finding, StudyFacts
from synthograph.stats import scores
from synthograph.stats.scores import Predictions
from synthograph.workflows.study import StudyResult
from synthograph.workflows.study_analysis import Arm, analyse

ABOUT = StudyFacts(name="simulated", data="simulated.zip", classes=("a", "b"))


def predictions(
    effect: float, draw: int, *, patients: int = 60, images: int = 2, folds: int = 4
) -> Predictions:
    """Scores with a part that all images of a patient share; the patients are the same ones for
    every effect and draw.
    """
    rng = torch.Generator().manual_seed(7)
    groups = torch.arange(patients).repeat_interleave(images)
    labels, fold = (groups % 2).long(), (groups // 2) % folds
    own = torch.randn(patients, generator=rng)[groups]
    rng.manual_seed(100 + draw)
    noise = 0.3 * torch.randn(len(groups), generator=rng)
    p = torch.sigmoid((effect * (labels - 0.5) + own + noise).double())
    return Predictions(torch.stack((1 - p, p), 1), labels, groups, fold)


def arm(kind: ArmKind, effect: float, draws: int = 2, **more: object) -> Arm:
    """An arm that is called by its kind."""
    start = 10 * list(ArmKind).index(kind)
    found = tuple(predictions(effect, start + draw) for draw in range(draws))
    return Arm(**{"name": kind.value, "kind": kind, "draws": found, "validation": 0.5, **more})


def study(*arms: Arm, **more: object) -> Study:
    """Analysed, the mixed arm as the primary one."""
    return analyse(
        arms,
        **{
            "about": ABOUT,
            "primary": "real and synthetic",
            "measure": scores.AUROC,
            "replicates": 200,
            **more,
        },
    )


REAL = arm(ArmKind.REAL, 1.0, draws=1)
MIXED = arm(ArmKind.MIXED, 2.5)


def test_a_large_gain_is_found() -> None:
    found = study(REAL, MIXED).decided
    assert found.finding is Finding.BETTER, found
    assert found.interval.low > 0 and found.value in found.interval, found
    assert len(found.folds) == 4 and found.draws == 2, found


def test_loss_within_and_beyond_the_margin() -> None:
    worse = study(REAL, arm(ArmKind.MIXED, 0.2))
    assert worse.decided.finding is Finding.WORSE, worse.decided
    same = arm(ArmKind.MIXED, 1.0)
    assert study(REAL, same).decided.finding is Finding.NO_DIFFERENCE
    assert study(REAL, same, margin=0.2).decided.finding is Finding.NON_INFERIOR


def test_lower_is_better_for_the_brier_score() -> None:
    found = study(REAL, MIXED, measure=scores.BRIER).decided
    assert found.value < 0 and found.finding is Finding.BETTER, found


@pytest.mark.parametrize("measure", scores.scores_of(2), ids=lambda each: each.name)
def test_every_arm_has_an_interval_by_every_score(measure: scores.PredictionScore) -> None:
    found = study(REAL, MIXED, measure=measure)
    assert found.decided.interval is not None
    for each in found.internal.arms:
        assert each.interval is not None and each.value in each.interval, each


def test_validation_chooses_the_reference() -> None:
    duplicates = arm(ArmKind.DUPLICATES, 3.0, draws=1, validation=0.6)
    found = study(REAL, MIXED, duplicates)
    assert found.reference == "duplicates", found.reference
    assert found.decided.finding is not Finding.BETTER, found.decided
    other = study(REAL, MIXED, replace(duplicates, validation=0.4))
    assert other.reference == "real only", "the test images do not choose"
    assert other.decided.finding is Finding.BETTER, other.decided
    assert "'duplicates'" in other.may_not, other.may_not


def test_several_references_need_validation_scores() -> None:
    balanced = arm(ArmKind.BALANCED, 1.0, validation=None)
    with pytest.raises(UserError, match="'balanced' has no score on validation images"):
        study(REAL, MIXED, balanced)


def test_further_conditions_are_adjusted_and_the_primary_one_is_not() -> None:
    second = replace(arm(ArmKind.MIXED, 1.2), name="more synthetic")
    found = study(REAL, MIXED, second, arm(ArmKind.SYNTHETIC, 1.1), arm(ArmKind.SHUFFLED, 0.5))
    by_name = {each.arm: each for each in found.internal.differences}
    assert found.decided.adjusted_p is None, found.decided
    rest = [by_name["more synthetic"], by_name["synthetic only"]]
    smaller = min(rest, key=lambda each: each.p)
    assert smaller.adjusted_p == pytest.approx(min(1.0, 2 * smaller.p)), rest
    assert by_name["shuffled labels"].adjusted_p is None, "a control is no condition"
    assert [each.against for each in found.internal.to_others] == ["shuffled labels"]


def test_a_claim_names_the_draws() -> None:
    found = study(REAL, MIXED)
    assert found.may.count("; 2 draws of the generator") == 1, found.may


def test_one_draw_holds_for_this_generator() -> None:
    found = study(REAL, arm(ArmKind.MIXED, 2.5, draws=1))
    assert found.decided.trainings is None, found.decided
    assert found.may.startswith("Given this generator"), found.may
    assert "another generator" in found.may_not, found.may_not


def test_real_only_arms_are_compared_without_the_primary_one_as_reference() -> None:
    augmented = arm(ArmKind.AUGMENTED, 2.5, validation=0.9)
    found = study(REAL, augmented, primary="augmented")
    assert (found.reference, found.decided.finding) == ("real only", Finding.BETTER), found.decided
    assert not found.synthetic and found.internal.to_others == ()
    assert found.reference_rule == "'real only' is the only other arm without synthetic images."
    assert "that synthetic images help or harm" in found.may_not, found.may_not
    assert "generator" not in f"{found.may} {found.may_not}", found.may_not


def test_a_study_without_a_primary_arm_tells_values() -> None:
    alone = study(REAL, primary="")
    assert alone.internal.differences == ()
    assert f"'real only' reaches {alone.internal.arms[0].value:.3f}, 95 % interval" in alone.may, (
        alone.may
    )
    noted = alone.replace(about=ABOUT.replace(notes=("first", "second")))
    lines = list(StudyResult(noted, Path("s")).lines())
    assert "note: first" in lines and "note: second" in lines
    assert "note: first" not in list(StudyResult(noted, Path("s"), ["first"]).lines())
    said = repr(StudyResult(alone, Path("s")))
    assert "Area under the ROC curve in every fold" in said and "Differences" not in said, said
    assert "ratio ┃" not in said, "a column without values"
    two = study(REAL, arm(ArmKind.AUGMENTED, 2.5, validation=0.4), primary="")
    (difference,) = two.internal.differences
    assert difference.adjusted_p == difference.p and not difference.primary
    assert "one of them is better, since no comparison was fixed" in two.may_not, two.may_not


def test_no_test_over_folds_that_draws_of_one_generator_serve() -> None:
    """What the generator does by chance is the same in all of them, so they do not show it."""
    shared = {"together": (range(4),)}
    found = study(REAL, replace(MIXED, **shared))
    (over_folds,) = [each for each in found.decided.others if "Nadeau" in each.test]
    assert over_folds.p is None and "serves several folds" in over_folds.reason, over_folds
    said = repr(StudyResult(found, Path("s")))
    assert "no corrected t-test, since one generator serves several folds" in said, said
    one = study(REAL, arm(ArmKind.MIXED, 2.5, draws=1, **shared))
    (over_folds,) = [each for each in one.decided.others if "Nadeau" in each.test]
    assert over_folds.p is not None, "given this generator, folds are separate"


def test_equal_differences_of_folds_are_no_proof() -> None:
    """Their spread is nothing by chance, which would make any difference certain."""
    gain = predictions(2.5, 0, patients=64)
    labels = torch.where(gain.groups % 2 == 0, 0, 1)
    right = torch.nn.functional.one_hot(labels, 2).double()
    wrong = right.clone()
    for fold in range(4):
        first = int((gain.folds == fold).nonzero()[0])
        wrong[first] = wrong[first].flip(0)
    perfect = arm(ArmKind.MIXED, 2.5, draws=1)
    perfect = replace(perfect, draws=(replace(gain, probabilities=right),))
    other = replace(REAL, draws=(replace(gain, probabilities=wrong),))
    found = study(other, perfect, measure=scores.ACCURACY).decided
    (over_folds,) = [each for each in found.others if "Nadeau" in each.test]
    assert over_folds.p is None and "the same in every fold" in over_folds.reason, over_folds


def test_delong_for_single_images_only() -> None:
    tests = [each.test for each in study(REAL, MIXED).decided.others]
    assert any("Obuchowski" in test for test in tests), tests
    assert any("Nadeau" in test for test in tests), tests

    def single(each: Arm) -> Arm:
        cut = tuple(draw.subset(torch.arange(0, len(draw), 2)) for draw in each.draws)
        return replace(each, draws=cut)

    tests = [each.test for each in study(single(REAL), single(MIXED)).decided.others]
    assert any(test.startswith("DeLong") for test in tests), tests


def test_external_sets_stand_beside() -> None:
    def outside(each: Arm, effect: float) -> Arm:
        found = tuple(predictions(effect, 90 + n, folds=1) for n in range(len(each.draws)))
        return replace(each, external={"b.zip": found})

    found = study(outside(REAL, 1.0), outside(MIXED, 2.5))
    (external,) = found.external
    assert external.name == "b.zip" and external.difference(MIXED.name).value > 0, external
    assert "b.zip" in found.may, found.may
    with pytest.raises(UserError, match=r"b\.zip: there are no predictions of 'real and"):
        study(outside(REAL, 1.0), MIXED)


def test_groups_that_are_no_patients_are_named() -> None:
    files = ABOUT.replace(unit="file", unit_is_patient=False)
    assert "Groups are files, not patients" in study(REAL, MIXED, about=files).may_not


def test_too_few_groups_decide_nothing() -> None:
    def few(each: Arm) -> Arm:
        return replace(each, draws=tuple(draw.subset(draw.groups < 6) for draw in each.draws))

    found = study(few(REAL), few(MIXED)).decided
    assert found.finding is Finding.UNDECIDED and "at least 5" in found.reason, found


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((MIXED,), "no arm is real only"),
        ((REAL,), "'real and synthetic' is none of the arms"),
        ((REAL, REAL, MIXED), "two arms are called 'real only'"),
    ],
)
def test_what_cannot_be_compared_is_refused(given: tuple[Arm, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        study(*given)


@pytest.mark.parametrize("margin", [0.0, -0.1, 1.0, math.nan])
def test_a_margin_is_a_share(margin: float) -> None:
    with pytest.raises(UserError, match="margin"):
        study(REAL, MIXED, margin=margin)


def test_a_study_is_read_as_it_was_written(tmp_path) -> None:
    found = study(REAL, MIXED, margin=0.05)
    found.save(tmp_path / "study.json")
    assert load(tmp_path / "study.json") == found
    assert "simulated" in found.public().about.name


def test_the_console_shows_all_tables_and_both_sentences() -> None:
    found = study(REAL, MIXED, arm(ArmKind.SHUFFLED, 0.5))
    said = repr(StudyResult(found, Path("s")))
    for title in ("Differences in area", "Every arm", "Difference from real only in every fold"):
        assert title in said, said
    assert f"may be claimed: {found.may}" in said, said
    assert "may not be claimed: that" in said, said


@pytest.mark.slow
def test_studies_of_equal_conditions_seldom_say_that_they_differ() -> None:
    rng, count = torch.Generator().manual_seed(5), 30
    found = [simulated(rng, 0.0, margin=None, seed=seed, patients=40) for seed in range(count)]
    said = [each.decided.finding in DIFFERS for each in found]
    assert sum(said) <= 5, "of 30; more than 5 has p 0.003 at a true level of 5 %"
    held = [0.0 in each.decided.interval for each in found]
    assert sum(held) >= 25, held
