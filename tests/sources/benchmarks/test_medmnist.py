"""MedMNIST, with few images in the layout that is published."""

from pathlib import Path

import numpy as np
import pytest

from synthograph.core.errors import UserError
from synthograph.core.record import array_of
from synthograph.sources.benchmarks.base import BenchmarkImages
from synthograph.sources.benchmarks.finding import find_benchmark

COUNTS = {"train": 6, "val": 2, "test": 3}


def write(path: Path, *, shape=(28, 28, 3), findings: int = 1, classes: int = 7, **changes) -> Path:
    random = np.random.default_rng(0)
    arrays = {}
    for split, count in COUNTS.items():
        arrays[f"{split}_images"] = random.integers(0, 256, (count, *shape), np.uint8)
        labels = np.arange(count * findings).reshape(count, findings) % classes
        arrays[f"{split}_labels"] = labels.astype(np.uint8)
    arrays |= changes
    np.savez_compressed(path, **{name: a for name, a in arrays.items() if a is not None})
    return path


def found(path: Path) -> BenchmarkImages:
    images = find_benchmark(path)
    assert images is not None
    return images


def test_a_set_has_names_of_classes_and_its_split(tmp_path: Path) -> None:
    path = write(tmp_path / "dermamnist_64.npz", shape=(64, 64, 3))
    images = found(path)
    assert images.title == "MedMNIST"
    assert images.classes is not None and images.classes[4] == "melanoma"
    assert [item.split for item in images.items] == ["train"] * 6 + ["val"] * 2 + ["test"] * 3
    assert images.items[4].label == "melanoma"
    assert images.items[6].name == "val#0"
    assert "one patient may be in several splits" in images.remarks[0]
    with np.load(path) as arrays:
        picture = array_of(images.items[7].decode().modalities["image"])
        assert np.array_equal(picture, arrays["val_images"][1])


def test_grey_images_of_an_unknown_set_have_numbers_as_classes(tmp_path: Path) -> None:
    images = found(write(tmp_path / "mine.npz", shape=(28, 28)))
    assert images.classes is None
    assert images.items[3].label == "3"
    assert array_of(images.items[0].decode().modalities["image"]).shape == (28, 28, 1)

    assert any("names of classes are not known for mine.npz" in each for each in images.remarks)


def test_a_second_download_has_its_names(tmp_path: Path) -> None:
    images = found(write(tmp_path / "DermaMNIST (1).npz"))
    assert images.classes is not None and "melanoma" in images.classes
    assert len(images.remarks) == 1


def test_a_split_without_images_is_passed_over(tmp_path: Path) -> None:
    none = {"val_images": np.zeros((0, 28, 28, 3), np.uint8), "val_labels": np.zeros((0, 1), int)}
    images = found(write(tmp_path / "dermamnist.npz", **none))
    assert {item.split for item in images.items} == {"train", "test"}


def test_several_findings_are_columns(tmp_path: Path) -> None:
    images = found(write(tmp_path / "chestmnist.npz", shape=(28, 28), findings=14, classes=2))
    item = images.items[1]
    assert item.label is None and images.classes is None
    assert len(item.columns) == 14
    assert (item.columns["atelectasis"], item.columns["cardiomegaly"]) == ("0", "1")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"shape": (28, 28, 28)},
            r"train_images.npy: holds uint8 of shape \[6, 28, 28, 28\].*no vol",
        ),
        ({"val_labels": None}, r"val_labels.npy: is missing: get the file again"),
        ({"test_labels": np.zeros((2, 1), np.uint8)}, r"test_labels.npy: .* each of 3 images"),
        ({"test_labels": np.zeros((3, 1))}, r"test_labels.npy: holds float64"),
        ({"test_labels": np.array(3)}, r"test_labels.npy: holds int64 of shape \[\]"),
        ({"train_labels": np.full((6, 1), 7)}, r"label 7 has no name; there are 7 classes"),
        ({"train_labels": np.full((6, 1), -1)}, r"label -1 has no name"),
        ({"train_images": np.zeros((6, 28, 28), np.int16)}, r"holds int16"),
        ({"train_images": np.array([None] * 6)}, r"train_images.npy: is broken or no array"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        found(write(tmp_path / "dermamnist.npz", **changes))


def test_other_arrays_are_no_set(tmp_path: Path) -> None:
    path = tmp_path / "latents.npz"
    np.savez(path, w=np.zeros((2, 4)))
    assert find_benchmark(path) is None
