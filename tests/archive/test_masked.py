"""Masks of an archive as class numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from synthograph.archive.batches import ArchiveRows
from synthograph.archive.manifest import Row
from synthograph.archive.masked import MaskedImages, masked_images
from synthograph.archive.reader import ArchiveInfo, open_archive
from synthograph.archive.writer import ArchiveWriter, encode
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec

SHAPE = (4, 6)


def some(path: Path, *masks: np.ndarray | None) -> MaskedImages:
    writer = ArchiveWriter(path, {})
    for number, mask in enumerate(masks):
        pixels = np.full((*SHAPE, 1), number, np.uint8)
        writer.add([encode({"image": pixels}, mask, Row("", None, f"P{number}"))])
    writer.finish(ArchiveInfo(spec=ImageSpec(height=4, width=6, modalities={"image": 1})))
    archive = open_archive(path)
    return masked_images(ArchiveRows(archive, archive.rows), lambda items, total: items)


def of(value: int) -> np.ndarray:
    return np.full(SHAPE, value, np.uint8)


def test_masks_belong_to_their_images(tmp_path: Path) -> None:
    found = some(tmp_path / "a.zip", *map(of, range(20)))
    pixels = found.rows.gather(torch.arange(20))[:, 0, 0, 0] * 255
    assert found.masks[:, 0, 0].tolist() == pixels.round().int().tolist()


def test_values_become_class_numbers_and_ignored_pixels_stay(tmp_path: Path) -> None:
    mixed = of(0)
    mixed[0], mixed[1] = 255, 128
    found = some(tmp_path / "a.zip", mixed, None, mixed)
    assert len(found) == 2 and len(found.without) == 1
    assert found.values == {0: 0.5, 128: 0.25, 255: 0.25}
    assert found.numbered([0, 128]).values == {0: 0.5, 1: 0.25, 255: 0.25}
    assert found.numbered([0, 128, 255]).values == {0: 0.5, 1: 0.25, 2: 0.25}
    with pytest.raises(UserError, match=r"the mask of 00000/img\d+.png holds 128, known .* 0, 7"):
        found.numbered([0, 7])


def test_sets_without_masks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none of its 2 images has a mask: prepare .* --masks"):
        some(tmp_path / "a.zip", None, None)


def test_masks_of_another_size_are_refused_with_their_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"masks/00000/img00000001.png is 6x3, .* masks are 6x4"):
        some(tmp_path / "a.zip", of(0), np.zeros((3, 6), np.uint8))
