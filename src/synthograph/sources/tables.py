"""Tables about images: CSV, dataset.json in its three forms, patterns of names."""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from synthograph.core.errors import UserError
from synthograph.core.names import nearest, nfc
from synthograph.core.untrusted.dataset_json import is_finite, parse_dataset_json, shortened
from synthograph.core.untrusted.documents import parse_json, read_text
from synthograph.sources.readers import stem_key

ROLES = ("file", "label", "group")

_VECTOR_COLUMN = re.compile(r"y\.\d+")


@dataclass(frozen=True, slots=True)
class TableRow:
    """What a table says about one file.

    Attributes:
        where: where it stands, for messages, such as `row 7`.
        file: name as written, with posix separators.
        label: class name, or class index as text, or None where empty; in one Unicode form.
        group: patient, slide or photograph, or None where empty; in one Unicode form.
        columns: all further columns.
    """

    where: str
    file: str
    label: str | None = None
    group: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # names of files and folders hold accents in either form, and one patient is one group
        for role in ("label", "group"):
            value = getattr(self, role)
            object.__setattr__(self, role, None if value is None else nfc(value))


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

    @staticmethod
    def read(path: Path, columns: Mapping[str, str] | None = None) -> "LabelTable":
        """Read a table in UTF-8: tab-separated if named .tsv or .tab, else comma-separated.

        A .json file is read by `read_dataset_json`.

        Args:
            path: the file.
            columns: role (file, label, group) -> header. A role that is not given falls to the
                header of its own name, if there is one; only `file` is required. All further
                columns are kept.

        Raises:
            UserError: unreadable file, unknown role or header, two rows about one file that differ,
                a row with too many or too few cells, or a number in a label vector (columns y.0,
                y.1, ...) that is not finite.
        """
        text = read_text(path, "give a table as CSV in UTF-8")
        if path.suffix.lower() == ".json":
            if columns:
                raise UserError(
                    f"{path}: a .json file has no columns to choose; leave --column out"
                )
            return read_dataset_json(text, str(path))
        header, body = _read_cells(text, path)
        roles = _roles(header, columns or {}, path)
        rows = [_row(number, header, cells, roles, path) for number, cells in body]
        rows, repeated = _unique(rows, path)
        remarks = (f"{repeated} repeated row(s) of {path.name} ignored",) if repeated else ()
        return LabelTable(
            origin=str(path),
            rows=tuple(rows),
            has_label="label" in roles,
            has_group="group" in roles,
            remarks=remarks,
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
            _check_role(role)
            if columns.setdefault(role, header) != header:
                raise UserError(
                    f"--column gives the role {role!r} twice: {columns[role]!r} and {header!r}"
                )
    return columns


def compile_name_regex(text: str) -> re.Pattern[str]:
    """Compile `--name-regex`, which is searched in the relative name of every image.

    Its named groups become columns; `label` gives the label, and `group`, else `patient`, the
    group.

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


def _read_cells(text: str, path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header, and (row number as spreadsheets count, cells) of all rows that are not blank."""
    delimiter = "\t" if path.suffix.lower() in (".tsv", ".tab") else ","
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise UserError(f"{path}: is not a table ({error})") from None
    if not lines or not any(lines[0]):
        raise UserError(f"{path}: is empty; its first row names the columns")
    # pandas leaves the header of its running number empty
    header = [cell.strip() or f"column_{i}" for i, cell in enumerate(lines[0])]
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise UserError(f"{path}: two columns are named {twice[0]!r}; rename one")
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise UserError(
            f"{path}: seems to be separated by semicolons or tabs; save it with commas, or with "
            f"tabs as .tsv"
        )
    vector = [name for name in header if _VECTOR_COLUMN.fullmatch(name)]
    absent = {f"y.{place}" for place in range(len(vector))} - set(vector)
    if absent:
        raise UserError(f"{path}: a label vector is y.0, y.1, ...; {min(absent)} is missing")
    body = [(n, cells) for n, cells in enumerate(lines[1:], start=2) if any(cells)]
    for number, cells in body:
        if len(cells) != len(header):
            raise UserError(
                f"{path}, row {number}: has {len(cells)} cells, the header has {len(header)}"
            )
    return header, body


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise UserError(
            f"--column: unknown role {role!r} ({nearest(role, ROLES)}); "
            f"roles are {', '.join(ROLES)}, and all other columns are kept anyway"
        )


def _roles(header: Sequence[str], columns: Mapping[str, str], path: Path) -> dict[str, int]:
    """Role -> place in the header."""
    for role, name in columns.items():
        _check_role(role)
        if name not in header:
            raise UserError(f"{path}: has no column {name!r}: {nearest(name, header)}")
    taken = set(columns.values())
    defaults = {role: role for role in ROLES if role in header and role not in taken}
    roles = {role: header.index(name) for role, name in {**defaults, **columns}.items()}
    if "file" not in roles:
        raise UserError(
            f"{path}: has no column 'file'; say which one holds the file names, "
            f"--column file=NAME; columns are: {', '.join(header)}"
        )
    return roles


def _row(
    number: int, header: Sequence[str], cells: Sequence[str], roles: Mapping[str, int], path: Path
) -> TableRow:
    cells = [cell.strip() for cell in cells]
    file = _posix(cells[roles["file"]])
    if not file:
        raise UserError(f"{path}, row {number}: names no file in column {header[roles['file']]!r}")
    taken = {header[place] for place in roles.values()}
    further = {n: cell for n, cell in zip(header, cells, strict=True) if n not in taken}
    for name, cell in further.items():
        if _VECTOR_COLUMN.fullmatch(name) and not is_finite(cell):
            raise UserError(
                f"{path}, row {number}, column {name}: {shortened(cell)} is not a finite number, "
                "as label vectors need"
            )
    label, group = (cells[roles[r]] or None if r in roles else None for r in ("label", "group"))
    return TableRow(f"row {number}", file, label, group, further)


def _unique(rows: Iterable[TableRow], path: Path) -> tuple[list[TableRow], int]:
    """Rows without exact repetitions, and how many there were."""
    kept: dict[str, TableRow] = {}
    repeated = 0
    for row in rows:
        old = kept.setdefault(nfc(row.file), row)
        if old is row:
            continue
        if (old.label, old.group, old.columns) != (row.label, row.group, row.columns):
            raise UserError(
                f"{path}: {old.where} and {row.where} are about the same file {row.file!r} "
                "and differ; keep one"
            )
        repeated += 1
    return list(kept.values()), repeated


def read_dataset_json(text: str, origin: str) -> LabelTable:
    """Read a dataset.json: `{"labels": [[file, label], ...]}` or `{"labels": null}`.

    What else may stand there: `core.untrusted.dataset_json`.

    Args:
        text: the whole file.
        origin: its name, for messages.

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
    rows = []
    for name, image in listing.images.items():
        label = None if image.label is None else str(image.label)
        rows.append(TableRow(f"entry {name!r}", name, label, image.group, image.columns))
    return LabelTable(
        origin=origin,
        rows=tuple(rows),
        has_label=any(row.label is not None for row in rows),
        has_group=listing.grouped,
        classes=listing.classes,
    )


def _posix(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")
