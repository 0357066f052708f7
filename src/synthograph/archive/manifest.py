"""`manifest.csv`: one row per image. It decides where `dataset.json` differs."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import cast, get_args

from synthograph.core.errors import UserError
from synthograph.core.record import SPLITS as SPLITS
from synthograph.core.record import Origin
from synthograph.core.untrusted.dataset_json import is_finite
from synthograph.core.untrusted.documents import as_text, parse_csv

FIXED = ("file", "label", "group", "split", "fold", "origin")
SOURCE_FILE = "source_file"
FOLD = "fold"
HOME_NAMESPACE, HOME_GROUP = "archive_namespace", "archive_group"
"""Columns of images that came from an archive of another namespace: that one, and the group there.
"""

_VECTOR = re.compile(r"y\.(0|[1-9]\d*)", re.ASCII)
_FOLD = re.compile(r"\d{1,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Row:
    """One image.

    Attributes:
        file: path of the first modality's PNG inside the archive.
        label: class name, or None.
        group: patient, slide or photograph.
        split: train, val or test; None where the archive was never split.
        fold: 0 to K-1 on rows of split train, else None.
        origin: real or synthetic.
        columns: all further columns.
    """

    file: str
    label: str | None
    group: str
    split: str | None = None
    fold: int | None = None
    origin: Origin = "real"
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def real(self) -> bool:
        """Whether the image is real, not synthetic."""
        return self.origin == "real"

    @property
    def source(self) -> str:
        """The file that the image was made of, where that is known, else its own."""
        return self.columns.get(SOURCE_FILE) or self.file

    @property
    def grouped(self) -> bool:
        """Whether its group is more than the name of the image."""
        return self.group not in (self.file, self.source)

    def vector(self) -> list[float]:
        """The label vector, empty where there is none; see `label_vector`."""
        return label_vector(self.columns)


def label_vector(columns: Mapping[str, str]) -> list[float]:
    """The vector that the columns y.0, y.1, ... hold; an empty cell is no value.

    Raises:
        ValueError: a value is not a finite number, or a place is left out.
    """
    cells = {name: text for name, text in columns.items() if text and _VECTOR.fullmatch(name)}
    values = []
    for place in range(len(cells)):
        text = cells.get(f"y.{place}")
        if text is None:
            raise ValueError(f"a label vector of {len(cells)} values lacks y.{place}")
        if not is_finite(text):
            raise ValueError(
                f"column y.{place} holds {text!r}, a label vector needs finite numbers"
            )
        values.append(float(text))
    return values


def write_manifest(rows: Sequence[Row]) -> bytes:
    """The manifest as CSV bytes; columns that no row has are left out, order of first appearance is
    kept.
    """
    return _write(rows, list(dict.fromkeys(name for row in rows for name in row.columns)))


def _write(rows: Sequence[Row], extra: Sequence[str]) -> bytes:
    lines = [_line([*FIXED, *extra])]
    for row in rows:
        fold = "" if row.fold is None else str(row.fold)
        fixed = [row.file, row.label or "", row.group, row.split or "", fold, row.origin]
        lines.append(_line([*fixed, *(row.columns.get(name, "") for name in extra)]))
    return "".join(lines).encode("utf-8")


def _line(cells: Iterable[str]) -> str:
    # csv.writer leaves a lone carriage return without quotes, which no reader takes back
    return ",".join(_quoted(cell) for cell in cells) + "\n"


def _quoted(cell: str) -> str:
    if any(special in cell for special in ',"\r\n'):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def read_manifest(data: bytes, origin: str) -> list[Row]:
    """Parse a manifest.

    Args:
        data: the CSV file's bytes.
        origin: the file's name for messages.

    Raises:
        UserError: not UTF-8, a missing column, a duplicate or unsafe file name, a value that breaks
            a rule; the message names the line.
    """
    text = as_text(data, origin, "save it as CSV in UTF-8")
    table = [(line, cells) for line, cells in parse_csv(text, origin) if cells]
    if not table:
        raise UserError(f"{origin}: is empty; it needs a header with at least the column 'file'")
    header = table[0][1]
    if "file" not in header or len(set(header)) != len(header):
        raise UserError(
            f"{origin}: the header needs a column 'file' and no column twice, got {header!r:.300}"
        )
    rows = [_parse_row(header, cells, f"{origin}, line {line}") for line, cells in table[1:]]
    _refuse_twice(rows, [line for line, _ in table[1:]], origin)
    return rows


def _refuse_twice(rows: Sequence[Row], lines: Sequence[int], origin: str) -> None:
    first: dict[str, int] = {}
    for row, line in zip(rows, lines, strict=True):
        if row.file in first:
            raise UserError(
                f"{origin}, line {line}: {row.file!r} has a row already, in line "
                f"{first[row.file]}; keep one of them"
            )
        first[row.file] = line


def _parse_row(header: list[str], cells: list[str], where: str) -> Row:
    if len(cells) != len(header):
        raise UserError(f"{where}: {len(cells)} cells under a header of {len(header)} columns")
    values = dict(zip(header, cells, strict=True))
    file = check_member(values.pop("file"), where)
    label, group = values.pop("label", "") or None, values.pop("group", "") or file
    split, fold = values.pop("split", "") or None, values.pop("fold", "") or None
    origin = values.pop("origin", "") or "real"
    if split is not None and split not in SPLITS:
        raise UserError(f"{where}: split {split!r} is none of {', '.join(SPLITS)}")
    if fold is not None and (split != "train" or not _FOLD.fullmatch(fold)):
        raise UserError(
            f"{where}: fold {fold!r} of split {split!r}: only rows of split train have a fold, "
            "a number from 0 to 999"
        )
    if origin not in get_args(Origin):
        raise UserError(f"{where}: origin {origin!r} is neither real nor synthetic")
    try:
        label_vector(values)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None
    fold_number = int(fold) if fold else None
    return Row(file, label, group, split, fold_number, cast(Origin, origin), values)


def check_member(name: str, where: str) -> str:
    """A path that stays inside the archive.

    Raises:
        UserError: it is empty, absolute, climbs out of its folder or holds a backslash or colon.
    """
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise UserError(
            f"{where}: {name!r} is not a path inside the archive: give the file a relative name "
            "without backslash, ':' and '..'"
        )
    return name


def manifest_hash(rows: Sequence[Row]) -> str:
    """Hex sha256 of the manifest's canonical form: rows and further columns in sorted order."""
    extra = sorted({name for row in rows for name in row.columns})
    return hashlib.sha256(_write(sorted(rows, key=lambda row: row.file), extra)).hexdigest()


UNLABELLED = "(none)"
"""What images without a class are counted as."""


def count_labels(rows: Iterable[Row], classes: Sequence[str]) -> dict[str, int]:
    """Images per class in class order; `(none)` where rows have no label."""
    counts = Counter(row.label for row in rows)
    result = {name: counts.get(name, 0) for name in classes}
    if counts.get(None):
        result[UNLABELLED] = counts[None]
    return result


def crossing_groups(rows: Iterable[Row]) -> list[str]:
    """Groups of real images that are in more than one split."""
    splits: dict[str, set[str]] = {}
    for row in rows:
        if row.real and row.split:
            splits.setdefault(row.group, set()).add(row.split)
    return sorted(group for group, found in splits.items() if len(found) > 1)


def same_spelling(groups: Iterable[str]) -> list[list[str]]:
    """Names of groups that differ in `spelling` alone, in sets."""
    found: dict[str, set[str]] = {}
    for group in groups:
        found.setdefault(spelling(group), set()).add(group)
    return sorted(sorted(names) for names in found.values() if len(names) > 1)


def spelling(group: str) -> str:
    """What is left of a name without capitals, spaces, invisible letters, leading zeros, the `.0`
    of spreadsheets, and dashes or dots at its ends or between letters and numbers.
    """
    text = unicodedata.normalize("NFKC", group).casefold()
    text = "".join(each for each in text if unicodedata.category(each)[0] not in "CZ")
    text = re.sub(r"^([^.]*[0-9])\.0$", r"\1", text).strip("-_.")
    text = re.sub(r"(?<=[^\W\d_])[-_.]+(?=[0-9])", "", text)
    return re.sub(r"(?<![0-9])0+(?=[0-9])", "", text) or group


def in_split(rows: Iterable[Row], split: str | None) -> list[Row]:
    """The rows of a split, or of a fold such as `fold2`; all of them for None."""
    if split is not None and re.fullmatch(f"{FOLD}[0-9]{{1,3}}", split):
        return [row for row in rows if row.fold == int(split.removeprefix(FOLD))]
    return [row for row in rows if split is None or row.split == split]
