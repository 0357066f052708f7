"""Names of files: safe, and different for different images."""

import pytest

from synthograph.core.errors import UserError
from synthograph.sampling.naming import file_head, file_names, refuse_same_names


def test_names_that_collide_are_numbered() -> None:
    assert file_names(["a", "b"], [None, None], "png") == ["a.png", "b.png"]
    assert file_names(["a", "A"], [None, None], "png") == ["0000-a.png", "0001-A.png"]
    assert file_names(["a", "a"], ["x", "y z"], "png") == ["a_x.png", "a_y-z.png"]
    assert file_names(["a"] * 2, ["x y", "x/y"], "png") == ["a_0-x-y.png", "a_1-x-y.png"]


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("projected_w", "projected_w"),
        ("step+3", "step+3"),
        ("../../etc/passwd", "-..-etc-passwd"),
        ("..", "latent"),
        ("a\n b", "a--b"),
        ("x" * 500, "x" * 100),
        ("é" * 500, "é" * 50),
        ("x" + "\u6f22" * 500, "x" + "\u6f22" * 33),
    ],
)
def test_names_of_others_stay_in_their_folder(name: str, head: str) -> None:
    assert file_head(name) == head


def test_two_of_one_name() -> None:
    refuse_same_names(["a", "b"], "--rows")
    with pytest.raises(UserError, match="--rows: b is named more than once"):
        refuse_same_names(["a", "b", "B"], "--rows")
