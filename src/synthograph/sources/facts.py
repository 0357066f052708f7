"""What tables, a dataset.json, names and folders say about images."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

from synthograph.core.errors import UserError
from synthograph.core.names import first_few, nfc
from synthograph.core.record import Origin
from synthograph.core.untrusted.dataset_json import DATASET
from synthograph.sources.cells import MISSING, missing_marks, split_of, split_words, value_of
from synthograph.sources.cohorts.rows import CohortRows
from synthograph.sources.folders import (
    IGNORED,
    MANY,
    Levels,
    folder_of,
    guess_levels,
    parts_of,
    rows_by_folder,
    tree,
)
from synthograph.sources.pairing import folder_above
from synthograph.sources.tables import LabelTable, TableRow, compile_name_regex

RESERVED = frozenset(
    "file label group split fold origin network seed truncation source_file".split()
)
"""Names of columns that a manifest needs; a further one of that name is kept as `table_<name>`."""


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
    has_split: bool = False
    missing: str | None = None
    """Why an image that the place does not know is rejected; None where it is not."""

    @property
    def has_vector(self) -> bool:
        """Whether the place gives label vectors."""
        return any(row.columns.get("y.0") for row in self.rows.values())

    def columns_of(self, name: str) -> dict[str, str]:
        """Further columns of an image; one whose name the manifest needs gets another."""
        row = self.rows.get(name)
        columns = {k: v for k, v in row.columns.items() if not _is_origin(k, v)} if row else {}
        return {(f"table_{key}" if key in RESERVED else key): v for key, v in columns.items()}

    def origin_of(self, name: str) -> Origin | None:
        """Whether a column `origin` says that an image is real or synthetic, as tables of
        `convert` do; None where it says neither.
        """
        row = self.rows.get(name)
        said = row.columns.get("origin", "") if row else ""
        return cast(Origin, said) if _is_origin("origin", said) else None

    def renamed(self) -> list[str]:
        """Columns that get another name."""
        cells = (cell for row in self.rows.values() for cell in row.columns.items())
        return sorted(RESERVED & {key for key, value in cells if not _is_origin(key, value)})


def without_names(facts: Sequence[Facts]) -> list[Facts]:
    """The same without columns that say whose an image is: `patient`, and those that repeat the
    group of every image; groups stay.
    """
    grouped = next((place for place in facts if place.has_group), None)
    rows = grouped.rows if grouped else {}
    groups = {name: row.group for name, row in rows.items() if row.group is not None}
    found = []
    for place in facts:
        keys = {key for row in place.rows.values() for key in row.columns}
        there = [(place.rows[name], group) for name, group in groups.items() if name in place.rows]
        gone = {key for key in keys if key.lower() == "patient"}
        gone |= {
            key
            for key in keys
            if there and all(row.columns.get(key) == group for row, group in there)
        }
        if gone:
            cut = {
                name: replace(row, columns={k: v for k, v in row.columns.items() if k not in gone})
                for name, row in place.rows.items()
            }
            place = replace(place, rows=cut)
        found.append(place)
    return found


def _is_origin(column: str, cell: str) -> bool:
    return column == "origin" and cell in get_args(Origin)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Everything that may say something about images.

    Attributes:
        table: what the user gave.
        split_lists: lists of files by split that the user gave.
        name_regex: pattern searched in the names.
        levels: roles of the folders, as the user gave them.
        listing: the dataset.json of the source.
        missing: cells and names that are no label, group or split.
        cohort: what is known of a public cohort.
    """

    table: LabelTable | None = None
    split_lists: LabelTable | None = None
    name_regex: str | None = None
    levels: Levels | None = None
    listing: LabelTable | None = None
    missing: Sequence[str] = MISSING
    cohort: CohortRows | None = None

    @property
    def labels(self) -> bool:
        """Whether the user said where labels are, so that a dataset.json gives none."""
        pattern = compile_name_regex(self.name_regex).groupindex if self.name_regex else {}
        table = self.table is not None and (self.table.has_label or self.table.has_vector)
        return table or "label" in (self.levels or ()) or bool({"label", "class"} & pattern.keys())


def gather_facts(
    images: Sequence[str], told: Told, *, folder: str, remarks: list[str]
) -> list[Facts]:
    """Everything that is said about images, in order of priority: what the user gave goes before
    what was found.

    Args:
        images: their relative names.
        told: who may say something.
        folder: name of the folder that the images are in.
        remarks: gets what was counted while matching.

    Raises:
        UserError: the table, the lists, the pattern or the folders fit no image.
    """
    facts, marks = [], missing_marks(told.missing)
    if told.table is not None:
        facts.append(_table_facts(told.table, images, folder, remarks))
    if told.split_lists is not None:
        facts.append(_list_facts(told.split_lists, images, folder, remarks))
    if told.name_regex is not None:
        facts.append(_regex_facts(told.name_regex, images, marks))
    if told.levels is not None:
        facts.append(_folder_facts(told.levels, images, marks))
    if told.cohort is not None:
        facts.append(_cohort_facts(told.cohort))
    if told.listing is not None:
        strict = told.table is None and not told.labels
        facts.append(_listing_facts(told.listing, images, strict=strict, vectors=not told.labels))
    guess = told.levels is None and told.cohort is None
    if guess and (found := _found_in_folders(images, facts, marks, remarks)):
        facts.append(found)
    for place in facts:
        cleaned = sum(row.cleaned for row in place.rows.values())
        if cleaned:
            remarks.append(
                f"{cleaned} image(s) have a label or group with line breaks or invisible "
                f"characters in {place.origin}: these became spaces or were left out"
            )
    return facts


def _cohort_facts(cohort: CohortRows) -> Facts:
    rows = cohort.rows
    return Facts(
        cohort.origin,
        rows,
        has_label=any(row.label for row in rows.values()),
        has_group=any(row.group for row in rows.values()),
        has_split=any(row.split for row in rows.values()),
        missing=cohort.missing,
    )


def _folder_facts(levels: Levels, images: Sequence[str], marks: Collection[str]) -> Facts:
    rows = rows_by_folder(images, levels, marks)
    if not rows:
        raise UserError(
            f"--folders names {len(levels)} level(s) of folders, and no image lies so deep: "
            f"SOURCE has {tree(images)}"
        )
    missing = f"it does not lie {len(levels)} folder(s) deep, as --folders says"
    return _by_folder("the names of folders", rows, levels, missing)


def _by_folder(
    origin: str, rows: Mapping[str, TableRow], levels: Levels, missing: str | None = None
) -> Facts:
    return Facts(
        origin,
        rows,
        has_label="label" in levels,
        has_group="group" in levels,
        has_split="split" in levels,
        missing=missing,
    )


def _found_in_folders(
    images: Sequence[str], facts: Sequence[Facts], marks: Collection[str], remarks: list[str]
) -> Facts | None:
    """What folders say of the roles that nothing else gives, where that is unmistakable."""
    given = {
        "label": any(place.has_label or place.has_vector for place in facts),
        "group": any(place.has_group for place in facts),
        "split": any(place.has_split for place in facts),
    }
    grouped = next((place.rows for place in facts if place.has_group), {})
    groups = {name: row.group for name, row in grouped.items() if row.group is not None}
    levels = tuple(
        None if role is None or given[role] else role for role in guess_levels(images, groups)
    )
    several = len({folder_of(name) for name in images}) > 1
    if any(levels):
        remarks.append(_guessed(images, levels))
    elif several and not (given["label"] and given["group"]):
        remarks.append(
            f"folders say nothing that is unmistakable: {tree(images)}. Where they are classes, "
            "patients or splits, say so with a word for each level, such as --folders class/patient"
        )
    if not any(levels):
        return None
    return _by_folder("the names of sub-folders", rows_by_folder(images, levels, marks), levels)


def _guessed(images: Sequence[str], levels: Levels) -> str:
    words = {"label": "class", "group": "patient", "split": "split", None: IGNORED}
    said = "/".join(words[role] for role in levels)
    text = f"folders are taken as --folders '{said}': {tree(images)}"
    classes = {parts_of(name)[levels.index("label")] for name in images if "label" in levels}
    if len(classes) > MANY:
        text += f". If these {len(classes)} classes are patients, say --folders patient"
    return text


def _table_facts(
    table: LabelTable,
    images: Sequence[str],
    folder: str,
    remarks: list[str],
    way_out: str = "choose the column with --column file=NAME",
) -> Facts:
    rows = table.match(images, folder)
    if not rows:
        example = repr(table.rows[0].file) if table.rows else "nothing"
        raise UserError(
            f"{table.origin}: no row fits an image; the table names {example}, the first image is "
            f"{images[0]!r}; {way_out}"
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


def _list_facts(lists: LabelTable, images: Sequence[str], folder: str, remarks: list[str]) -> Facts:
    """What lists by split say; where none is of training images, all that they lack train."""
    way_out = "list the images by the names that they have here"
    facts = _table_facts(lists, images, folder, remarks, way_out)
    rest = [name for name in images if name not in facts.rows]
    if not rest or any(row.split == "train" for row in lists.rows):
        return facts
    remarks.append(
        f"{len(rest)} image(s) are in none of the lists ({Path(facts.origin).name}), which name no "
        "training images: they are taken for split train"
    )
    train = {name: TableRow("no list", name, split="train") for name in rest}
    return replace(facts, rows={**facts.rows, **train})


def _listing_facts(
    listing: LabelTable, images: Sequence[str], *, strict: bool, vectors: bool
) -> Facts:
    by_key = {nfc(row.file): row for row in listing.rows}
    rows = {name: by_key[nfc(name)] for name in images if nfc(name) in by_key}
    if not vectors:  # labels are given elsewhere, and an image has one
        rows = {name: row.without_vector() for name, row in rows.items()}
    missing = f"{DATASET} has no entry for it" if strict and listing.rows else None
    return _facts_of(listing, rows, missing)


def _facts_of(table: LabelTable, rows: Mapping[str, TableRow], missing: str | None) -> Facts:
    return Facts(
        table.origin,
        rows,
        table.has_label,
        table.has_group,
        table.classes,
        table.has_split,
        missing,
    )


def _regex_facts(text: str, images: Sequence[str], marks: Collection[str]) -> Facts:
    pattern = compile_name_regex(text)
    rows = {name: _regex_row(m, name, marks) for name in images if (m := pattern.search(name))}
    if not rows:
        raise UserError(
            f"--name-regex {text!r} fits no image; it is searched in the relative name, such as "
            f"{images[0]!r}"
        )
    return Facts(
        "--name-regex",
        rows,
        has_label=bool({"label", "class"} & pattern.groupindex.keys()),
        has_group=bool({"group", "patient"} & pattern.groupindex.keys()),
        has_split="split" in pattern.groupindex,
        missing="its name does not fit --name-regex",
    )


def _regex_row(match: re.Match[str], name: str, marks: Collection[str]) -> TableRow:
    columns = match.groupdict("")
    group = value_of(columns.get("group", columns.get("patient")), marks)
    label = value_of(columns.pop("label" if "label" in columns else "class", None), marks)
    split = value_of(columns.pop("split", None), marks)
    columns.pop("group", None)
    if split is not None and split_of(split) is None:
        raise UserError(
            f"{name!r}: --name-regex finds the split {split!r}; known are {split_words()}"
        )
    return TableRow("its name", name, label, group, columns, split and split_of(split))


def reject_unlabelled(
    images: Sequence[str],
    facts: Sequence[Facts],
    label_facts: Facts | None,
    split_facts: Facts | None,
) -> dict[str, str]:
    """Image -> reason, for images that a table, list or pattern does not know."""
    rejected: dict[str, str] = {}
    vectors = None if label_facts else next((place for place in facts if place.has_vector), None)
    for place in facts:
        for name in images:
            row = place.rows.get(name)
            if row is None and place.missing is not None:
                rejected.setdefault(name, place.missing)
            elif place is label_facts and (row is None or row.label is None):
                rejected.setdefault(name, _lacks("label", place, row))
            elif place is vectors and (row is None or not row.columns.get("y.0")):
                rejected.setdefault(name, _lacks("label vector", place, row))
            elif place is split_facts and (row is None or row.split is None):
                rejected.setdefault(name, _lacks("split", place, row))
    return rejected


def _lacks(role: str, place: Facts, row: TableRow | None) -> str:
    """Why an image is rejected that lacks a value which all need."""
    mark = row.marks.get(role) if row else None
    why = f" ({mark!r} marks a missing value; --missing says which cells do)" if mark else ""
    return f"no {role} in {place.origin}" + (f", {row.where}" if row else "") + why
