"""The images that a user names as `ARCHIVE` or `ARCHIVE:split`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from synthograph.archive import batches
from synthograph.archive.batches import ImageSet
from synthograph.archive.manifest import Row
from synthograph.archive.reader import Archive, open_archive


@dataclass(frozen=True)
class ArchiveRows:
    """Rows of an archive, with their images and digests.

    Attributes:
        archive: where the images are.
        rows: which of them, in the order of the manifest.
        split: that they are, or None.
        title: what to call them, where it is not file and split.
    """

    archive: Archive
    rows: Sequence[Row]
    split: str | None = None
    title: str | None = None

    @property
    def name(self) -> str:
        """What to call them in messages, such as `cells.zip:test`."""
        file = self.archive.path.name
        return self.title or (file if self.split is None else f"{file}:{self.split}")

    @cached_property
    def images(self) -> ImageSet:
        """The images."""
        return batches.archive_images(self.archive, self.rows, name=self.name, split=self.split)

    @cached_property
    def ordered(self) -> list[Row]:
        """The rows in the order of `images`."""
        return batches.in_random_order(self.rows)

    @cached_property
    def groups(self) -> dict[str, str]:
        """Digest of every group to its name."""
        return batches.group_digests(self.archive, self.rows)

    @cached_property
    def pixels(self) -> dict[str, str]:
        """Digest of every image's pixels to its file."""
        return batches.image_digests(self.archive, self.rows)

    def real(self) -> "ArchiveRows":
        """The same rows, checked to be real.

        Raises:
            UserError: one of them is synthetic.
        """
        batches.refuse_synthetic(self.archive, self.rows)
        return self


def rows_of(archive: Archive, split: str | None) -> ArchiveRows:
    """The rows of a split, or all of them.

    Raises:
        UserError: there is no image in the split.
    """
    return ArchiveRows(archive, batches.rows_of_split(archive, split), split)


def open_rows(
    text: str, usual: str | None = None, opened: Sequence[ArchiveRows] = ()
) -> ArchiveRows:
    """Open what `ARCHIVE:split` names.

    Args:
        text: a path, with a split or nothing behind it.
        usual: split of an archive that has splits, where none is named.
        opened: what was opened before; the same archive is not read again.

    Raises:
        UserError: the archive cannot be read, or there is no image in the split.
    """
    path, split = batches.path_and_split(text)
    known = (each.archive for each in opened if each.archive.path == path)
    archive = next(known, None) or open_archive(path)
    if split is None and any(row.split for row in archive.rows):
        split = usual
    return rows_of(archive, split)


def common_split(rows: Sequence[Row]) -> str | None:
    """The split of all rows; None where there are several."""
    splits = {row.split for row in rows}
    return splits.pop() if len(splits) == 1 else None
