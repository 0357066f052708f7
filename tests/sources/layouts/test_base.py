"""Folders of other tools whose files hold several images: volumes are taken apart into slices."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

import synthograph
from synthograph.archive.reader import open_archive
from synthograph.core.record import UnreadableError, array_of
from synthograph.sources.layouts.base import read_layout
from synthograph.sources.layouts.coco import Coco
from synthograph.sources.layouts.monai import Monai
from synthograph.sources.layouts.nnunet import NnUnet

VALUES = np.random.default_rng(0).integers(0, 256, (2, 6, 8, 3), np.uint8)
"""Case, right, anterior, superior."""


def volume(path: Path, values: np.ndarray, shift: float = 0.0) -> None:
    affine = np.diag([1.0, 1, 4, 1])
    affine[0, 3] = shift
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, affine), path)


def test_volumes_of_nnunet(tmp_path: Path) -> None:
    for case, values in zip("ab", VALUES, strict=True):
        for channel in (0, 1):
            volume(tmp_path / f"imagesTr/{case}_000{channel}.nii.gz", values // (channel + 1))
        volume(tmp_path / f"labelsTr/{case}.nii.gz", (values > 99).astype(np.uint8) * 2)
    tree = {"channel_names": {"0": "t1", "1": "flair"}, "labels": {"background": 0, "ignore": 2}}
    (tmp_path / "dataset.json").write_text(json.dumps(tree))
    items, unnamed = read_layout(NnUnet(), tmp_path)
    assert [item.name for item in items[:3]] == [
        f"imagesTr/a_0000.nii.gz#axial00{n}" for n in range(3)
    ]
    assert len(items) == 6 and not unnamed
    assert len({item.group for item in items[:3]}) == 1 != len({item.group for item in items})
    picture, expected = items[4].decode(), VALUES[1, :, :, 1][::-1, ::-1].T
    assert np.array_equal(array_of(picture.modalities["t1"])[:, :, 0], expected)
    assert np.array_equal(array_of(picture.modalities["flair"])[:, :, 0], expected // 2)
    assert picture.mask is not None and np.array_equal(picture.mask, (expected > 99) * 255)
    assert items[4].columns["slice"] == "1"


def test_groups_have_pseudonyms_where_these_are_wanted(tmp_path: Path) -> None:
    volume(tmp_path / "a.nii", VALUES[0])
    listed = [{"image": "a.nii"}, {"image": "b.nii", "group": "a"}]
    (tmp_path / "datalist.json").write_text(json.dumps({"training": listed}))
    volume(tmp_path / "b.nii", VALUES[1])
    items, _ = read_layout(Monai(), tmp_path, salt=b"0123456789abcdef")
    (group,) = {item.group for item in items}
    assert group is not None and len(group) == 16 and len(items) == 6
    (tmp_path / "salt").write_bytes(b"0123456789abcdef")
    dest = tmp_path.with_suffix(".zip")
    synthograph.prepare(
        tmp_path, dest, layout="monai", invariant="none",
        pseudonymise=tmp_path / "salt", size=8, transform="stretch", workers=1,
    )  # fmt: skip
    rows = open_archive(dest).rows
    assert {row.group for row in rows} == {group}
    assert not any("nii" in cell for row in rows for cell in row.columns.values())


@pytest.mark.parametrize(
    ("image", "mask", "reason"),
    [
        ("a.nii", "far.nii", "masks file 'far.nii' does not lie where the image does"),
        ("a.nii", "flat.png", "masks file 'flat.png' is one image, 'a.nii' holds 3"),
        ("flat.png", "a.nii", "is a volume of slices"),
        ("damaged.nii", "a.nii", "a header without values"),
    ],
)
def test_partners_that_do_not_fit(tmp_path: Path, image: str, mask: str, reason: str) -> None:
    volume(tmp_path / "a.nii", VALUES[0])
    volume(tmp_path / "far.nii", VALUES[0], 9)
    Image.fromarray(VALUES[0, :, :, 0].T).save(tmp_path / "flat.png")
    (tmp_path / "damaged.nii").write_bytes((tmp_path / "a.nii").read_bytes()[:200])
    listed = {"training": [{"image": image, "label": mask, "group": "P1"}]}
    (tmp_path / "datalist.json").write_text(json.dumps(listed))
    (item,), _ = read_layout(Monai(), tmp_path)
    assert item.group == "P1"
    with pytest.raises(UnreadableError, match=reason):
        item.decode()


def test_numbers_with_decimals_are_known(tmp_path: Path) -> None:
    """A column with a gap has them for every number, such as that of a patient."""
    for name in "abc":
        Image.fromarray(VALUES[0, :, :, 0]).save(tmp_path / f"{name}.png")
    images = [
        {"id": 1, "file_name": "a.png", "group": 7, "age": 63.5},
        {"id": 2, "file_name": "b.png", "group": 7.0, "age": 70.0},
        {"id": 3, "file_name": "c.png", "group": None},
    ]
    tree = {"images": images, "annotations": [], "categories": []}
    (tmp_path / "coco.json").write_text(json.dumps(tree))
    items, _ = read_layout(Coco(), tmp_path / "coco.json")
    assert [item.group for item in items] == ["7", "7", None]
    assert [item.columns.get("age") for item in items] == ["63.5", "70", None]
    listed = [
        {"image": "a.png", "label": 1.0, "group": 7.0},
        {"image": "b.png", "label": 0.5},
        {"image": "c.png", "class": 2.0},
    ]
    tree = {"labels": {"0": "healthy", "1": "ill"}, "training": listed}
    (tmp_path / "monai.json").write_text(json.dumps(tree))
    items, _ = read_layout(Monai(), tmp_path / "monai.json")
    assert [item.label for item in items] == ["ill", "0.5", "2"]
    assert items[0].group == "7"
