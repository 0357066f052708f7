"""Studies on the page: the verdict on use, tables, the forest plot, and what may be claimed."""

import re
from pathlib import Path

import pytest

from synthograph.core.interval import Interval
from synthograph.report.claims import claims
from synthograph.report.forest import Line, forest
from synthograph.report.studies import drawing, reliability, tables
from synthograph.report.useful import useful_verdict
from synthograph.report.write import write_report
from synthograph.results import Study
from synthograph.results.classification import CalibrationCurve
from synthograph.results.report import Answer
from synthograph.results.study import (
    ArmKind,
    Finding,
    SecondOpinion,
    StudyArm,
    StudyDifference,
    StudyFacts,
    StudySet,
)

ABOUT = StudyFacts(name="lesions", data="skin.zip", classes=("a", "b"))
PRIMARY = "half & half"
ENDS = {
    Finding.BETTER: (0.01, 0.05),
    Finding.NON_INFERIOR: (-0.01, 0.03),
    Finding.NO_DIFFERENCE: (-0.04, 0.06),
    Finding.WORSE: (-0.09, -0.03),
    Finding.UNDECIDED: None,
}


def difference(finding: Finding, arm: str = PRIMARY, less: str = "real") -> StudyDifference:
    """A difference that says so."""
    ends = ENDS[finding]
    return StudyDifference(
        arm=arm,
        against=less,
        primary=arm == PRIMARY,
        value=0.0 if ends is None else sum(ends) / 2,
        interval=ends and Interval(*ends),
        p=None if ends is None else 0.02,
        finding=finding,
        patients=0.01,
        trainings=0.01,
        draws=2,
        reason="no interval: a class has 3 groups" if ends is None else "",
    )


def part(finding: Finding, name: str = "", control: Finding = Finding.BETTER) -> StudySet:
    """Arms on one set."""
    kinds = {"real": ArmKind.REAL, "twice": ArmKind.DUPLICATES, PRIMARY: ArmKind.MIXED}
    arms = [StudyArm(name=n, kind=k, draws=2, value=0.8) for n, k in kinds.items()]
    found = (difference(Finding.NO_DIFFERENCE, "twice"), difference(finding))
    others = (difference(control, less="twice"),)
    return StudySet(
        name=name, images=100, groups=50, arms=tuple(arms), differences=found, to_others=others
    )


def study(
    finding: Finding,
    *external: Finding,
    control: Finding = Finding.BETTER,
    about: StudyFacts = ABOUT,
) -> Study:
    """A study of two draws."""
    found = Study(
        about=about,
        measure="auroc",
        measure_title="area under the ROC curve",
        margin=0.05,
        primary=PRIMARY,
        reference="real",
        reference_rule="It was chosen on validation images.",
        internal=part(finding, control=control),
        external=tuple(part(each, f"site{n}.zip") for n, each in enumerate(external)),
        seed=0,
        version="1",
    )
    may, may_not = claims(found)
    return found.replace(may=may, may_not=may_not)


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ((), Answer.MISSING),
        ((study(Finding.BETTER, Finding.NO_DIFFERENCE),), Answer.YES),
        ((study(Finding.BETTER),), Answer.INDICATIVE_YES),
        ((study(Finding.BETTER, Finding.UNDECIDED),), Answer.INDICATIVE_YES),
        ((study(Finding.BETTER, Finding.UNDECIDED, Finding.BETTER),), Answer.YES),
        ((study(Finding.BETTER, Finding.BETTER, Finding.WORSE),), Answer.PARTLY),
        ((study(Finding.WORSE, Finding.WORSE),), Answer.NO),
        ((study(Finding.NON_INFERIOR, Finding.BETTER),), Answer.NOT_SHOWN),
        ((study(Finding.NO_DIFFERENCE),), Answer.NOT_SHOWN),
        ((study(Finding.UNDECIDED),), Answer.UNDECIDED),
        ((study(Finding.WORSE), study(Finding.WORSE)), Answer.INDICATIVE_NO),
    ],
)
def test_answers(given: tuple[Study, ...], answer: Answer) -> None:
    found = useful_verdict(given)
    assert found.answer is answer, found
    assert found.rule and found.reasons and found.headline, found


def test_the_answer_says_what_the_two_arms_were_trained_with() -> None:
    found = useful_verdict([study(Finding.BETTER)]).reasons[0]
    assert f"'{PRIMARY}' was trained with real and synthetic images." in found
    assert "'real' was trained with real images alone." in found


def test_a_control_that_does_as_well_leaves_an_indication() -> None:
    equal = study(Finding.BETTER, Finding.BETTER, control=Finding.NO_DIFFERENCE)
    found = useful_verdict([equal])
    assert found.answer is Answer.INDICATIVE_YES, found
    assert any("'twice'" in limit for limit in found.limits), found
    assert "better than 'twice'" in equal.may_not, equal.may_not


def test_groups_that_are_no_patients_leave_an_indication_and_stand_in_every_table() -> None:
    about = ABOUT.replace(unit="smear", unit_is_patient=False)
    found = study(Finding.BETTER, Finding.BETTER, about=about)
    assert useful_verdict([found]).answer is Answer.INDICATIVE_YES
    for table in tables(found):
        assert any("Groups are smears, not patients" in note for note in table.notes), table
        assert "50 smears" in table.title, table.title


def test_an_external_set_in_place_of_folds_is_named() -> None:
    found = study(Finding.BETTER, about=ABOUT.replace(tested="b.zip"))
    assert useful_verdict([found]).answer is Answer.YES
    assert "50 patients of b.zip;" in found.may and "out of fold" not in found.may, found.may
    assert "external set b.zip" in next(tables(found)).title


def test_studies_that_disagree_decide_nothing() -> None:
    other = study(Finding.WORSE, about=ABOUT.replace(name="cells"))
    found = useful_verdict([study(Finding.BETTER), other])
    assert found.answer is Answer.UNDECIDED, found
    assert "disagree" in found.reasons[0] and "cells: indicative no" in found.reasons[0], found


@pytest.mark.parametrize("data", ["skin.zip", "other.zip"])
def test_studies_of_one_name_disagree_as_others_do(data: str) -> None:
    given = [study(Finding.WORSE), study(Finding.BETTER, about=ABOUT.replace(data=data))]
    for each in (given, given[::-1]):
        found = useful_verdict(each)
        assert found.answer is Answer.UNDECIDED, found
        for place, one in enumerate(each, start=1):
            said = "indicative no" if one is given[0] else "indicative yes"
            named = f"lesions (study {place}, of {one.about.data}): {said}"
            assert named in found.reasons[0], found


def test_every_row_has_a_cell_per_column() -> None:
    for table in tables(study(Finding.BETTER, Finding.WORSE)):
        assert {len(row) for row in table.rows} == {len(table.head)}, table


def test_a_test_that_decides_otherwise_is_named() -> None:
    found = study(Finding.BETTER)
    second = SecondOpinion(test="other test (1999)", p=0.3, agrees=False)
    changed = found.decided.replace(others=(second,))
    internal = found.internal.replace(differences=(changed,))
    found = found.replace(internal=internal)
    assert "other test (1999)" in claims(found)[1]
    table = next(tables(found))
    assert "p (other test)" in table.head and "0.300, disagrees" in table.rows[0], table


def test_a_forest_plot_marks_zero_margin_and_every_interval() -> None:
    svg = drawing(study(Finding.BETTER, Finding.WORSE), "differences")
    assert svg.count("<rect") == 4 and svg.count('class="strong"') == 2 * 2, svg
    assert svg.count('class="zero"') == 1 and 'class="margin"' in svg, svg
    assert "half &amp; half" in svg and "external set site0.zip" in svg, svg


@pytest.mark.parametrize("value", [0.0, 1e-9, -0.4, 1.5])
def test_a_forest_plot_of_any_size_lies_within_its_frame(value: float) -> None:
    line = Line("an arm", value, (value - abs(value), value + abs(value)))
    svg = forest([line, Line("no value", None)], label="", margin=None, name="x")
    places = [float(x) for x in re.findall(r'x[12]?="([-\d.]+)"', svg)]
    assert all(0 <= x <= 780 for x in places), svg


def test_curves_of_reliability_where_classes_were_predicted() -> None:
    found = study(Finding.BETTER)
    assert not reliability(found, "none"), "these arms have no curve"
    curve = CalibrationCurve(said=(0.6, 0.8), came=(0.5, 0.9), counts=(50, 50), error=0.1)
    arms = tuple(arm.replace(calibration=curve) for arm in found.internal.arms)
    svg = reliability(found.replace(internal=found.internal.replace(arms=arms)), "curves")
    assert "probability that was said" in svg and "half &amp; half" in svg, svg


def test_the_page_holds_the_study(tmp_path: Path) -> None:
    study(Finding.BETTER, Finding.NO_DIFFERENCE).save(tmp_path / "study.json")
    written = write_report([tmp_path / "study.json"], tmp_path / "page.html")
    page = written.page.read_text()
    assert "They help" in page and 'class="forest"' in page and "site0.zip" in page
    assert written.content.verdicts[-1].answer is Answer.YES
    assert not any(each.what == "study" for each in written.content.missing)


def test_a_loss_within_the_margin_is_called_a_loss() -> None:
    found = study(Finding.NON_INFERIOR)  # with p 0.02
    assert "is not worse than 'real' by 0.05 or more" in found.may, found.may
    assert "as good: it is worse, by less" in found.may_not, found.may_not
