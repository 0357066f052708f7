"""Names of zip members in every code page that packers use, and never two files under one."""

import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from synthograph.core.errors import UserError
from synthograph.core.untrusted.containers import ZipFolder
from synthograph.core.untrusted.zip_names import DEFAULT, open_named

GERMAN = ["Größe/Müller_1.png", "Größe/Müller_2.png", "plain.png"]
FRENCH = ["Hélène/père.png", "façade/tête.png", "Zoé.png"]
JAPANESE = ["患者/左膝01.png", "患者/テスト.png", "CT画像1.png", "表.png"]
RUSSIAN = ["Иванов/1.png", "Ёлкин/2.png"]


class Raw(zipfile.ZipInfo):
    """A member whose name is written as given, without the flag of UTF-8."""

    __slots__ = ("raw",)
    raw: bytes

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.raw, 0


def write(path: Path, names: list[str], encoding: str, *, stated: bool = False) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for number, name in enumerate(names):
            info = Raw(f"member {number}")
            info.raw = name.encode(encoding)
            if stated:
                text = b"\1" + struct.pack("<I", zlib.crc32(info.raw)) + name.encode()
                info.extra = struct.pack("<HH", 0x7075, len(text)) + text
            file.writestr(info, str(number))
    return path


@pytest.mark.parametrize(
    ("names", "encoding"),
    [
        *((names, "utf-8") for names in (GERMAN, FRENCH, JAPANESE, RUSSIAN)),
        *((names, page) for names in (GERMAN, FRENCH) for page in ("cp437", "cp1252", "latin-1")),
        (GERMAN, "cp850"),
        (JAPANESE, "cp932"),
        (RUSSIAN, "cp866"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0].partition("/")[0],
)
def test_names_without_the_flag_are_read_as_written(
    tmp_path: Path, names: list[str], encoding: str
) -> None:
    container = ZipFolder(write(tmp_path / "set.zip", names, encoding))
    found = container.members()
    assert found.names == tuple(sorted(names))
    assert {n: container.read(n) for n in names} == {n: b"%d" % i for i, n in enumerate(names)}
    assert any("not in UTF-8" in remark for remark in found.remarks) == (
        encoding not in ("utf-8", DEFAULT, "cp850")
    )


def test_names_that_the_packer_adds_in_utf8_decide(tmp_path: Path) -> None:
    names = ["Málaga.png"]  # in cp1252; as cp437 it would be Mßlaga
    assert ZipFolder(write(tmp_path / "a.zip", names, "cp1252")).members().names != tuple(names)
    found = ZipFolder(write(tmp_path / "b.zip", names, "cp1252", stated=True))
    assert found.members().names == tuple(names)
    assert found.read(names[0]) == b"0"


def test_no_two_members_get_one_name(tmp_path: Path) -> None:
    path = write(tmp_path / "odd.zip", ["\x80\xff.png", "\x81\xfe.png"], "latin-1")
    assert len(set(ZipFolder(path).members().names)) == 2
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr(open_named(path).namelist()[0], "another, with the flag")
    with pytest.raises(UserError, match="appears twice"):
        ZipFolder(path).members()
