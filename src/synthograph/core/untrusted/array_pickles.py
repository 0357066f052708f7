"""Pickles of texts, numbers, lists and arrays of bytes, such as the batches of CIFAR. Nothing that
they name is imported or called; the machine is that of `pickle_machine.py`.
"""

import io
import math
from typing import Any

import numpy as np

from synthograph.core.untrusted.pickle_machine import (
    Budget,
    Machine,
    RefusedError,
    SafeCall,
    StandIn,
    parse,
)

MAX_AXES = 8
_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")


def read_array_pickle(data: bytes, origin: str) -> Any:  # noqa: ANN401 - whatever the file holds
    """The content of a pickle, arrays as `StoredArray`.

    Args:
        data: of the whole file.
        origin: its name, for messages.

    Raises:
        UserError: it is no pickle, names anything else than arrays of bytes, or its arrays together
            are larger than it.
    """
    budget = Budget(len(data))
    names = {
        **{
            (module, "_reconstruct"): SafeCall(lambda *_: StoredArray(budget))
            for module in _MODULES
        },
        ("numpy", "ndarray"): None,
        ("numpy", "dtype"): SafeCall(_byte_type),
    }
    return parse(origin, lambda: Machine(io.BytesIO(data), names, budget).run())


class StoredArray(StandIn):
    """An array of bytes that a pickle holds.

    Attributes:
        values: uint8, of the stored shape; empty before they are known.
    """

    def __init__(self, budget: Budget) -> None:
        self.values: np.ndarray = np.empty(0, np.uint8)
        self._budget = budget

    def build(self, state: object) -> None:
        """Shape, type, order of the axes and bytes, which Python 2 stored as text."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise RefusedError("an array is stored in an unknown way")
        _, shape, kind, columns, data = state
        sizes = shape if isinstance(shape, tuple) and len(shape) <= MAX_AXES else (-1,)
        plain = isinstance(kind, _ByteType) and all(type(n) is int and n >= 0 for n in sizes)
        if not plain or not isinstance(data, bytes | str) or math.prod(sizes) != len(data):
            raise RefusedError("an array is not one of bytes, or not of its stored shape")
        self._budget.spend_bytes(len(data))
        stored = data.encode("latin-1") if isinstance(data, str) else data
        self.values = np.frombuffer(stored, np.uint8).reshape(sizes, order="F" if columns else "C")


class _ByteType(StandIn):
    """The type of numbers from 0 to 255."""

    def build(self, state: object) -> None:
        """Nothing is left open: a byte has no order."""


def _byte_type(code: object, *_: object) -> _ByteType:
    if not isinstance(code, str) or code != "u1":
        raise RefusedError("it holds an array of other numbers than bytes")
    return _ByteType()
