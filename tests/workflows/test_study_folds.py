"""Folds of a study: whole groups, every class in every part, and what cannot be cut."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from synthograph.archive.copies import NO_REPEATS, RepeatedImages, find_copies
from synthograph.archive.reader import Archive, open_archive
from synthograph.archive.split import SplitOptions, split_archive
from synthograph.core.errors import UserError
from synthograph.workflows.study_folds import Fold, folds_table, make_folds
from synthograph.workflows.study_settings import StudySettings
from tests.conftest import make_archive


@pytest.fixture
def forty(tmp_path: Path) -> Archive:
    return open_archive(make_archive(tmp_path / "set.zip", count=80))


@pytest.fixture
def own(tmp_path: Path) -> Archive:
    """With a split of its own."""
    path = make_archive(tmp_path / "set.zip", count=80)
    split_archive(path, SplitOptions(test=0.3, val=0.2))
    return open_archive(path)


def settings(**given: object) -> StudySettings:
    return StudySettings.parse({"data": "set.zip", **given})


def groups(fold: Fold, part: str) -> set[str]:
    return {row.group for row in fold.part(part).rows}


def test_every_image_is_tested_once_by_who_never_saw_its_group(forty: Archive) -> None:
    folds = make_folds(forty, settings(folds=4), NO_REPEATS)
    tested = [row.file for fold in folds for row in fold.part("test").rows]
    assert sorted(tested) == sorted(row.file for row in forty.rows)
    for fold in folds:
        parts = [groups(fold, part) for part in ("train", "val", "test")]
        assert all(parts)
        assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])


def test_the_same_seed_gives_the_same_folds(forty: Archive) -> None:
    one, same, other = (make_folds(forty, settings(seed=s), NO_REPEATS) for s in (3, 3, 4))
    assert folds_table(one) == folds_table(same) != folds_table(other)


def test_equal_images_under_two_groups_stay_together(forty: Archive) -> None:
    rows = [row for row in forty.rows if row.group in ("P0", "P7") and row.label == "dark"]
    folds = make_folds(forty, settings(folds=4), RepeatedImages([rows]))
    for fold in folds:
        parts = {row.split for row in fold.rows if row.group in ("P0", "P7")}
        assert len(parts) == 1


def test_fewer_groups_than_folds_are_refused(tmp_path: Path) -> None:
    few = open_archive(make_archive(tmp_path / "few.zip", count=8))
    with pytest.raises(UserError, match="has 4 groups, 5 folds need 5 at least.*set folds to 4"):
        make_folds(few, settings(), NO_REPEATS)


@pytest.mark.parametrize(
    ("groups", "folds", "said"),
    [
        (2, 2, "has 2 groups, 2 folds need 4 at least.*: add groups"),
        (3, 2, "has 3 groups, 2 folds need 4 at least.*: set folds to 3, or add groups"),
    ],
)
def test_every_fold_needs_a_group_to_train_to_choose_and_to_test(
    forty: Archive, groups: int, folds: int, said: str
) -> None:
    names = sorted({row.group for row in forty.rows})[:groups]
    few = replace(forty, rows=[row for row in forty.rows if row.group in names])
    with pytest.raises(UserError, match=said):
        make_folds(few, settings(folds=folds), NO_REPEATS)


def test_a_class_of_too_few_patients_is_named(forty: Archive) -> None:
    """Two patients cannot be in three folds with training, validation and test."""
    rows = [
        replace(row, label="dark" if row.group not in ("P0", "P1") else row.label)
        for row in forty.rows
    ]
    rare = replace(forty, rows=rows)
    with pytest.raises(UserError, match="no image of class 'bright', which has 2 groups"):
        make_folds(rare, settings(folds=3), NO_REPEATS)


def test_few_training_images_are_kept_of_every_class(forty: Archive) -> None:
    whole = make_folds(forty, settings(folds=3), NO_REPEATS)
    few = make_folds(forty, settings(folds=3, train_per_class=5), NO_REPEATS)
    for all_rows, fold in zip(whole, few, strict=True):
        labels = [row.label for row in fold.part("train").rows]
        assert labels.count("dark") == labels.count("bright") == 5
        assert fold.part("test").rows == all_rows.part("test").rows


def test_the_own_split_is_one_fold(own: Archive) -> None:
    (fold,) = make_folds(own, settings(folds="split"), find_copies(own))
    assert [row.split for row in fold.rows] == [row.split for row in own.rows]


@pytest.mark.parametrize("missing", ["val", "test"])
def test_validation_that_is_the_test_is_refused(own: Archive, missing: str) -> None:
    rows = [replace(r, split="train") if r.split == missing else r for r in own.rows]
    with pytest.raises(UserError, match=f"no images in split {missing}"):
        make_folds(replace(own, rows=rows), settings(folds="split"), NO_REPEATS)


def test_an_own_split_that_divides_a_patient_is_refused(own: Archive) -> None:
    place = next(n for n, row in enumerate(own.rows) if row.split == "test")
    rows = [*own.rows]
    rows[place] = replace(rows[place], split="train")
    with pytest.raises(UserError, match=f"1 groups are in two splits.*'{rows[place].group}'"):
        make_folds(replace(own, rows=rows), settings(folds="split"), NO_REPEATS)


def test_an_image_in_two_splits_under_two_patients_is_refused(own: Archive) -> None:
    pair = [next(r for r in own.rows if r.split == s) for s in ("val", "test")]
    with pytest.raises(UserError, match="1 images are in two splits under several names"):
        make_folds(own, settings(folds="split"), RepeatedImages([pair]))


def test_the_table_says_what_every_image_is(forty: Archive) -> None:
    folds = make_folds(forty, settings(folds=2), NO_REPEATS)
    table = list(csv.DictReader(io.StringIO(folds_table(folds).decode())))
    assert len(table) == 80
    assert {row["fold0"] for row in table} == {"train", "val", "test"}
    assert all((row["fold0"] == "test") != (row["fold1"] == "test") for row in table)
