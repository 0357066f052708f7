"""Files of one folder, told apart by how their names end."""

import pytest

from synthograph.core.errors import UserError
from synthograph.core.spec import MASKS
from synthograph.sources.sequences import by_ending

ENDINGS = {"flair": ("_flair", "-t2f"), "t1": ("_t1",), "t1ce": ("_t1ce",)}


def test_partners_are_found_by_what_is_left_of_the_name() -> None:
    names = ["a/1_flair.nii.gz", "a/1_t1.nii.gz", "a/1_t1ce.nii", "a/1_seg.nii.gz", "b/2-t2f.nii"]
    found = by_ending([*names, "a/x.nii"], ENDINGS, ("_seg",))
    assert list(found.images) == ["a/1_flair.nii.gz", "b/2-t2f.nii"]
    assert found.partners == {
        "t1": {"a/1_flair.nii.gz": "a/1_t1.nii.gz"},
        "t1ce": {"a/1_flair.nii.gz": "a/1_t1ce.nii"},
        MASKS: {"a/1_flair.nii.gz": "a/1_seg.nii.gz"},
    }
    assert list(found.others) == ["a/x.nii"]


def test_an_empty_ending_is_that_of_all_others() -> None:
    found = by_ending(["1.png", "1_gt.png", "2.png"], {"image": ("",)}, ("_gt",))
    assert list(found.images) == ["1.png", "2.png"]
    assert found.partners == {MASKS: {"1.png": "1_gt.png"}}


def test_two_files_for_one_place_or_none() -> None:
    with pytest.raises(UserError, match="both flair of one image"):
        by_ending(["1_flair.png", "1_flair.tif"], ENDINGS)
    with pytest.raises(UserError, match="no file is called like one of flair .*there is x.png"):
        by_ending(["x.png"], ENDINGS)
