"""Untrusted pickles as data: plain values, tensors, and stand-ins for objects of foreign classes.
Nothing that a pickle names is imported or called.

`pickle_machine.py` runs with a list of harmless functions of our own; every other name is
refused. Readers of a kind of file add the names of that kind.
"""

import io
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.core.untrusted.pickle_machine import (
    Budget,
    Machine,
    Persistent,
    RefusedError,
    SafeCall,
    StandIn,
    as_key,
    no_persistent,
)

MAX_BYTES = 1 << 30
MAX_MODULES = 10_000
MAX_TENSORS = 100_000
MAX_NAME = 256
MAX_AXES = 8
TORCH_MAGIC = 0x1950A86A20F9469CFC6C
TORCH_PROTOCOL = 1001


@dataclass(eq=False)
class StoredObject(StandIn):
    """An object of a foreign class, as its stored data: the name of its class, its attributes."""

    kind: str
    state: Mapping[Any, Any] = field(default_factory=dict)

    def build(self, state: object) -> None:
        """Attributes that are stored behind the object."""
        self.state = state if isinstance(state, dict) else {}

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and buffers of a stored torch module under dotted names.

        Raises:
            UserError: modules that hold themselves, or more of them than any network has.
        """
        found: dict[str, Tensor] = {}
        waiting: list[tuple[str, StoredObject]] = [("", self)]
        visited = 0
        while waiting:
            prefix, module = waiting.pop()
            visited += 1
            for name, entry in module._entries(prefix):
                if isinstance(entry, Tensor):
                    found[name] = entry
                elif isinstance(entry, StoredObject):
                    waiting.append((f"{name}.", entry))
            if max(visited, len(waiting)) > MAX_MODULES or len(found) > MAX_TENSORS:
                raise UserError(
                    f"the {self.kind[:MAX_NAME]!r} has modules inside each other without end, or "
                    f"more than {MAX_MODULES} of them"
                )
        return found

    def _entries(self, prefix: str) -> Iterator[tuple[str, object]]:
        for part in ("_parameters", "_buffers", "_modules"):
            entries = self.state.get(part)
            for name, value in entries.items() if isinstance(entries, dict) else ():
                if len(prefix) + len(str(name)) > MAX_NAME:
                    raise UserError(
                        f"the {self.kind[:MAX_NAME]!r} has a tensor or module whose name is longer "
                        f"than {MAX_NAME} characters"
                    )
                yield f"{prefix}{name}", value


@dataclass(frozen=True)
class StorageKind:
    """Number type of a tensor's storage: how numpy reads the bytes, and what they become."""

    stored: str
    dtype: torch.dtype


@dataclass(eq=False)
class Storage:
    """The numbers behind tensors.

    Attributes:
        kind: of the numbers.
        count: how many there are.
        load: gives them, a flat array of that kind and count.
    """

    kind: StorageKind
    count: int
    load: Callable[[], np.ndarray]


class PickleReader:
    """Reads pickles on one budget.

    Args:
        budget: shared by all pickles of a file.
        more: names beyond plain data and tensors, and what stands in for them.
    """

    def __init__(self, budget: Budget, more: Mapping[tuple[str, str], Any] | None = None) -> None:
        self.budget = budget
        own = {
            ("torch._utils", "_rebuild_tensor_v2"): SafeCall(self.tensor),
            ("collections", "OrderedDict"): SafeCall(self.mapping),
            ("builtins", "set"): SafeCall(self.set_of),
            ("__builtin__", "set"): SafeCall(self.set_of),
        }
        self.names = _ALLOWED | own | dict(more or {})

    def read(self, stream: io.BytesIO, persistent: Persistent = no_persistent) -> Any:  # noqa: ANN401
        """The object of the outer pickle."""
        return Machine(stream, self.names, self.budget, persistent).run()

    def tensor(
        self, stored: object, offset: object, size: object, stride: object, *_: object
    ) -> Tensor:
        """A tensor as a copy of its part of the storage."""
        if not isinstance(stored, Storage):
            raise RefusedError("a tensor has no storage")
        shape, steps, (start,) = _naturals(size), _naturals(stride), _naturals((offset,))
        count = math.prod(shape)
        last = start + sum((n - 1) * step for n, step in zip(shape, steps, strict=True))
        if count > stored.count or (count and last >= stored.count):
            raise RefusedError(
                f"a tensor claims the shape {shape} with {stored.count} values stored"
            )
        width = np.dtype(stored.kind.stored).itemsize
        self.budget.spend_bytes(count * width)
        if not count:
            return torch.zeros(shape, dtype=stored.kind.dtype)
        view = np.lib.stride_tricks.as_strided(
            stored.load()[start:], shape, [step * width for step in steps]
        )
        tensor = torch.from_numpy(np.array(view))
        kind = stored.kind.dtype
        return tensor.view(kind) if kind is torch.bfloat16 else tensor.to(kind)

    def mapping(self, pairs: object = ()) -> dict[Any, Any]:
        """A dictionary of (key, value) pairs, in their order."""
        if not isinstance(pairs, list | tuple):
            raise RefusedError("a dictionary is not built from a list")
        self.budget.spend(len(pairs))
        found: dict[Any, Any] = {}
        for pair in pairs:
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise RefusedError("a dictionary is not built from pairs")
            found[as_key(pair[0])] = pair[1]
        return found

    def set_of(self, members: object = ()) -> set[Any]:
        """A set of a list's members."""
        if not isinstance(members, list | tuple):
            raise RefusedError("a set is not built from a list")
        self.budget.spend(len(members))
        return set(map(as_key, members))


def _naturals(values: object = ()) -> tuple[int, ...]:
    """A shape, stride or offset, checked."""
    if not isinstance(values, list | tuple) or len(values) > MAX_AXES:
        raise RefusedError(f"a tensor's shape or stride is no list of up to {MAX_AXES} numbers")
    for value in values:
        if type(value) is not int or not 0 <= value < 1 << 40:
            shown = value if type(value) is int else type(value).__name__
            raise RefusedError(f"a tensor claims the shape or stride {shown}")
    return tuple(values)


def _parameter(data: object, *_: object) -> Tensor:
    if not isinstance(data, Tensor):
        raise RefusedError("a parameter is no tensor")
    return data


@dataclass(eq=False)
class NumberType(StandIn):
    """A numpy data type of plain numbers."""

    code: str
    order: str = "<"

    def build(self, state: object) -> None:
        """Its byte order; the rest is for records, which plain numbers are not."""
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise RefusedError("a number type is stored in an unknown way")
        self.order = "<" if state[1] == "=" else state[1]


def _number_type(code: object, *_: object) -> NumberType:
    if not isinstance(code, str) or code not in _NUMBERS:
        shown = repr(code[:20]) if isinstance(code, str) else type(code).__name__
        raise RefusedError(f"number type {shown} is not plain")
    return NumberType(code)


def _number(kind: object, data: object = b"") -> float | int:
    if not isinstance(kind, NumberType) or type(data) is not bytes:
        raise RefusedError("a number is stored in an unknown way")
    dtype = np.dtype(kind.order + kind.code)
    if len(data) != dtype.itemsize:
        raise RefusedError("a number is stored in an unknown way")
    value: float | int = np.frombuffer(data, dtype)[0].item()
    return value


def placeholder(kind: str) -> SafeCall:
    """A stand-in without content, for objects of which only the presence matters."""
    return SafeCall(lambda *_: StoredObject(kind))


_NUMBERS = frozenset("b1 i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8".split())
_NUMPY = ("numpy._core.multiarray", "numpy.core.multiarray")
_KINDS = {
    "FloatStorage": StorageKind("<f4", torch.float32),
    "DoubleStorage": StorageKind("<f8", torch.float64),
    "HalfStorage": StorageKind("<f2", torch.float16),
    "BFloat16Storage": StorageKind("<i2", torch.bfloat16),
    "LongStorage": StorageKind("<i8", torch.int64),
    "IntStorage": StorageKind("<i4", torch.int32),
    "ShortStorage": StorageKind("<i2", torch.int16),
    "CharStorage": StorageKind("i1", torch.int8),
    "ByteStorage": StorageKind("u1", torch.uint8),
    "BoolStorage": StorageKind("u1", torch.bool),
}
STORAGES: dict[tuple[str, str], Any] = {("torch", name): kind for name, kind in _KINDS.items()}
_DTYPES = "float16 bfloat16 float32 float64 int8 int16 int32 int64 uint8 bool".split()
_ALLOWED: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_parameter"): SafeCall(_parameter),
    ("torch", "device"): placeholder("device"),
    ("torch", "Size"): SafeCall(_naturals),
    ("numpy", "dtype"): SafeCall(_number_type),
    ("numpy", "ndarray"): placeholder("ndarray"),
    **{("torch", name): StandIn() for name in _DTYPES},
    **{(module, "scalar"): SafeCall(_number) for module in _NUMPY},
    **{(module, "_reconstruct"): placeholder("ndarray") for module in _NUMPY},
}
