"""Formats that are not read are named, and the ways out lead to an archive."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthograph.core.errors import UserError
from synthograph.core.record import UnreadableError
from synthograph.sources.files import FileSourceOptions, read_files
from synthograph.sources.foreign import FOREIGN
from synthograph.sources.readers import is_image

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)


def saved(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(GREY).convert("RGB").save(file, kind, **options)
    return file.getvalue()


def test_foreign_images_are_rejected_by_ending_and_by_content(tmp_path: Path) -> None:
    files = {"a.webp": saved("WEBP"), "b.gif": saved("GIF"), "c.jp2": saved("JPEG2000")}
    files |= {"d.avif": saved("AVIF"), "e.nrrd": b"x", "f.svs": b"II*\0", "g.ppm": saved("PPM")}
    files |= {"AVIF1": files["d.avif"], "x.dat": files["d.avif"], "y.png": files["d.avif"]}
    files |= {"WEBP1": files["a.webp"], "GIF1": files["b.gif"], "JP1": files["c.jp2"]}
    files |= {"h.npy": b"x", "i.h5": b"x", "ARRAY": b"\x93NUMPY\x01\0", "H": b"\x89HDF\r\n\x1a\n"}
    files |= {"good.png": saved("PNG"), "GOOD": saved("PNG"), "n.txt": b"text", "odd": b"odd"}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    found = read_files(FileSourceOptions(source=tmp_path))
    reasons = {reject.name: reject.reason for reject in found.rejects}
    assert {"d.avif", "AVIF1", "x.dat", "f.svs", "e.nrrd", "g.ppm"} <= reasons.keys()
    assert {"h.npy", "i.h5", "ARRAY", "H"} <= reasons.keys()
    names = ["GIF1", "GOOD", "JP1", "WEBP1", "a.webp", "b.gif", "c.jp2", "good.png", "y.png"]
    assert [item.name for item in found.items] == names
    for item in found.items[:-1]:
        item.decode()
    with pytest.raises(UnreadableError, match="HEIF or AVIF is not read"):
        found.items[-1].decode()
    assert "2 file(s) are no images and ignored: .txt 1, odd 1" in found.remarks
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as packed:
        packed.write(tmp_path / "AVIF1", "a/IM0001")
    with pytest.raises(UserError, match="no image that is read: 1 x HEIF or AVIF"):
        read_files(FileSourceOptions(source=tmp_path / "set.zip"))


def test_no_foreign_ending_is_one_of_a_reader() -> None:
    assert not [s for kind in FOREIGN for s in kind.suffixes if is_image(f"x{s}")]


def test_the_ways_out_lead_to_images(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for kind in ("WEBP", "GIF", "JPEG2000", "AVIF", "PPM", "TGA"):
        Image.open(io.BytesIO(saved(kind))).save(out / f"{kind}.png")
    found = read_files(FileSourceOptions(source=out))
    assert len(found.items) == 6 and not found.rejects
