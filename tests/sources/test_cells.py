"""What cells and names mean."""

import pytest

from synthograph.sources.cells import (
    MISSING,
    missing_marks,
    split_of,
    split_words,
    value_of,
    without_decimals,
)


@pytest.mark.parametrize("cell", [None, "", "  ", "n/a", " NA ", "NaN", "None", "UNKNOWN", "-"])
def test_marks_for_missing_values(cell: str | None) -> None:
    assert value_of(cell, missing_marks(MISSING)) is None


@pytest.mark.parametrize("cell", ["0", "nano", "no", "normal", "n", "+", "NA12"])
def test_cells_that_hold_a_value(cell: str) -> None:
    assert value_of(f" {cell} ", missing_marks(MISSING)) == cell


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("Train", "train"),
        ("train2017", "train"),
        ("ISIC_Test_Input", "test"),
        ("validation", "val"),
        ("train_val_list", "train"),
        ("train_test", None),
        ("strain", None),
        ("contest", None),
        ("", None),
    ],
)
def test_names_of_splits(name: str, split: str | None) -> None:
    assert split_of(name) == split


def test_words_and_whole_numbers() -> None:
    assert split_words().startswith("train (training, ")
    assert without_decimals({0: "1.0", 2: "12"}) == {0: "1", 2: "12"}
    assert without_decimals({0: "1.0", 1: "1.5"}) == {0: "1.0", 1: "1.5"}
