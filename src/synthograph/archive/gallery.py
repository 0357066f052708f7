"""Example images of an archive, in rows by class."""

from collections.abc import Sequence

import numpy as np

from synthograph.archive.manifest import Row
from synthograph.archive.reader import Archive
from synthograph.core.contact_sheets import as_rgb

COLUMNS = 12


def gallery(
    archive: Archive, rows: Sequence[Row] | None = None, *, columns: int = COLUMNS
) -> list[tuple[str, list[np.ndarray]]]:
    """For every class its name and its first images, one per group where there are enough groups.

    Args:
        archive: the images.
        rows: which of them; None for all.
        columns: most images per class.

    Returns:
        (class, images [h, w, 3] uint8, modalities side by side), classes without images left out.
    """
    rows = archive.rows if rows is None else rows
    labels: list[str | None] = [*archive.info.classes, None]
    channels = list(archive.info.spec.modalities.values())
    found = []
    for label in labels:
        members = [row for row in rows if row.label == label]
        if members:
            shown = _varied(members)[:columns]
            found.append((label or "", [as_rgb(archive.read(row), channels) for row in shown]))
    return found


def _varied(rows: Sequence[Row]) -> list[Row]:
    """One row of every group, then the rest: images of one patient look alike."""
    first = {row.group: row for row in reversed(rows)}
    leaders = [row for row in rows if first[row.group] is row]
    return [*leaders, *(row for row in rows if first[row.group] is not row)]
