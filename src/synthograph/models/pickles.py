"""Reading pickles of others as data. Nothing that a pickle names is imported or called.

The pickle machine runs with a list of harmless constructors of our own; every other name is
refused. Torch storages inside are read by torch's own restricted loader. Sizes are bounded before
memory is taken.
"""

import collections
import io
import pickle
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from synthograph.core.errors import UserError

MAX_BYTES = 8 << 30
MAX_ELEMENTS = 1 << 31


@dataclass
class Thing:
    """An object of a foreign class, as the data that it was stored with.

    Attributes:
        kind: name of its class.
        state: its attributes.
    """

    kind: str
    state: Mapping[str, Any] = field(default_factory=dict)

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and buffers of a stored torch module under dotted names."""
        found: dict[str, Tensor] = {}
        for part in ("_parameters", "_buffers"):
            entries = self.state.get(part) or {}
            found |= {str(k): v for k, v in entries.items() if isinstance(v, Tensor)}
        for name, module in (self.state.get("_modules") or {}).items():
            if isinstance(module, Thing):
                found |= {f"{name}.{k}": v for k, v in module.tensors().items()}
        return found


class RefusedError(Exception):
    """A pickle names something that is not on the list."""


def read_pickle(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """The content of a pickle, foreign objects as `Thing`.

    Raises:
        UserError: the file is missing, too large, no pickle, or names anything beyond plain data
            and tensors.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise UserError(f"{path}: {size} bytes, a pickle may have {MAX_BYTES}")
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        return _Reader(io.BytesIO(data)).load()
    except RefusedError as error:
        raise UserError(f"{path}: refused, {error}; nothing was executed") from None
    except Exception as error:  # noqa: BLE001 - a hostile file can make the pickle machine raise anything
        raise UserError(
            f"{path}: is no readable pickle ({type(error).__name__}: {error})"
        ) from None


class _Reader(pickle.Unpickler):
    """Knows the names below and refuses all others."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise RefusedError(f"it names {module}.{name}") from None

    def persistent_load(self, pid: Any) -> Any:  # noqa: ANN401
        raise RefusedError("it refers to storages outside of the file")


def _foreign(meta: Mapping[str, Any]) -> Thing:
    """Stands in for the published reconstruction, which would execute the program text in
    `module_src`.
    """
    if not isinstance(meta, dict) or meta.get("type") != "class":
        raise RefusedError("an object is stored in an unknown way")
    state = meta.get("state")
    return Thing(str(meta.get("class_name")), state if isinstance(state, dict) else {})


@dataclass(frozen=True)
class _Stored:
    """The values behind a tensor."""

    dtype: torch.dtype
    data: torch.UntypedStorage

    @property
    def count(self) -> int:
        return self.data.nbytes() // self.dtype.itemsize


def _storage(data: bytes) -> _Stored:
    if not isinstance(data, bytes):
        raise RefusedError("a tensor's data is no bytes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of typed storages, which it still writes
        stored = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
        if not isinstance(stored, torch.storage.TypedStorage):
            raise RefusedError("a tensor's data is no storage")
        return _Stored(stored.dtype, stored.untyped())


def _tensor(
    stored: _Stored,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    *_: Any,  # noqa: ANN401
) -> Tensor:
    if not isinstance(stored, _Stored):
        raise RefusedError("a tensor has no storage")
    shape, steps = torch.Size(size), tuple(int(s) for s in stride)
    # torch would enlarge the storage to whatever is asked for, so the last element is found first
    last = int(offset) + sum((n - 1) * step for n, step in zip(shape, steps, strict=True))
    fits = shape.numel() <= min(MAX_ELEMENTS, stored.count) and 0 <= last < max(stored.count, 1)
    if not fits or min((*shape, *steps, offset), default=0) < 0:
        raise RefusedError(
            f"a tensor claims the shape {tuple(shape)} with {stored.count} values stored"
        )
    flat = torch.empty(0, dtype=stored.dtype)
    return flat.set_(stored.data, int(offset), shape, steps).clone()


def _parameter(data: Tensor, *_: Any) -> Tensor:  # noqa: ANN401
    if not isinstance(data, Tensor):
        raise RefusedError("a parameter is no tensor")
    return data


def _numpy_scalar(dtype: Any, data: bytes = b"") -> float | int:  # noqa: ANN401
    if not isinstance(dtype, np.dtype) or dtype.kind not in "biuf" or len(data) != dtype.itemsize:
        raise RefusedError("a number is stored in an unknown way")
    value: float | int = np.frombuffer(data, dtype)[0].item()
    return value


def _numpy_array(*_: Any) -> "_Array":  # noqa: ANN401
    return _Array()


class _Array(Thing):
    """A numpy array: only its presence matters, its state is kept unread."""

    def __init__(self) -> None:
        super().__init__("ndarray")

    def __setstate__(self, state: Any) -> None:  # noqa: ANN401
        self.kind, self.state = "ndarray", {}


def _dtype(code: str, *_: Any) -> "np.dtype[Any]":  # noqa: ANN401
    if not isinstance(code, str) or len(code) > 3 or code[:1] not in "biuf":
        raise RefusedError(f"number type {code!r} is not plain")
    return np.dtype(code)


def _named(kind: str) -> Callable[..., Thing]:
    return lambda *_: Thing(kind)


class _EasyDict(dict[str, Any]):
    """A dictionary; the published one reads attributes as well, which data does not need."""


_NUMPY = ("numpy._core.multiarray", "numpy.core.multiarray")
_ALLOWED: dict[tuple[str, str], Any] = {
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _foreign,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch.storage", "_load_from_bytes"): _storage,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("dnnlib.util", "EasyDict"): _EasyDict,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("torch", "device"): _named("device"),
    ("torch", "Size"): tuple,
    ("numpy", "dtype"): _dtype,
    ("numpy", "ndarray"): _named("ndarray"),
    **{(module, "scalar"): _numpy_scalar for module in _NUMPY},
    **{(module, "_reconstruct"): _numpy_array for module in _NUMPY},
}
