"""Masks that lie beside images are never images."""

from pathlib import Path
from shlex import quote

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
    [
        "_mask",
        "_segmentation",
        "_label",
        "_seg",
        "_gt",
        "-mask",
        ".mask",
        " label",
        "_Mask",
        "_mask_1",
    ],
)
def test_masks_beside_images_are_found_and_offered(tmp_path: Path, suffix: str) -> None:
    draw(tmp_path, "a/1.png", f"a/1{suffix}.png", "b/2.jpg", f"b/2{suffix}.png", "b/3.png")
    found = read(tmp_path)
    assert [item.name for item in found.items] == ["a/1.png", "b/2.jpg", "b/3.png"]
    assert [item.label for item in found.items] == ["a", "b", "b"]
    (offer,) = [remark for remark in found.remarks if "are masks of images" in remark]
    assert offer.startswith("2 file(s)") and f"--mask-suffix {quote(suffix)} to keep" in offer
    found = read(tmp_path, mask_suffix=suffix)
    masks = [item.decode().mask for item in found.items]
    assert [mask is None for mask in masks] == [False, False, True]
    assert np.unique(masks[0]).tolist() == [1]
    assert not [remark for remark in found.remarks if "are masks of images" in remark]
    assert len(read(tmp_path, mask_suffix="none").items) == 5


def test_two_masks_of_one_image_whose_endings_differ(tmp_path: Path) -> None:
    draw(tmp_path, "1.png", "1_mask.png", "1_mask.bmp")
    assert [item.name for item in read(tmp_path).items] == ["1.png"]
    with pytest.raises(UserError, match="'1.png' has two masks, '1_mask.bmp' and '1_mask.png'"):
        read(tmp_path, masks=Path("beside"))


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


LAYOUTS = {
    "folders of splits": (
        "train/images/1.png",
        "train/masks/1.png",
        "val/images/1.png",
        "val/masks/1.png",
    ),
    "folders of classes": ("a/1.png", "a/masks/1.png", "b/2.png", "b/masks/2_mask.png"),
    "one folder for several": ("a/1.png", "masks/1.png", "b/2.png", "masks/2.png"),
    "two ways": ("images/1.png", "images/1_mask.png", "images/2.png", "masks/2.png"),
    "two words": ("1.png", "1_mask.png", "2.png", "2_seg.png"),
}


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_masks_in_several_places_are_kept_together(
    tmp_path: Path, layout: str, listed: bool
) -> None:
    one, mask, two, other = LAYOUTS[layout]
    draw(tmp_path, *LAYOUTS[layout])
    (offer,) = [remark for remark in read(tmp_path).remarks if "are masks of images" in remark]
    assert "add --masks beside to keep them as masks" in offer
    if listed:
        listing(tmp_path, labels=[[one, 0], [two, 1]])
        offers = [remark for remark in read(tmp_path).remarks if "--masks" in remark]
        assert all("--masks beside" in offer or f"{tmp_path}/masks" in offer for offer in offers)
    found = read(tmp_path, masks=Path("beside"))
    decoders = [item.decode for item in found.items]
    assert [(d.parts[0][2], d.mask and d.mask[1]) for d in decoders] == [(one, mask), (two, other)]
    assert not [remark for remark in found.remarks if "ignored" in remark or "--mask" in remark]


def test_masks_beside_that_are_none_or_two(tmp_path: Path) -> None:
    draw(tmp_path / "a", "1.png", "2.png")
    with pytest.raises(UserError, match="--masks beside: .*/a holds no mask beside an image"):
        read(tmp_path / "a", masks=Path("beside"))
    draw(tmp_path / "b", "1.png", "1_mask.png", "masks/1.png")
    with pytest.raises(UserError, match="'1.png' has two masks, '1_mask.png' and 'masks/1.png'"):
        read(tmp_path / "b", masks=Path("beside"))


def test_images_without_mask_and_masks_without_image_are_counted(tmp_path: Path) -> None:
    names = [f"train/masks/{n}.png" for n in "123"]
    draw(tmp_path, "train/images/1.png", "train/images/2.png", *names, "val/images/3.png")
    found = read(tmp_path, masks=Path("beside"))
    assert [item.decode().mask is None for item in found.items] == [False, False, True]
    assert "1 masks file(s) fit no image and are ignored" in found.remarks
    assert "1 image(s) have no mask: val/images/3.png" in found.remarks
