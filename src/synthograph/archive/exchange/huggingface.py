"""A folder of images per split with a metadata.csv, as the library `datasets` reads it
(ImageFolder: columns `file_name` and `*_file_name` are images, all others are kept).
"""

import re
from dataclasses import replace
from pathlib import Path

from synthograph.archive.exchange.base import case_of, copy_files, has_mask, renamed, table_of
from synthograph.archive.manifest import Row
from synthograph.archive.reader import Archive
from synthograph.core.progress import Track
from synthograph.core.spec import MASKS

METADATA, FILE = "metadata.csv", "file_name"
FIRST = f"{FILE}_modality"
"""Column with the name of the first modality, which `file_name` does not say."""
_FILES = re.compile(f"(.*_)?{FILE}s?")
"""Columns that hold names of files."""
UNSPLIT = "train"
"""Where images of an archive without split go; an empty cell says that they have none."""


class HuggingFace:
    """All that an archive says of an image has a place."""

    name = "huggingface"

    def check(self, archive: Archive, target: Path) -> None:
        """Nothing is refused."""

    def lost(self, archive: Archive) -> list[str]:
        """Nothing."""
        return []

    def write(self, archive: Archive, folder: Path, track: Track) -> int:
        """Copy the files of each split, and list them."""
        first, *others = archive.info.spec.modalities
        listed: dict[str, list[tuple[str, Row]]] = {}
        for number, row in enumerate(track(archive.rows, len(archive.rows))):
            name, place = f"{case_of(number)}.png", folder / (row.split or UNSPLIT)
            kinds = [*others, *([MASKS] if has_mask(archive, row) else [])]
            copy_files(archive, row, {first: place / name, **{k: place / k / name for k in kinds}})
            files = {FIRST: first, **{f"{kind}_{FILE}": f"{kind}/{name}" for kind in kinds}}
            listed.setdefault(row.split or UNSPLIT, []).append((name, _with(row, files)))
        for split, rows in listed.items():
            (folder / split / METADATA).write_bytes(table_of(rows, FILE, ["split"]))
        return len(archive.rows)


def _with(row: Row, files: dict[str, str]) -> Row:
    """The row with its first modality and the names of its further files in columns."""
    return replace(row, columns={**files, **renamed(row.columns, _is_taken)})


def _is_taken(name: str) -> bool:
    return name == FIRST or _FILES.fullmatch(name) is not None
