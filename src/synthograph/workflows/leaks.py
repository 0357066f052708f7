"""Leaks that no digest shows: one patient under two spellings, one picture as other pixels."""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from synthograph.archive.advice import has_groups
from synthograph.archive.batches import ArchiveRows
from synthograph.archive.manifest import Row, crossing_groups, same_spelling
from synthograph.archive.reader import Archive, open_archive
from synthograph.core.errors import UserError
from synthograph.core.names import first_few
from synthograph.core.progress import Progress
from synthograph.features.registry import feature_folder
from synthograph.metrics.moved import moved
from synthograph.metrics.overlap import MAX_COPIES
from synthograph.metrics.recoded import Recoded, recoded
from synthograph.report.words import several


def refuse_crossing(rows: Sequence[Row], path: Path) -> None:
    """Refuse real images of one patient in two splits.

    Raises:
        UserError: a group is in two splits, or two groups are called alike.
    """
    crossing = crossing_groups(rows)
    if crossing:
        raise UserError(
            f"{path}: {len(crossing)} groups are in two splits, such as "
            f"{first_few(map(repr, crossing))}: cut it anew by 'synthograph split --force'"
        )
    refuse_alike((row.group for row in rows if row.real and row.grouped), path)


def refuse_alike(groups: Iterable[str], path: Path) -> None:
    """Refuse groups whose names differ in spelling alone, see `manifest.spelling`.

    Raises:
        UserError: there are such.
    """
    alike = same_spelling(groups)
    if alike:
        raise UserError(
            f"{path}: {len(alike)} groups are called alike, such as "
            f"{' and '.join(map(repr, alike[0]))}: if they are one patient, give one name in "
            "manifest.csv and split anew; if not, give names that differ in more"
        )


def without_real(images: ArchiveRows) -> tuple[ArchiveRows, list[str]]:
    """The synthetic images of a mixture, and a note. An archive of one kind stays whole: sets of
    other programs do not say what they are.
    """
    made = [row for row in images.rows if not row.real]
    real = len(images.rows) - len(made)
    if not made or not real:
        return images, []
    return replace(images, rows=made), [
        f"{images.name}: its {several(real, 'real image')} are left out, the {len(made)} synthetic "
        "ones count"
    ]


def refuse_itself(synthetic: ArchiveRows, real: Archive) -> None:
    """Refuse real images as synthetic ones, of the archive that they are compared with.

    Raises:
        UserError: they are.
    """
    if synthetic.archive.path.samefile(real.path) and any(row.real for row in synthetic.rows):
        raise UserError(
            f"--synthetic {synthetic.name}: holds the real images of {real.path.name} themselves: "
            "name a set of 'synthograph generate'"
        )


def refuse_mixture(archive: Archive) -> None:
    """Refuse an archive that synthetic images or duplicates joined, whatever its rows say.

    Raises:
        UserError: its record says so.
    """
    mixture = archive.info.mixture
    if mixture is None and archive.info.snapshots:
        raise UserError(
            f"{archive.path}: its record names the generator of its images, so they are synthetic: "
            "give an archive of real images"
        )
    if mixture is not None and not mixture.get("only_real"):
        raise UserError(
            f"{archive.path}: is a mixture: give the archive of real images that it was made of"
        )


def refuse_pictures(made: Archive, outside: ArchiveRows, progress: Progress) -> list[str]:
    """Refuse a synthetic set that shows what chooses or reports.

    Returns:
        Notes, see `refuse_recoded`.

    Raises:
        UserError: it does.
    """
    images = ArchiveRows(made, made.rows)
    equal = outside.pixels.keys() & images.pixels.keys() if outside.rows else set()
    if equal:
        named = [f"{images.pixels[digest]} = {outside.pixels[digest]}" for digest in equal]
        raise UserError(
            f"{made.path}: {len(equal)} of its images are validation or test images of "
            f"{outside.archive.path}, such as {first_few(sorted(named))}: train the generator on "
            "split train alone"
        )
    return refuse_recoded(outside, images, f"images of {made.path.name}", progress)


def refuse_recoded(
    tested: ArchiveRows, known: ArchiveRows, what: str, progress: Progress
) -> list[str]:
    """Refuse images that are there again as other pixels: compressed, mirrored, turned, brightened,
    or in another cut.

    Args:
        tested: what judges or chooses.
        known: what was learned from; of the same rows, images of other groups count alone.
        what: the known images are, for messages.
        progress: who listens.

    Returns:
        Notes on a few such images, or on more where patients are not known: neighbouring slices of
        one patient look the same.

    Raises:
        UserError: more than a hundredth of them are, or more than a tenth in another cut.
    """
    if not tested.rows or not known.rows:
        return []
    said, earlier = list[str](), set[int]()
    for search in SEARCHES:
        found = search.find(
            tested.images, known.images, folder=feature_folder(), tracks=progress.track
        )
        fresh = [pair for pair in found.pairs if pair[0] not in earlier]
        earlier |= {one for one, _ in fresh}
        pairs = _unequal(fresh, tested, known)
        if pairs:
            line = search.line(tested.name, pairs, found.compared, what)
            grouped = has_groups(tested.rows) and has_groups(known.rows)
            if grouped and len(pairs) > search.most * found.compared:
                raise UserError(f"{line}: give both the same group, or leave these images out")
            said.append(f"{line}{search.advice}")
    return said


class Search(NamedTuple):
    """A way in which a picture may come again.

    Attributes:
        find: finds such pictures.
        deed: what they do, for messages.
        changes: what was changed.
        most: share of them that may be chance.
        advice: what to do about a few.
    """

    find: Callable[..., Recoded]
    deed: str
    changes: str
    most: float
    advice: str = ""

    def line(self, name: str, pairs: Sequence[tuple[str, str]], compared: int, what: str) -> str:
        """What was found, with the first pairs."""
        named = first_few([f"{one} = {other}" for one, other in pairs])
        return (
            f"{name}: {len(pairs)} of {compared} images {self.deed} {what}, {self.changes}, such "
            f"as {named}"
        )


MAX_MOVED = 0.1
"""Pictures of one organ, or round cells, may look like cuts of one another: at most 0.03 did."""
SEARCHES = (
    Search(
        recoded,
        "show the same picture as",
        "changed by compression, brightness or mirroring",
        MAX_COPIES,
    ),
    Search(
        moved,
        "look like other cuts of",
        "shifted, cropped, resized or turned a little",
        MAX_MOVED,
        ": look at them, and give both one group where they are one picture",
    ),
)


def _unequal(
    pairs: Sequence[tuple[int, int]], tested: ArchiveRows, known: ArchiveRows
) -> list[tuple[str, str]]:
    """Files of pairs; of one archive without equal images, which whoever cuts it keeps together."""
    one, other = tested.images.files, known.images.files
    named = [(one[a], other[b]) for a, b in pairs]
    if tested is not known or not named:
        return named
    digest = {row.file: each for row, each in zip(known.rows, known.digests, strict=True)}
    return [(a, b) for a, b in named if digest[a] != digest[b]]


def training_images(name: str, groups: Iterable[str], beside: Iterable[Path]) -> ArchiveRows | None:
    """The real images that a network was trained on, where their archive is at hand.

    Args:
        name: of the archive's file.
        groups: digests of the groups that were seen.
        beside: paths in whose folders it may lie.
    """
    seen = frozenset(groups)
    for folder in dict.fromkeys([*(path.parent for path in beside), Path()]):
        with contextlib.suppress(UserError):
            archive = open_archive(folder / name)
            rows = _of_groups(archive, seen)
            if rows:
                return ArchiveRows(archive, rows, title=name)
    return None


def _of_groups(archive: Archive, seen: frozenset[str]) -> list[Row]:
    real = ArchiveRows(archive, [row for row in archive.rows if row.real])
    there = {name for digest, name in real.groups.items() if digest in seen}
    return [row for row in real.rows if row.group in there]
