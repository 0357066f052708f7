"""Which transforms a training uses."""

import pytest

from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.ops.image_transforms import TRANSFORMS
from synthograph.ops.transform_choice import choose

RGB = ImageSpec(height=24, width=24, modalities={"image": 3})
EVERYTHING = ["mirror", "rotate", "colour"]


def test_default_of_every_statement() -> None:
    def names(invariances: list[str] | None) -> set[str]:
        return {each.name for each in choose([], RGB, invariances).used}

    assert names(None) == {"crop", "brightness"}
    assert names([]) == {"crop"}
    assert names(["mirror"]) == {"mirror", "crop"}
    assert {"quarter", "turn"} < names(["rotate"])
    assert names(EVERYTHING) == {each.name for each in TRANSFORMS if each.usual}


def test_what_is_left_out_is_told() -> None:
    choice = choose(["all", "no-blur"], RGB, ["mirror"])
    assert "blur" not in {each.name for each in (*choice.used, *choice.left_out)}
    assert {"quarter", "stain", "hue"} <= {each.name for each in choice.left_out}


def test_grey_images_have_no_hue() -> None:
    grey = ImageSpec(height=24, width=24, modalities={"image": 1})
    assert "hue" not in {each.name for each in choose([], grey, EVERYTHING).used}


@pytest.mark.parametrize(
    ("words", "invariances", "told"),
    [
        (["mirrot"], None, "did you mean 'mirror'"),
        (["none", "blur"], None, "stands alone"),
        (["mirror"], [], "would change what these images mean"),
        (["mirror"], None, "--invariant mirror"),
        (["no-stian"], None, "did you mean 'stain'"),
    ],
)
def test_words_that_do_not_work(words: list[str], invariances: list[str] | None, told: str) -> None:
    with pytest.raises(UserError, match=told):
        choose(words, RGB, invariances)


def test_stain_of_grey_images_is_refused() -> None:
    grey = ImageSpec(height=24, width=24, modalities={"image": 1})
    with pytest.raises(UserError, match="3 channels"):
        choose(["stain"], grey, EVERYTHING)
