"""What tables, a dataset.json, names and folders say about images."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synthograph.core.errors import UserError
from synthograph.core.names import first_few, nfc
from synthograph.core.untrusted.dataset_json import DATASET
from synthograph.sources.pairing import folder_above
from synthograph.sources.tables import LabelTable, TableRow, compile_name_regex

RESERVED = frozenset(
    "file label group split fold origin network seed truncation source_file".split()
)
"""Names of columns that a manifest needs; a further one of that name is kept as `table_<name>`."""
_PUBLISHED_FOLDER = re.compile(r"\d{5}")


@dataclass(frozen=True, slots=True)
class Facts:
    """What one place says about images: a table, a dataset.json, their names or their folders."""

    origin: str
    rows: Mapping[str, TableRow]
    """Image -> what is said about it."""
    has_label: bool = False
    has_group: bool = False
    classes: Sequence[str] | None = None
    """Class names in index order, where the place gives them."""
    missing: str | None = None
    """Why an image that the place does not know is rejected; None where it is not."""

    @property
    def has_vector(self) -> bool:
        """Whether the place gives label vectors."""
        return any(row.columns.get("y.0") for row in self.rows.values())

    def columns_of(self, name: str) -> dict[str, str]:
        """Further columns of an image; one whose name the manifest needs gets another."""
        row = self.rows.get(name)
        columns = row.columns if row else {}
        return {(f"table_{key}" if key in RESERVED else key): v for key, v in columns.items()}

    def renamed(self) -> list[str]:
        """Columns that get another name."""
        return sorted(RESERVED & {key for row in self.rows.values() for key in row.columns})


def gather_facts(
    images: Sequence[str],
    *,
    table: LabelTable | None,
    listing: LabelTable | None,
    name_regex: str | None,
    folder: str,
    remarks: list[str],
) -> list[Facts]:
    """Everything that is said about images, in order of priority.

    Args:
        images: their relative names.
        table: what the user gave.
        listing: the dataset.json of the source.
        name_regex: pattern searched in the names.
        folder: name of the folder that the images are in.
        remarks: gets what was counted while matching.

    Raises:
        UserError: the table or the pattern fits no image.
    """
    facts = []
    if table is not None:
        facts.append(_table_facts(table, images, folder, remarks))
    if listing is not None:
        facts.append(_listing_facts(listing, images, strict=table is None))
    if name_regex is not None:
        facts.append(_regex_facts(name_regex, images))
    labelled = any(place.has_label or place.has_vector for place in facts)
    if not labelled and _are_classes(images):
        rows = {n: TableRow("its folder", n, label=folder_of(n)) for n in images}
        facts.append(Facts("the names of sub-folders", rows, has_label=True))
    return facts


def _table_facts(
    table: LabelTable, images: Sequence[str], folder: str, remarks: list[str]
) -> Facts:
    rows = table.match(images, folder)
    if not rows:
        example = repr(table.rows[0].file) if table.rows else "nothing"
        raise UserError(
            f"{table.origin}: no row fits an image; the table names {example}, the first image is "
            f"{images[0]!r}; choose the column with --column file=NAME"
        )
    remarks.extend(table.remarks)
    above = Counter(folder_above(name, row.file) for name, row in rows.items())
    if len(above) > 1:
        counts = first_few((f"{name or 'none'} {count}" for name, count in above.most_common()), 6)
        remarks.append(
            f"{table.origin} names more folders than this source has, and rows were found by the "
            f"ends of names; images by folder: {counts}"
        )
    used = {id(row) for row in rows.values()}
    surplus = [f"{row.where} ({row.file})" for row in table.rows if id(row) not in used]
    if surplus:
        remarks.append(
            f"{len(surplus)} row(s) of {table.origin} are about no image of this source: "
            f"{first_few(surplus)}"
        )
    return _facts_of(table, rows, f"no row in {Path(table.origin).name}")


def _listing_facts(listing: LabelTable, images: Sequence[str], *, strict: bool) -> Facts:
    by_key = {nfc(row.file): row for row in listing.rows}
    rows = {name: by_key[nfc(name)] for name in images if nfc(name) in by_key}
    missing = f"{DATASET} has no entry for it" if strict and listing.rows else None
    return _facts_of(listing, rows, missing)


def _facts_of(table: LabelTable, rows: Mapping[str, TableRow], missing: str | None) -> Facts:
    return Facts(table.origin, rows, table.has_label, table.has_group, table.classes, missing)


def _regex_facts(text: str, images: Sequence[str]) -> Facts:
    pattern = compile_name_regex(text)
    rows = {name: _regex_row(m, name) for name in images if (m := pattern.search(name))}
    if not rows:
        raise UserError(
            f"--name-regex {text!r} fits no image; it is searched in the relative name, such as "
            f"{images[0]!r}"
        )
    return Facts(
        "--name-regex",
        rows,
        has_label="label" in pattern.groupindex,
        has_group=bool({"group", "patient"} & pattern.groupindex.keys()),
        missing="its name does not fit --name-regex",
    )


def _regex_row(match: re.Match[str], name: str) -> TableRow:
    columns = match.groupdict("")
    group = columns.get("group", columns.get("patient")) or None
    label = columns.pop("label", "") or None
    columns.pop("group", None)
    return TableRow("its name", name, label, group, columns)


def _are_classes(images: Sequence[str]) -> bool:
    folders = {folder_of(name) for name in images}
    flat = all(name.count("/") == 1 for name in images)
    published = all(_PUBLISHED_FOLDER.fullmatch(folder) for folder in folders)
    return flat and len(folders) > 1 and not published


def folder_of(name: str) -> str:
    """The folder that a relative name lies in, or nothing."""
    return name.rpartition("/")[0]
