"""CIFAR-10 and CIFAR-100, as published for Python and as binary files.

Every image is 32x32, its 1024 red values first, then green, then blue, row by row. Source:
Krizhevsky, The CIFAR-10 dataset, https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from synthograph.core.errors import UserError
from synthograph.core.record import SourceItem
from synthograph.core.untrusted.array_pickles import StoredArray, read_array_pickle
from synthograph.core.untrusted.documents import as_text
from synthograph.sources.benchmarks.base import (
    BenchmarkFiles,
    BenchmarkImages,
    PixelDecoder,
    named,
)

SIDE = 32
VALUES = 3 * SIDE * SIDE
LABEL = "label"
"""The class of an image; other labels are further columns."""
BATCHES = tuple(f"data_batch_{n}" for n in range(1, 6))
AGAIN = "get the set again"
BINARY = "the binary version, NAME-binary.tar.gz, holds the same images: take that one"


@dataclass(frozen=True, slots=True)
class Labels:
    """One label of every image.

    Attributes:
        column: what it is here.
        file: which file names its classes.
        names: where that file has the names, of the version for Python.
        values: where a batch has the labels, likewise.
    """

    column: str
    file: str
    names: str = ""
    values: str = ""


Batch = tuple[np.ndarray, list[Sequence[int]]]
"""Pixels [n, 3072], uint8, and the n labels of each kind."""


@dataclass(frozen=True)
class Version(ABC):
    """A published form of one of the sets.

    Attributes:
        title: what people call it.
        train: files of training images, in order.
        test: the file of test images.
        labels: of every image; in binary files in this order.
    """

    title: str
    train: tuple[str, ...]
    test: str
    labels: tuple[Labels, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """All files that are read."""
        return (*self.train, self.test, *dict.fromkeys(each.file for each in self.labels))

    @abstractmethod
    def class_names(self, data: bytes, labels: Labels, where: str) -> Sequence[object]:
        """The names in the file that names classes."""

    @abstractmethod
    def batch(self, data: bytes, where: str) -> Batch:
        """What a batch holds."""


class Binary(Version):
    """Records of the labels, a byte each, and the pixels; names of classes line by line."""

    def class_names(self, data: bytes, labels: Labels, where: str) -> Sequence[object]:
        """A line each."""
        lines = as_text(data, where, AGAIN).splitlines()
        return [line.strip() for line in lines if line.strip()]

    def batch(self, data: bytes, where: str) -> Batch:
        """Records one behind the other."""
        front = len(self.labels)
        if not data or len(data) % (front + VALUES):
            raise UserError(
                f"{where}: has {len(data)} bytes, and an image takes {front + VALUES}: {AGAIN}"
            )
        records = np.frombuffer(data, np.uint8).reshape(-1, front + VALUES)
        return records[:, front:], [records[:, n].tolist() for n in range(front)]


class ForPython(Version):
    """Pickled dictionaries, read as data."""

    def class_names(self, data: bytes, labels: Labels, where: str) -> Sequence[object]:
        """The list under the key of these labels."""
        names = _dictionary(data, where).get(labels.names)
        if not isinstance(names, list):
            raise UserError(f"{where}: has no list {labels.names}; {BINARY}")
        return names

    def batch(self, data: bytes, where: str) -> Batch:
        """The array `data` and the lists of labels."""
        tree = _dictionary(data, where)
        pixels = tree.get("data")
        if not isinstance(pixels, StoredArray) or pixels.values[:1].shape != (1, VALUES):
            raise UserError(f"{where}: has no array data of n x {VALUES} bytes; {BINARY}")
        count = len(pixels.values)
        return pixels.values, [_numbers(tree.get(e.values), e, count, where) for e in self.labels]


def _numbers(values: object, labels: Labels, count: int, where: str) -> Sequence[int]:
    if isinstance(values, list) and len(values) == count:
        numbers = [n for n in values if type(n) is int and 0 <= n < 256]
        if len(numbers) == count:
            return numbers
    raise UserError(f"{where}: {labels.values} is no list of {count} labels; {BINARY}")


def _dictionary(data: bytes, where: str) -> Mapping[object, object]:
    try:
        tree = read_array_pickle(data, where)
    except UserError as error:
        raise UserError(f"{error}; {BINARY}") from None
    if not isinstance(tree, dict):
        raise UserError(f"{where}: holds no dictionary; {BINARY}")
    return tree


FINE = Labels(LABEL, "meta", "fine_label_names", "fine_labels")
COARSE = Labels("coarse_label", "meta", "coarse_label_names", "coarse_labels")
VERSIONS: tuple[Version, ...] = (
    ForPython(
        "CIFAR-10",
        BATCHES,
        "test_batch",
        (Labels(LABEL, "batches.meta", "label_names", "labels"),),
    ),
    ForPython("CIFAR-100", ("train",), "test", (COARSE, FINE)),
    Binary(
        "CIFAR-10",
        tuple(f"{name}.bin" for name in BATCHES),
        "test_batch.bin",
        (Labels(LABEL, "batches.meta.txt"),),
    ),
    Binary(
        "CIFAR-100",
        ("train.bin",),
        "test.bin",
        (Labels("coarse_label", "coarse_label_names.txt"), Labels(LABEL, "fine_label_names.txt")),
    ),
)


class Cifar:
    """The published batches are the split. The superclass of CIFAR-100 is the column
    `coarse_label`.
    """

    def recognises(self, names: Sequence[str]) -> bool:
        """Whether there is a first batch beside a file that names its classes."""
        return bool(_versions(names))

    def images(self, files: BenchmarkFiles) -> BenchmarkImages:
        """The images of all batches."""
        version, *others = _versions(files.names)
        if others:
            raise UserError(
                f"{files.origin}: holds {version.title} and {others[0].title}, or two versions of "
                "it: move one to a folder of its own"
            )
        missing = [name for name in version.files if name not in files.names]
        if missing:
            raise UserError(f"{files.where(missing[0])}: is missing: {AGAIN}")
        classes = {each.column: _classes(files, version, each) for each in version.labels}
        parts = [(name, "train") for name in version.train] + [(version.test, "test")]
        items = [
            item for name, split in parts for item in _items(files, version, name, split, classes)
        ]
        return BenchmarkImages(version.title, items, classes[LABEL])


def _versions(names: Sequence[str]) -> list[Version]:
    there = set(names)
    return [
        each
        for each in VERSIONS
        if there.intersection(label.file for label in each.labels)
        and there.intersection((*each.train, each.test))
    ]


def _classes(files: BenchmarkFiles, version: Version, labels: Labels) -> list[str]:
    where = files.where(labels.file)
    names = [n for n in version.class_names(files.read(labels.file), labels, where)]
    texts = [name for name in names if isinstance(name, str) and name.isprintable() and name]
    if len(texts) != len(names) or len(set(texts)) != len(texts) or not texts:
        raise UserError(f"{where}: names of classes are empty, no text, or there twice: {AGAIN}")
    return texts


def _items(
    files: BenchmarkFiles,
    version: Version,
    name: str,
    split: str,
    classes: Mapping[str, Sequence[str]],
) -> list[SourceItem]:
    where = files.where(name)
    pixels, labels = version.batch(files.read(name), where)
    images = pixels.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    digits = len(str(len(images) - 1))
    items = []
    for n, (image, *numbers) in enumerate(zip(images, *labels, strict=True)):
        told = {
            each.column: named(number, classes[each.column], where)
            for each, number in zip(version.labels, numbers, strict=True)
        }
        label = told.pop(LABEL)
        item = f"{name}#{n:0{digits}}"
        items.append(SourceItem(item, PixelDecoder(image), label, columns=told, split=split))
    return items
