"""The file beside an archive that says who looked at its test images."""

from pathlib import Path

from synthograph.archive.ledger import ledger_path, looks, note_look


def test_looks_are_added_and_never_replaced(tmp_path: Path) -> None:
    archive = tmp_path / "set.zip"
    for what in ("study a", "study b"):
        assert note_look(archive, what, images=30, groups=10) is None
    assert [look.what for look in looks(archive)] == ["study a", "study b"]
    first = looks(archive)[0]
    assert (first.images, first.groups) == (30, 10)
    assert "@" in first.who


def test_a_broken_line_does_not_hide_the_others(tmp_path: Path) -> None:
    archive = tmp_path / "set.zip"
    note_look(archive, "a", images=1, groups=1)
    with ledger_path(archive).open("a") as file:
        file.write('{"when": \n[]\n')
    note_look(archive, "b", images=1, groups=1)
    assert [look.what for look in looks(archive)] == ["a", "b"]


def test_a_place_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    said = note_look(tmp_path / "nowhere" / "set.zip", "a", images=1, groups=1)
    assert said is not None
    assert "keep a record yourself" in said
