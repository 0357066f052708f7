"""What is allowed, and yet worth a word."""

from dataclasses import replace

from synthograph.archive.advice import MIN_IMAGES, has_groups, training_notes
from synthograph.archive.manifest import SOURCE_FILE, Row

ROWS = [Row(f"{i}.png", "ab"[i % 2], f"p{i // 2}") for i in range(MIN_IMAGES)]


def test_an_ordinary_set_needs_no_word() -> None:
    assert list(training_notes(ROWS, conditional=True)) == []


def test_one_class_and_few_images() -> None:
    one = [replace(row, label="a") for row in ROWS[:9]]
    single, few = training_notes(one, conditional=True)
    assert "all images are of one class, 'a'" in single and "9 images are very few" in few
    assert len(list(training_notes(one, conditional=False))) == 1
    bare = [replace(row, label=None) for row in ROWS]
    assert list(training_notes(bare, conditional=True)) == []


def test_groups_are_more_than_the_name_of_the_image() -> None:
    assert has_groups(ROWS) and has_groups([])
    assert not has_groups([replace(row, group=row.file) for row in ROWS])
    named = [
        replace(row, group=f"x{row.file}", columns={SOURCE_FILE: f"x{row.file}"}) for row in ROWS
    ]
    assert not has_groups(named)
    assert not has_groups([*named, replace(ROWS[0], origin="synthetic", group="synthetic-1")])
