"""Unknown names come with the one that was meant."""

from pathlib import Path

import pytest

from synthograph.core.names import closest, first_few, misspelt, nearest, without_controls


def test_near_names_are_proposed_and_else_all_are_listed() -> None:
    assert nearest("lanzcos", ["box", "lanczos"]) == "did you mean 'lanczos'?"
    assert nearest("q", ["box", "lanczos"]) == "known are: box, lanczos"
    assert nearest("q", []) == "there are none"
    assert nearest("wbc", ["RBC", "WBC"]) == "did you mean 'WBC'?"
    assert nearest("melanom", ["MELANOMA", "x"]) == "did you mean 'MELANOMA'?"
    assert nearest("1", iter([1, 2])) == "did you mean '1'?"  # type: ignore[list-item]


def test_the_closest_name_if_any() -> None:
    assert closest("lanzcos", iter(["box", "lanczos"])) == "lanczos"
    assert closest("wbc", ["RBC", "WBC"]) == "WBC"
    assert closest("q", ["box"]) is None and closest("q", []) is None


def test_a_path_that_is_not_there_comes_with_what_lies_nearly_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs/00000-cells").mkdir(parents=True)
    (tmp_path / "cells.zip").touch()
    assert misspelt(tmp_path / "cels.zip") == f"; did you mean '{tmp_path / 'cells.zip'}'?"
    assert misspelt(tmp_path / "other") == misspelt(tmp_path / "cells.zip/inside") == ""
    monkeypatch.chdir(tmp_path)
    assert misspelt(Path("run/00000-cells")) == "; did you mean 'runs/00000-cells'?"
    assert misspelt(Path("run/missing")) == "; did you mean 'runs'?"
    assert misspelt(Path("phantom:skn"), ["phantom:skin"]) == "; did you mean 'phantom:skin'?"


def test_first_few() -> None:
    assert first_few("ab") == "a, b"
    assert first_few("abcde") == "a, b, c and 2 more"
    assert first_few("abc", 1, separator="; ") == "a and 2 more"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a  b", "a  b"),
        ("Nävus µ", "Nävus µ"),
        ("a\nb", "a b"),
        ("a\r\n\tb\x1b[31m", "a b [31m"),
        ("a\u2028b", "a b"),
        ("MEL\u200b", "MEL"),
        ("\u202eMEL\u202c", "MEL"),
        ("\ufeffMEL", "MEL"),
        ("\u0645\u06cc\u200c\u0631", "\u0645\u06cc\u200c\u0631"),
        ("\n", ""),
    ],
)
def test_names_without_control_characters(name: str, shown: str) -> None:
    assert without_controls(name) == shown
