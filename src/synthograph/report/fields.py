"""Values out of files of others: absent is fine, another type than expected is refused by name."""

import math
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthograph.core.errors import UserError
from synthograph.core.untrusted.documents import parse_json, read_text

MAX_JSON_BYTES = 32 << 20
MAX_LINES_BYTES = 64 << 20
MAX_LINE = 1 << 20
"""Characters of a line of JSON."""
MAX_TEXT = 2000
"""Characters of one text that are shown."""
MAX_ITEMS = 100_000
_BIG = 2**53


@dataclass(frozen=True)
class Fields:
    """An object of a JSON file and where it stands.

    Attributes:
        tree: its entries.
        where: file and path inside it, for messages.
    """

    tree: Mapping[str, Any]
    where: str

    def __contains__(self, name: str) -> bool:
        return self.tree.get(name) is not None

    def text(self, name: str, default: str = "") -> str:
        """A text, cut at `MAX_TEXT` characters; `default` where it is absent."""
        value = self._typed(name, str, "a text")
        if value is None:
            return default
        return value if len(value) <= MAX_TEXT else f"{value[:MAX_TEXT]} ..."

    def number(self, name: str) -> float | None:
        """A finite number."""
        value = self._typed(name, (int, float), "a number")
        return None if value is None else _finite(value, f"{self.where}: {name}")

    def whole(self, name: str) -> int | None:
        """A whole number, 0 or more."""
        value = self.number(name)
        if value is not None and not (0 <= value < _BIG and value == int(value)):
            raise UserError(f"{self.where}: {name} is {value}, expected a whole number")
        return None if value is None else int(value)

    def flag(self, name: str) -> bool | None:
        """True or false."""
        value = self.tree.get(name)
        if value is not None and not isinstance(value, bool):
            raise self._refusal(name, "true or false")
        return value

    def inner(self, name: str) -> "Fields":
        """An object; an empty one where it is absent."""
        value = self._typed(name, dict, "an object")
        return Fields(value or {}, f"{self.where}: {name}")

    def each(self, name: str) -> "list[Fields]":
        """A list of objects."""
        found = []
        for number, value in enumerate(self._list(name)):
            where = f"{self.where}: {name}[{number}]"
            if not isinstance(value, dict):
                raise UserError(f"{where} is {_kind(value)}, expected an object")
            found.append(Fields(value, where))
        return found

    def named(self, name: str) -> "Iterator[tuple[str, Fields]]":
        """The entries of an object whose values are objects."""
        inner = self.inner(name)
        for key in inner.tree:
            yield key[:MAX_TEXT], inner.inner(key)

    def texts(self, name: str) -> list[str]:
        """A list of texts; numbers become texts."""
        found = []
        for number, value in enumerate(self._list(name)):
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise UserError(
                    f"{self.where}: {name}[{number}] is {_kind(value)}, expected a text"
                )
            found.append(str(value)[:MAX_TEXT])
        return found

    def size(self, name: str) -> int:
        """How many entries a list has, however long it is; none of them is read."""
        return len(self._typed(name, list, "a list") or [])

    def numbers(self, name: str) -> list[float]:
        """A list of finite numbers."""
        return [
            _finite(value, f"{self.where}: {name}[{number}]")
            for number, value in enumerate(self._list(name))
        ]

    def interval(self, name: str) -> tuple[float, float] | None:
        """The two ends of an interval, whatever follows them."""
        if name not in self:
            return None
        ends = self.numbers(name)
        if len(ends) < 2 or ends[0] > ends[1]:
            raise UserError(f"{self.where}: {name} is {ends}, expected a lower and an upper end")
        return ends[0], ends[1]

    def plain(self, name: str) -> dict[str, Any]:
        """An object as it is, for tables of settings."""
        return dict(self.inner(name).tree)

    def _list(self, name: str) -> list[Any]:
        values = self._typed(name, list, "a list") or []
        if len(values) > MAX_ITEMS:
            raise UserError(
                f"{self.where}: {name} has {len(values)} entries; at most {MAX_ITEMS} are read"
            )
        return values

    def _typed(self, name: str, kind: type | tuple[type, ...], words: str) -> Any:  # noqa: ANN401
        value = self.tree.get(name)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise self._refusal(name, words)
        return value

    def _refusal(self, name: str, words: str) -> UserError:
        return UserError(
            f"{self.where}: {name} is {_kind(self.tree[name])}, expected {words}; write the file "
            "anew with the command that made it"
        )


def _kind(value: object) -> str:
    names = {bool: "true or false", str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value), "nothing" if value is None else "a number")


def _finite(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{where} is {_kind(value)}, expected a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise UserError(f"{where} is not a finite number")
    return number


def refuse_large(path: Path, most: int) -> None:
    """Stop before a file is read that is larger than anything of its kind.

    Raises:
        UserError: it is, or it is no file.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{path}: is no file; give a run directory, an archive or a JSON file")
    if status.st_size > most:
        raise UserError(
            f"{path}: {status.st_size >> 20} MiB; a file of its kind has at most {most >> 20} MiB"
        )


def read_fields(path: Path) -> Fields:
    """A JSON file that holds an object.

    Raises:
        UserError: too large, not JSON, or no object.
    """
    refuse_large(path, MAX_JSON_BYTES)
    tree = parse_json(read_text(path, "give a JSON file"), str(path))
    if not isinstance(tree, dict):
        raise UserError(f"{path}: holds {_kind(tree)}, expected an object")
    return Fields(tree, path.name)


def read_lines(path: Path) -> tuple[list[Fields], list[str]]:
    """The objects of a file with one JSON object a line, and what is wrong with other lines."""
    refuse_large(path, MAX_LINES_BYTES)
    found, broken = [], []
    text = read_text(path, "it holds a JSON object in every line")
    for number, line in enumerate(text.split("\n"), start=1):
        where = f"{path.name}, line {number}"
        if not line.strip():
            continue
        try:
            if len(line) > MAX_LINE:
                raise UserError(f"{where}: is {len(line)} characters long")
            tree = parse_json(line, where)
            if not isinstance(tree, dict):
                raise UserError(f"{where}: holds {_kind(tree)}, expected an object")
        except UserError as error:
            broken.append(str(error))
        else:
            found.append(Fields(tree, where))
    return found, broken
