"""Files of `torch.save`, read as data: nothing in them is imported or called.

Both forms are read: the zip file of today, and the older row of pickles with the numbers behind
them. Programs (TorchScript) are refused. Memory is about three times the file.

Source: the documented serialisation of PyTorch ("Serialization semantics") and the bytes that it
writes.
"""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.core.untrusted.documents import read_bounded
from synthograph.core.untrusted.pickle_machine import Budget, RefusedError, SafeCall, parse
from synthograph.core.untrusted.pickles import (
    STORAGES,
    TORCH_MAGIC,
    TORCH_PROTOCOL,
    PickleReader,
    Storage,
    StorageKind,
)
from synthograph.core.untrusted.tensors import read_foreign_tensors

MAX_BYTES = 3 << 30
EXPECTED = "a file of weights (.safetensors, or .pth as torch.save writes it)"
INSIDE = ("state_dict", "model")
"""Where checkpoints keep their tensors, if not at the top."""
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_LENGTH = 8
"""Bytes before a safetensors header, which begins with a brace."""
_PROGRAM = ("constants.pkl", "code/")


def read_state(path: Path) -> dict[str, Tensor]:
    """The named tensors of a file of weights, whatever form it has.

    Args:
        path: safetensors, or what `torch.save` made of a module's `state_dict()`, alone or in a
            checkpoint under one of the names in `INSIDE`.

    Raises:
        UserError: missing, too large, damaged, a program, or with more than data and tensors in it.
    """
    head = read_bounded(path, EXPECTED, limit=MAX_BYTES, head=_LENGTH + 1)
    # the length of a safetensors header may begin with the byte that pickles begin with
    if head.startswith((_ZIP, _PICKLE)) and head[_LENGTH:] != b"{":
        return _state(path, read_saved(path))
    return read_foreign_tensors(path)


def read_saved(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """The content of a file that `torch.save` wrote.

    Raises:
        UserError: missing, too large, damaged, a program, or with more than data and tensors in it.
    """
    data = read_bounded(path, EXPECTED, limit=MAX_BYTES)
    read = _read_zip if data.startswith(_ZIP) else read_row
    return parse(path, lambda: read(data, Budget(len(data))), what="file of weights")


def _state(path: Path, content: object) -> dict[str, Tensor]:
    for name in INSIDE:
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
            break
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path}: holds no named tensors; expected {EXPECTED}")
    odd = next((k for k, v in content.items() if not isinstance(v, Tensor)), None)
    if odd is not None or not all(isinstance(name, str) for name in content):
        raise UserError(f"{path}: {odd!r:.60} is not a named tensor; expected {EXPECTED}")
    return dict(content)


def _read_zip(data: bytes, budget: Budget) -> Any:  # noqa: ANN401
    """The current form: `NAME/data.pkl`, and the numbers of every storage in `NAME/data/KEY`."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: info for info in archive.infolist()}
        main = next((name for name in members if name.endswith("data.pkl")), "")
        root = main.removesuffix("data.pkl")
        if not main or "/" in root.rstrip("/"):
            raise RefusedError("it is a zip file without weights")
        if any(name.removeprefix(root).startswith(_PROGRAM) for name in members):
            raise RefusedError("it holds a program (TorchScript) and not only weights")
        # twice the file, since tensors share storages
        storages = _ZipStorages(archive, members, root, 2 * len(data))
        if f"{root}byteorder" in members and storages.member("byteorder") != b"little":
            raise RefusedError("its numbers are not little-endian")
        reader = PickleReader(budget, STORAGES)
        return reader.read(io.BytesIO(storages.member("data.pkl")), storages.find)


@dataclass
class _ZipStorages:
    """The numbers of a zip file; each is read when a tensor asks for it."""

    archive: zipfile.ZipFile
    members: Mapping[str, zipfile.ZipInfo]
    root: str
    """What the names of members begin with."""
    left: int
    """How many bytes may still be read."""

    def find(self, pid: object) -> Storage:
        """What a persistent id refers to."""
        kind, key, count = _storage(pid)
        return Storage(kind, count, partial(self._numbers, kind, key, count))

    def _numbers(self, kind: StorageKind, key: str, count: int) -> np.ndarray:
        content = self.member(f"data/{key}")
        if len(content) != count * np.dtype(kind.stored).itemsize:
            raise RefusedError(f"a storage claims {count} numbers in {len(content)} bytes")
        return np.frombuffer(content, kind.stored, count)

    def member(self, name: str) -> bytes:
        """The bytes of a member, which must be stored as it is."""
        info = self.members.get(self.root + name)
        if info is None or info.compress_type != zipfile.ZIP_STORED:
            raise RefusedError(f"its member {name[:40]!a} is missing or compressed")
        self.left -= info.file_size
        if self.left < 0:
            raise RefusedError("its members together are larger than the file")
        return self.archive.read(info)


def read_row(data: bytes, budget: Budget) -> Any:  # noqa: ANN401
    """The older form: magic number, version, byte order, the object, the keys of its storages, and
    per storage the count and the numbers.

    The object is read twice: the first time tells which storages there are.

    Raises:
        RefusedError: it is something else, or holds more than data and tensors.
        Exception: it is broken, in one of many ways.
    """
    stream = io.BytesIO(data)
    plain = PickleReader(budget)
    if plain.read(stream) != TORCH_MAGIC or plain.read(stream) != TORCH_PROTOCOL:
        raise RefusedError("it was not written by torch.save")
    system = plain.read(stream)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise RefusedError("its numbers are not little-endian")
    start = stream.tell()
    known: dict[str, tuple[StorageKind, int]] = {}
    blind = {("torch._utils", name): SafeCall(lambda *_: None) for name in _REBUILDS}
    PickleReader(budget, {**STORAGES, **blind}).read(stream, lambda pid: _note(pid, known))
    places = _places(plain.read(stream), known, data, stream.tell())
    stream.seek(start)
    return PickleReader(budget, STORAGES).read(stream, lambda pid: places[_storage(pid)[1]])


_REBUILDS = ("_rebuild_tensor_v2", "_rebuild_parameter")


def _note(pid: object, known: dict[str, tuple[StorageKind, int]]) -> None:
    kind, key, count = _storage(pid)
    if known.setdefault(key, (kind, count)) != (kind, count):
        raise RefusedError("a storage is described in two ways")


def _places(
    keys: object, known: dict[str, tuple[StorageKind, int]], data: bytes, start: int
) -> dict[str, Storage]:
    """Where the numbers of every storage lie."""
    texts = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    if not isinstance(keys, list) or not texts or sorted(keys) != sorted(known):
        raise RefusedError("the storages that it lists are not those that it uses")
    places = {}
    for key in keys:
        kind, count = known[key]
        size = count * np.dtype(kind.stored).itemsize
        claimed = int.from_bytes(data[start : start + 8], "little")
        start += 8
        if claimed != count or start + size > len(data):
            raise RefusedError(f"a storage claims {claimed} numbers, {count} are expected")
        places[key] = Storage(kind, count, partial(np.frombuffer, data, kind.stored, count, start))
        start += size
    if start < len(data):
        raise RefusedError("it goes on behind its last storage")
    return places


def _storage(pid: object) -> tuple[StorageKind, str, int]:
    """Kind, key and count of the storage that a persistent id names."""
    if type(pid) is not tuple or len(pid) not in (5, 6) or pid[0] != "storage":
        raise RefusedError("a tensor's data refers to something that is no storage")
    kind, key, count = pid[1], pid[2], pid[4]
    if not isinstance(kind, StorageKind) or type(count) is not int or count < 0:
        raise RefusedError("a storage is of an unknown kind")
    if not isinstance(key, str) or pid[5:] not in ((), (None,)):
        raise RefusedError("a storage is part of another one")
    return kind, key, count
