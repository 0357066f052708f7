"""Sets of images from archives."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from synthograph.archive.batches import (
    ArchiveRows,
    archive_images,
    digest64,
    group_numbers,
    open_rows,
    path_and_split,
    rows_of_split,
    with_mirrored,
)
from synthograph.archive.manifest import Row
from synthograph.archive.reader import open_archive
from synthograph.archive.split import SplitOptions, split_archive
from synthograph.core.errors import UserError
from synthograph.metrics.overlap import Trained, refuse_overlap
from tests.conftest import make_archive


def test_every_row_comes_once_with_its_label_and_patient(tmp_path: Path) -> None:
    archive = open_archive(make_archive(tmp_path / "set.zip", modalities={"vis": 3, "nir": 1}))
    rows = archive.rows[3:20]
    images = archive_images(archive, rows, batch=5)
    assert [len(batch) for batch in images.batches()] == [5, 5, 5, 2]
    pixels = torch.cat(list(images.batches()))
    assert pixels.dtype == torch.uint8 and pixels.shape == (17, 4, 16, 16)
    assert torch.equal(pixels, torch.cat(list(images.batches()))), "the same again"
    want = {archive.read(row).tobytes(): row for row in rows}
    order = [want.pop(image.numpy().tobytes()) for image in pixels]
    assert not want
    assert [row.label for row in order] == list(images.labels or ())
    assert [row.file for row in order] != sorted(row.file for row in order)
    groups = [row.group for row in order]
    same = np.array(groups)[:, None] == np.array(groups)
    assert torch.equal(images.groups[:, None] == images.groups, torch.from_numpy(same))
    assert images.origin["images_hash"] == archive.images_hash
    assert "networks" not in images.origin, "real images are of no network"


def test_some_images_by_their_places(tmp_path: Path) -> None:
    archive = open_archive(make_archive(tmp_path / "set.zip", bits=16, modalities={"image": 1}))
    images = archive_images(archive, archive.rows, batch=5)
    every = torch.cat(list(images.batches())).numpy()
    wanted = torch.tensor([0, 4, 5, 11])
    found = list(images.at(wanted))
    assert len(found) == 3, "it stops behind the last"
    assert torch.equal(torch.cat([places for places, _ in found]), wanted)
    pixels = np.concatenate([batch.numpy() for _, batch in found])
    assert pixels.dtype == np.uint16 and np.array_equal(pixels, every[wanted])
    assert list(images.at(wanted[:0])) == []


def test_sixteen_bits(tmp_path: Path) -> None:
    archive = open_archive(make_archive(tmp_path / "s.zip", modalities={"image": 1}, bits=16))
    (batch,) = archive_images(archive, archive.rows).batches()
    assert batch.dtype == torch.uint16 and int(batch.to(torch.int32).max()) > 255


def test_a_key_belongs_to_images_and_not_to_the_order_of_the_manifest(tmp_path: Path) -> None:
    archive = open_archive(make_archive(tmp_path / "set.zip"))
    key = archive_images(archive, archive.rows).key
    assert archive_images(archive, archive.rows[::-1]).key == key
    assert archive_images(archive, archive.rows[:-1]).key != key
    other = open_archive(make_archive(tmp_path / "other.zip", seed=1))
    assert archive_images(other, other.rows).key != key


def test_generated_images_stand_for_themselves() -> None:
    rows = [Row("a", None, "P"), Row("b", None, "P"), Row("c", None, "Q")]
    assert group_numbers(rows).tolist() == [0, 0, 1]
    made = [replace(row, origin="synthetic", group="G") for row in rows]
    assert group_numbers(made).tolist() == [0, 1, 2]


def test_mirrored_images_keep_their_patient(tmp_path: Path) -> None:
    archive = open_archive(make_archive(tmp_path / "set.zip"))
    plain = archive_images(archive, archive.rows)
    both = with_mirrored(plain)
    pixels = torch.cat(list(both.batches()))
    assert both.count == len(pixels) == 48 and both.key != plain.key
    assert torch.equal(pixels[24:], pixels[:24].flip(3))
    assert torch.equal(both.groups[24:], both.groups[:24])


def test_a_split_behind_the_path(tmp_path: Path) -> None:
    assert path_and_split("a/set.zip:test") == (Path("a/set.zip"), "test")
    assert path_and_split("a/set.zip") == (Path("a/set.zip"), None)
    assert path_and_split("C:\\set.zip") == (Path("C:\\set.zip"), None)
    odd = tmp_path / "set:test"
    odd.mkdir()
    assert path_and_split(str(odd)) == (odd, None)
    archive = open_archive(make_archive(tmp_path / "set.zip", split="train"))
    assert len(rows_of_split(archive, "train").rows) == len(rows_of_split(archive, None).rows) == 24
    with pytest.raises(UserError, match="no image is in split 'test'; there is .*set.zip:train"):
        rows_of_split(archive, "test")


def test_a_word_behind_an_archive_is_a_split_that_it_lacks(tmp_path: Path) -> None:
    path = make_archive(tmp_path / "set.zip", split="train")
    for text, words in (
        (f"{path}:trian", "no image is in split 'trian'; there is .*set.zip:train"),
        (f"{path}:foo", "no image is in split 'foo'; there is .*set.zip:train"),
        (f"{path}:", "set.zip:: no such folder or zip"),
        (f"{path}:a/b", "set.zip:a/b: no such folder or zip"),
        (f"{tmp_path}/other.zip:foo", "other.zip:foo: no such folder or zip"),
    ):
        with pytest.raises(UserError, match=words):
            open_rows(text)


def test_a_fold_behind_the_path(tmp_path: Path) -> None:
    assert path_and_split("a/set.zip:fold12") == (Path("a/set.zip"), "fold12")
    assert path_and_split("a/set.zip:folder") == (Path("a/set.zip:folder"), None)
    path = make_archive(tmp_path / "set.zip")
    split_archive(path, SplitOptions(test=0.0, val=0.0, folds=3))
    archive = open_archive(path)
    folds = [rows_of_split(archive, f"fold{k}").rows for k in range(3)]
    assert sorted(row.file for fold in folds for row in fold) == sorted(
        row.file for row in archive.rows
    )
    with pytest.raises(UserError, match="no image is in split 'fold7'; there is .*set.zip:fold0"):
        rows_of_split(archive, "fold7")


def test_synthetic_rows_are_no_reference(tmp_path: Path) -> None:
    archive = open_archive(make_archive(tmp_path / "set.zip"))
    ArchiveRows(archive, archive.rows).real()
    rows = [*archive.rows[1:], replace(archive.rows[0], origin="synthetic")]
    with pytest.raises(UserError, match=r"is synthetic \(1 of 24 images\)"):
        ArchiveRows(archive, rows).real()


def test_digests_are_those_that_training_records(tmp_path: Path) -> None:
    assert digest64(b"x") == hashlib.sha256(b"x").hexdigest()[:16]
    archive = open_archive(make_archive(tmp_path / "set.zip"))
    row = archive.rows[5]
    one = ArchiveRows(archive, [row])
    assert one.groups == {digest64(("test" + row.group).encode()): "P2"}
    pixels = np.ascontiguousarray(archive.read(row)).tobytes()
    assert one.pixels == {digest64(pixels): row.file}


def test_published_archives_call_their_images_alike_and_are_not_the_same(tmp_path: Path) -> None:
    first, other = (
        open_archive(make_archive(tmp_path / f"{seed}.zip", namespace="", seed=seed))
        for seed in range(2)
    )
    before = first.images_hash
    ours, theirs = (
        ArchiveRows(archive, [replace(row, group=row.file) for row in archive.rows])
        for archive in (first, other)
    )
    seen = Trained(frozenset(ours.groups), frozenset(ours.pixels))
    assert refuse_overlap(seen, theirs) == []
    with pytest.raises(UserError, match="24 of its 24 groups were trained on"):
        refuse_overlap(seen, ours)
    split = split_archive(first.path, SplitOptions())
    assert split.images_hash == before, "a split archive is still the same"
