"""Arrays of numpy's `.npz` files, which anybody may have written: no pickles, sizes bounded."""

import io
import math
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from synthograph.core.errors import UserError
from synthograph.core.untrusted.containers import ZipFolder

SUFFIX = ".npz"
MAX_ARRAYS = 64
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_KINDS = "fiuU"
"""Numbers and text; what else an array can hold, pickles among it, is refused."""


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by name.

    Raises:
        UserError: no such file, no `.npz`, too large, or an array that is neither numbers nor text
            or that is cut short.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; give an {SUFFIX} file of latents")
    packed = ZipFolder(path)
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is no zip file, or is cut short")
        names = packed.members().names
        if len(names) > MAX_ARRAYS or not all(name.endswith(".npy") for name in names):
            raise ValueError(f"it may hold {MAX_ARRAYS} members, all .npy")
        return {name.removesuffix(".npy"): _array(packed.read(name)) for name in names}
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - numpy reads headers as Python, many kinds of errors
        raise UserError(f"{path}: is broken or no {SUFFIX} file ({_reason(error)})") from None


def parse_array(data: bytes, where: str) -> np.ndarray:
    """The array of a `.npy` file.

    Args:
        data: its bytes.
        where: its name, for messages.

    Raises:
        UserError: it is broken, or holds neither numbers nor text.
    """
    try:
        return _array(data)
    except Exception as error:  # noqa: BLE001 - numpy reads headers as Python, many kinds of errors
        raise UserError(f"{where}: is broken or no array ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _array(data: bytes) -> np.ndarray:
    """An array from the bytes of a `.npy` file, whose header must fit what follows it."""
    file = io.BytesIO(data)
    version = npy.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"unknown version {version}")
    shape, columns, dtype = _HEADERS[version](file)
    if dtype.kind not in _KINDS:
        raise ValueError("holds something else than numbers and text, such as Python objects")
    rest = data[file.tell() :]
    if math.prod(shape) * dtype.itemsize != len(rest):
        raise ValueError(f"an array of shape {list(shape)} has not {len(rest)} bytes")
    if dtype.kind == "U":
        codes = np.ndarray(len(rest) // 4, np.dtype("u4").newbyteorder(dtype.byteorder), rest)
        if ((codes > sys.maxunicode) | ((codes >= 0xD800) & (codes <= 0xDFFF))).any():
            raise ValueError("holds text with characters that do not exist")
    return np.ndarray(shape, dtype, rest, order="F" if columns else "C")


def pack_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of an `.npz` file, the same for the same arrays."""
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()
