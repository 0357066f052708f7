"""The training stream: every image once per pass, in an order that only the seed decides."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from synthograph.archive.manifest import Row
from synthograph.archive.reader import Archive
from synthograph.archive.split import SplitOptions, split_archive
from synthograph.archive.stream import RowSelection, TrainingStream, label_matrix, select_rows
from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams

Make = Callable[..., Archive]


def stream(archive: Archive, seed: int = 0, **kwargs: bool) -> TrainingStream:
    return TrainingStream(archive, archive.rows, Streams(seed), **kwargs)


def numbers(archive: Archive, images: torch.Tensor) -> list[int]:
    """Which row of the archive every image is; negative for mirrored ones."""
    top = archive.info.spec.max_value
    known = {}
    for i, row in enumerate(archive.rows, start=1):
        known[archive.read(row).tobytes()] = i
        known[np.ascontiguousarray(archive.read(row)[:, :, ::-1]).tobytes()] = -i
    dtype = np.uint8 if top == 255 else np.uint16
    back = ((images.double() + 1) * top / 2).round().numpy().astype(dtype)
    return [known[image.tobytes()] for image in back]


@pytest.mark.parametrize("mirror", [False, True])
def test_every_image_once_per_pass(make_archive: Make, mirror: bool) -> None:
    archive = make_archive(count=7)
    data = stream(archive, mirror=mirror)
    n = 14 if mirror else 7
    assert len(data) == n
    seen = numbers(archive, torch.cat([data.batch(i, 3)[0] for i in range(0, 3 * n, 3)]))
    everything = sorted([*range(1, 8), *(range(-7, 0) if mirror else [])])
    passes = [seen[i : i + n] for i in range(0, 3 * n, n)]
    assert [sorted(p) for p in passes] == [everything] * 3
    assert passes[0] != passes[1]


def test_the_second_half_is_the_first_one_mirrored(make_archive: Make) -> None:
    archive = make_archive(count=4)
    data = stream(archive, mirror=True)
    plain, _ = data.gather(torch.arange(4))
    flipped, _ = data.gather(torch.arange(4, 8))
    assert torch.equal(flipped, plain.flip(3)) and numbers(archive, plain) == [1, 2, 3, 4]


def test_batches_depend_on_seed_and_place_alone(make_archive: Make) -> None:
    archive = make_archive(count=5)
    images, labels = stream(archive, conditional=True).batch(3, 9)
    other = stream(archive, conditional=True)
    for i in range(9):
        image, label = other.batch(3 + i, 1)
        assert torch.equal(image[0], images[i]) and torch.equal(label[0], labels[i])
    assert not torch.equal(stream(archive, seed=1).batch(3, 9)[0], images)


@pytest.mark.parametrize("bits", [8, 16])
def test_values_are_exact_from_minus_one_to_one(make_archive: Make, bits: int) -> None:
    archive = make_archive(count=40, bits=bits, modalities={"image": 1}, side=16)
    images, _ = stream(archive).gather(torch.arange(40))
    pixels = torch.stack(
        [torch.from_numpy(archive.read(r).astype(np.float64)) for r in archive.rows]
    )
    expected = pixels / (archive.info.spec.max_value / 2) - 1
    assert images.dtype == torch.float32
    assert float(images.min()) >= -1 and float(images.max()) <= 1
    assert float((images - expected).abs().max()) < 1.2e-7
    if bits == 8:
        assert float(images.min()) == -1 and float(images.max()) == 1


def test_labels_are_one_hot_in_class_order(make_archive: Make) -> None:
    archive = make_archive(labels=("10", "9", "x"))
    assert archive.info.classes == ["9", "10", "x"]
    data = stream(archive, conditional=True)
    assert data.label_width == 3
    assert data.labels(torch.arange(7)).argmax(1).tolist() == [1, 0, 2, 1, 0, 2, 1]
    assert (data.labels(torch.arange(6)).sum(1) == 1).all()
    assert stream(archive).labels(torch.arange(6)).shape == (6, 0)
    assert stream(archive).draw_labels(torch.arange(6)).shape == (6, 0)


def with_columns(archive: Archive, columns: list[dict[str, str]]) -> list[Row]:
    return [replace(r, columns=c) for r, c in zip(archive.rows, columns, strict=True)]


def test_label_vectors(make_archive: Make) -> None:
    archive = make_archive(count=3)
    rows = with_columns(
        archive, [{"y.0": "1", "y.1": "0.5"}, {"y.0": "-2", "y.1": "0"}, {"y.0": "3", "y.1": "4"}]
    )
    assert label_matrix(archive, rows).tolist() == [[1, 0.5], [-2, 0], [3, 4]]
    for odd in ({"y.0": "1"}, {}):
        rows[1] = replace(rows[1], columns=odd)
        with pytest.raises(UserError, match=f"vector of {rows[1].file} has {len(odd)} values"):
            label_matrix(archive, rows)


def test_labels_that_are_missing(make_archive: Make) -> None:
    archive = make_archive(labels=("a", None))
    stream(archive)
    with pytest.raises(UserError, match=r"img00000001.png has no label \(3 of 6 images\)"):
        stream(archive, conditional=True)
    full = make_archive("b.zip")
    with pytest.raises(UserError, match="no training image is of class 'melanoma'"):
        label_matrix(full, [row for row in full.rows if row.label == "benign"])


def test_labels_of_generated_images_follow_the_training_set(make_archive: Make) -> None:
    archive = make_archive(labels=("a", "a", "a", "b"), count=8)
    data = stream(archive, conditional=True)
    drawn = data.draw_labels(torch.arange(20_000))
    assert abs(float(drawn[:, 0].mean()) - 0.75) < 0.015
    assert torch.equal(drawn[100:103], data.draw_labels(torch.arange(100, 103)))


def test_selections(make_archive: Make) -> None:
    archive = make_archive(count=60)
    assert select_rows(archive, RowSelection(), 0) == archive.rows
    with pytest.raises(UserError, match="no image is in split 'train'"):
        select_rows(archive, RowSelection("train"), 0)
    archive = split_archive(archive.path, SplitOptions(folds=3))
    train = select_rows(archive, RowSelection(), 0)
    assert {row.split for row in train} == {"train"}
    assert {row.split for row in select_rows(archive, RowSelection("val"), 0)} == {"val"}
    folds = [select_rows(archive, RowSelection(fold=k), 0) for k in range(3)]
    assert all(row.fold != k for k, rows in enumerate(folds) for row in rows)
    assert sum(map(len, folds)) == 2 * len(train)
    with pytest.raises(UserError, match=r"fold 3 is not there, the archive has folds 0 to 2"):
        select_rows(archive, RowSelection(fold=3), 0)


def test_subsets_are_random_seeded_and_nested(make_archive: Make) -> None:
    archive = make_archive(count=40)
    small = select_rows(archive, RowSelection(subset=10), 0)
    large = select_rows(archive, RowSelection(subset=20), 0)
    assert len(small) == 10 and {r.file for r in small} < {r.file for r in large}
    assert small == select_rows(archive, RowSelection(subset=10), 0)
    assert small != select_rows(archive, RowSelection(subset=10), 1)
    assert [r.file for r in small] == sorted(r.file for r in small)
    for wrong in (0, -1, 41):
        with pytest.raises(UserError, match="choose from 1 to 40"):
            select_rows(archive, RowSelection(subset=wrong), 0)


def test_a_part_of_the_archive_reads_its_own_pixels(make_archive: Make) -> None:
    archive = make_archive(count=6)
    data = TrainingStream(archive, archive.rows[3:5], Streams(0))
    assert numbers(archive, data.gather(torch.arange(2))[0]) == [4, 5]


@pytest.mark.parametrize("mirror", [False, True])
def test_pairs_are_of_one_class_and_a_pass_has_all_images(make_archive: Make, mirror: bool) -> None:
    archive = make_archive(count=7)  # four of one class, three of the other
    data = stream(archive, conditional=True, mirror=mirror, alike=2)
    length = 14 if mirror else 8  # an odd class repeats its first image
    images, labels = data.batch(0, 2 * length)
    assert torch.equal(labels[::2], labels[1::2])
    seen = numbers(archive, images)
    for one in (seen[:length], seen[length:]):
        assert set(map(abs, one)) == set(range(1, 8)) and len(set(one)) == (14 if mirror else 7)
    assert seen[:length] != seen[length:]
    both, _ = data.batch(length - 2, 4)
    assert numbers(archive, both) == seen[length - 2 : length + 2], "of two passes"
    late, _ = data.batch(length + 3, 5)
    assert numbers(archive, late) == seen[length + 3 : length + 8], "a place alone decides"


def test_pairs_without_classes_and_of_synthetic_labels(make_archive: Make) -> None:
    archive = make_archive(count=6)
    plain = stream(archive, alike=2)
    assert sorted(numbers(archive, plain.batch(0, 6)[0])) == list(range(1, 7))
    drawn = stream(archive, conditional=True, alike=2).draw_labels(torch.arange(40))
    assert torch.equal(drawn[::2], drawn[1::2]) and len(drawn.unique(dim=0)) == 2
