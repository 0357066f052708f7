"""Text, JSON, YAML and CSV from untrusted files, bounded in size; errors are one line."""

import codecs
import csv
import io
import json
import math
import os
import re
import stat
import threading
from collections import Counter
from collections.abc import Hashable
from pathlib import Path
from typing import Any, NoReturn

import yaml

from synthograph.core.errors import UserError, one_line
from synthograph.core.names import misspelt
from synthograph.core.record import UnreadableError
from synthograph.core.untrusted.gzip_files import unpacked

JsonObject = dict[str, Any]
"""An object of JSON or YAML; whoever uses a value checks what it is."""
MAX_TEXT_BYTES = 256 << 20
MAX_BITS = 1023
"""Of a whole number: larger ones are none of floating point."""
MAX_YAML_BYTES = 1 << 20
"""What a configuration may hold; YAML is read slowly and in many times its size."""
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # no text file can hold one without its other half
_MARKED = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order mark -> encoding; the first that fits, since UTF-32 begins as UTF-16 does."""
_WORKBOOKS = (b"PK\3\4", b"\xd0\xcf\x11\xe0")
"""How .xlsx, .ods and .xls begin."""
_CSV_LIMIT = threading.Lock()
_TOO_DEEP = "nested more deeply than can be read; a few levels are enough, take the others out"


def read_text(path: Path, way_out: str) -> str:
    """The UTF-8 text of a file.

    Args:
        path: the file.
        way_out: what the file should be instead, for messages.

    Raises:
        UserError: it cannot be read, is a pipe or a device, is no text, or is larger than
            `MAX_TEXT_BYTES`.
    """
    return as_text(_text_bytes(path, way_out), str(path), way_out)


def read_office_text(path: Path, way_out: str) -> tuple[str, str | None]:
    """The text of a file as office programs save it, perhaps packed by gzip (`office_text`).

    Returns:
        The text, and the encoding where it is a guess.

    Raises:
        UserError: as `read_text` does.
    """
    return office_text(_text_bytes(path, way_out), str(path), way_out)


def office_text(data: bytes, origin: str, way_out: str) -> tuple[str, str | None]:
    """Text as office programs save it: UTF-8, UTF-16 or UTF-32 with a byte order mark, else
    Windows-1252, of which Latin-1 is a part; packed by gzip as large tables are published.

    Returns:
        The text, and the encoding where it is a guess.

    Raises:
        UserError: it is no text, or unpacks to more than `MAX_TEXT_BYTES`.
    """
    try:
        data = unpacked(data, MAX_TEXT_BYTES)
    except UnreadableError as error:
        raise UserError(f"{origin}: {error}; {way_out}") from None
    if data.startswith(_WORKBOOKS):
        raise UserError(f"{origin}: is a workbook of an office program and no text; {way_out}")
    marked = next((name for mark, name in _MARKED.items() if data.startswith(mark)), None)
    try:
        text, guess = data.decode(marked or "utf-8"), None
    except UnicodeDecodeError as error:
        if marked is not None:
            raise UserError(
                f"{origin}: is not the {marked} text that its first bytes promise (byte "
                f"{error.start}); {way_out}"
            ) from None
        text, guess = _one_byte_text(data), "Windows-1252"
    return _without_nul(text, origin, way_out), guess


def _one_byte_text(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:  # five bytes that only Latin-1 has, as controls
        return data.decode("latin-1")


def _text_bytes(path: Path, way_out: str) -> bytes:
    try:
        mode = path.stat().st_mode
        special = not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
        if not special:  # opening it could wait for ever
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size  # a larger request would be allocated whole
                data = file.read(min(size, MAX_TEXT_BYTES) + 1)
    except (OSError, ValueError) as error:  # or a name that no file can have
        reason = getattr(error, "strerror", None) or error
        near = misspelt(path) if isinstance(error, FileNotFoundError) else ""
        raise UserError(f"{path}: cannot be read ({reason}){near or f'; {way_out}'}") from None
    if special:
        raise UserError(f"{path}: is a pipe or a device, not a file; {way_out}")
    if len(data) > MAX_TEXT_BYTES:
        raise UserError(f"{path}: is larger than {MAX_TEXT_BYTES >> 20} MiB; {way_out}")
    return data


def read_bounded(path: Path, expected: str, *, limit: int, head: int | None = None) -> bytes:
    """The bytes of a file, up to a limit.

    Args:
        path: the file.
        expected: what should be there, for messages.
        limit: most bytes that it may have.
        head: how many of its first bytes are wanted; all of them unless given.

    Raises:
        UserError: the file is missing, a folder, no regular file, or too large.
    """
    try:
        if not path.is_file():
            what = "is no regular file" if path.exists() else "there is no such file"
            what = "is a folder" if path.is_dir() else what
            raise UserError(f"{path}: {what}; expected {expected}{misspelt(path)}")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                raise UserError(
                    f"{path}: has {size} bytes, such a file may have {limit}; expected {expected}"
                )
            return file.read(size if head is None else head)
    except OSError as error:
        reason = error.strerror
        raise UserError(f"{path}: cannot be read ({reason}); expected {expected}") from None


def as_text(data: bytes, origin: str, way_out: str) -> str:
    """Bytes as UTF-8 text, without a byte order mark.

    Raises:
        UserError: they are no UTF-8, or hold NUL bytes as only other kinds of files do.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{origin}: is not UTF-8 text (byte {error.start}); {way_out}") from None
    return _without_nul(text, origin, way_out)


def _without_nul(text: str, origin: str, way_out: str) -> str:
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{origin}, line {line}: holds a NUL byte, so it is no text; {way_out}")
    return text


def parse_csv(text: str, origin: str, delimiter: str = ",") -> list[tuple[int, list[str]]]:
    """The rows of a CSV text, each with the number of the line that it ends in; a blank line is a
    row without cells. A cell may be as long as the text, such as the run lengths of a mask.

    Raises:
        UserError: quotes that are not closed, or stand where none may.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    with _CSV_LIMIT:  # Python has one limit for the whole process
        before = csv.field_size_limit()
        csv.field_size_limit(max(len(text), before))
        try:
            return [(reader.line_num, cells) for cells in reader]
        except csv.Error as error:
            raise UserError(
                f"{origin}, line {reader.line_num}: not a readable CSV file ({error})"
            ) from None
        finally:
            csv.field_size_limit(before)


def parse_json(text: str, origin: str, *, nan: bool = False, bounded: bool = False) -> Any:  # noqa: ANN401
    """Parse JSON; repeated keys, NUL characters and lone surrogates are refused.

    Args:
        text: the whole file.
        origin: its name, for messages.
        nan: let NaN and infinities pass, for a caller that can say where they stand.
        bounded: refuse whole numbers that are none of floating point.

    Raises:
        UserError: not JSON, with line and column where the reader got lost.
    """
    if "\\u0000" in text:
        line = text.count("\n", 0, text.index("\\u0000")) + 1
        raise UserError(f"{origin}, line {line}: holds a NUL character; take it out")
    try:
        data = json.loads(
            text,
            parse_int=whole_number if bounded else None,
            parse_float=None if nan else finite_number,
            parse_constant=None if nan else _refuse_constant,
            object_pairs_hook=_unique,
        )
        if _SURROGATE.search(text):
            json.dumps(data, ensure_ascii=False).encode()
        return data
    except json.JSONDecodeError as error:
        # Python versions differ in where they see the error: at the comma or behind it
        before = text[: error.pos + 1].rstrip(" \t\r\n]}")
        after = text[error.pos :].lstrip(" \t\r\n,")
        trailing = before.endswith(",") and after.startswith(("]", "}"))
        reason = "a comma before a closing bracket; remove it" if trailing else error.msg
        raise UserError(
            f"{origin}, line {error.lineno}, column {error.colno}: not valid JSON: {reason}"
        ) from None
    except RecursionError:
        raise UserError(f"{origin}: not valid JSON: {_TOO_DEEP}") from None
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])[1:-1]
        raise UserError(
            f"{origin}: holds {half}, half of a character; write the whole one or take it out"
        ) from None
    except ValueError as error:
        raise UserError(f"{origin}: not valid JSON: {one_line(str(error))}") from None


def whole_number(digits: str) -> int:
    """A whole number that is one of floating point, too.

    Raises:
        ValueError: it is none.
    """
    return _refuse_large(int(digits))


def finite_number(text: str) -> float:
    """A number with a fraction or an exponent; infinite ones could not be written to JSON again.

    Raises:
        ValueError: it is none, or beyond floating point.
    """
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is not a finite number")
    return value


def _refuse_large(value: int) -> int:
    if value.bit_length() > MAX_BITS:
        raise ValueError(f"a number of {value.bit_length()} bits, the limit is {MAX_BITS}")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"key {twice!r} is given twice, keep one of them")
    return found


def yaml_text(tree: JsonObject) -> str:
    """Plain data as YAML, in its own order."""
    return str(yaml.safe_dump(tree, sort_keys=False))


def parse_yaml(text: str, origin: str) -> Any:  # noqa: ANN401
    """Parse YAML without aliases and tags; repeated keys are refused.

    Raises:
        UserError: not YAML, with line and column where the reader got lost, or too long.
    """
    if len(text) > MAX_YAML_BYTES:
        raise UserError(
            f"{origin}: is larger than {MAX_YAML_BYTES >> 20} MiB, the limit of a configuration"
        )
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1}"
        problem = error.problem or "not understood"
        way = "; indent with spaces, not tabs" if "\\t" in problem else ""
        raise UserError(f"{origin}{place}: not valid YAML: {one_line(problem)}{way}") from None
    except RecursionError:
        raise UserError(f"{origin}: not valid YAML: {_TOO_DEEP}") from None
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(f"{origin}: not valid YAML: {one_line(str(error))}") from None


class _Loader(yaml.SafeLoader):
    """Loads YAML without aliases, by which a few bytes expand to gigabytes, and without repeated
    keys, of which all but the last would be lost.
    """

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not supported, write the value out")
        return super().compose_node(parent, index)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        return _refuse_large(int(super().construct_yaml_int(node)))

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key.value!r} is given twice, keep one of them",
                    problem_mark=key.start_mark,
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
