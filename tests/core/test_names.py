"""Unknown names come with the one that was meant."""

from synthograph.core.names import first_few, nearest


def test_near_names_are_proposed_and_else_all_are_listed() -> None:
    assert nearest("lanzcos", ["box", "lanczos"]) == "did you mean 'lanczos'?"
    assert nearest("q", ["box", "lanczos"]) == "known are: box, lanczos"
    assert nearest("q", []) == "there are none"
    assert nearest("wbc", ["RBC", "WBC"]) == "did you mean 'WBC'?"
    assert nearest("melanom", ["MELANOMA", "x"]) == "did you mean 'MELANOMA'?"
    assert nearest("1", iter([1, 2])) == "did you mean '1'?"  # type: ignore[list-item]


def test_first_few() -> None:
    assert first_few("ab") == "a, b"
    assert first_few("abcde") == "a, b, c and 2 more"
    assert first_few("abc", 1, separator="; ") == "a and 2 more"
