"""Labels that are names of classes or indices into them."""

import pytest

from synthograph.core.errors import UserError
from synthograph.sources.classes import are_names, name_classes
from synthograph.sources.tables import TableRow


def rows(*labels: str) -> list[TableRow]:
    return [TableRow(f"row {i}", f"{i}.png", label) for i, label in enumerate(labels, 2)]


def test_indices_are_named() -> None:
    named, order = name_classes(rows("1", "0", "1.0"), ["benign", "melanoma"], "t.csv")
    assert named == {"1": "melanoma", "0": "benign", "1.0": "melanoma"}
    assert order == ["benign", "melanoma"]
    for label in ("2", "-1"):
        with pytest.raises(UserError, match=f"t.csv, row 3: label {label} lies outside the 2"):
            name_classes(rows("1", label), ["benign", "melanoma"], "t.csv")


def test_words_and_numbers_without_names() -> None:
    assert name_classes(rows("b", "a"), None, "t") == ({"b": "b", "a": "a"}, None)
    assert name_classes(rows("b", "a"), ["b", "a", "c"], "t")[1] == ["b", "a", "c"]
    assert name_classes(rows("b", "x"), ["b", "a"], "t")[1] is None
    assert name_classes(rows("10", "9"), None, "t") == ({"10": "10", "9": "9"}, ["9", "10"])
    for labels in (("1", "01", "001", "2"), ("2", "001", "1", "01")):
        assert name_classes(rows(*labels), None, "t")[1] == ["001", "01", "1", "2"]


def by_name(labels: str) -> dict[str, TableRow]:
    return {row.file: row for row in rows(*labels.split())}


@pytest.mark.parametrize(
    ("labels", "known", "expected"),
    [
        ("1 2 1 2", "0 1 0 1", True),
        ("1.0 2.0", "0 1", True),
        ("1 2 1 2", "1 2 1 2", False),
        ("1 2", "0 2", None),
        ("1 3", "0", True),
        ("1 3", "", True),
        ("0 1 2", "", False),
        ("0 1", "0", False),
    ],
)
def test_numbers_are_names_or_indices_as_the_labels_of_dataset_json_tell(
    labels: str, known: str, expected: bool | None
) -> None:
    assert are_names(by_name(labels), by_name(known), ["1", "2", "3"], "t.csv") is expected


def test_numbers_that_could_be_both_are_refused() -> None:
    with pytest.raises(UserError, match="t.csv: label 1 could be the class '1' of dataset.json or"):
        are_names(by_name("1 2"), {}, ["1", "2", "3"], "t.csv")
    assert are_names(by_name("0 1"), {}, ["0", "1"], "t.csv") is False  # the same either way
    assert are_names(by_name("1 2"), {}, ["1", "2", "3"], "t.json") is False
    assert are_names(by_name("1 2"), by_name("0 1"), ["1", "2", "3"], "t.json") is None


def test_words_are_names_only_where_they_are_known() -> None:
    assert are_names(by_name("b a"), by_name("1 0"), ["a", "b"], "t.csv") is True
    assert are_names(by_name("b a"), {}, ["a", "b"], "t.csv") is True
    assert are_names(by_name("b None"), {}, ["a", "b"], "t.csv") is False
    assert are_names(by_name("b a"), by_name("0 1"), ["a", "b"], "t.csv") is None


def test_numbers_that_are_names_are_kept() -> None:
    classes = ["1", "2", "3"]
    assert name_classes(rows("1.0", "2"), classes, "t", names=True) == (
        {"1.0": "1", "2": "2"},
        classes,
    )
    assert name_classes(rows("9", "1"), classes, "t", names=True)[1] == ["1", "9"]
