"""Bytes packed by gzip."""

import gzip

import pytest

from synthograph.core.record import UnreadableError
from synthograph.core.untrusted.documents import office_text
from synthograph.core.untrusted.gzip_files import beginning, unpacked


def test_every_member_is_unpacked_up_to_the_limit() -> None:
    """Programs that pack in parallel, or append, write several members."""
    members = gzip.compress(b"file,label\n") + gzip.compress(b"a.png,x\n")
    assert unpacked(members, 19) == b"file,label\na.png,x\n" == unpacked(unpacked(members, 19), 0)
    with pytest.raises(UnreadableError, match="to more than 18 bytes"):
        unpacked(members, 18)
    assert office_text(members, "t", "w") == ("file,label\na.png,x\n", None)


@pytest.mark.parametrize("damaged", [slice(-6), slice(12), slice(2)])
def test_damaged_files_are_refused(damaged: slice) -> None:
    with pytest.raises(UnreadableError, match="is packed by gzip, and damaged"):
        unpacked(gzip.compress(b"text")[damaged], 100)
    flipped = bytearray(gzip.compress(b"text"))
    flipped[-5] ^= 1
    with pytest.raises(UnreadableError, match="damaged"):
        unpacked(bytes(flipped), 100)


def test_the_beginning_is_read_alone() -> None:
    packed = gzip.compress(bytes(1 << 16))
    assert beginning(packed, 9) == bytes(9) == beginning(packed[:-40], 9)
    assert beginning(b"text", 2) == b"te" and beginning(gzip.compress(b"text"), 9) == b"text"
    with pytest.raises(UnreadableError, match="is packed by gzip, and damaged"):
        beginning(packed[:12], 9)
