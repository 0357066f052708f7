"""How a zip file's names are written: only a flag of each member would say that it is UTF-8."""

import re
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

DEFAULT = "cp437"
"""What the specification takes names without the flag for; it can hold any bytes."""
_UTF8_FLAG = 0x800
_UNICODE_PATH = 0x7075
_WORDS = re.compile(r"[^\x00-\x7f]+")
_MARKS = frozenset("ªº°´·")


def open_named(path: Path) -> zipfile.ZipFile:
    """The zip file, whose names are read by the rule of `name_encoding`.

    Raises:
        OSError: it cannot be read.
        Exception: it is no zip file, or damaged; zipfile has many kinds.
    """
    packed = zipfile.ZipFile(path)
    try:
        encoding = name_encoding(packed.infolist())
    except BaseException:
        packed.close()
        raise
    if encoding == DEFAULT:
        return packed
    packed.close()
    return zipfile.ZipFile(path, metadata_encoding=encoding)


def name_encoding(members: Sequence[zipfile.ZipInfo]) -> str:
    """The code page of all names that are not marked as UTF-8.

    The first of these that fits every such name: what the packer added in UTF-8 beside it; UTF-8;
    cp932, where it gives Japanese words; cp437, cp1252 (Latin-1) and cp866, where they give nothing
    but letters of their script; else cp437.

    Args:
        members: as zipfile reads them by itself.
    """
    plain = [m for m in members if not m.flag_bits & _UTF8_FLAG and not m.orig_filename.isascii()]
    if not plain:
        return DEFAULT
    names = [member.orig_filename.encode(DEFAULT) for member in plain]
    stated = {n: t for n, m in zip(names, plain, strict=True) if (t := _unicode_path(m, n))}
    for encoding, fits in _RULES:
        try:
            texts = [name.decode(encoding) for name in names]
        except UnicodeDecodeError:
            continue
        told = [stated[n] == t for n, t in zip(names, texts, strict=True) if n in stated]
        if all(told) if told else all(map(fits, texts)):
            return encoding
    return DEFAULT


def _unicode_path(member: zipfile.ZipInfo, name: bytes) -> str | None:
    """The name in UTF-8 that a packer put beside the other one (extra field 0x7075)."""
    extra = member.extra
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == _UNICODE_PATH and len(field) > 5 and field[0] == 1:
            if struct.unpack_from("<I", field, 1)[0] == zlib.crc32(name):
                return field[5:].decode("utf-8", "replace")
    return None


def _japanese(text: str) -> bool:
    """Whether all that is not ASCII are Japanese words: an accented letter and the one behind it
    would be one sign between letters.
    """
    for found in _WORDS.finditer(text):
        around = text[found.start() - 1 : found.start()] + text[found.end() : found.end() + 1]
        if len(found[0]) < 2 and any(c.isalpha() for c in around):
            return False
        if not all(_is_japanese(c) for c in found[0]):
            return False
    return True


def _is_japanese(sign: str) -> bool:
    kinds = ("CJK", "HIRAGANA", "KATAKANA", "IDEOGRAPHIC", "FULLWIDTH DIGIT", "HALFWIDTH KATAKANA")
    return unicodedata.name(sign, "").startswith(kinds) or sign in "・ー（）＿－　"


def _letters(script: str) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        return all(
            unicodedata.name(c, "").startswith(script) or c in _MARKS
            for c in text
            if not c.isascii()
        )

    return fits


_RULES: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("utf-8", lambda text: True),
    ("cp932", _japanese),
    (DEFAULT, _letters("LATIN")),
    ("cp1252", _letters("LATIN")),
    ("cp866", _letters("CYRILLIC")),
)
"""Encoding -> whether what it makes of a name is one."""
