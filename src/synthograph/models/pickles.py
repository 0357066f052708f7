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

from synthograph.core.errors import UserError
from synthograph.core.untrusted.documents import read_bounded
from synthograph.core.untrusted.pickle_machine import Budget, RefusedError, SafeCall, parse
from synthograph.core.untrusted.pickles import (
    MAX_BYTES,
    PickleReader,
    Storage,
    StoredObject,
    placeholder,
)
from synthograph.core.untrusted.torch_files import read_row

EXPECTED = "a published network-snapshot-<kimg>.pkl"


def read_pickle(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """The content of a pickle, foreign objects as `StoredObject`.

    Raises:
        UserError: the file is missing, too large, no pickle, or names anything beyond plain data
            and tensors.
    """
    data = read_bounded(path, EXPECTED, limit=MAX_BYTES)
    return _parse(path, data, Budget(len(data)))


def pickle_names(path: Path) -> list[str]:
    """The foreign names that a pickle asks for, up to the first that is refused.

    Raises:
        UserError: the file is missing or too large.
    """
    data = read_bounded(path, EXPECTED, limit=MAX_BYTES)
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
        """A tensor's storage, which `torch.save` wrote in its older form."""
        if type(data) is not bytes:
            raise RefusedError("a tensor's data is no bytes")
        if data.startswith(b"PK"):
            raise RefusedError("a tensor's data is a zip file, which snapshots never hold")
        stored = read_row(data, self.budget)
        if not isinstance(stored, Storage):
            raise RefusedError("a tensor's data is no storage")
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
