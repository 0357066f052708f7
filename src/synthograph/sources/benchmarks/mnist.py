"""MNIST, and what is published in its files: Fashion-MNIST, KMNIST, EMNIST."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from synthograph.core.errors import UserError
from synthograph.core.names import first_few
from synthograph.core.record import SourceItem, UnreadableError
from synthograph.core.untrusted.documents import as_text
from synthograph.core.untrusted.idx_files import read_idx
from synthograph.sources.benchmarks.base import (
    BenchmarkFiles,
    BenchmarkImages,
    PixelDecoder,
)

IMAGES = re.compile(r"(?P<set>.*?)(?P<part>train|t10k|test|)[-_]?images([-.])idx3-ubyte(\.gz)?")
SPLITS = {"train": "train", "t10k": "test", "test": "test"}
TURNED = "emnist"
"""Sets whose name begins so have the columns of images as rows (TensorFlow Datasets, emnist)."""
PACKED = ".gz"
MAX_DIGITS = 10
AGAIN = "get both files again"


class Mnist:
    """`NAME-images-idx3-ubyte` has its labels in `NAME-labels-idx1-ubyte`; either may be packed.
    The files train and t10k (or test) of a folder are its split.
    """

    def recognises(self, names: Sequence[str]) -> bool:
        """Whether one is a file of images."""
        return any(IMAGES.fullmatch(name) for name in names)

    def images(self, files: BenchmarkFiles) -> BenchmarkImages:
        """The images of the file that was named, else of all."""
        if files.chosen:
            parts, remarks = {"": files.chosen}, list[str]()
        else:
            parts, remarks = _parts(files)
        items: list[SourceItem] = []
        classes: list[str] | None = None
        for split, name in parts.items():
            found = _match(name)
            mapping = f"{found['set']}mapping.txt"
            names = _mapping(files, mapping) if mapping in files.names else None
            labels = _labels_name(files, name)
            if labels is None:
                remarks.append(f"no labels: {_labels_beside(name)} does not lie beside {name}")
            if found["set"].lower().startswith(TURNED):
                remarks.append(
                    f"{name}: images are turned upright, since EMNIST stores columns as rows"
                )
            items += _items(files, name, labels, names, split)
            classes = list(names.values()) if names and labels else None
        return BenchmarkImages("files of MNIST", items, classes, remarks)


def _match(name: str) -> re.Match[str]:
    found = IMAGES.fullmatch(name)
    assert found is not None, "only names of images come here"
    return found


def _parts(files: BenchmarkFiles) -> tuple[dict[str, str], list[str]]:
    """Split -> file of images, and what is passed over; no split where there is one file."""
    every = [name for name in files.names if IMAGES.fullmatch(name)]
    kept = [n for n in every if not n.endswith(PACKED) or n.removesuffix(PACKED) not in every]
    passed = sorted(set(every).difference(kept))
    remarks = (
        [f"not read, since they lie there unpacked too: {first_few(passed)}"] if passed else []
    )
    if len(kept) == 1:
        return {"": kept[0]}, remarks
    parts = {SPLITS.get(_match(name)["part"], ""): name for name in sorted(kept)}
    if len({_match(name)["set"] for name in kept}) > 1 or len(parts) < len(kept) or "" in parts:
        raise UserError(
            f"{files.origin}: holds images of several sets, {first_few(sorted(kept))}: give one of "
            "these files, or a folder with the files train and t10k (or test) of one set"
        )
    return {split: parts[split] for split in ("train", "test")}, remarks


def _labels_beside(images: str) -> str:
    head, _, tail = images.rpartition("images")
    return f"{head}labels{tail.replace('idx3', 'idx1')}"


def _labels_name(files: BenchmarkFiles, images: str) -> str | None:
    """The file of labels, packed or not."""
    bare = _labels_beside(images).removesuffix(PACKED)
    return next((name for name in (bare, bare + PACKED) if name in files.names), None)


def _items(
    files: BenchmarkFiles,
    name: str,
    labels_name: str | None,
    classes: Mapping[int, str] | None,
    split: str,
) -> list[SourceItem]:
    pixels = _array(files, name, axes=3)
    count = len(pixels)
    if not pixels.size:
        raise UserError(f"{files.where(name)}: holds no image")
    labels: list[str | None] = [None] * count
    if labels_name is not None:
        values = _array(files, labels_name, axes=1).tolist()
        if len(values) != count:
            raise UserError(
                f"{files.where(labels_name)}: has {len(values)} labels, {name} has {count} images: "
                f"{AGAIN}"
            )
        labels = _named(values, classes, files.where(labels_name))
    if _match(name)["set"].lower().startswith(TURNED):
        pixels = pixels.transpose(0, 2, 1)
    digits = len(str(count - 1))
    return [
        SourceItem(
            f"{name}#{n:0{digits}}", PixelDecoder(image[:, :, None]), label, split=split or None
        )
        for n, (image, label) in enumerate(zip(pixels, labels, strict=True))
    ]


def _named(
    values: Sequence[int], classes: Mapping[int, str] | None, where: str
) -> list[str | None]:
    if classes is None:
        return [str(value) for value in values]
    unknown = sorted(set(values).difference(classes))
    if unknown:
        raise UserError(f"{where}: label {unknown[0]} is not in the mapping.txt beside it: {AGAIN}")
    return [classes[value] for value in values]


def _array(files: BenchmarkFiles, name: str, *, axes: int) -> np.ndarray:
    try:
        return read_idx(files.read(name), axes)
    except UnreadableError as error:
        raise UserError(f"{files.where(name)}: {error}") from None


def _mapping(files: BenchmarkFiles, name: str) -> dict[int, str]:
    """Label -> its characters: a line has the label, then the codes of one or two characters."""
    where = files.where(name)
    lines = [line.split() for line in as_text(files.read(name), where, AGAIN).splitlines()]
    found: dict[int, str] = {}
    for number, words in enumerate(lines, start=1):
        if not words:
            continue
        codes = [int(w) for w in words if w.isascii() and w.isdecimal() and len(w) < MAX_DIGITS]
        if len(codes) != len(words) or len(codes) < 2 or not all(32 < c < 127 for c in codes[1:]):
            raise UserError(
                f"{where}, line {number}: is no label with codes of characters: {AGAIN}"
            )
        found[codes[0]] = "".join(map(chr, codes[1:]))
    return dict(sorted(found.items()))
