"""Lists of files, one for each split, as public data sets publish their official split."""

import re
from collections.abc import Iterable
from pathlib import Path

from synthograph.core.errors import UserError
from synthograph.core.names import nfc
from synthograph.core.untrusted.documents import read_office_text
from synthograph.sources.cells import split_of, split_words
from synthograph.sources.tables import LabelTable, TableRow

_CELL = re.compile(r'\s*(?:"([^"]*)"|([^,;\t|]*))')


def read_split_files(texts: Iterable[str]) -> LabelTable:
    """Read `--split-files train.txt,test.txt`: a file name in every line, alone or as first cell.

    A list is of the split that its name tells (`train_val_list.txt` is train), or the one in front:
    `test=holdout.txt`.

    Raises:
        UserError: a list cannot be read or names no split, or two lists name one file.
    """
    rows: dict[str, TableRow] = {}
    lists = [_named(text) for text in texts]
    for path, split in lists:
        text, _ = read_office_text(path, "give a text file with a file name in every line")
        for number, line in enumerate(text.splitlines(), start=1):
            cell = _CELL.match(line)
            name = (cell[1] or cell[2] or "").strip() if cell else ""
            if not name:
                continue
            row = TableRow(f"{path.name}, line {number}", name.replace("\\", "/"), split=split)
            other = rows.setdefault(nfc(row.file), row)
            if other.split != split:
                raise UserError(
                    f"{row.where}: {name!r} is in {other.where} too: an image is in one split; "
                    "take it out of one list"
                )
    return LabelTable(
        origin=", ".join(path.name for path, _ in lists),
        rows=tuple(rows.values()),
        has_label=False,
        has_group=False,
        has_split=True,
    )


def _named(text: str) -> tuple[Path, str]:
    word, sign, file = text.partition("=")
    known = split_of(word) if sign else split_of(Path(text).stem)
    if known is None:
        raise UserError(
            f"--split-files {text}: which split is it? Name one in front, such as "
            f"test={file or text}; known are {split_words()}"
        )
    return Path(file if sign else text), known
