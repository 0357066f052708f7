"""Roles of folders: as they are named, as they are found, and when they are not."""

from pathlib import Path

import pytest

from synthograph.core.errors import UserError
from synthograph.sources.files import FileSource, FileSourceOptions, read_files
from synthograph.sources.folders import Levels, guess_levels, parse_folders, tree
from tests.sources.test_file_source import draw


def read(source: Path, **options: object) -> FileSource:
    return read_files(FileSourceOptions(source=source, **options))  # type: ignore[arg-type]


def said(found: FileSource) -> list[tuple[str | None, str | None, str | None]]:
    return [(item.split, item.label, item.group) for item in found.items]


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("class/patient", ("label", "group")),
        ("patient / class", ("group", "label")),
        ("split/class/patient/*", ("split", "label", "group", None)),
        ("group/label/", ("group", "label")),
        ("*", (None,)),
    ],
)
def test_words_for_folders(text: str, levels: Levels) -> None:
    assert parse_folders(text) == levels


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("class/patiant", "did you mean 'patient'"),
        ("class//patient", "'' is no role"),
        ("file", "'file' is no role"),
        ("class/label", "gives label twice"),
    ],
)
def test_words_that_are_none(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        parse_folders(text)


def test_folders_as_the_user_names_them(tmp_path: Path) -> None:
    draw(tmp_path, "Training/no/7/a/1.png", "Testing/yes/unknown/a/2.png", "Testing/yes/3.png")
    found = read(tmp_path, folders="split/class/patient/*")
    assert said(found) == [("test", "yes", None), ("train", "no", "7")]
    (reject,) = found.rejects
    assert reject.name == "Testing/yes/3.png" and "4 folder(s) deep" in reject.reason
    assert found.split_origin == "the names of folders"
    with pytest.raises(UserError, match=r"no image lies so deep: SOURCE has 2 folder\(s\) \(Test"):
        read(tmp_path, folders="class")
    with pytest.raises(UserError, match="its folder 'no' names no split; known are train"):
        read(draw(tmp_path / "new", "no/1.png"), folders="split")


@pytest.mark.parametrize("words", ["class", "patient", "*"])
def test_folders_that_the_user_names_are_not_guessed_again(tmp_path: Path, words: str) -> None:
    found = read(draw(tmp_path, "MEL/1.png", "NV/2.png"), folders=words)
    assert not [remark for remark in found.remarks if "--folders" in remark]


def names(*levels: list[str], images: int = 2) -> list[str]:
    found = [""]
    for level in levels:
        found = [f"{above}{folder}/" for above in found for folder in level]
    return [f"{folder}{number}.png" for folder in found for number in range(images)]


def many(form: str, count: int) -> list[str]:
    return [form.format(number) for number in range(count)]


def own(classes: list[str], form: str, count: int) -> list[str]:
    """Patients of their own in every class."""
    return [
        f"{name}/{form.format(k * count + n)}/{image}.png"
        for k, name in enumerate(classes)
        for n in range(count)
        for image in range(2)
    ]


@pytest.mark.parametrize(
    ("images", "levels"),
    [
        (names(["train", "test"]), ("split",)),
        (names(["Training", "Testing"], ["glioma", "none"]), ("split", "label")),
        (names(["train", "val", "test"], ["NORMAL", "PNEUMONIA"]), ("split", "label")),
        (names(["cats", "dogs"], ["seg_train", "seg_test"]), ("label", "split")),
        (names(["train", "test"], ["a", "b"], many("P{}", 4)), ("split", "label", "group")),
        (names(["a", "b"]), ("label",)),
        (names(many("sub-{:02d}", 5)), ("group",)),
        (names(many("patient{}", 5), ["benign", "malignant"]), ("group", "label")),
        (names(many("sub-{}", 3), ["ses-1", "ses-2"], ["anat"]), ("group", None, None)),
        (names(many("sub-{}", 3), ["anat", "func"]), ("group", None)),
        (own(["no", "yes"], "{:04d}", 8), ("label", "group")),
        (names(many("1{:04d}", 9), ["0", "1"]), ("group", "label")),
        (names(["site_a", "site_b"], ["x", "y"]), (None, None)),
        (names(["a", "b"], ["40X", "100X", "200X", "400X"]), (None, None)),
        (own(["no", "yes"], "batch{}", 8), (None, None)),
        (names(["a", "b"], many("{:05d}", 8)), (None, None)),
        (names(["train"], ["a", "b"]), (None, "label")),
        (names(["00000", "00001"]), (None,)),
        (names(["images"], many("P{:03d}", 3)), (None, "group")),
        (names(many("P{}", 3)), ("label",)),
        (["1.png", "a/2.png"], ()),
        (["a/x/1.png", "b/2.png"], (None,)),
    ],
)
def test_roles_that_are_unmistakable_and_those_that_are_not(
    images: list[str], levels: Levels
) -> None:
    assert guess_levels(images, {}) == levels


def test_a_level_of_as_many_folders_as_there_are_patients() -> None:
    images = names(["x", "y"], ["i", "ii", "iii"])
    groups = {name: "/".join(name.split("/")[1:2]) for name in images}
    assert guess_levels(images, groups) == ("label", "group")
    assert guess_levels(images, dict(list(groups.items())[:2])) == (None, None)


def test_what_folders_are_taken_for_is_said(tmp_path: Path) -> None:
    images = names(["train", "test"], ["a", "b"], many("patient {}", 3))
    found = read(draw(tmp_path, *images))
    assert ("test", "a", "patient 0") in said(found)
    (text,) = [remark for remark in found.remarks if "folders are taken" in remark]
    assert "--folders 'split/class/patient'" in text and "2 folder(s) (test, train)" in text
    assert found.split_origin == "the names of sub-folders"


def test_what_is_mistakable_is_explained_with_the_tree(tmp_path: Path) -> None:
    found = read(draw(tmp_path, *names(["site_a", "site_b"], ["x", "y"])))
    assert said(found)[0] == (None, None, None)
    (text,) = [remark for remark in found.remarks if "unmistakable" in remark]
    assert tree(names(["site_a", "site_b"], ["x", "y"])) in text and "--folders class" in text


def test_many_classes_may_be_patients(tmp_path: Path) -> None:
    found = read(draw(tmp_path, *names(many("{:03d}", 25), images=1)))
    assert any(
        "If these 25 classes are patients, say --folders patient" in r for r in found.remarks
    )
