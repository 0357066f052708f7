"""Tar files of others, in memory."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from synthograph.core.errors import UserError
from synthograph.core.untrusted import tar_files
from synthograph.core.untrusted.tar_files import read_tar


def member(name: str, data: bytes = b"text", **facts: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info, data


def packed(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def test_regular_files_alone_are_read(tmp_path: Path) -> None:
    link = member("c", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")
    folder = member("d", b"", type=tarfile.DIRTYPE)
    data = packed(member("./a"), member("d/b", bytes(5000)), link, folder)
    for name, stored in (("x.tar", data), ("x.tar.gz", gzip.compress(data))):
        (tmp_path / name).write_bytes(stored)
        assert read_tar(tmp_path / name) == {"a": b"text", "d/b": bytes(5000)}


def endless() -> bytes:
    """A member of unknown kind and negative size, which leads back to itself."""
    info = tarfile.TarInfo("b")
    info.type = b"Z"
    head = bytearray(info.tobuf(format=tarfile.GNU_FORMAT)[:512])
    head[124:136] = b"\xff" + (256**11 - 512).to_bytes(11, "big")
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return packed(member("a"))[:1024] + bytes(head) + bytes(1024)


SPARSE = {"GNU.sparse.map": "0,4", "GNU.sparse.size": str(1 << 40)}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (packed(member("a"), member("a")), "member 'a' is there twice, or has gaps"),
        (packed(member("a", pax_headers=SPARSE)), "member 'a' is there twice, or has gaps"),
        (packed(member("a", bytes(2000)))[:1000], "member 'a' is cut short"),
        (b"no tar file", "is no readable tar file"),
        (endless(), "is no readable tar file"),
        (b"", "is no readable tar file"),
        (gzip.compress(packed(member("a")), mtime=0)[:-8], "is packed by gzip, and damaged"),
        (gzip.compress(bytes(1 << 20), mtime=0), "unpack.*: unpack it and give the folder"),
        (bytes((1 << 16) + 1), "is larger than 0 MiB: unpack it and give the folder"),
    ],
)
def test_others_are_refused(
    tmp_path: Path, data: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tar_files, "MAX_MEMBER_BYTES", 1 << 16)
    (tmp_path / "x.tar").write_bytes(data)
    with pytest.raises(UserError, match=f"x.tar: .*{words}"):
        read_tar(tmp_path / "x.tar")
