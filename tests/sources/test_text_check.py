"""Burned-in text is found, images without text are left alone; metadata is told by kind only."""

import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw, ImageFont
from PIL.ExifTags import IFD, Base
from PIL.PngImagePlugin import PngInfo

from synthograph.archive.reader import open_archive
from synthograph.core.progress import Silent
from synthograph.sources.lettering import find_lines
from synthograph.sources.naming_metadata import naming_metadata
from synthograph.workflows import prepare
from synthograph.workflows.requests import PrepareRequest
from synthograph.workflows.text_sheet import TextFound

SECRET = "Zanzibar"


def scene(seed: int, side: int = 128, channels: int = 1) -> np.ndarray:
    """Soft blobs and noise [side, side, channels], as of a scan without text."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(20, 150, (8, 8), np.uint8))
    soft = np.asarray(small.resize((side, side), Image.Resampling.BICUBIC)).astype(float)
    noisy = np.clip(soft + rng.normal(0, 4, (side, side)), 0, 255).astype(np.uint8)
    return np.repeat(noisy[:, :, None], channels, axis=2)


def with_text(pixels: np.ndarray, text: str, size: int, ink: int) -> np.ndarray:
    mask = Image.new("L", pixels.shape[1::-1])
    font = ImageFont.load_default(size)
    ImageDraw.Draw(mask).text((6, 40), text, fill=255, font=font)
    share = np.asarray(mask)[:, :, None] / 255
    return np.rint(pixels * (1 - share) + ink * share).astype(np.uint8)


@pytest.mark.parametrize("size", [12, 16, 22])
@pytest.mark.parametrize("ink", [255, 0])
@pytest.mark.parametrize("channels", [1, 3])
def test_planted_text_is_found_where_it_is(size: int, ink: int, channels: int) -> None:
    plain = scene(size, channels=channels)
    lines = find_lines(with_text(plain, "SMITH 1956", size, ink))
    assert lines and max(line.letters for line in lines) >= 4
    assert all(30 <= line.top and line.bottom <= 50 + size for line in lines)
    deep = with_text(plain, "SMITH 1956", size, ink).astype(np.uint16) * 13
    assert find_lines(deep)


def test_images_without_text_are_left_alone() -> None:
    assert not [seed for seed in range(40) if find_lines(scene(seed))]
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    assert not find_lines(noise)
    for odd in (np.zeros((64, 64, 1)), np.full((4, 5, 1), 7), np.full((20, 20, 1), np.nan)):
        assert not find_lines(odd)
    bars = np.zeros((64, 128, 1), np.uint8)
    bars[20:40, 8:120:8] = 255
    assert not find_lines(bars), "marks of a scale are no letters"


def test_large_text_and_large_images() -> None:
    paper = np.full((900, 2600, 1), 30, np.uint8)
    mask = Image.new("L", (2600, 900))
    ImageDraw.Draw(mask).text((100, 300), "SMITH JOHN", fill=255, font=ImageFont.load_default(90))
    paper[np.asarray(mask) > 127] = 220
    assert find_lines(paper)


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[Base.Artist] = SECRET
    exif[Base.Orientation] = 1
    exif.get_ifd(IFD.Exif)[Base.BodySerialNumber] = SECRET
    exif.get_ifd(IFD.Exif)[Base.UserComment] = b"ASCII\0\0\0" + SECRET.encode()
    exif.get_ifd(IFD.GPSInfo)[1] = "N"
    return exif


def encoded(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(scene(1)[:, :, 0]).save(file, kind, **options)
    return file.getvalue()


def _tiff(**options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, scene(1)[:, :, 0], **options)  # type: ignore[arg-type]
    return file.getvalue()


def _texts() -> PngInfo:
    info = PngInfo()
    info.add_text("Author", SECRET)
    info.add_text(SECRET, "keyword")
    info.add_text("Software", "a program")
    info.add_itxt("XML:com.adobe.xmp", f"<x>{SECRET}</x>")
    return info


EXIF = {"EXIF artist", "EXIF comment", "EXIF place (GPS)", "EXIF serial number"}
NAMED = {
    "png": (encoded("PNG", exif=_exif()), EXIF),
    "png-text": (
        encoded("PNG", pnginfo=_texts()),
        {"PNG text Author", "PNG text of another keyword", "XMP"},
    ),
    "jpeg": (
        encoded("JPEG", exif=_exif(), comment=SECRET, xmp=SECRET.encode()),
        {*EXIF, "JPEG comment", "XMP"},
    ),
    "webp": (encoded("WEBP", exif=_exif(), xmp=SECRET.encode()), {*EXIF, "XMP"}),
    "gif": (encoded("GIF", comment=SECRET), {"GIF comment"}),
    "tiff": (
        _tiff(description=SECRET, metadata=None, extratags=[(315, 2, 0, SECRET, True)]),
        {"TIFF artist", "TIFF description"},
    ),
    "big-tiff": (
        _tiff(bigtiff=True, datetime="2019:01:02 00:00:00", description=SECRET, metadata=None),
        {"TIFF date", "TIFF description"},
    ),
    "imagej": (_tiff(imagej=True, metadata={"Info": SECRET}), {"ImageJ information"}),
    "ome": (_tiff(ome=True, metadata={"Description": SECRET}), {"TIFF description"}),
}


@pytest.mark.parametrize("name", NAMED)
def test_metadata_is_told_by_kind(name: str) -> None:
    data, kinds = NAMED[name]
    found = naming_metadata(data)
    assert set(found) == kinds and SECRET not in " ".join(found)
    for share in (0.1, 0.3, 0.7):
        naming_metadata(data[: int(share * len(data))])


@pytest.mark.parametrize(
    "data",
    [*(encoded(kind) for kind in ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "JPEG2000"))]
    + [_tiff(), _tiff(imagej=True), _tiff(ome=True), b"", b"II*\0", b"RIFF\xff\xff\xff\xffWEBP"],
)
def test_files_that_name_nobody(data: bytes) -> None:
    assert set(naming_metadata(data)) <= {"unreadable metadata"}
    assert not naming_metadata(data) or len(data) < 20


def test_damaged_metadata_of_png() -> None:
    data = encoded("PNG")
    odd = data[:33] + struct.pack(">I4s", 1 << 30, b"tEXt") + data[33:]
    naming_metadata(odd)


def prepared(folder: Path, **options: object) -> TextFound:
    request = PrepareRequest.parse(
        {
            "source": folder / "in",
            "dest": folder / "out.zip",
            "size": 64,
            "workers": 1,
            "check_text": True,
            "colour": "grey",
            **options,
        }
    )
    result = prepare.run(request, progress=Silent())
    assert isinstance(result, prepare.PrepareResult) and result.text is not None
    return result.text


def test_prepare_lists_and_shows_what_it_finds(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for n in range(12):
        pixels = scene(n)
        if n < 3:
            pixels = with_text(pixels, "SMITH 1956", 16, 255)
        Image.fromarray(pixels[:, :, 0]).save(tmp_path / "in" / f"{n:02d}.png")
    for name, (data, _) in NAMED.items():
        (tmp_path / "in" / f"named-{name}").write_bytes(data)
    found = prepared(tmp_path)
    assert found.text == ["00.png", "01.png", "02.png"] and found.looked_at == 12 + len(NAMED)
    assert found.metadata["EXIF artist"] == 3 and found.metadata["XMP"] == 3
    table = (tmp_path / "out.zip.text.csv").read_text(encoding="utf-8")
    assert table.count("\n") == 1 + 3 + len(NAMED) and "named-gif" in table
    with Image.open(tmp_path / "out.zip.text.png") as sheet:
        assert sheet.width > 3 * 256
    said = " ".join(found.lines())
    assert "3 of 21 images may hold burned-in text" in said and "EXIF artist 3" in said
    rows = {row.columns["source_file"]: row for row in open_archive(tmp_path / "out.zip").rows}
    assert int(rows["01.png"].columns["burned_in_text"]) >= 4
    assert not rows["05.png"].columns.get("burned_in_text")
    with zipfile.ZipFile(tmp_path / "out.zip") as packed:
        everything = b"".join(packed.read(name) for name in packed.namelist())
    assert SECRET.encode() not in everything + table.encode() + said.encode()
    for marker in (b"eXIf", b"tEXt", b"iTXt", b"zTXt", b"tIME", b"iCCP"):
        assert marker not in everything, "archives never carry metadata of their sources"
    for n in range(3):
        (tmp_path / "in" / f"{n:02d}.png").unlink()
    for name in NAMED:
        (tmp_path / "in" / f"named-{name}").unlink()
    again = prepared(tmp_path, force=True)
    assert not again.text and not again.metadata and again.list is None
    assert not list(tmp_path.glob("out.zip.text.*"))
    assert "the search misses some" in " ".join(again.lines())


def test_files_of_other_tools_are_looked_at_too(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, data in {"a.png": encoded("PNG"), "b.jpg": NAMED["jpeg"][0]}.items():
        (tmp_path / "in" / name).write_bytes(data)
    listed = json.dumps({"training": [{"image": "a.png"}, {"image": "b.jpg"}]})
    (tmp_path / "in" / "datalist.json").write_text(listed)
    found = prepared(tmp_path, layout="monai")
    assert found.looked_at == 2 and found.metadata["EXIF artist"] == 1


def test_pseudonyms_are_listed_and_shown(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for n in range(3):
        pixels = with_text(scene(n), "SMITH 1956", 16, 255) if n == 1 else scene(n)
        Image.fromarray(pixels[:, :, 0]).save(tmp_path / "in" / f"smith{n}.png")
    (tmp_path / "secret").write_bytes(b"0123456789abcdef")
    found = prepared(tmp_path, pseudonymise=tmp_path / "secret")
    assert len(found.text) == 1 and "smith" not in found.text[0]
    assert found.sheet is not None and found.sheet.exists()
