"""The record of a cohort: a TOML file that says how its tables and names are read."""

import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import pydantic

from synthograph.core.config import Config
from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.core.spec import Invariance
from synthograph.core.untrusted.documents import read_text

ENDING = ".toml"
Option = str | int | float | bool | tuple[str, ...]
"""A value of an option of `prepare`."""


class Trap(Config):
    """Something about a cohort that makes results wrong, and who says so."""

    text: str
    source: str

    def __str__(self) -> str:
        return f"{self.text} ({self.source})"


class Table(Config):
    """A table that a cohort comes with.

    Its rows are about images (`key`), about what images have in common, such as a patient (`join`),
    or it lies in the folder of the images that it is about (`pairs`).
    """

    names: tuple[str, ...] = pydantic.Field(min_length=1)
    """How the file is called; the first that is there is read, and all of them that are `pairs`."""
    key: str | None = None
    """Column that names the image."""
    join: Mapping[str, str] = {}
    """Column of the table -> column that the images have by then."""
    pairs: bool = False
    """Whether it is a list `name: value` about all images of its folder."""
    header: tuple[str, ...] = ()
    """Its columns, where the file names none."""
    adds: Mapping[str, str] = {}
    """Columns that its rows get beside their own."""
    rename: Mapping[str, str] = {}
    """Column of the table -> name under which it is known."""
    only: Mapping[str, tuple[str, ...]] = {}
    """Column -> values of the rows that are read."""
    optional: bool = False
    """Whether the cohort is read without it."""

    @pydantic.model_validator(mode="after")
    def _one_way(self) -> "Table":
        if sum((self.key is not None, bool(self.join), self.pairs)) != 1:
            raise ValueError("a table has a key, or a join, or holds pairs")
        return self


class Label(Config):
    """What the class of an image is: a column, or the only finding among several.

    Findings are columns of their own, or words of one column with `separator` between.
    """

    column: str = "label"
    values: Mapping[str, str] = {}
    """Cell -> class; other cells stay."""
    findings: tuple[str, ...] = ()
    separator: str | None = None
    normal: str | None = None
    """The finding that means that there is no other one."""
    optional: bool = False
    """Whether images without it are taken."""


class LeaveOut(Config):
    """Images that are not taken unless they are asked for, `--keep NAME`."""

    name: str
    column: str
    values: tuple[str, ...]
    reason: str


class Cohort(Config):
    """All that is known about a cohort. Facts come with their source."""

    name: str
    title: str
    holds: str
    home: str
    """Official page."""
    paper: str
    unit: str
    """What a group is."""
    group: str | None = "patient"
    """Column that names it; None where only the files themselves may."""
    classes: tuple[str, ...] = ()
    split: str = "split"
    """Column of the official split."""
    official_split: str
    """Which one it is, and what is known about it."""
    split_shares_groups: bool = False
    """Whether groups are in several parts of the official split."""
    invariant: tuple[Invariance, ...] = ()
    why_invariant: str
    patterns: tuple[str, ...] = ()
    """Searched in the name of an image, with its folder in front; named groups become columns."""
    tables: tuple[Table, ...] = ()
    values: Mapping[str, Mapping[str, str]] = {}
    """Column -> what is written -> what is meant; other cells stay."""
    label: Label = Label(optional=True)
    kept: tuple[str, ...] = ()
    """Columns that go into the manifest; others stay behind, such as dates."""
    leave_out: tuple[LeaveOut, ...] = ()
    sequences: Mapping[str, tuple[str, ...]] = {}
    """Modality -> endings of the names of its files, which differ from those of others in them."""
    masks: tuple[str, ...] = ()
    """Endings of the names of masks of such files."""
    options: Mapping[str, Option] = {}
    """Options of `prepare` that the cohort wants unless they are given."""
    traps: tuple[Trap, ...] = ()
    hints: tuple[str, ...] = ()
    """Options that a user may want."""
    unsure: tuple[str, ...] = ()
    """What nobody checked against the files themselves, and how to go on if it is otherwise."""

    @pydantic.field_validator("patterns")
    @classmethod
    def _compile(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
        return patterns


def cohort_names() -> list[str]:
    """All cohorts that are known."""
    folder = resources.files(__package__).joinpath("published")
    names = (file.name for file in folder.iterdir())
    return sorted(name.removesuffix(ENDING) for name in names if name.endswith(ENDING))


def load_cohort(name: str) -> Cohort:
    """The record of a cohort.

    Args:
        name: one of `cohort_names`, or a file NAME.toml of a cohort of one's own.

    Raises:
        UserError: there is no such cohort, or the file is no record.
    """
    if name.endswith(ENDING):
        path = Path(name)
        text = read_text(path, "give the record of a cohort, or the name of a known one")
        return _parse(text, path.stem, str(path))
    if name not in cohort_names():
        raise UserError(
            f"{name!r} is no cohort: {nearest(name, cohort_names())} 'synthograph cohorts' lists "
            "all; NAME.toml is one of your own"
        )
    file = resources.files(__package__).joinpath("published", name + ENDING)
    return _parse(file.read_text(encoding="utf-8"), name, name + ENDING)


def _parse(text: str, name: str, origin: str) -> Cohort:
    try:
        return Cohort.parse({"name": name, **tomllib.loads(text)})
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{origin}: is no TOML: {error}") from None
    except UserError as error:
        raise UserError(f"{origin}: {error}") from None
