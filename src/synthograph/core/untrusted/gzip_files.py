"""Bytes packed by gzip, unpacked up to a limit."""

import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator

from synthograph.core.record import UnreadableError

MAGIC = b"\x1f\x8b"
_PIECE = 1 << 20


def unpacked(data: bytes, most: int, more: str = "") -> bytes:
    """The bytes of a packed file of one or several members (RFC 1952), or those that are not
    packed.

    Args:
        data: of the whole file.
        most: bytes that it may unpack to.
        more: what is said of a larger one, such as a way out.

    Raises:
        UnreadableError: it is damaged, cut short, or larger.
    """
    if not data.startswith(MAGIC):
        return data
    pieces, size = [], 0
    with _unpacking(data) as packed:
        while piece := packed.read(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > most:
                raise UnreadableError(f"unpacks from {len(data)} to more than {most} bytes{more}")
    return b"".join(pieces)


def beginning(data: bytes, count: int) -> bytes:
    """The first bytes of a file that may be packed.

    Raises:
        UnreadableError: it is damaged, or cut short.
    """
    if not data.startswith(MAGIC):
        return data[:count]
    with _unpacking(data) as packed:
        return packed.read(count)


@contextlib.contextmanager
def _unpacking(data: bytes) -> Iterator[gzip.GzipFile]:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            yield packed
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableError(f"is packed by gzip, and damaged ({error})") from None
