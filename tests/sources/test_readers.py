"""Readers are found by ending and content; images have partners, and files several images."""

import dataclasses
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthograph.core.record import UnreadableError, array_of
from synthograph.core.untrusted.containers import Folder, open_container
from synthograph.sources import readers
from synthograph.sources.base import Frame, Reading, SourceFile
from synthograph.sources.files import FileSourceOptions, read_files
from synthograph.sources.raster import RasterReader
from synthograph.sources.readers import READERS, FileDecoder, find_reader, known_formats
from tests.sources.contract import ReaderContract
from tests.sources.test_raster import COLOUR, DEEP, GREY, encode, tiff


class TestRasterReader(ReaderContract):
    reader = READERS[0]
    samples = {
        "grey.png": encode(GREY),
        "colour.JPG": encode(COLOUR, "JPEG"),
        "deep.tiff": tiff(DEEP),
        "big-endian.tif": tiff(DEEP, byteorder=">"),
        "colour.bmp": encode(COLOUR, "BMP"),
    }


def test_files_without_a_known_ending_are_found_by_content(tmp_path: Path) -> None:
    (tmp_path / "IM0001").write_bytes(encode(GREY))
    (tmp_path / "notes").write_bytes(b"hello there")
    assert find_reader(SourceFile(Folder(tmp_path), "IM0001")) is READERS[0]
    with pytest.raises(UnreadableError, match="not a PNG, .* file .*b'hello th'"):
        find_reader(SourceFile(Folder(tmp_path), "notes"))


def test_the_first_bytes_of_a_zipped_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("IM0001", encode(GREY))
    file = SourceFile(open_container(tmp_path / "a.zip", "SOURCE"), "IM0001")
    assert file.head() == file.read()[:256] and find_reader(file) is READERS[0]
    with pytest.raises(UnreadableError):
        SourceFile(file.container, "gone").head()


class Stack(RasterReader):
    """A made-up format of several images: rows of grey digits, a line each."""

    formats = ("STACK",)
    suffixes = frozenset({".stk.gz"})
    lack: str | None = None

    def missing(self) -> str | None:
        return self.lack

    def recognises(self, head: bytes) -> bool:
        return head.startswith(b"STACK")

    def frames(self, file: SourceFile, reading: Reading) -> tuple[Frame, ...]:
        lines = file.read().split()[1:]
        if not lines:
            raise UnreadableError("the stack is empty")
        return tuple(Frame(f"z{n}", "P1", {"slice": str(n)}) for n in range(len(lines)))

    def read(
        self, file: SourceFile, frame: str, reading: Reading
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        line = file.read().split()[1:][int(frame[1:])]
        return np.full((4, 4, 1), int(line), np.uint8), ()


def test_a_new_format_is_one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack()
    monkeypatch.setattr(readers, "READERS", (*READERS, stack))
    (tmp_path / "knee.stk.gz").write_bytes(b"STACK 7 9")
    (tmp_path / "empty.stk.gz").write_bytes(b"STACK")
    (tmp_path / "plain.png").write_bytes(encode(GREY))
    (tmp_path / "t.csv").write_text(
        "file,label,group\nknee,a,\nempty.stk.gz,a,\nplain.png,b,P2\n", encoding="utf-8"
    )
    found = read_files(FileSourceOptions(source=tmp_path, table=tmp_path / "t.csv"))
    known = [(item.name, item.label, item.group, dict(item.columns)) for item in found.items]
    assert known == [
        ("knee.stk.gz#z0", "a", "P1", {"slice": "0"}),
        ("knee.stk.gz#z1", "a", "P1", {"slice": "1"}),
        ("plain.png", "b", "P2", {}),
    ]
    assert [(r.name, r.reason) for r in found.rejects] == [("empty.stk.gz", "the stack is empty")]
    second = found.items[1].decode().modalities["image"]
    assert array_of(second).max() == 9
    assert known_formats().startswith("PNG, JPEG") and known_formats().endswith(" or STACK")


def test_what_a_reader_lacks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack()
    stack.lack = "the extra 'stacks': pip install 'synthograph[stacks]'"
    monkeypatch.setattr(readers, "READERS", (*READERS, stack))
    (tmp_path / "knee.stk.gz").write_bytes(b"STACK 7 9")
    (tmp_path / "plain.png").write_bytes(encode(GREY))
    found = read_files(FileSourceOptions(source=tmp_path))
    with pytest.raises(UnreadableError, match=r"STACK files need the extra 'stacks': pip install"):
        found.items[0].decode()
    assert array_of(found.items[1].decode().modalities["image"]).shape == (6, 8, 1)


@pytest.fixture
def trio(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(encode(COLOUR))
    (tmp_path / "b.png").write_bytes(encode(Image.fromarray(GREY).convert("LA")))
    (tmp_path / "mask.png").write_bytes(encode(GREY))
    (tmp_path / "small.png").write_bytes(encode(GREY[:3]))
    return tmp_path


def test_decoder_joins_modalities_and_mask(trio: Path) -> None:
    folder = Folder(trio)
    decoder = FileDecoder(
        (("vis", folder, "a.png"), ("nir", folder, "b.png")), (folder, "mask.png")
    )
    picture = pickle.loads(pickle.dumps(decoder))()
    assert list(picture.modalities) == ["vis", "nir"]
    assert array_of(picture.modalities["nir"]).shape == (6, 8, 1)
    assert np.array_equal(picture.mask, GREY)
    assert picture.notes == ("nir: opaque alpha dropped",)


def test_a_frame_is_decoded_with_its_partners(trio: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "READERS", (*READERS, Stack()))
    for name, data in (("a", b"STACK 1 2"), ("b", b"STACK 3 4")):
        (trio / f"{name}.stk.gz").write_bytes(data)
    folder = Folder(trio)
    parts = (("t1", folder, "a.stk.gz"), ("t2", folder, "b.stk.gz"))
    picture = dataclasses.replace(FileDecoder(parts), frame="z1")()
    assert [int(array_of(p).max()) for p in picture.modalities.values()] == [2, 4]


def test_decoder_refuses_other_sizes_and_names_the_partner(trio: Path) -> None:
    folder = Folder(trio)
    with pytest.raises(UnreadableError, match="nir is 8x3 pixels and vis is 8x6"):
        FileDecoder((("vis", folder, "a.png"), ("nir", folder, "small.png")))()
    with pytest.raises(UnreadableError, match="mask is 8x3 pixels and vis is 8x6"):
        FileDecoder((("vis", folder, "a.png"),), (folder, "small.png"))()
    with pytest.raises(UnreadableError, match=r"mask file 'a.png': a mask holds one class id"):
        FileDecoder((("vis", folder, "a.png"),), (folder, "a.png"))()
    with pytest.raises(UnreadableError, match=r"nir file 'gone.png': cannot be opened"):
        FileDecoder((("vis", folder, "a.png"), ("nir", folder, "gone.png")))()
