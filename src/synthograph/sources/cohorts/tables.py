"""Finds the tables of a cohort beside images and reads their rows."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from synthograph.core.errors import UserError
from synthograph.core.untrusted.containers import Container, Folder
from synthograph.core.untrusted.documents import office_text, read_office_text
from synthograph.sources.base import read_member
from synthograph.sources.cohorts.record import Cohort, Table
from synthograph.sources.tables import LabelTable, TableRow, read_cells

_WAY_OUT = "give the table as CSV"
_SEPARATORS = (",", ";", "\t", "|")
Columns = dict[str, str]
"""What is known about an image or in a row: column -> cell."""


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table that is there.

    Attributes:
        table: what the cohort says of it.
        origin: where it lies, for messages.
        folder: the folder of the source that it lies in, with a slash at its end, or nothing.
        rows: row number -> cells by column, as `Table` and `Cohort.values` want them.
        columns: all that the file has, by the names under which they are known.
    """

    table: Table
    origin: str
    folder: str
    rows: Mapping[int, Columns]
    columns: Collection[str]


def find_tables(
    cohort: Cohort,
    source: Container,
    names: Sequence[str],
    given: Path | None,
    used: Collection[str],
) -> Iterator[FoundTable]:
    """The tables of a cohort in its folder or zip, or in the folder above.

    Args:
        cohort: whose tables they are.
        source: the folder or zip that the images are in.
        names: its files.
        given: a file that takes the place of the first table.
        used: columns that are wanted; others are not kept in memory.

    Raises:
        UserError: one that is needed is missing, or cannot be read.
    """
    for number, table in enumerate(cohort.tables):
        if given is not None and number == 0:
            text, _ = read_office_text(given, _WAY_OUT)
            yield _read(cohort, table, text, str(given), used)
            continue
        inside = _inside(table, names)
        for name in inside if table.pairs else inside[:1]:
            origin = f"{source}/{name}"
            text, _ = office_text(read_member(source, name), origin, _WAY_OUT)
            found = _read(cohort, table, text, origin, used)
            yield replace(found, folder=name[: name.rfind("/") + 1])
        beside = None if inside else _beside(table, source)
        if beside is not None:
            text, _ = read_office_text(beside, _WAY_OUT)
            yield _read(cohort, table, text, str(beside), used)
        if not inside and beside is None and not table.optional:
            raise UserError(
                f"--cohort {cohort.name} expects its table {' or '.join(table.names)} in {source} "
                "or in the folder above: put it there"
                + (", or name it with --labels TABLE" if number == 0 else "")
            )


def _inside(table: Table, names: Sequence[str]) -> list[str]:
    """Files of the source that are called like its first name that is there, least deep first."""
    for wanted in table.names:
        fitting = [n for n in names if n.rpartition("/")[2].casefold() == wanted.casefold()]
        if fitting:
            return sorted(fitting, key=lambda name: (name.count("/"), name))
    return []


def _beside(table: Table, source: Container) -> Path | None:
    above = source.path.resolve().parent
    try:
        there = {path.name.casefold(): path for path in above.iterdir()}
    except OSError:  # a folder that may not be listed holds nothing for us
        return None
    named = (there.get(name.casefold()) for name in table.names)
    return next((path for path in named if path is not None and path.is_file()), None)


def _read(
    cohort: Cohort, table: Table, text: str, origin: str, used: Collection[str]
) -> FoundTable:
    if table.pairs:
        pairs = (line.partition(":") for line in text.splitlines())
        cells = {key.strip(): value.strip() for key, sign, value in pairs if sign}
        header, body = list(cells), [(1, list(cells.values()))]
    else:
        header, body = read_cells(_with_header(table, text), Path(origin))
    wanted = [*([table.key] if table.key else []), *table.join, *table.only]
    missing = [name for name in wanted if name not in header and name not in table.adds]
    if missing:
        raise UserError(
            f"{origin}: --cohort {cohort.name} expects the column {missing[0]!r}, and there are "
            f"{', '.join(header)}; another version of the table? {_override(cohort, table)}"
        )
    names = [table.rename.get(name, name) for name in header]
    needed = {*used, *(table.rename.get(name, name) for name in wanted)}
    rows, same = {}, dict[str, str]()  # large tables repeat few cells
    for number, row in body:
        written = dict(
            zip(header, (same.setdefault(c, c) for c in map(str.strip, row)), strict=True)
        )
        if all(written[name] in values for name, values in table.only.items()):
            named = zip(names, written.values(), strict=True)
            known = {n: cohort.values.get(n, {}).get(c, c) for n, c in named if n in needed}
            rows[number] = {**known, **table.adds}
    return FoundTable(table, origin, "", rows, {*names, *table.adds})


def _override(cohort: Cohort, table: Table) -> str:
    if table is cohort.tables[0]:
        return "--column file=NAME names it otherwise, --labels TABLE is another table"
    return f"give that of {cohort.home}{' or take it away' if table.optional else ''}"


def _with_header(table: Table, text: str) -> str:
    if not table.header:
        return text
    line = text.partition("\n")[0]
    return f"{max(_SEPARATORS, key=line.count).join(table.header)}\n{text}"


def join_table(
    found: FoundTable, known: Mapping[str, Columns], folder: str
) -> Mapping[str, Columns]:
    """The rows of a table by image.

    Args:
        found: the table.
        known: image -> what is known about it by now.
        folder: name of the folder that the images are in.

    Raises:
        UserError: two rows are about one thing and differ.
    """
    table = found.table
    if table.pairs:
        cells = next(iter(found.rows.values()))
        return {name: cells for name in known if name.startswith(found.folder)}
    if table.key is not None:
        key = table.rename.get(table.key, table.key)
        rows = [
            TableRow(f"row {number}", cells[key].replace("\\", "/"), columns=cells)
            for number, cells in _unlike(found, (key,)).items()
            if cells[key]
        ]
        listed = LabelTable(origin=found.origin, rows=tuple(rows), has_label=False, has_group=False)
        return {name: dict(row.columns) for name, row in listed.match([*known], folder).items()}
    keys = tuple(table.rename.get(name, name) for name in table.join)
    by_key = {tuple(c[k] for k in keys): c for c in _unlike(found, keys).values() if c[keys[0]]}
    wanted = tuple(table.join.values())
    joined = {
        name: by_key.get(tuple(cells.get(column, "") for column in wanted))
        for name, cells in known.items()
    }
    return {name: cells for name, cells in joined.items() if cells is not None}


def _unlike(found: FoundTable, keys: Sequence[str]) -> dict[int, Columns]:
    """Rows without repetitions."""
    kept: dict[int, Columns] = {}
    first: dict[tuple[str, ...], int] = {}
    for number, cells in found.rows.items():
        other = first.setdefault(tuple(cells[key] for key in keys), number)
        if other == number:
            kept[number] = cells
        elif kept[other] != cells:
            raise UserError(
                f"{found.origin}: row {other} and row {number} have the same {' and '.join(keys)} "
                "and differ otherwise; keep one"
            )
    return kept


def local(source: Container) -> str:
    """Name of the folder that images are in, as names of files follow it."""
    return source.path.resolve().name if isinstance(source, Folder) else source.path.stem
