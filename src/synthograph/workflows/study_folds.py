"""Folds of a study: who trains, who chooses, who is tested, by group, and checked once they are
made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from synthograph.archive.advice import without_group
from synthograph.archive.batches import ArchiveRows
from synthograph.archive.copies import RepeatedImages, joined_groups
from synthograph.archive.manifest import Row, count_labels, crossing_groups
from synthograph.archive.reader import Archive
from synthograph.archive.split import CutError, allocate
from synthograph.core.errors import UserError
from synthograph.core.names import first_few
from synthograph.core.seeds import Streams
from synthograph.workflows.leaks import refuse_crossing
from synthograph.workflows.study_settings import SPLIT, StudySettings
from synthograph.workflows.tables import csv_text

TRIES = 20
"""Orders of equal groups that are tried before a class counts as too rare."""
PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Fold:
    """One fold.

    Attributes:
        number: from 0.
        archive: where the images are.
        rows: those that are used, with their split.
    """

    number: int
    archive: Archive
    rows: Sequence[Row]

    def part(self, split: str) -> ArchiveRows:
        """The images of a split."""
        rows = [row for row in self.rows if row.split == split]
        return ArchiveRows(self.archive, rows, split)

    @property
    def tested(self) -> bool:
        """Whether it has test images of its own."""
        return any(row.split == "test" for row in self.rows)


def make_folds(archive: Archive, settings: StudySettings, copies: RepeatedImages) -> list[Fold]:
    """Folds as the study file asks for them, checked.

    Args:
        archive: all images real, with labels.
        settings: number of folds, share of validation, seed.
        copies: equal images; their groups stay together.

    Raises:
        UserError: there are fewer groups than folds, a part would be empty or lack a class, or the
            archive's own split has one patient or image in two parts.
    """
    _refuse_ungrouped(archive)
    found = _all_folds(archive, settings, copies)
    kept = [Fold(fold.number, archive, _few(fold, settings)) for fold in found]
    for fold in kept:
        _check(fold, archive)
    return kept


def _all_folds(archive: Archive, settings: StudySettings, copies: RepeatedImages) -> list[Fold]:
    if settings.folds == SPLIT:
        return [_own_split(archive, copies)]
    units = joined_groups(archive.rows, copies)
    groups = len(set(units.values()))
    count = settings.count
    least = {1: 2, 2: 4}.get(count, count)
    if groups < least:
        fewer = f"set folds to {groups}, or add groups" if groups > 2 else "add groups"
        raise UserError(
            f"folds: {archive.path} has {groups} groups, {count} folds need {least} at least, "
            f"since a group is never divided and every fold trains, chooses and tests: {fewer}"
        )
    reason = ""
    for attempt in range(TRIES):
        try:
            return _cut(archive, units, settings, count, attempt)
        except CutError as error:
            reason = reason or str(error)
    raise UserError(f"folds: {reason}: use fewer folds, merge classes, or add groups")


def _cut(
    archive: Archive, units: Mapping[str, str], settings: StudySettings, count: int, attempt: int
) -> list[Fold]:
    """Folds by one order of equal groups.

    Raises:
        CutError: a part lacks a class.
    """
    rows = [replace(row, split=None, fold=None) for row in archive.rows]
    joined = [replace(row, group=units[row.group]) for row in rows]
    rng = np.random.default_rng([settings.seed, attempt])
    of_group = allocate(joined, [1 / count] * count, rng) if count > 1 else {}
    found = []
    for number in range(count):
        rest = [row for row in joined if of_group.get(row.group) != number]
        share = settings.validation
        chosen = allocate(rest, [1 - share, share], rng)
        split = {group: PARTS[part] for group, part in chosen.items()}
        cut = [replace(row, split=split.get(units[row.group], "test")) for row in rows]
        fold = Fold(number, archive, cut)
        for part in PARTS if count > 1 else PARTS[:2]:
            _refuse_absent(fold, part, archive.info.classes)
        found.append(fold)
    return found


def _refuse_absent(fold: Fold, part: str, classes: Sequence[str]) -> None:
    """Refuse a part that lacks a class.

    Raises:
        CutError: it does; the class and its groups are named.
    """
    counts = count_labels(fold.part(part).rows, classes)
    used = {row.label for row in fold.rows}
    absent = [name for name in classes if not counts[name] and name in used]
    if absent:
        groups = {row.group for row in fold.rows if row.label == absent[0]}
        raise CutError(
            f"part {part} of fold {fold.number} has no image of class {absent[0]!r}, which has "
            f"{len(groups)} groups"
        )


def _own_split(archive: Archive, copies: RepeatedImages) -> Fold:
    """The archive's own split as the only fold.

    Raises:
        UserError: a part is missing, or a patient or an image is in two of them.
    """
    there = {row.split for row in archive.rows}
    for part in PARTS:
        if part not in there:
            why = "images that test may not choose" if part == "val" else "it is needed"
            raise UserError(
                f"folds: split: {archive.path} has no images in split {part}, and {why}: "
                f"'synthograph split {archive.path} --force' makes train, val and test; or set "
                "folds to a number"
            )
    refuse_crossing(archive.rows, archive.path)
    across = copies.across("split")
    if across.sets:
        raise UserError(
            f"{archive.path}: {across.count} images are in two splits under several names, such as "
            f"{first_few(across.pairs())}: cut it anew by 'synthograph split --force'"
        )
    return Fold(0, archive, [replace(row, fold=None) for row in archive.rows if row.split])


def _refuse_ungrouped(archive: Archive) -> None:
    bare = without_group(archive.rows)
    if bare:
        raise UserError(
            f"{archive.path}: {len(bare)} of {len(archive.rows)} images have no group and may show "
            f"a patient of another fold: {first_few([row.source for row in bare])}. Name their "
            "groups, and prepare again"
        )


def _few(fold: Fold, settings: StudySettings) -> list[Row]:
    """The rows, with at most so many training images of a class."""
    most = settings.train_per_class
    if most is None:
        return list(fold.rows)
    order = Streams(settings.seed).permutation(f"study/few/{fold.number}", 0, len(fold.rows))
    left: dict[str | None, int] = {}
    gone = set()
    for row in (fold.rows[place] for place in order.tolist()):
        if row.split == "train":
            left[row.label] = left.get(row.label, most) - 1
            if left[row.label] < 0:
                gone.add(row.file)
    return [row for row in fold.rows if row.file not in gone]


def _check(fold: Fold, archive: Archive) -> None:
    """What must hold of every fold, whoever made it."""
    crossing = crossing_groups(fold.rows)
    assert not crossing, f"fold {fold.number}: groups {crossing[:3]} are in two parts"
    for part in PARTS if fold.tested else PARTS[:2]:
        try:
            _refuse_absent(fold, part, archive.info.classes)
        except CutError as error:
            raise UserError(f"{archive.path}: {error}: add images, or merge classes") from None


def folds_table(folds: Sequence[Fold]) -> bytes:
    """CSV: every image with its group and class, and what it is in every fold."""
    head = ["file", "group", "label", *(f"fold{fold.number}" for fold in folds)]
    splits = [{row.file: row.split for row in fold.rows} for fold in folds]
    lines = (
        [row.file, row.group, row.label or "", *(found.get(row.file) or "" for found in splits)]
        for row in folds[0].archive.rows
    )
    return csv_text(head, lines).encode("utf-8")
