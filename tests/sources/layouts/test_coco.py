"""Regions of COCO as others write them: polygons, packed run lengths, later regions on top."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthograph.core.errors import UserError
from synthograph.core.record import UnreadableError
from synthograph.sources.layouts.base import read_layout
from synthograph.sources.layouts.coco import Coco


def packed(counts: list[int]) -> str:
    """Five bits a character, the lowest first; bit 6 says that more follow, bit 5 is the sign."""
    text = ""
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        more = True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr(48 + (bits | (32 if more else 0)))
    return text


def folder(path: Path, *annotations: dict[str, object]) -> Path:
    path.mkdir()
    Image.new("L", (10, 6)).save(path / "a.png")
    image = {"id": 4, "file_name": "a.png", "height": 6, "width": 10}
    every = [{"image_id": 4, **one} for one in annotations]
    tree = {"images": [image], "annotations": every, "categories": []}
    (path / "instances_val.json").write_text(json.dumps(tree))
    return path


def test_regions(tmp_path: Path) -> None:
    mask = np.zeros((6, 10), bool)
    mask[1:4, 2:9] = True
    flat = mask.reshape(-1, order="F")
    counts = np.diff([0, *(np.flatnonzero(np.diff(flat)) + 1), flat.size]).tolist()
    path = folder(
        tmp_path / "set",
        {"category_id": 2, "segmentation": {"counts": packed(counts), "size": [6, 10]}},
        {"category_id": 5, "segmentation": [[0, 0, 3, 0, 3, 2, 0, 2]]},
    )
    (item,), _ = read_layout(Coco(), path)
    found = item.decode().mask
    expected = np.where(mask, 2, 0)
    expected[:3, :4] = 5
    assert found is not None and np.array_equal(found, expected)
    assert item.split == "val" and item.label is None


def test_what_is_refused(tmp_path: Path) -> None:
    bad = {"category_id": 2, "segmentation": {"counts": [3, 4], "size": [6, 10]}}
    (item,), _ = read_layout(Coco(), folder(tmp_path / "a", bad))
    with pytest.raises(UnreadableError, match="run lengths"):
        item.decode()
    huge = {"category_id": 2, "segmentation": {"counts": "o" * 100, "size": [6, 10]}}
    (item,), _ = read_layout(Coco(), folder(tmp_path / "b", huge))
    with pytest.raises(UnreadableError, match="packed run lengths"):
        item.decode()
    with pytest.raises(UserError, match="category_id 300"):
        read_layout(Coco(), folder(tmp_path / "c", {"category_id": 300, "segmentation": []}))
    far = {"category_id": 1, "segmentation": [[0, 0, 1e30, 0, 1, 1]]}
    with pytest.raises(UserError, match="neither run lengths nor polygons"):
        read_layout(Coco(), folder(tmp_path / "e", far))
    with pytest.raises(UserError, match="neither run lengths nor polygons"):
        read_layout(Coco(), folder(tmp_path / "d", {"category_id": 1}))


def listed(path: Path, images: list[dict[str, object]], *annotations: dict[str, object]) -> Path:
    folder(path)
    tree = {"images": images, "annotations": annotations, "categories": []}
    (path / "instances_val.json").write_text(json.dumps(tree))
    return path


def test_lists_that_contradict_themselves(tmp_path: Path) -> None:
    image, area = {"id": 4, "file_name": "a.png"}, [[0, 0, 3, 0, 3, 2]]
    of = {"category_id": 1, "image_id": 4, "segmentation": area}
    bad = {
        "two images have one id": ([image, image], of),
        "an annotation is of image 9, which is not listed": ([image], {**of, "image_id": 9}),
        r"id \[4\] is neither": ([{**image, "id": [4]}], of),
        "image_id {} is neither": ([image], {**of, "image_id": {}}),
        "category_id True": ([image], {**of, "category_id": True}),
        "neither run lengths nor polygons": ([image], {**of, "segmentation": [[0, 0, 3, 0, 3]]}),
    }
    for number, (message, (images, annotation)) in enumerate(bad.items()):
        with pytest.raises(UserError, match=message):
            read_layout(Coco(), listed(tmp_path / str(number), images, annotation))
    resized = {**image, "width": 20, "height": 12}
    (item,), _ = read_layout(Coco(), listed(tmp_path / "z", [resized], of))
    with pytest.raises(UnreadableError, match="listed with 20x12 pixels and has 10x6"):
        item.decode()


def test_the_split_is_that_of_the_folder_of_a_list(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        (tmp_path / split).mkdir()
        Image.new("L", (10, 6)).save(tmp_path / split / "a.png")
        tree = {"images": [{"id": 0, "file_name": "./a.png"}], "annotations": []}
        (tmp_path / split / "_annotations.coco.json").write_text(json.dumps(tree))
    items, _ = read_layout(Coco(), tmp_path)
    found = {item.name: item.split for item in items}
    assert found == {"train/a.png": "train", "valid/a.png": "val"}


def test_an_image_of_two_lists(tmp_path: Path) -> None:
    path = folder(tmp_path / "set")
    (path / "again.json").write_text((path / "instances_val.json").read_text())
    with pytest.raises(UserError, match=r"lists 'a.png' twice; .*give the one that counts"):
        read_layout(Coco(), path)
    items, _ = read_layout(Coco(), path / "again.json")
    assert len(items) == 1
