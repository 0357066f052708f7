"""Classes of single and several findings."""

import pytest

from synthograph.core.errors import UserError
from synthograph.sources.cells import MISSING, missing_marks
from synthograph.sources.cohorts import load_cohort
from synthograph.sources.cohorts.labels import NOTHING, SEVERAL, Verdict, label_rule

MARKS = missing_marks(MISSING)
CHEXPERT, NIH = load_cohort("chexpert"), load_cohort("nih-chestxray")


@pytest.mark.parametrize(
    ("columns", "verdict"),
    [
        ({"Edema": "1.0"}, Verdict("Edema")),
        ({"Edema": "1", "Pneumonia": "0.0"}, Verdict("Edema")),
        ({"No Finding": "1.0"}, Verdict("No Finding")),
        ({"Edema": "1.0", "Pneumonia": "1.0"}, Verdict(None, SEVERAL)),
        ({"Edema": "1.0", "Pneumonia": "-1.0"}, Verdict(None, NOTHING)),
        ({"Edema": "-1.0"}, Verdict(None, NOTHING)),
        ({"Edema": "", "Pneumonia": "0.0"}, Verdict(None, NOTHING)),
        ({"view": "frontal"}, Verdict(None)),
    ],
)
def test_the_only_finding_is_the_class(columns: dict[str, str], verdict: Verdict) -> None:
    assert label_rule(CHEXPERT, None, columns).verdict(columns, MARKS) == verdict


@pytest.mark.parametrize(
    ("columns", "label", "why"),
    [
        ({"Edema": "1.0", "Pneumonia": "1.0"}, "Edema", ""),
        ({"Edema": "0.0"}, "no Edema", ""),
        ({"Edema": "", "No Finding": "1.0"}, "no Edema", ""),
        ({"Edema": "-1.0", "No Finding": ""}, None, "is uncertain"),
        ({"Edema": "", "Pneumonia": "1.0"}, None, "is not mentioned"),
        ({"view": "frontal"}, None, ""),
    ],
)
def test_one_finding_makes_two_classes(
    columns: dict[str, str], label: str | None, why: str
) -> None:
    verdict = label_rule(CHEXPERT, "Edema", columns).verdict(columns, MARKS)
    assert (
        verdict.label == label and why in verdict.left_out and bool(why) == bool(verdict.left_out)
    )


@pytest.mark.parametrize(
    ("listed", "only", "mass"),
    [
        ("Mass", "Mass", "Mass"),
        ("No Finding", "No Finding", "no Mass"),
        ("Mass|Nodule", None, "Mass"),
        ("Nodule", "Nodule", "no Mass"),
        ("", None, None),
    ],
)
def test_findings_of_a_list(listed: str, only: str | None, mass: str | None) -> None:
    columns = {"Finding Labels": listed}
    assert label_rule(NIH, None, columns).verdict(columns, MARKS).label == only
    assert label_rule(NIH, "Mass", columns).verdict(columns, MARKS).label == mass


def test_a_column_is_read_as_written_or_as_the_cohort_calls_it() -> None:
    rule = label_rule(load_cohort("breakhis"), None, ["label"])
    assert rule.verdict({"label": "B"}, MARKS) == Verdict("benign")
    assert rule.verdict({"label": "n/a"}, MARKS) == Verdict(None, mark="n/a")
    own = label_rule(load_cohort("breakhis"), "type", ["label", "type"])
    assert own.verdict({"type": "adenosis"}, MARKS) == Verdict("adenosis")


def test_neither_a_finding_nor_a_column() -> None:
    with pytest.raises(UserError, match="no such finding or column: did you mean 'Edema'"):
        label_rule(CHEXPERT, "Edma", ["view"])
