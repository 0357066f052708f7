"""Files of MNIST, and of the sets that are published like it."""

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest

from synthograph.core.errors import UserError
from synthograph.core.record import array_of
from synthograph.sources.benchmarks.base import BenchmarkImages
from synthograph.sources.benchmarks.finding import find_benchmark
from tests.sources.benchmarks.published import idx, mnist, write_mnist


def found(path: Path) -> BenchmarkImages:
    images = find_benchmark(path)
    assert images is not None
    return images


def pixels(images: BenchmarkImages) -> np.ndarray:
    return np.stack([array_of(i.decode().modalities["image"])[:, :, 0] for i in images.items])


@pytest.mark.parametrize("packed", [True, False])
def test_a_folder_has_its_published_split(tmp_path: Path, packed: bool) -> None:
    write_mnist(tmp_path / "MNIST" / "raw", {"train": 12, "t10k": 3}, packed=packed)
    images = found(tmp_path / "MNIST")  # its only folder
    assert [item.split for item in images.items] == ["train"] * 12 + ["test"] * 3
    assert images.items[11].name == f"train-images-idx3-ubyte{'.gz' if packed else ''}#11"
    assert [item.label for item in images.items[9:13]] == ["9", "0", "1", "0"]
    assert {item.group for item in images.items} == {None} and images.classes is None
    assert np.array_equal(pixels(images), np.concatenate([mnist(12)[0], mnist(3, seed=1)[0]]))
    assert not images.remarks


def test_one_file_finds_its_labels_and_has_no_split(tmp_path: Path) -> None:
    write_mnist(tmp_path, {"train": 4, "t10k": 3})
    images = found(tmp_path / "t10k-images-idx3-ubyte.gz")
    assert [(item.label, item.split) for item in images.items] == [(n, None) for n in "012"]
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    images = found(tmp_path / "t10k-images-idx3-ubyte.gz")
    assert [item.label for item in images.items] == [None] * 3
    assert images.remarks == [
        "no labels: t10k-labels-idx1-ubyte.gz does not lie beside t10k-images-idx3-ubyte.gz"
    ]


def test_files_that_lie_there_packed_and_unpacked_are_read_once(tmp_path: Path) -> None:
    write_mnist(tmp_path, {"train": 4})
    write_mnist(tmp_path, {"train": 4}, packed=False)
    (tmp_path / "look.png").touch()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.png").touch()
    images = found(tmp_path)
    assert [item.split for item in images.items] == [None] * 4
    assert images.remarks == (
        "not read, since they lie there unpacked too: train-images-idx3-ubyte.gz",
        "2 image file(s) beside files of MNIST are ignored",
    )


def test_emnist_is_turned_upright_and_its_classes_are_characters(tmp_path: Path) -> None:
    write_mnist(tmp_path / "set", {"emnist-letters-train": 4, "emnist-letters-test": 2})
    (tmp_path / "set/emnist-letters-mapping.txt").write_text("0 65 97\n1 66 98\n2 67 \n3 48\n\n")
    with zipfile.ZipFile(tmp_path / "gzip.zip", "w") as packed:
        for file in (tmp_path / "set").iterdir():
            packed.write(file, f"gzip/{file.name}")
    images = found(tmp_path / "gzip.zip")
    assert images.classes == ["Aa", "Bb", "C", "0"]
    assert [item.label for item in images.items] == ["Aa", "Bb", "C", "0", "Aa", "Bb"]
    assert [item.split for item in images.items] == ["train"] * 4 + ["test"] * 2
    assert np.array_equal(pixels(images)[:4], mnist(4)[0].transpose(0, 2, 1))
    assert images.remarks[0].startswith("emnist-letters-train-images-idx3-ubyte.gz: ")
    for line in ("1 x", f"1 {'6' * 5000}"):
        (tmp_path / "set/emnist-letters-mapping.txt").write_text(f"0 65\n{line}\n")
        with pytest.raises(UserError, match=r"mapping.txt, line 2: is no label with codes"):
            found(tmp_path / "set")
    (tmp_path / "set/emnist-letters-mapping.txt").write_text("0 65\n")
    with pytest.raises(UserError, match=r"labels-idx1-ubyte.gz: label 1 is not in the mapping"):
        found(tmp_path / "set")


def test_several_sets_in_one_folder_are_refused(tmp_path: Path) -> None:
    write_mnist(tmp_path, {"train": 2, "emnist-digits-test": 2})
    with pytest.raises(UserError, match="holds images of several sets, emnist-digits-test-images"):
        found(tmp_path)


IMAGES, LABELS = mnist(3)
HEAD = idx(IMAGES)[:16]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (idx(IMAGES)[:-1], "holds 2367 bytes, and 2368 by its header, 3 x 28 x 28 values"),
        (idx(IMAGES) + b"x", "holds 2369 bytes, and 2368 by its header"),
        (
            gzip.compress(HEAD + bytes(1 << 22), mtime=0),
            "more than 2368 bytes, and its header says 3 x 28",
        ),
        (gzip.compress(idx(IMAGES), mtime=0)[:-9], "is packed by gzip, and damaged"),
        (
            HEAD[:4] + b"\xff" * 12,
            "4294967295 x 4294967295 x 4294967295 values by its header, more",
        ),
        (idx(LABELS), r"no IDX file of bytes with 3 axes \(it starts with b'\\x00\\x00\\x08\\x01'"),
        (HEAD[:9], "is no IDX file"),
        (b"", "is no IDX file"),
        (idx(IMAGES[:0]), "holds no image"),
        (HEAD[:4] + b"\xff" * 4 + bytes(8), "holds no image"),
        (idx(IMAGES[:2]), "has 3 labels, images-idx3-ubyte.gz has 2 images: get both files again"),
    ],
)
def test_what_the_header_does_not_say_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "images-idx3-ubyte.gz").write_bytes(data)
    (tmp_path / "labels-idx1-ubyte").write_bytes(idx(LABELS))
    with pytest.raises(UserError, match=words):
        found(tmp_path)
