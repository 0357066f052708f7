"""Arrays of bytes in IDX files, the format of MNIST, perhaps packed by gzip."""

import math
import struct

import numpy as np

from synthograph.core.record import UnreadableError
from synthograph.core.untrusted.gzip_files import beginning, unpacked

MAX_BYTES = 1 << 30
_UNSIGNED_BYTE = 8


def read_idx(data: bytes, axes: int) -> np.ndarray:
    """The array of an IDX file: two zero bytes, the type of the values, the number of axes, their
    lengths as big-endian whole numbers of 32 bits, then the values, the last axis changing fastest.
    Source: LeCun, Cortes and Burges, The MNIST database of handwritten digits.

    Args:
        data: of the whole file.
        axes: how many are expected: 3 of images, 1 of labels.

    Returns:
        uint8, 0 to 255; a view of the unpacked bytes.

    Raises:
        UnreadableError: it is packed and damaged, holds other values or axes, or more or fewer
            bytes than its header says, or more than `MAX_BYTES`.
    """
    size = 4 + 4 * axes
    head = beginning(data, size)
    if head[:4] != bytes((0, 0, _UNSIGNED_BYTE, axes)) or len(head) < size:
        raise UnreadableError(
            f"is no IDX file of bytes with {axes} {'axis' if axes == 1 else 'axes'} "
            f"(it starts with {head[:4]!r})"
        )
    shape = struct.unpack(f">{axes}I", head[4:])
    whole = size + math.prod(shape)
    said = " x ".join(map(str, shape))
    if whole > MAX_BYTES:
        raise UnreadableError(
            f"has {said} values by its header, more than {MAX_BYTES >> 20} MiB: save its images "
            "as PNG files"
        )
    values = unpacked(data, whole, f", and its header says {said} values: get the file again")
    if len(values) != whole:
        raise UnreadableError(
            f"holds {len(values)} bytes, and {whole} by its header, {said} values: get the file "
            "again"
        )
    return np.frombuffer(values, np.uint8, offset=size).reshape(shape)
