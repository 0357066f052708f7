"""CIFAR-10 and CIFAR-100, as published for Python and as binary files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from synthograph.core.errors import UserError
from synthograph.core.record import array_of
from synthograph.sources.benchmarks.base import BenchmarkImages
from synthograph.sources.benchmarks.finding import find_benchmark
from tests.sources.benchmarks.published import (
    CLASSES,
    COARSE,
    FINE,
    cifar10,
    cifar100,
    pickled,
    pickled_names,
    pixels,
    records,
    write_folder,
    write_tar,
)

BOTH = pytest.mark.parametrize("binary", [True, False])


def found(path: Path) -> BenchmarkImages:
    images = find_benchmark(path)
    assert images is not None
    return images


@BOTH
def test_cifar10(tmp_path: Path, binary: bool) -> None:
    path = write_tar(tmp_path / "cifar-10.tar.gz", cifar10(binary=binary), "cifar-10-batches")
    images = found(path)
    assert images.title == "CIFAR-10" and images.classes == CLASSES and not images.remarks
    assert [item.split for item in images.items] == ["train"] * 20 + ["test"] * 4
    assert [item.label for item in images.items[3:6]] == ["cat", "automobile", "bird"]
    assert images.items[-1].name == f"test_batch{'.bin' if binary else ''}#3"
    picture = array_of(images.items[5].decode().modalities["image"])
    assert picture.shape == (32, 32, 3) and picture.flags.c_contiguous
    red, green, blue = pixels(4, seed=1)[1].reshape(3, 1024)
    assert np.array_equal(picture[0, :, 0], red[:32])
    assert np.array_equal(picture[:, 0, 1], green[::32])
    assert np.array_equal(picture[31, :, 2], blue[-32:])
    same = found(write_folder(tmp_path / "unpacked", cifar10(binary=binary)))
    assert [item.name for item in same.items] == [item.name for item in images.items]


@BOTH
def test_cifar100_has_its_superclass_as_a_column(tmp_path: Path, binary: bool) -> None:
    images = found(write_folder(tmp_path / "set", cifar100(binary=binary)))
    assert images.title == "CIFAR-100" and images.classes == FINE
    told = [(item.label, item.columns["coarse_label"]) for item in images.items[:3]]
    assert told == [("beaver", COARSE[0]), ("dolphin", COARSE[0]), ("flatfish", COARSE[1])]
    assert [item.split for item in images.items] == ["train"] * 6 + ["test"] * 6
    first = array_of(images.items[0].decode().modalities["image"])
    assert np.array_equal(first, pixels(6)[0].reshape(3, 32, 32).transpose(1, 2, 0))


def test_a_pickle_of_other_things_is_not_executed(tmp_path: Path) -> None:
    target = tmp_path / "made"
    files = cifar10(binary=False)
    files["data_batch_2"] = f"cos\nmkdir\n(S'{target}'\ntR.".encode()
    with pytest.raises(UserError, match=r"data_batch_2: refused, it names .*mkdir.*binary version"):
        found(write_folder(tmp_path / "set", files))
    assert not target.exists()


def batch(**changes: object) -> bytes:
    return pickled({"labels": [0, 1], "data": pixels(2), **changes})


DATA = pickled({"data": pixels(2)})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (batch(labels=[0]), "labels is no list of 2 labels"),
        (batch(labels=[0, 10]), "label 10 has no name; there are 10 classes"),
        (batch(labels=["cat", "dog"]), "labels is no list of 2 labels"),
        (batch(labels="cat"), "labels is no list of 2 labels"),
        (DATA, "labels is no list of 2 labels"),
        (batch(data=[1, 2]), "has no array data of n x 3072 bytes"),
        (batch(data=pixels(3)[:, :99]), "has no array data of n x 3072 bytes"),
        (batch(data=pixels(0), labels=[]), "has no array data of n x 3072 bytes"),
        (batch(data=pixels(2).view(np.uint16)), "an array of other numbers than bytes"),
        (
            batch().replace(b"M\x02\x00M", b"M\x03\x00M"),
            "not one of bytes, or not of its stored sh",
        ),
        (batch()[:-40], "is no readable pickle"),
        (b"](K\x01e.", "holds no dictionary"),
        (pickled_names({"data": ["x"]}), "has no array data"),
        (b"", "is no readable pickle"),
    ],
)
def test_batches_that_contradict_themselves_are_refused(
    tmp_path: Path, data: bytes, words: str
) -> None:
    folder = write_folder(tmp_path / "set", cifar10(binary=False) | {"data_batch_3": data})
    with pytest.raises(UserError, match=f"set.data_batch_3: .*{words}"):
        found(folder)


def test_an_array_that_is_stored_once_and_asked_for_often_is_refused(tmp_path: Path) -> None:
    """Else a file could take memory many times its size."""
    data = DATA
    place = data.index(b"cnumpy")
    array = data[place:-2]
    stored = array.index(b"T\x00\x18\x00\x00")
    once = array[:stored] + b"T" + (6144).to_bytes(4, "little") + bytes(6144) + b"q\x01tb"
    again = array[:stored] + b"h\x01tb"
    hostile = b"\x80\x02}(U\x04data" + once + b"".join(b"U\x01x" + again for _ in range(9)) + b"u."
    files = cifar10(binary=False) | {"data_batch_1": hostile}
    with pytest.raises(UserError, match="its tensors together are larger than the file"):
        found(write_folder(tmp_path / "set", files))


Change = Callable[[dict[str, bytes]], object]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.pop("data_batch_4.bin"), "data_batch_4.bin: is missing: get the set again"),
        (lambda f: f.update({"test_batch.bin": b""}), "has 0 bytes, and an image takes 3073"),
        (lambda f: f.update({"test_batch.bin": bytes(3072)}), "has 3072 bytes, and an image takes"),
        (
            lambda f: f.update({"test_batch.bin": records([[99]], pixels(1))}),
            "label 99 has no name",
        ),
        (lambda f: f.update({"batches.meta.txt": b"cat\ncat\n"}), "or there twice: get the set"),
        (lambda f: f.update({"batches.meta.txt": b"\n"}), "names of classes are empty"),
        (lambda f: f.update(cifar10(binary=False)), "CIFAR-10 and CIFAR-10, or two versions of it"),
    ],
)
def test_binary_files_that_do_not_fit_are_refused(
    tmp_path: Path, change: Change, words: str
) -> None:
    files = cifar10(binary=True)
    change(files)
    with pytest.raises(UserError, match=words):
        found(write_folder(tmp_path / "set", files))
