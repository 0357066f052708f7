"""Folders of classes, as torchvision's ImageFolder reads them: SPLIT/CLASS/IMAGE."""

from pathlib import Path

from synthograph.archive.exchange.base import (
    TABLE,
    case_of,
    copy_files,
    counted,
    has_mask,
    table_of,
)
from synthograph.archive.manifest import Row
from synthograph.archive.reader import Archive
from synthograph.core.errors import UserError
from synthograph.core.progress import Track
from synthograph.core.spec import MASKS

NO_CLASS = "unlabelled"


class ImageFolder:
    """A folder per split and class. Further modalities and masks lie in trees of the same form."""

    name = "imagefolder"

    def check(self, archive: Archive, target: Path) -> None:
        """Classes become folders."""
        for name in archive.info.classes:
            if "/" in name or "\\" in name or name in (".", ".."):
                raise UserError(f"--to {self.name}: class {name!r} cannot be the name of a folder")

    def lost(self, archive: Archive) -> list[str]:
        """What is in the table beside the folders."""
        return [
            *counted(archive, f"groups (kept in {TABLE})", lambda row: row.grouped),
            *counted(archive, f"origin synthetic (kept in {TABLE})", lambda row: not row.real),
        ]

    def write(self, archive: Archive, folder: Path, track: Track) -> int:
        """Copy every image into its folder."""
        alone = len(archive.info.spec.modalities) == 1 and not any(
            has_mask(archive, row) for row in archive.rows
        )
        names = []
        for number, row in enumerate(track(archive.rows, len(archive.rows))):
            name = f"{_place(row)}/{case_of(number)}.png"
            kinds = [*archive.info.spec.modalities, *([MASKS] if has_mask(archive, row) else [])]
            heads = {kind: folder if alone else folder / kind for kind in kinds}
            copy_files(archive, row, {kind: head / name for kind, head in heads.items()})
            names.append((name, row))
        (folder / TABLE).write_bytes(table_of(names))
        return len(names)


def _place(row: Row) -> str:
    label = row.label or NO_CLASS
    return label if row.split is None else f"{row.split}/{label}"
