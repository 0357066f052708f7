"""Lists of files, one for each split, as public data sets publish their official split."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from synthograph.core.errors import UserError
from synthograph.core.names import nfc
from synthograph.core.untrusted.dataset_json import shortened
from synthograph.core.untrusted.documents import parse_json, read_office_text
from synthograph.sources.cells import split_of, split_words
from synthograph.sources.tables import LabelTable, TableRow

_CELL = re.compile(r'\s*(?:"([^"]*)"|([^,;\t|]*))')
_JSON = re.compile(r'\s*(?:\{|\[\s*")')
"""How JSON begins, and a line with a file name does not."""


def read_split_files(texts: Iterable[str]) -> LabelTable:
    """Read `--split-files train.txt,test.txt`: a file name in every line, alone or as first cell,
    or JSON: `[file, ...]`, or `{"train": [file, ...], "val": [file, ...]}`.

    A list is of the split that its name tells (`train_val_list.txt` is train), or the one in front:
    `test=holdout.txt`. The keys of an object go before its name.

    Raises:
        UserError: a list cannot be read or names no split, or two lists name one file.
    """
    rows: dict[str, TableRow] = {}
    origins = []
    for text in texts:
        word, sign, file = text.partition("=")
        path = Path(file if sign else text)
        origins.append(path.name)
        for row in _rows(path, word if sign else None):
            other = rows.setdefault(nfc(row.file), row)
            if other.split != row.split:
                raise UserError(
                    f"{row.where}: {row.file!r} is in {other.where} too: an image is in one split; "
                    "take it out of one list"
                )
    return LabelTable(
        origin=", ".join(origins),
        rows=tuple(rows.values()),
        has_label=False,
        has_group=False,
        has_split=True,
    )


def _rows(path: Path, word: str | None) -> Iterator[TableRow]:
    """What a file lists; `word` is what was given in front of it."""
    if word is not None:
        _split(path, word)
    text, _ = read_office_text(path, "give a text file with a file name in every line")
    if path.suffix.lower() == ".json" or _JSON.match(text):
        yield from _of_json(parse_json(text, str(path)), path, word)
        return
    split = _split(path, word)
    for number, line in enumerate(text.splitlines(), start=1):
        cell = _CELL.match(line)
        name = (cell[1] or cell[2] or "").strip() if cell else ""
        if name:
            yield _row(f"{path.name}, line {number}", name, split)


def _of_json(found: object, path: Path, word: str | None) -> Iterator[TableRow]:
    if isinstance(found, list):
        yield from _of_names(found, f"{path.name}, entry", _split(path, word))
    elif isinstance(found, dict):
        for key, names in found.items():
            split = split_of(key)
            if split is None:
                raise UserError(
                    f"{path}: {shortened(key)} names no split; give an object whose keys are "
                    f"splits, or a list of file names. Known are {split_words()}"
                )
            if word is not None and split_of(word) != split:
                raise UserError(
                    f"--split-files {word}={path}: the file lists images of {shortened(key)} "
                    f"and says itself which are of which split: leave '{word}=' out"
                )
            if not isinstance(names, list):
                raise UserError(f"{path}: {shortened(key)} must be a list of file names")
            yield from _of_names(names, f"{path.name}, {key}, entry", split)
    else:
        raise UserError(f"{path}: must be a list of file names, or an object of lists by split")


def _of_names(names: list[object], where: str, split: str) -> Iterator[TableRow]:
    for number, name in enumerate(names, start=1):
        if not isinstance(name, str) or not name.strip():
            raise UserError(
                f"{where} {number}: {shortened(name)} is no file name; list the image files of "
                "each split, also where patients were drawn"
            )
        yield _row(f"{where} {number}", name.strip(), split)


def _row(where: str, name: str, split: str) -> TableRow:
    return TableRow(where, name.replace("\\", "/"), split=split)


def _split(path: Path, word: str | None) -> str:
    """The split that the word in front means, else the name of the file."""
    known = split_of(path.stem if word is None else word)
    if known is None:
        given = path if word is None else f"{word}={path}"
        raise UserError(
            f"--split-files {given}: which split is it? Name one in front, such as "
            f"test={path}; known are {split_words()}"
        )
    return known
