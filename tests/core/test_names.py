"""Unknown names come with the one that was meant."""

import pytest

from synthograph.core.names import closest, first_few, nearest, without_controls


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
