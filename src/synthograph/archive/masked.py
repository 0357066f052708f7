"""Images of an archive with their masks, to learn from and to be scored by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from synthograph.archive.batches import ArchiveRows
from synthograph.core.errors import UserError
from synthograph.core.names import first_few
from synthograph.core.progress import Track
from synthograph.stats.masks import IGNORED

MOST = 64
"""Classes of masks; more are grey values."""
REMEDY = "prepare the archive with --masks"


@dataclass(frozen=True)
class MaskedImages:
    """Those rows that have a mask.

    Attributes:
        rows: of the archive.
        masks: in the order of `rows.images`; mask values as they are stored, or class numbers once
            `numbered`.
        without: files that have no mask, which are left out.
    """

    rows: ArchiveRows
    masks: UInt8[np.ndarray, "n h w"]
    without: Sequence[str]

    def __len__(self) -> int:
        return len(self.masks)

    @property
    def values(self) -> Mapping[int, float]:
        """Mask value -> share of all pixels."""
        counts = np.bincount(self.masks.reshape(-1), minlength=IGNORED + 1)
        return {int(value): counts[value] / counts.sum() for value in np.flatnonzero(counts)}

    def without_note(self) -> list[str]:
        """A note where images have no mask."""
        if not self.without:
            return []
        return [
            f"{len(self.without)} of {len(self) + len(self.without)} images of {self.rows.name} "
            f"have no mask and are left out, such as {self.without[0]}"
        ]

    def numbered(self, values: Sequence[int]) -> "MaskedImages":
        """The same with class numbers in place of mask values; `IGNORED` stays.

        Args:
            values: mask value of every class.

        Raises:
            UserError: a mask holds a value that no class has.
        """
        table = np.full(IGNORED + 1, -1)
        table[IGNORED] = IGNORED
        table[list(values)] = np.arange(len(values))
        unknown = table[self.masks] < 0
        if unknown.any():
            row = self.rows.ordered[int(np.flatnonzero(unknown.any((1, 2)))[0])]
            found = sorted({int(value) for value in np.unique(self.masks[unknown])})
            known = ", ".join(map(str, values))
            raise UserError(
                f"{self.rows.name}: the mask of {row.file} holds {first_few(map(str, found))}, "
                f"known mask values are {known} and {IGNORED} (ignored): name every value with "
                "--classes when training, or prepare other masks"
            )
        return MaskedImages(self.rows, table[self.masks].astype(np.uint8), self.without)


def masked_images(rows: ArchiveRows, track: Track) -> MaskedImages:
    """Read the masks of images, one byte a pixel.

    Args:
        rows: of an archive.
        track: shows how far it is.

    Raises:
        UserError: none has a mask, or one is broken or has another size than its image.
    """
    archive, found = rows.archive, dict[str, np.ndarray]()
    for row in track(rows.rows, len(rows.rows)):
        mask = archive.read_mask(row)
        if mask is not None:
            found[row.file] = mask
    if not found:
        raise UserError(f"{rows.name}: none of its {len(rows.rows)} images has a mask: {REMEDY}")
    having = [row for row in rows.rows if row.file in found]
    chosen = ArchiveRows(archive, having, rows.split, rows.title)
    masks = np.stack([found.pop(row.file) for row in chosen.ordered])
    known = {row.file for row in having}
    return MaskedImages(chosen, masks, [r.file for r in rows.rows if r.file not in known])
