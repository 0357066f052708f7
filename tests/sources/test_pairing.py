"""Partners are found by name, and what could be two is refused."""

import pytest

from synthograph.core.errors import UserError
from synthograph.sources.pairing import folder_above, pair_by_name
from synthograph.sources.readers import stem_key


def test_stem_key() -> None:
    assert stem_key("a/b.c.PNG") == "a/b.c"
    assert stem_key("scan.nii.gz_0.png") == "scan.nii.gz_0"
    assert stem_key("ISIC_0.12") == "ISIC_0.12"
    assert stem_key("u\u0308.tif") == stem_key("\u00fc.jpg")


def test_the_folder_that_a_longer_name_adds() -> None:
    assert folder_above("1.png", "x/a/1.jpg") == "x/a"
    assert folder_above("a/1.png", "1") == folder_above("1.png", "1") == ""
    assert folder_above("1.png", "x/11.png") == ""


def test_pairs_go_by_name_never_by_position() -> None:
    images = ["images/a/1.jpg", "images/a/2.jpg", "images/b/1.jpg"]
    files = ["a/2.png", "b/1.png", "z.png"]
    assert pair_by_name(images, files, where="nir") == {
        "images/a/2.jpg": "a/2.png",
        "images/b/1.jpg": "b/1.png",
    }
    assert pair_by_name(images, ["images/b/1.bmp"], where="nir") == {
        "images/b/1.jpg": "images/b/1.bmp"
    }


@pytest.mark.parametrize(
    ("images", "files", "reason"),
    [
        (["1.png"], ["1.png", "1.jpg"], "'1.png' and '1.jpg' have one name"),
        (["1.png", "1.jpg"], ["1.png"], "'1.png' fits two images, '1.png' and '1.jpg'"),
        (["1.png"], ["2.png"], "no file fits .* there is '2.png', the first image is '1.png'"),
        (["1.png"], [], "there is no image"),
    ],
)
def test_pairs_that_are_refused(images: list[str], files: list[str], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        pair_by_name(images, files, where="nir")
