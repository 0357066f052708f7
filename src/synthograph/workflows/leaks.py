"""Leaks that no digest shows: one patient under two spellings, one picture as other pixels."""

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from synthograph.archive.advice import has_groups
from synthograph.archive.batches import ArchiveRows
from synthograph.archive.manifest import Row, crossing_groups, same_spelling
from synthograph.archive.reader import Archive, open_archive
from synthograph.core.errors import UserError
from synthograph.core.names import first_few
from synthograph.core.progress import Progress
from synthograph.features.registry import feature_folder
from synthograph.metrics.overlap import MAX_COPIES
from synthograph.metrics.recoded import recoded


def refuse_crossing(rows: Sequence[Row], path: Path) -> None:
    """Refuse real images of one patient in two splits.

    Args:
        rows: of an archive.
        path: of it.

    Raises:
        UserError: a group is in two splits, or two groups are called alike but for capitals,
            spaces and leading zeros.
    """
    crossing = crossing_groups(rows)
    if crossing:
        raise UserError(
            f"{path}: {len(crossing)} groups are in two splits, such as "
            f"{first_few(map(repr, crossing))}: cut it anew by 'synthograph split --force'"
        )
    refuse_alike((row.group for row in rows if row.real and row.grouped), path)


def refuse_alike(groups: Iterable[str], path: Path) -> None:
    """Refuse groups whose names differ in capitals, spaces or leading zeros alone.

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


def refuse_recoded(
    tested: ArchiveRows, known: ArchiveRows, what: str, progress: Progress
) -> list[str]:
    """Refuse images that are there again as other pixels: compressed, mirrored, turned, brightened.

    Args:
        tested: what judges or chooses.
        known: what was learned from; of the same rows, images of other groups count alone.
        what: the known images are, for messages.
        progress: who listens.

    Returns:
        Notes on a few such images, or on more where patients are not known: neighbouring slices of
        one patient look the same.

    Raises:
        UserError: more than a hundredth of them are.
    """
    if not tested.rows or not known.rows:
        return []
    if tested.archive.info.spec.channels != known.archive.info.spec.channels:
        return []
    found = recoded(tested.images, known.images, folder=feature_folder(), tracks=progress.track)
    one, other = tested.images.files, known.images.files
    pairs = [(one[a], other[b]) for a, b in found.pairs]
    if tested is known:  # whoever cuts it keeps equal images together
        digest = {row.file: each for row, each in zip(known.rows, known.digests, strict=True)}
        pairs = [(a, b) for a, b in pairs if digest[a] != digest[b]]
    if not pairs:
        return []
    named = first_few([f"{a} = {b}" for a, b in pairs])
    said = (
        f"{tested.name}: {len(pairs)} of {found.compared} images show the same picture as "
        f"{what}, changed by compression, brightness or mirroring, such as {named}"
    )
    grouped = has_groups(tested.rows) and has_groups(known.rows)
    if grouped and len(pairs) > MAX_COPIES * found.compared:
        raise UserError(f"{said}: give both the same group, or leave these images out")
    return [said]


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
