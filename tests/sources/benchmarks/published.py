"""Files in the layouts in which benchmarks are published, with few images.

MNIST: LeCun, Cortes and Burges, The MNIST database, section on file formats. CIFAR: Krizhevsky,
https://www.cs.toronto.edu/~kriz/cifar.html; the version for Python was pickled by cPickle of Python
2: batches by protocol 2, where an array is its bytes as text, and names of classes by protocol 0.
"""

import gzip
import io
import struct
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
COARSE, FINE = ["aquatic mammals", "fish"], ["beaver", "dolphin", "flatfish"]


def idx(values: np.ndarray) -> bytes:
    """An array of bytes with its header."""
    return (
        bytes((0, 0, 8, values.ndim))
        + struct.pack(f">{values.ndim}I", *values.shape)
        + values.tobytes()
    )


def mnist(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, 28, 28] and labels [n]."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, 28, 28), np.uint8), np.arange(count, dtype=np.uint8) % 10


def write_mnist(folder: Path, parts: Mapping[str, int], *, packed: bool = True) -> None:
    """Files of images and labels: beginning of their names -> how many images."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (part, count) in enumerate(parts.items()):
        images, labels = mnist(count, seed)
        for name, values in (("images-idx3", images), ("labels-idx1", labels)):
            data = idx(values)
            path = folder / f"{part}-{name}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(data) if packed else data)


def pixels(count: int, seed: int = 0) -> np.ndarray:
    """Rows of CIFAR [n, 3072]."""
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), np.uint8)


def records(labels: Sequence[Sequence[int]], images: np.ndarray) -> bytes:
    """A binary batch: the labels of each kind, and the pixels."""
    return np.concatenate([np.array(labels, np.uint8).T, images], axis=1).tobytes()


def pickled(tree: Mapping[str, object]) -> bytes:
    """A dictionary as cPickle of Python 2 wrote it by protocol 2, without its memo."""
    return b"\x80\x02}(" + b"".join(_text(k) + _value(v) for k, v in tree.items()) + b"u."


def _text(text: str) -> bytes:
    return b"U" + bytes([len(text)]) + text.encode()


def _value(value: object) -> bytes:
    if isinstance(value, np.ndarray):
        sizes = b"".join(b"M" + struct.pack("<H", n) for n in value.shape)
        made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        kind = b"cnumpy\ndtype\nU\x02" + value.dtype.str[1:].encode() + b"K\x00K\x01\x87R"
        kind += b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        columns = not value.flags.c_contiguous
        data = value.tobytes(order="F" if columns else "C")
        stored = b"T" + struct.pack("<I", len(data)) + data
        order = b"\x88" if columns else b"\x89"
        return made + b"(K\x01" + sizes + b"\x86" + kind + order + stored + b"tb"
    if isinstance(value, list):
        return b"](" + b"".join(map(_value, value)) + b"e"
    return _text(value) if isinstance(value, str) else b"K" + bytes([int(str(value))])


def pickled_names(tree: Mapping[str, Sequence[str]]) -> bytes:
    """Lists of names by protocol 0."""
    lists = [
        f"S'{key}'\n(l" + "".join(f"S'{name}'\na" for name in names) + "s"
        for key, names in tree.items()
    ]
    return f"(d{''.join(lists)}.".encode()


def cifar10(*, binary: bool, count: int = 4) -> dict[str, bytes]:
    """All files: five batches and that of the test, with `count` images each."""
    found: dict[str, bytes] = {}
    for seed, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        images, labels = pixels(count, seed), [(n + seed) % 10 for n in range(count)]
        if binary:
            found[f"{name}.bin"] = records([labels], images)
        else:
            tree = {"batch_label": name, "labels": labels, "data": images}
            found[name] = pickled(tree | {"filenames": [f"{n}.png" for n in range(count)]})
    if binary:
        return found | {"batches.meta.txt": "\n".join([*CLASSES, "", ""]).encode()}
    return found | {"batches.meta": pickled_names({"label_names": CLASSES})}


def cifar100(*, binary: bool, count: int = 6) -> dict[str, bytes]:
    """All files: both batches, with coarse and fine labels."""
    found: dict[str, bytes] = {}
    for seed, name in enumerate(("train", "test")):
        images, fine = pixels(count, seed), [n % 3 for n in range(count)]
        coarse = [n // 2 for n in fine]
        if binary:
            found[f"{name}.bin"] = records([coarse, fine], images)
        else:
            columns = np.asfortranarray(images)
            tree = {"fine_labels": fine, "data": columns, "coarse_labels": coarse}
            found[name] = pickled(tree)
    if binary:
        names = {"coarse_label_names.txt": COARSE, "fine_label_names.txt": FINE}
        return found | {name: "\n".join([*each, ""]).encode() for name, each in names.items()}
    return found | {"meta": pickled({"fine_label_names": FINE, "coarse_label_names": COARSE})}


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    """The files in a folder."""
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def write_tar(path: Path, files: Mapping[str, bytes], top: str) -> Path:
    """The files in a folder in a packed tar file."""
    with tarfile.open(path, "w:gz") as packed:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size = len(data)
            packed.addfile(member, io.BytesIO(data))
    return path
