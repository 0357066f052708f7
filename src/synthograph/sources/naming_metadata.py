"""Metadata of image files that may name people, places or devices: told by kind, never by value."""

import io
import logging
import struct
from collections.abc import Iterator, Mapping

import tifffile
from PIL import Image
from PIL.ExifTags import IFD, Base
from PIL.GifImagePlugin import GifImageFile

from synthograph.core.untrusted.png_files import MAGIC
from synthograph.sources.silence import silent

_EXIF_KINDS = {
    Base.Artist: "artist",
    Base.Copyright: "copyright",
    Base.ImageDescription: "description",
    Base.DocumentName: "document name",
    Base.PageName: "page name",
    Base.HostComputer: "computer",
    Base.XPTitle: "title",
    Base.XPComment: "comment",
    Base.XPAuthor: "author",
    Base.XPKeywords: "keywords",
    Base.XPSubject: "subject",
    Base.UserComment: "comment",
    Base.CameraOwnerName: "owner",
    Base.BodySerialNumber: "serial number",
    Base.LensSerialNumber: "serial number",
    Base.ImageUniqueID: "identifier",
    Base.DateTime: "date",
    Base.DateTimeOriginal: "date",
    Base.DateTimeDigitized: "date",
}
_XMP_TAG, _IPTC_TAG, _PHOTOSHOP_TAG = 700, 33723, 34377
_BLOCKS = {_XMP_TAG: "XMP", _IPTC_TAG: "IPTC", _PHOTOSHOP_TAG: "IPTC"}
_TECHNICAL = frozenset(("Software", "Raw profile type icc"))
"""Keywords of PNG texts that name nobody."""
_FORMAL = ("ImageJ=", '{"shape"')
"""How descriptions begin that programs write about the array."""
_OME, _OME_NAMES = "<OME", ("Experimenter", "<Description", "AcquisitionDate", "UserName")
_IMAGEJ_TAG = 50839
"""What ImageJ keeps beside the pixels, such as the whole header of a DICOM file."""
_TALKERS = (logging.getLogger("tifffile"),)
_MAX_TEXT = 4096
_JPEG_PARTS = {0xE1: "", 0xED: "IPTC", 0xFE: "comment"}
_XMP_MARK, _EXIF_MARK = b"http://ns.adobe.com/xap", b"Exif\0\0"
_JP2_XML, _JP2_UUID = b"xml ", b"uuid"


def naming_metadata(data: bytes) -> tuple[str, ...]:
    """Kinds of metadata in a PNG, JPEG, TIFF, WebP, GIF or JPEG 2000 file, such as `EXIF artist`.

    Damaged metadata counts as none.

    Args:
        data: the whole file.
    """
    found: set[str] = set()
    try:
        with silent(_TALKERS):
            for kind in _kinds(data):
                found.add(kind)
    except Exception:  # noqa: BLE001 - files of others; the picture itself may be whole
        found.add("unreadable metadata")
    return tuple(sorted(found))


def _kinds(data: bytes) -> Iterator[str]:
    if data.startswith(MAGIC):
        yield from _png(data)
    elif data.startswith(b"\xff\xd8\xff"):
        yield from _jpeg(data)
    elif data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        yield from _tiff(data)
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        yield from _webp(data)
    elif data.startswith((b"GIF87a", b"GIF89a")):
        yield from ("GIF comment",) * ("comment" in GifImageFile(io.BytesIO(data)).info)
    elif data.startswith(b"\0\0\0\x0cjP  "):
        yield from _jp2(data)


def _png(data: bytes) -> Iterator[str]:
    place = len(MAGIC)
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + length]
        word = body.partition(b"\0")[0].decode("latin-1")[:40]
        if kind in (b"tEXt", b"zTXt", b"iTXt") and word not in _TECHNICAL:
            yield "XMP" if word.startswith("XML:com.adobe") else f"PNG text {_known(word)}"
        elif kind == b"eXIf":
            yield from _exif(body, "EXIF")
        elif kind == b"tIME":
            yield "PNG date"
        place += 12 + length


_KEYWORDS = frozenset(
    "Title Author Description Copyright Creation Time Disclaimer Warning Source Comment".split()
) | {"Creation Time"}


def _known(word: str) -> str:
    """A keyword of the PNG specification; others may name somebody themselves."""
    return word if word in _KEYWORDS else "of another keyword"


def _jpeg(data: bytes) -> Iterator[str]:
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], struct.unpack_from(">H", data, place + 2)[0]
        if marker == 0xDA:
            return
        body = data[place + 4 : place + 2 + length]
        if marker == 0xE1 and body.startswith(_EXIF_MARK):
            yield from _exif(body[len(_EXIF_MARK) :], "EXIF")
        elif marker == 0xE1 and body.startswith(_XMP_MARK):
            yield "XMP"
        elif _JPEG_PARTS.get(marker):
            yield _JPEG_PARTS[marker] if marker == 0xED else "JPEG comment"
        place += 2 + max(length, 2)


def _webp(data: bytes) -> Iterator[str]:
    place = 12
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, place)
        body = data[place + 8 : place + 8 + length]
        if kind == b"EXIF":
            yield from _exif(body.removeprefix(_EXIF_MARK), "EXIF")
        elif kind == b"XMP ":
            yield "XMP"
        place += 8 + length + length % 2


def _jp2(data: bytes) -> Iterator[str]:
    place = 0
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if kind in (_JP2_XML, _JP2_UUID):
            yield "JPEG 2000 XML" if kind == _JP2_XML else "JPEG 2000 further data"
        place += length if length >= 8 else len(data)


def _tiff(data: bytes) -> Iterator[str]:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tags = {int(tag.code): tag.value for tag in file.pages.first.tags}
    exif, place = tags.get(int(IFD.Exif)), tags.get(int(IFD.GPSInfo))
    if isinstance(exif, dict):
        tags |= {int(Base[name]): value for name, value in exif.items() if name in Base.__members__}
    yield from _of_tags(tags, "TIFF")
    if place:
        yield "TIFF place (GPS)"
    if tags.get(_IMAGEJ_TAG):
        yield "ImageJ information"


def _of_tags(tags: Mapping[int, object], where: str) -> Iterator[str]:
    for tag, value in tags.items():
        if tag in _BLOCKS:
            yield _BLOCKS[tag]
        elif tag in _EXIF_KINDS and _says_something(value):
            yield f"{where} {_EXIF_KINDS[Base(tag)]}"


def _exif(block: bytes, where: str) -> Iterator[str]:
    """Kinds in a block of tags."""
    exif = Image.Exif()
    exif.load(_EXIF_MARK + block)
    yield from _of_tags({**dict(exif), **exif.get_ifd(IFD.Exif)}, where)
    if exif.get_ifd(IFD.GPSInfo):
        yield f"{where} place (GPS)"


def _says_something(value: object) -> bool:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    text = text[:_MAX_TEXT].removeprefix("ASCII\0\0\0").strip("\0 ")
    if _OME in text:
        return any(word in text for word in _OME_NAMES)
    return bool(text) and not text.startswith(_FORMAL)
