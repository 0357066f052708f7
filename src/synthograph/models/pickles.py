"""Pickles of published networks as data. Nothing that a pickle names is imported or called.

The storages of tensors, which are pickles inside the pickle, go through the same machine.

Bounds, whatever the file holds: `MAX_BYTES` of file, `MAX_STEPS` steps (a few seconds), and memory
of six times the file (its bytes, the texts and storages in it, the tensors made of them) plus
about 400 bytes a step.
"""

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np

from synthograph.core.errors import UserError
from synthograph.core.untrusted.pickle_machine import Budget, RefusedError, SafeCall
from synthograph.core.untrusted.pickles import (
    TORCH_MAGIC,
    TORCH_PROTOCOL,
    PickleReader,
    Storage,
    StoredObject,
    parse,
    placeholder,
    read_bounded,
)

EXPECTED = "a published network-snapshot-<kimg>.pkl"


def read_pickle(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """The content of a pickle, foreign objects as `StoredObject`.

    Raises:
        UserError: the file is missing, too large, no pickle, or names anything beyond plain data
            and tensors.
    """
    data = read_bounded(path, EXPECTED)
    return _parse(path, data, Budget(len(data)))


def pickle_names(path: Path) -> list[str]:
    """The foreign names that a pickle asks for, up to the first that is refused.

    Raises:
        UserError: the file is missing or too large.
    """
    data = read_bounded(path, EXPECTED)
    budget = Budget(len(data))
    with contextlib.suppress(UserError):  # the names up to there are what was asked for
        _parse(path, data, budget)
    return list(budget.named)


def _parse(path: Path, data: bytes, budget: Budget) -> Any:  # noqa: ANN401
    return parse(path, lambda: _NetworkReader(budget).read(io.BytesIO(data)))


class _NetworkReader(PickleReader):
    """Reads pickles of networks, and the storages in them, on one budget."""

    def __init__(self, budget: Budget) -> None:
        more = {
            ("torch.storage", "_load_from_bytes"): SafeCall(self.storage),
            ("torch_utils.persistence", "_reconstruct_persistent_obj"): SafeCall(_foreign),
            ("dnnlib.util", "EasyDict"): SafeCall(self.mapping),
            ("dnnlib.tflib.network", "Network"): placeholder("Network"),
        }
        super().__init__(budget, more)

    def storage(self, data: object) -> Storage:
        """A tensor's storage: four small pickles (magic number, version, byte order, the storage),
        one of its keys, the count and the numbers.
        """
        if type(data) is not bytes:
            raise RefusedError("a tensor's data is no bytes")
        if data.startswith(b"PK"):
            raise RefusedError("a tensor's data is a zip file, which snapshots never hold")
        stream = io.BytesIO(data)
        if self.inner(stream) != TORCH_MAGIC or self.inner(stream) != TORCH_PROTOCOL:
            raise RefusedError("a tensor's data was not written by torch")
        system, stored = self.inner(stream), self.inner(stream)
        self.inner(stream)
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise RefusedError("a tensor's numbers are not little-endian")
        if not isinstance(stored, Storage):
            raise RefusedError("a tensor's data is no storage")
        count, start = int.from_bytes(stream.read(8), "little"), stream.tell()
        size = np.dtype(stored.kind.stored).itemsize
        if count != stored.count or start + count * size != len(data):
            raise RefusedError(
                f"a storage claims {stored.count} numbers in {len(data) - start} bytes"
            )
        stored.load = lambda: np.frombuffer(data, stored.kind.stored, count, start)
        return stored


def _foreign(meta: object) -> StoredObject:
    """Stands in for the published reconstruction, which would execute the program text in
    `module_src`.
    """
    if not isinstance(meta, dict) or meta.get("type") != "class":
        raise RefusedError("an object is stored in an unknown way")
    kind, state = meta.get("class_name"), meta.get("state")
    if not isinstance(kind, str) or not isinstance(state, dict):
        raise RefusedError("an object has no class name or no state")
    return StoredObject(kind, state)
