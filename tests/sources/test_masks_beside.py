"""Masks that lie beside images are never images."""

from pathlib import Path

import numpy as np
import pytest

from synthograph.core.errors import UserError
from synthograph.sources.files import FileSource, FileSourceOptions, read_files
from synthograph.sources.masks import find_masks
from tests.sources.test_file_source import draw, listing


def read(source: Path, **options: object) -> FileSource:
    return read_files(FileSourceOptions(source=source, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "suffix",
    ["_mask", "_segmentation", "_label", "_seg", "_gt", "-mask", ".mask", " label", "_Mask"],
)
def test_masks_beside_images_are_found_and_offered(tmp_path: Path, suffix: str) -> None:
    draw(tmp_path, "a/1.png", f"a/1{suffix}.png", "b/2.jpg", f"b/2{suffix}.png", "b/3.png")
    found = read(tmp_path)
    assert [item.name for item in found.items] == ["a/1.png", "b/2.jpg", "b/3.png"]
    assert [item.label for item in found.items] == ["a", "b", "b"]
    (offer,) = [remark for remark in found.remarks if "are masks of images" in remark]
    assert offer.startswith("2 file(s)") and f"--mask-suffix {suffix} to keep" in offer
    found = read(tmp_path, mask_suffix=suffix)
    masks = [item.decode().mask for item in found.items]
    assert [mask is None for mask in masks] == [False, False, True]
    assert np.unique(masks[0]).tolist() == [1]
    assert not [remark for remark in found.remarks if "are masks of images" in remark]
    assert len(read(tmp_path, mask_suffix="none").items) == 5


def test_numbered_masks_and_words_that_are_none(tmp_path: Path) -> None:
    draw(tmp_path, "b (1).png", "b (1)_mask.png", "b (1)_mask_1.png", "old_mask.png", "_mask.png")
    assert [item.name for item in read(tmp_path).items] == [
        "_mask.png",
        "b (1).png",
        "old_mask.png",
    ]
    found = read(tmp_path, mask_suffix="_mask")
    assert [item.name for item in found.items] == ["_mask.png", "b (1).png", "old_mask.png"]
    with pytest.raises(UserError, match="--mask-suffix '_seg': no file"):
        read(tmp_path, mask_suffix="_seg")


@pytest.mark.parametrize("images", ["images/", ""])
def test_masks_in_a_folder_beside_are_found_and_offered(tmp_path: Path, images: str) -> None:
    draw(tmp_path, f"{images}1.png", f"{images}2.png", "masks/1.png", "masks/2.png")
    found = read(tmp_path)
    assert [item.name for item in found.items] == [f"{images}1.png", f"{images}2.png"]
    assert any(f"add --masks {tmp_path / 'masks'} to keep" in remark for remark in found.remarks)
    found = read(tmp_path, masks=tmp_path / "masks")
    assert all(item.decode().mask is not None for item in found.items)
    listing(tmp_path, labels=[[f"{images}1.png", 0]])
    assert any(f"--masks {tmp_path / 'masks'}" in remark for remark in read(tmp_path).remarks)


def test_masks_of_other_names_in_another_folder(tmp_path: Path) -> None:
    draw(tmp_path, "in/x_1.png", "truth/x_1_segmentation.png")
    found = read(tmp_path / "in", masks=tmp_path / "truth", mask_suffix="_segmentation")
    assert found.items[0].decode().mask is not None


def test_nested_folders_of_masks() -> None:
    names = ["train/images/1.png", "train/masks/1.png", "val/images/1.png", "val/masks/1_mask.png"]
    beside = find_masks(names)
    assert beside is not None and beside.names == {names[1], names[3]}
    assert find_masks(["masks/1.png", "masks/2.png", "other/7.png"]) is None
    assert find_masks(["a/1.png", "b/1.png"]) is None
