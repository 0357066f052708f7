"""Tables about images: CSV, dataset.json in its three forms, patterns of names."""

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from synthograph.core.errors import UserError
from synthograph.core.names import nearest, nfc, without_controls
from synthograph.core.untrusted.dataset_json import is_finite, parse_dataset_json, shortened
from synthograph.core.untrusted.documents import parse_csv, parse_json, read_office_text, read_text
from synthograph.sources.cells import (
    MISSING,
    ROLE_WORDS,
    ROLES,
    missing_marks,
    split_of,
    split_words,
    value_of,
    without_decimals,
)
from synthograph.sources.readers import stem_key

_VECTOR_COLUMN = re.compile(r"y\.\d+")
_DELIMITERS = (",", ";", "\t", "|")
_TABBED = (".tsv", ".tab")
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n")
"""How spreadsheets are told the separator of a file."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """What a table says about one file.

    Attributes:
        where: where it stands, for messages, such as `row 7`.
        file: name as written, with posix separators.
        label: class name, or class index as text, or None where missing; in one Unicode form.
        group: patient, slide or photograph, or None where missing; in one Unicode form.
        columns: all further columns.
        split: train, val or test, or None where missing.
        marks: role -> the cell, where that is a mark for a missing value.
        cleaned: whether label or group held control characters (`without_controls`).
    """

    where: str
    file: str
    label: str | None = None
    group: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    split: str | None = None
    marks: Mapping[str, str] = field(default_factory=dict)
    cleaned: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        # names of files and folders hold accents in either form, and one patient is one group
        for role in ("label", "group"):
            value = getattr(self, role)
            if value is not None:
                name = nfc(value)
                clean = without_controls(name)
                object.__setattr__(self, role, clean or None)
                object.__setattr__(self, "cleaned", self.cleaned or clean != name)

    def without_vector(self) -> "TableRow":
        """The same without a label vector."""
        kept = {n: cell for n, cell in self.columns.items() if not _VECTOR_COLUMN.fullmatch(n)}
        return dataclasses.replace(self, columns=kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTable:
    """Rows about files, one each, found by name."""

    origin: str
    """File that the rows come from."""
    rows: tuple[TableRow, ...]
    has_label: bool
    has_group: bool
    classes: tuple[str, ...] | None = None
    """Class names in index order, where the file gives them."""
    remarks: tuple[str, ...] = ()
    """What was counted while reading."""
    has_split: bool = False

    @property
    def has_vector(self) -> bool:
        """Whether it gives label vectors."""
        return any(row.columns.get("y.0") for row in self.rows)

    @staticmethod
    def read(
        path: Path, columns: Mapping[str, str] | None = None, missing: Iterable[str] = MISSING
    ) -> "LabelTable":
        """Read a table, separated by commas, semicolons, tabs or bars, as office programs save it.

        A .json file is read by `read_dataset_json`.

        Args:
            path: the file.
            columns: role (file, label, group, split) -> header. A role that is not given falls to
                the header of its own name, if there is one and a cell below it; only `file` is
                required. All further columns are kept.
            missing: cells that are no label, group, split or number of a label vector.

        Raises:
            UserError: unreadable file, unknown role or header, two rows about one file that differ,
                a row with too many or too few cells, or a number in a label vector (columns y.0,
                y.1, ...) that is not finite.
        """
        marks = missing_marks(missing)
        if path.suffix.lower() == ".json":
            if columns:
                raise UserError(
                    f"{path}: a .json file has no columns to choose; leave --column out"
                )
            return read_dataset_json(read_text(path, "it holds JSON"), str(path), missing)
        text, guessed = read_office_text(path, "give a table as CSV in UTF-8")
        header, body = read_cells(text, path)
        columns = {_role(word): name for word, name in (columns or {}).items()}
        roles = _usable_split(_roles(header, columns, path), body, columns, marks)
        rows = [_row(number, header, cells, roles, path, marks) for number, cells in body]
        rows, repeated = _unique(rows, path)
        remarks = [f"{repeated} repeated row(s) of {path.name} ignored"] if repeated else []
        if guessed is not None:
            remarks.append(f"{path.name} is not UTF-8, and was read as {guessed}")
        return LabelTable(
            origin=str(path),
            rows=tuple(_whole_numbers(rows)),
            has_label=_gives("label", columns, rows),
            has_group=_gives("group", columns, rows),
            has_split=_gives("split", columns, rows),
            remarks=tuple(remarks),
        )

    def match(self, names: Sequence[str], folder: str = "") -> dict[str, TableRow]:
        """Find the row of every image.

        Tried in this order, each step only with rows and images that are left: the whole relative
        name, the whole name without image extension, then the same for one name being the end of
        the other (`train/7.png` and `7`); different folders never match, nor does a name that fits
        several rows. Where the table names files of `folder` (`site_a/7`), its rows about other
        folders (`site_b/8`) are about no image of this one (`8.png`).

        Args:
            names: relative names of all images.
            folder: name of the folder that they are in.

        Returns:
            Image name -> row; images without a row are missing.

        Raises:
            UserError: two images fit one row.
        """
        found: dict[str, TableRow] = {}
        free = list(self.rows)
        folder = nfc(folder) if _names_folder(self.rows, nfc(folder), names) else ""
        for key, tail in ((nfc, False), (stem_key, False), (nfc, True), (stem_key, True)):
            left = [name for name in names if name not in found]
            step = _match_step(left, free, key, tail, folder)
            self._refuse_shared(step)
            found |= step
            used = {id(row) for row in step.values()}
            free = [row for row in free if id(row) not in used]
        return found

    def _refuse_shared(self, step: Mapping[str, TableRow]) -> None:
        owners: dict[int, str] = {}
        for name, row in step.items():
            other = owners.setdefault(id(row), name)
            if other != name:
                raise UserError(
                    f"{self.origin}, {row.where}: {row.file!r} fits two images, "
                    f"{other!r} and {name!r}; "
                    "write the relative name with folder and extension into the table"
                )


def _names_folder(rows: Iterable[TableRow], folder: str, names: Iterable[str]) -> bool:
    """Whether a row is about a place of `folder` that images lie in."""
    places = {nfc(name).rpartition("/")[0] for name in names}
    for row in rows:
        parts = nfc(row.file).split("/")[:-1]
        ends = [place for place, part in enumerate(parts, start=1) if part == folder]
        if any("/".join(parts[end:]) in places for end in ends):
            return True
    return False


def _match_step(
    names: Sequence[str],
    rows: Sequence[TableRow],
    key: Callable[[str], str],
    tail: bool,
    folder: str,
) -> dict[str, TableRow]:
    def last(text: str) -> str:
        return key(text).rpartition("/")[2] if tail else key(text)

    by_key: dict[str, list[TableRow]] = {}
    for row in rows:
        by_key.setdefault(last(row.file), []).append(row)
    found = {}
    for name in names:
        rows = by_key.get(last(name), ())
        fitting = [row for row in rows if _same_end(key(name), key(row.file), folder)]
        if len(fitting) == 1:
            found[name] = fitting[0]
    return found


def _same_end(name: str, file: str, folder: str) -> bool:
    if f"/{name}".endswith(f"/{file}"):
        return True
    return f"/{file}".endswith(f"/{folder}/{name}" if folder else f"/{name}")


def parse_columns(texts: str | Iterable[str]) -> dict[str, str]:
    """Read `--column file=image_name,label=target`, given once or several times.

    Returns:
        Role -> header.

    Raises:
        UserError: not of the form role=header, an unknown role, or a role given twice.
    """
    columns: dict[str, str] = {}
    for text in [texts] if isinstance(texts, str) else texts:
        for part in text.split(","):
            role, sign, header = (piece.strip() for piece in part.partition("="))
            if not sign or not role or not header:
                raise UserError(
                    f"--column {text!r} is not of the form role=header, "
                    "for example --column file=image_name,label=target"
                )
            role = _role(role)
            if columns.setdefault(role, header) != header:
                raise UserError(
                    f"--column gives the role {role!r} twice: {columns[role]!r} and {header!r}"
                )
    return columns


def compile_name_regex(text: str) -> re.Pattern[str]:
    """Compile `--name-regex`, which is searched in the relative name of every image.

    Its named groups become columns; `label`, else `class`, gives the label, `group`, else
    `patient`, the group, and `split` the split.

    Raises:
        UserError: not a regular expression, or one without a named group.
    """
    try:
        pattern = re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise UserError(f"--name-regex {text!r} is not a regular expression: {error}") from None
    if not pattern.groupindex:
        raise UserError(
            f"--name-regex {text!r} has no named group; write (?P<patient>...) around what is "
            f"wanted"
        )
    return pattern


def read_cells(text: str, path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header, and (row number as spreadsheets count, cells) of all rows that are not blank."""
    told = _SEPARATOR_LINE.match(text)
    if told:
        first, lines = 2, parse_csv(text[told.end() :], str(path), told[1])
    else:
        comments, text = _without_comments(text)
        first, lines = 1 + comments, _parse(text, path)
    rows = [cells for _, cells in lines]
    if not rows or not any(rows[0]):
        raise UserError(f"{path}: is empty; its first row names the columns")
    # pandas leaves the header of its running number empty
    header = [without_controls(cell.strip()) or f"column_{i}" for i, cell in enumerate(rows[0])]
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise UserError(f"{path}: two columns are named {twice[0]!r}; rename one")
    vector = [name for name in header if _VECTOR_COLUMN.fullmatch(name)]
    absent = {f"y.{place}" for place in range(len(vector))} - set(vector)
    if absent:
        raise UserError(f"{path}: a label vector is y.0, y.1, ...; {min(absent)} is missing")
    body = [(n, cells) for n, cells in enumerate(rows[1:], start=first + 1) if any(cells)]
    for number, cells in body:
        if len(cells) != len(header):
            raise UserError(
                f"{path}, row {number}: has {len(cells)} cells, the header has {len(header)}"
            )
    return header, body


def _without_comments(text: str) -> tuple[int, str]:
    """How many lines at the top are comments, and the rest. A line that begins with # is one, but
    where it has as many cells as the line below, it names the columns.
    """
    lines = text.splitlines(keepends=True)
    for number, (line, below) in enumerate(zip(lines, lines[1:], strict=False)):
        if not line.startswith("#") or _widest(line) >= max(_widest(below), 1):
            return number, "".join(lines[number:])
    return 0, text


def _widest(line: str) -> int:
    return max(line.count(one) for one in _DELIMITERS)


def _parse(text: str, path: Path) -> list[tuple[int, list[str]]]:
    """The rows, cut by the separator that gives all of them the header's number of cells; where
    several do, or none, by that which gives the header most.
    """
    usual = ["\t"] if path.suffix.lower() in _TABBED else []
    head = text[: text.find("\n") + 1] or text
    counts = {one: head.count(one) for one in [*usual, *_DELIMITERS]}
    best, error = None, None
    for delimiter in sorted(counts, key=lambda one: -counts[one]):
        if not counts[delimiter] and (best or error):
            break
        try:
            rows = parse_csv(text, str(path), delimiter)
        except UserError as refused:
            error = error or refused
            continue
        if len({len(cells) for _, cells in rows if any(cells)}) == 1:
            return rows
        best = best or rows
    if best is None:
        assert error is not None, "rows or an error"
        raise error
    return best


def _role(word: str) -> str:
    if word not in ROLE_WORDS:
        raise UserError(
            f"--column: unknown role {word!r} ({nearest(word, ROLE_WORDS)}); "
            f"roles are {', '.join(ROLES)}, and all other columns are kept anyway"
        )
    return ROLE_WORDS[word]


def _roles(header: Sequence[str], columns: Mapping[str, str], path: Path) -> dict[str, int]:
    """Role -> place in the header."""
    for name in columns.values():
        if name not in header:
            raise UserError(f"{path}: has no column {name!r}: {nearest(name, header)}")
    taken = set(columns.values())
    defaults = {role: role for role in ROLES if role in header and role not in taken}
    roles = {role: header.index(name) for role, name in {**defaults, **columns}.items()}
    if "file" not in roles:
        raise UserError(
            f"{path}: has no column 'file'; it needs a row for each image: say which column holds "
            f"the file names, --column file=NAME; columns are: {', '.join(header)}"
        )
    return roles


def _usable_split(
    roles: Mapping[str, int],
    body: Sequence[tuple[int, list[str]]],
    columns: Mapping[str, str],
    marks: Collection[str],
) -> dict[str, int]:
    """The roles, without a column that is called split by chance and holds something else."""
    place = roles.get("split")
    if place is None or "split" in columns:
        return dict(roles)
    words = {value_of(cells[place], marks) for _, cells in body}
    meant = all(split_of(word) for word in words if word is not None)
    return {role: where for role, where in roles.items() if role != "split" or meant}


def _gives(role: str, columns: Mapping[str, str], rows: Iterable[TableRow]) -> bool:
    """Whether a table gives a role: a column that nobody named and that is empty does not."""
    return role in columns or any(getattr(row, role) is not None for row in rows)


def _row(
    number: int,
    header: Sequence[str],
    cells: Sequence[str],
    roles: Mapping[str, int],
    path: Path,
    marks: Collection[str],
) -> TableRow:
    cells = [cell.strip() for cell in cells]
    file = _posix(cells[roles["file"]])
    if not file:
        raise UserError(f"{path}, row {number}: names no file in column {header[roles['file']]!r}")
    taken = {header[place] for place in roles.values()}
    further = {n: cell for n, cell in zip(header, cells, strict=True) if n not in taken}
    further |= _vector(further, f"{path}, row {number}", marks)
    written = {role: cells[place] for role, place in roles.items() if role != "file"}
    values = {role: value_of(cell, marks) for role, cell in written.items()}
    split = values.get("split")
    if split is not None and split_of(split) is None:
        raise UserError(
            f"{path}, row {number}, column {header[roles['split']]}: {shortened(split)} names no "
            f"split; known are {split_words()}"
        )
    return TableRow(
        f"row {number}",
        file,
        values.get("label"),
        values.get("group"),
        further,
        split and split_of(split),
        {role: cell for role, cell in written.items() if cell and values[role] is None},
    )


def _vector(columns: Mapping[str, str], where: str, marks: Collection[str]) -> dict[str, str]:
    """The numbers of a label vector, all empty where all are missing."""
    vector = {name: cell for name, cell in columns.items() if _VECTOR_COLUMN.fullmatch(name)}
    if all(value_of(cell, marks) is None for cell in vector.values()):
        return dict.fromkeys(vector, "")
    for name, cell in vector.items():
        if not is_finite(cell):
            raise UserError(
                f"{where}, column {name}: {shortened(cell)} is not a finite number, as label "
                "vectors need"
            )
    return vector


def _whole_numbers(rows: Sequence[TableRow]) -> Iterator[TableRow]:
    """The rows, with labels and groups that a program wrote as 12.0 because some are missing."""
    labels = without_decimals({n: row.label for n, row in enumerate(rows) if row.label})
    groups = without_decimals({n: row.group for n, row in enumerate(rows) if row.group})
    for n, row in enumerate(rows):
        yield dataclasses.replace(row, label=labels.get(n), group=groups.get(n))


def _unique(rows: Iterable[TableRow], path: Path) -> tuple[list[TableRow], int]:
    """Rows without exact repetitions, and how many there were."""
    kept: dict[str, TableRow] = {}
    repeated = 0
    for row in rows:
        old = kept.setdefault(nfc(row.file), row)
        if old is row:
            continue
        if dataclasses.replace(old, where="", file="") != dataclasses.replace(
            row, where="", file=""
        ):
            raise UserError(
                f"{path}: {old.where} and {row.where} are about the same file {row.file!r} "
                "and differ; keep one"
            )
        repeated += 1
    return list(kept.values()), repeated


def read_dataset_json(text: str, origin: str, missing: Iterable[str] = MISSING) -> LabelTable:
    """Read a dataset.json: `{"labels": [[file, label], ...]}` or `{"labels": null}`.

    What else may stand there: `core.untrusted.dataset_json`.

    Args:
        text: the whole file.
        origin: its name, for messages.
        missing: names of patients that are none.

    Returns:
        One row per file, labels still indices as text; no rows where nothing is listed.

    Raises:
        UserError: not JSON (with the line), or what `parse_dataset_json` refuses.
    """
    tree = parse_json(text, origin, nan=True)
    if not isinstance(tree, dict) or not {"labels", "meta", "classes"} & set(tree):
        raise UserError(
            f'{origin}: is not a list of labels; give an object with "labels", "meta" or "classes"'
        )
    listing = parse_dataset_json(tree, origin, lambda name, _: nfc(_posix(name)))
    for name in listing.classes or ():
        if without_controls(name) != name:
            raise UserError(
                f'{origin}: class {name!r} holds control characters: correct it in "classes"'
            )
    rows, marks = [], missing_marks(missing)
    for name, image in listing.images.items():
        label = None if image.label is None else str(image.label)
        group = value_of(image.group, marks)
        rows.append(TableRow(f"entry {name!r}", name, label, group, image.columns))
    return LabelTable(
        origin=origin,
        rows=tuple(rows),
        has_label=any(row.label is not None for row in rows),
        has_group=listing.grouped,
        classes=listing.classes,
    )


def _posix(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")
