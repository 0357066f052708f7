"""Images that are equal pixel by pixel: one picture that is there twice, or under two patients."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from synthograph.archive.manifest import Row, same_spelling
from synthograph.archive.reader import Archive
from synthograph.core.names import first_few
from synthograph.core.progress import Track

NAMED = 10
"""Pairs of copies that a message names."""


@dataclass(frozen=True)
class RepeatedImages:
    """Rows whose images are equal, in sets of two or more; images of one colour are left out."""

    sets: Sequence[Sequence[Row]] = ()

    @property
    def count(self) -> int:
        """Images that equal an earlier one."""
        return sum(len(rows) - 1 for rows in self.sets)

    def across(self, attribute: str) -> "RepeatedImages":
        """The sets whose rows differ in an attribute, such as `group`; missing values are none."""
        value = attrgetter(attribute)
        return RepeatedImages(
            [rows for rows in self.sets if len({value(r) for r in rows if value(r)}) > 1]
        )

    def pairs(self) -> list[str]:
        """`7.png = 3.png` for every copy, by the files that the images come from."""
        return [f"{row.source} = {rows[0].source}" for rows in self.sets for row in rows[1:]]

    def named(self) -> str:
        """The first of `pairs`."""
        return first_few(self.pairs(), NAMED)


NO_REPEATS = RepeatedImages()


def copies_of(rows: Iterable[Row], digests: Iterable[str | None]) -> RepeatedImages:
    """The sets of rows with equal digests; None belongs to no set."""
    sets: dict[str, list[Row]] = {}
    for row, digest in zip(rows, digests, strict=True):
        if digest is not None:
            sets.setdefault(digest, []).append(row)
    return RepeatedImages([same for same in sets.values() if len(same) > 1])


def find_copies(archive: Archive, track: Track = lambda items, total: items) -> RepeatedImages:
    """The equal images among the real ones of an archive, by their pixels: equal pixels may be
    stored as different bytes, by other tools or other versions of a library.

    Raises:
        UserError: an image is missing or broken.
    """
    rows = [row for row in archive.rows if row.real]
    found = copies_of(rows, [_digest(archive.read(row)) for row in track(rows, len(rows))])
    return RepeatedImages([same for same in found.sets if not one_coloured(archive.read(same[0]))])


def _digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()


def one_coloured(pixels: np.ndarray) -> bool:
    """Whether every channel has one value: such images say nothing of whom they show."""
    return bool((pixels.min((1, 2)) == pixels.max((1, 2))).all())


def joined_groups(rows: Sequence[Row], copies: RepeatedImages) -> Mapping[str, str]:
    """Group of real images -> the first, by name, of all groups that it is joined with: by equal
    images, or since their names differ in spelling alone.
    """
    real = [row for row in rows if row.real]
    first = {row.group: row.group for row in real}

    def head(group: str) -> str:
        while first[group] != group:
            group = first[group] = first[first[group]]
        return group

    equal = [[row.group for row in same] for same in copies.sets]
    for names in (*equal, *same_spelling(row.group for row in real if row.grouped)):
        heads = sorted(set(map(head, names)))
        first |= dict.fromkeys(heads, heads[0])
    return {group: head(group) for group in first}
