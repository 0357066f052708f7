"""What a cohort says of images: class, group, split and further columns of each."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.core.untrusted.containers import Container
from synthograph.sources.cells import ROLE_WORDS, split_of, split_words, value_of
from synthograph.sources.cohorts.labels import LabelRule, Verdict, label_rule
from synthograph.sources.cohorts.record import Cohort
from synthograph.sources.cohorts.tables import Columns, find_tables, join_table, local
from synthograph.sources.tables import TableRow, compile_name_regex

TRAIN = "train"
ALL_TRAIN = (
    "all images are of the official training part, which no split is written for: 'synthograph "
    "split' cuts one; the official test part has to be in the same folder to be kept"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A cohort, and what a user says against its record.

    Attributes:
        cohort: the record.
        table: file that takes the place of its first table.
        columns: role (file, label, group, split) -> column that has it.
        name_regex: pattern that takes the place of its own.
        keep: rules by which no image is left out.
    """

    cohort: Cohort
    table: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    name_regex: str | None = None
    keep: Sequence[str] = ()

    def __post_init__(self) -> None:
        known = [rule.name for rule in self.cohort.leave_out]
        for name in self.keep:
            if name not in known:
                raise UserError(
                    f"--keep {name}: --cohort {self.cohort.name} leaves nothing out by that name: "
                    f"{nearest(name, known)}"
                )

    @property
    def origin(self) -> str:
        """What rows of it are said to come from."""
        return f"cohort {self.cohort.name}"

    @property
    def roles(self) -> Mapping[str, str]:
        """Role -> column, of roles that the user gives another column or finds in names."""
        named = compile_name_regex(self.name_regex).groupindex if self.name_regex else {}
        found = {role: word for word, role in ROLE_WORDS.items() if word in named}
        return {**found, **self.columns}

    @property
    def used(self) -> frozenset[str]:
        """Columns of tables that anything is made of."""
        cohort, rule = self.cohort, self.cohort.label
        joined = [column for table in cohort.tables for column in table.join.values()]
        left_out = [one.column for one in cohort.leave_out]
        roles = [cohort.group or "", cohort.split, rule.column, *self.roles.values()]
        return frozenset([*roles, *rule.findings, *cohort.kept, *joined, *left_out])


@dataclass(frozen=True, slots=True)
class CohortRows:
    """What is known about the images of a cohort.

    Attributes:
        origin: the cohort, for messages.
        rows: image -> what is said about it; those that no table and no pattern knows are missing.
        left_out: images that the cohort's rules do not take.
        remarks: what was found, and how many images are left out by which rule.
        missing: why an image that is not in `rows` is rejected.
    """

    origin: str
    rows: Mapping[str, TableRow]
    left_out: Collection[str]
    remarks: Sequence[str]
    missing: str


def read_cohort(
    wanted: Wanted,
    source: Container,
    names: Sequence[str],
    images: Sequence[str],
    marks: Collection[str],
) -> CohortRows:
    """Read the tables of a cohort, and join what they say with what the names of images say.

    Args:
        wanted: the cohort, and what a user wants otherwise.
        source: the folder or zip that the images are in.
        names: its files.
        images: those of them that are images.
        marks: cells that hold no value.

    Raises:
        UserError: a table or a column that is needed is missing, or no image fits.
    """
    folder = local(source)
    known = {name: _by_name(wanted, f"{folder}/{name}") for name in images}
    told = {name for name, columns in known.items() if columns}
    present = {column for columns in known.values() for column in columns}
    remarks = []
    for found in find_tables(_as_wanted(wanted), source, names, wanted.table, wanted.used):
        joined = join_table(found, known, folder)
        known |= {name: {**cells, **known[name]} for name, cells in joined.items()}
        told |= joined.keys()
        present |= {*found.columns}
        if not found.table.pairs:
            remarks.append(f"{found.origin} is about {len(joined)} of {len(images)} images")
    if not told:
        raise UserError(_unfitting(wanted, images[0]))
    _refuse_lacking(wanted, present)
    rule = label_rule(wanted.cohort, wanted.roles.get("label"), present)
    return _rows(wanted, rule, {n: known[n] for n in images if n in told}, marks, remarks)


def _as_wanted(wanted: Wanted) -> Cohort:
    """The cohort, whose first table names images by the column that the user says."""
    column = wanted.columns.get("file")
    if column is None or not wanted.cohort.tables:
        return wanted.cohort
    first, *others = wanted.cohort.tables
    first = first.model_copy(update={"key": column, "join": {}, "pairs": False})
    return wanted.cohort.model_copy(update={"tables": (first, *others)})


def _by_name(wanted: Wanted, name: str) -> Columns:
    """The named groups of the first pattern that fits."""
    if wanted.name_regex is not None:
        patterns: Iterable[re.Pattern[str]] = (compile_name_regex(wanted.name_regex),)
    else:
        patterns = map(re.compile, wanted.cohort.patterns)
    match = next((found for pattern in patterns if (found := pattern.search(name))), None)
    columns = {key: cell for key, cell in match.groupdict("").items() if cell} if match else {}
    values = wanted.cohort.values
    return {key: values.get(key, {}).get(cell, cell) for key, cell in columns.items()}


def _unfitting(wanted: Wanted, example: str) -> str:
    cohort = wanted.cohort
    ways = []
    if cohort.tables:
        ways.append("--column file=NAME says which column names the images")
    if cohort.patterns or wanted.name_regex:
        ways.append("--name-regex takes the place of the cohort's pattern")
    return (
        f"--cohort {cohort.name}: no image fits; the first is {example!r}, and the cohort knows "
        f"{' or '.join([*cohort.patterns, *(t.names[0] for t in cohort.tables)])}; "
        f"{', '.join(ways)}"
    )


def _rows(
    wanted: Wanted,
    rule: LabelRule,
    known: Mapping[str, Columns],
    marks: Collection[str],
    remarks: list[str],
) -> CohortRows:
    """Class, group and split by the cohort's rules."""
    cohort = wanted.cohort
    group = wanted.roles.get("group", cohort.group) or ""
    split = wanted.roles.get("split", cohort.split)
    rows: dict[str, TableRow] = {}
    left_out: dict[str, str] = {}
    for name, columns in known.items():
        why = _left_out(wanted, columns)
        verdict = Verdict(None) if why else rule.verdict(columns, marks)
        if why or verdict.left_out:
            left_out[name] = why or verdict.left_out
            continue
        rows[name] = TableRow(
            "its tables and names",
            name,
            verdict.label,
            value_of(columns.get(group), marks),
            {key: columns[key] for key in cohort.kept if key in columns},
            _split_word(wanted, columns.get(split, ""), marks),
            {"label": verdict.mark} if verdict.mark else {},
        )
    counts = Counter(left_out.values()).most_common()
    remarks += [f"{count} image(s) are left out: {why}" for why, count in counts]
    if {row.split for row in rows.values()} == {TRAIN}:
        rows = {name: replace(row, split=None) for name, row in rows.items()}
        remarks.append(ALL_TRAIN)
    remarks += _unexpected(cohort, rows.values())
    if not rows:
        raise UserError(f"--cohort {cohort.name}: no image is left: {'; '.join(remarks)}")
    missing = f"no table of {wanted.origin} knows it, and neither does its name tell"
    return CohortRows(wanted.origin, rows, left_out.keys(), remarks, missing)


def _unexpected(cohort: Cohort, rows: Iterable[TableRow]) -> Iterator[str]:
    """What is said of groups in two parts of a split that is known to keep groups whole."""
    parts = {(row.group, row.split) for row in rows if row.group and row.split}
    shared = sum(count > 1 for count in Counter(group for group, _ in parts).values())
    if shared and not cohort.split_shares_groups:
        yield (
            f"{shared} group(s) lie in two parts of the official split, which the record of "
            f"{cohort.name} does not expect: is it another version, or another split?"
        )


def _refuse_lacking(wanted: Wanted, present: Collection[str]) -> None:
    """Refuse a role whose column is nowhere, with what is expected.

    Raises:
        UserError: it is.
    """
    cohort, rule = wanted.cohort, wanted.cohort.label
    needed = {"group": cohort.group}
    needed |= {role: c for role, c in wanted.roles.items() if role in ("group", "split")}
    if not rule.optional and "label" not in wanted.roles:
        columns = rule.findings if rule.findings and rule.separator is None else (rule.column,)
        needed["label"] = next((c for c in columns if c in present), columns[0])
    for role, column in needed.items():
        if column is not None and column not in present:
            raise UserError(
                f"--cohort {cohort.name} expects the column {column!r} for the {role}, and there "
                f"are {', '.join(sorted(present))}; --column {role}=NAME names another"
            )


def _left_out(wanted: Wanted, columns: Columns) -> str:
    """Why an image is not taken, or nothing."""
    for rule in wanted.cohort.leave_out:
        if rule.name not in wanted.keep and columns.get(rule.column) in rule.values:
            return f"{rule.reason}; --keep {rule.name} takes them"
    return ""


def _split_word(wanted: Wanted, cell: str, marks: Collection[str]) -> str | None:
    word = value_of(cell, marks)
    if word is not None and split_of(word) is None:
        raise UserError(
            f"--cohort {wanted.cohort.name}: {word!r} names no split; known are {split_words()}; "
            "--column split=NAME names another column"
        )
    return word and split_of(word)
