"""What every format of other tools is, and what several of them need."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from synthograph.archive.manifest import SOURCE_FILE, Row
from synthograph.archive.reader import Archive
from synthograph.core.progress import Track
from synthograph.core.spec import MASKS

TABLE = "synthograph.csv"
"""Beside a format that has no place for them: label, group, split and further columns."""


class Format(Protocol):
    """A folder that another tool reads."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def check(self, archive: Archive, target: Path) -> None:
        """Refuse what the format cannot hold at all, before anything is written.

        Raises:
            UserError: there is such a thing.
        """
        ...

    def lost(self, archive: Archive) -> list[str]:
        """What the format has no place for, counted, a phrase each."""
        ...

    def write(self, archive: Archive, folder: Path, track: Track) -> int:
        """Fill a folder; returns how many images are in it."""
        ...


def case_of(number: int) -> str:
    """What the image of a row is called."""
    return f"case{number:08d}"


def copy_files(archive: Archive, row: Row, places: Mapping[str, Path]) -> None:
    """Copy the PNG of every modality, as it is; the mask is under `MASKS`."""
    for kind, place in places.items():
        name = f"{MASKS}/{row.file}" if kind == MASKS else archive.member(row, kind)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(archive.files.read(name))


def has_mask(archive: Archive, row: Row) -> bool:
    """Whether an image has a mask."""
    return f"{MASKS}/{row.file}" in archive.files


def known_of(row: Row, taken: Callable[[str], bool] = lambda name: False) -> dict[str, str]:
    """What the manifest says of an image, beside its files; nothing that is not there.

    Args:
        row: of the image.
        taken: whether the format gives a name a meaning of its own, see `renamed`.
    """
    found = {"label": row.label, "group": row.group if row.grouped else None, "split": row.split}
    found["origin"] = None if row.real else row.origin
    found["fold"] = None if row.fold is None else str(row.fold)
    further = {name: cell for name, cell in row.columns.items() if name != SOURCE_FILE}
    every = {**renamed(further, taken), **found}
    return {name: cell for name, cell in every.items() if cell}


def renamed(columns: Mapping[str, str], taken: Callable[[str], bool]) -> dict[str, str]:
    """Further columns; one whose name is taken gets `_column` behind it, so that nothing is
    overwritten.
    """
    found = {}
    for name, cell in columns.items():
        free = name
        while taken(free) or (free != name and free in columns):
            free = f"{free}_column"
        found[free] = cell
    return found


def table_of(
    rows: Sequence[tuple[str, Row]], first: str = "file", always: Sequence[str] = ()
) -> bytes:
    """A table of what is known of images, by their names.

    Args:
        rows: with the name of each.
        first: column of the names.
        always: columns that stand there even if no row fills them.
    """
    every = [{first: name, **known_of(row)} for name, row in rows]
    columns = list(dict.fromkeys(name for one in [*every, always] for name in one))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(every)
    return text.getvalue().encode()


def counted(archive: Archive, what: str, of: Callable[[Row], bool]) -> Iterator[str]:
    """`what` with how many images it is about, if it is about any."""
    count = sum(map(of, archive.rows))
    if count:
        yield f"{what} of {count} images"
