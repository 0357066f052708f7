"""Splits an archive into train, validation and test by group, with the same shares of classes."""

import contextlib
import dataclasses
import enum
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydantic

from synthograph.archive.advice import without_group
from synthograph.archive.copies import NO_REPEATS, RepeatedImages, find_copies, joined_groups
from synthograph.archive.manifest import SPLITS, Row, check_member, count_labels
from synthograph.archive.reader import (
    Archive,
    ArchiveInfo,
    SplitRecord,
    open_archive,
    read_document,
)
from synthograph.archive.writer import list_files, replace_members
from synthograph.core.config import Config
from synthograph.core.errors import UserError
from synthograph.core.files import write_bytes
from synthograph.core.names import first_few
from synthograph.core.progress import Track
from synthograph.core.untrusted.containers import Folder
from synthograph.core.untrusted.dataset_json import DATASET, MANIFEST

_EQUAL = (
    "{} groups share equal images, or are called alike, and count as fewer, so give each image "
    "once; or "
)


class Ungrouped(enum.StrEnum):
    """What becomes of images without group where others have one."""

    REFUSE = "refuse"
    TRAIN = "train"
    OWN = "own"


class SplitOptions(Config):
    """Shares of the images, number of folds of the training part, seed, images without group."""

    test: float = pydantic.Field(0.2, ge=0, lt=1)
    val: float = pydantic.Field(0.1, ge=0, lt=1)
    folds: int | None = pydantic.Field(None, ge=2, le=100)
    seed: int = pydantic.Field(0, ge=0)
    ungrouped: Ungrouped = Ungrouped.REFUSE

    @pydantic.model_validator(mode="after")
    def _leave_train(self) -> "SplitOptions":
        if self.test + self.val >= 1:
            raise ValueError("test and val together leave nothing to train on")
        return self


def split_archive(
    path: Path,
    options: SplitOptions,
    *,
    force: bool = False,
    track: Track = lambda items, total: items,
) -> Archive:
    """Assign a split (and folds) to every row and rewrite manifest and `dataset.json` in place.

    Args:
        path: the archive.
        options: shares, folds, seed, images without group.
        force: replace an existing split.
        track: shows progress while equal images are searched.

    Returns:
        The archive as it is now.

    Raises:
        UserError: it is split already, groups are too few, a class would be missing from a split,
            images have no group, or an image has a name that no manifest may hold.
    """
    archive = open_archive(path)
    if not archive.files.listed:
        raise UserError(f"{path} is not an archive: make one with 'synthograph prepare' first")
    if any(row.split for row in archive.rows) and not force:
        raise UserError(_already_split(archive))
    for row in archive.rows:
        check_member(row.file, f"{path} cannot be split")
    copies = find_copies(archive, track)
    rows = assign(archive.rows, archive.info.classes, options, copies)
    record = SplitRecord(
        origin="synthograph split",
        options=options.model_dump(mode="json"),
        joined=_joined(archive.rows, copies),
    )
    info = archive.info.model_copy(update={"split": record})
    rewrite(dataclasses.replace(archive, info=info), rows)
    return open_archive(path)


def _already_split(archive: Archive) -> str:
    record = archive.info.split
    if record is not None and record.official:
        return (
            f"{archive.path} has the official split of its images ({record.origin}), on which "
            "others compare: leave it as it is, or add --force to cut a new one by group"
        )
    return f"{archive.path} is split already: add --force to split it anew"


def _joined(rows: Sequence[Row], copies: RepeatedImages) -> list[list[str]]:
    """Sets of groups that stay together."""
    units: dict[str, list[str]] = {}
    for group, first in joined_groups(rows, copies).items():
        units.setdefault(first, []).append(group)
    return sorted(sorted(groups) for groups in units.values() if len(groups) > 1)


class CutError(UserError):
    """Groups cannot be cut as it was asked for."""


def assign(
    rows: Sequence[Row],
    classes: Sequence[str],
    options: SplitOptions,
    copies: RepeatedImages = NO_REPEATS,
) -> list[Row]:
    """The rows with their split and fold.

    Groups that share equal images, or are called alike, stay together. Synthetic images always
    train: they never enter a set that chooses or reports.

    Raises:
        UserError: groups are too few, a class would be missing from a split, or images have no
            group.
    """
    try:
        return _cut(rows, classes, options, copies)
    except CutError as error:
        shared = sum(map(len, _joined(rows, copies)))
        why = _EQUAL.format(shared) if shared else ""
        way_out = _way_out(rows, classes, options, copies)
        raise UserError(f"{error}: {why}{way_out}") from None


def _way_out(
    rows: Sequence[Row], classes: Sequence[str], options: SplitOptions, copies: RepeatedImages
) -> str:
    """The first of some gentler demands that can be met."""
    folds = range((options.folds or 2) - 1, 1, -1)
    changes: list[dict[str, float]] = [{"folds": count} for count in folds]
    changes += [{"val": 0}] if options.val else []
    changes += [{"test": share, "val": share / 2} for share in (0.2, 0.3, 0.4)]
    changes += [{"test": share, "val": 0} for share in (0.2, 0.3, 0.5)]
    for change in changes:
        with contextlib.suppress(CutError):
            _cut(rows, classes, options.model_copy(update=change), copies)
            return f"use {' '.join(f'--{name} {value:g}' for name, value in change.items())}"
    return "add groups, or merge classes"


def _cut(
    rows: Sequence[Row], classes: Sequence[str], options: SplitOptions, copies: RepeatedImages
) -> list[Row]:
    rows = [replace(row, split=None, fold=None) for row in rows]
    bare = without_group(rows)
    if bare and options.ungrouped is Ungrouped.REFUSE:
        raise UserError(_no_group(bare, sum(row.real for row in rows)))
    units = joined_groups(rows, copies)
    # a unit is divided as a group is, and the rows get their own group back at the end
    real = [replace(row, group=units[row.group]) for row in rows if row.real]
    kept = {units[r.group] for r in bare} if options.ungrouped is Ungrouped.TRAIN else set()
    shares = {"train": 1 - options.test - options.val, "val": options.val, "test": options.test}
    shares = {name: share for name, share in shares.items() if share > 0}
    rng = np.random.default_rng(options.seed)
    where = allocate([row for row in real if row.group not in kept], list(shares.values()), rng)
    names = list(shares)
    split = [
        replace(row, split=names[where[row.group]] if row.group in where else "train")
        for row in real
    ]
    if options.folds:
        train = [row for row in split if row.split == "train" and row.group in where]
        folds = allocate(train, [1 / options.folds] * options.folds, rng)
        split = [
            replace(row, fold=folds.get(row.group)) if row.split == "train" else row
            for row in split
        ]
    _check(split, classes, names, options.folds, kept)
    cut = iter(split)
    return [
        replace(next(cut), group=row.group) if row.real else replace(row, split="train")
        for row in rows
    ]


def _no_group(bare: Sequence[Row], total: int) -> str:
    return (
        f"{len(bare)} of {total} images have no group and may show a patient of another split: "
        f"{first_few([row.source for row in bare])}. Name their groups and prepare again, or add "
        "--ungrouped train (they train, and are in no fold) or --ungrouped own (each counts as a "
        "patient of its own)"
    )


def allocate(
    rows: Sequence[Row], shares: Sequence[float], rng: np.random.Generator
) -> dict[str, int]:
    """Assign every group to one part so that class counts of each part come near its share.

    Groups are placed one by one, those that hold most images of a rare class first (equals in
    random order), each into the part that then misses its targets least. A class of few groups may
    then be missing from a part, as large as these are; one of its groups is moved there.

    Args:
        rows: the images.
        shares: of every part.
        rng: decides the order of equals.

    Returns:
        Group to number of the part.

    Raises:
        CutError: there are fewer groups than parts.
    """
    labels = sorted({row.label or "" for row in rows})
    index = {label: i for i, label in enumerate(labels)}
    counts: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(len(labels)))
    for row in rows:
        counts[row.group][index[row.label or ""]] += 1
    if len(counts) < len(shares):
        raise CutError(
            f"{len(counts)} groups cannot be cut into {len(shares)} parts, since a group is never "
            "divided"
        )
    total = np.sum(list(counts.values()), axis=0)
    groups = sorted(counts)
    rng.shuffle(groups)
    groups.sort(key=lambda group: -float((counts[group] / total).max()))
    parts = _Parts(counts, shares, total)
    for group in groups:
        parts.put(group, int(parts.cost(counts[group]).argmin()))
    filled = parts.have.any(axis=1)
    for label, name in enumerate(labels):
        for part in np.flatnonzero(filled & (parts.have[:, label] == 0)) if name else ():
            parts.bring(label, int(part))
    return parts.where


class _Parts:
    """Groups in parts.

    Attributes:
        counts: images of every class, of every group.
        target: the same that every part should have, [parts, classes].
        scale: what weighs a miss of it.
        have: what every part has.
        where: the part of every group.
    """

    def __init__(
        self, counts: Mapping[str, np.ndarray], shares: Sequence[float], total: np.ndarray
    ) -> None:
        self.counts, self.target = counts, np.outer(shares, total)
        self.scale = self.target * total + 1e-9
        self.have = np.zeros_like(self.target)
        self.where: dict[str, int] = {}

    def put(self, group: str, part: int) -> None:
        """Put a group into a part, out of the one where it was."""
        if group in self.where:
            self.have[self.where[group]] -= self.counts[group]
        self.have[part] += self.counts[group]
        self.where[group] = part

    def cost(self, images: np.ndarray) -> np.ndarray:
        """By how much every part misses its targets more with these images: relative overshoot, so
        that rare classes weigh as much as common ones.
        """
        more = (self.have + images - self.target) ** 2 - (self.have - self.target) ** 2
        return (more / self.scale).sum(axis=1)

    def bring(self, label: int, part: int) -> None:
        """Move a group of a class into a part that lacks it: the one that costs least, of those
        without which their part still has all their classes. No group where there is none.
        """
        costs = {}
        for group, place in self.where.items():
            own = self.counts[group]
            if own[label] and (self.have[place] > own)[own > 0].all():
                costs[group] = self.cost(own)[part] + self.cost(-own)[place]
        if costs:
            self.put(min(costs, key=costs.__getitem__), part)


def _check(
    rows: Sequence[Row],
    classes: Sequence[str],
    names: Sequence[str],
    folds: int | None,
    kept: Collection[str],
) -> None:
    """Refuse parts that are empty or lack a class; groups in `kept` train whatever happens."""
    used = [name for name in classes if any(row.label == name for row in rows)]
    parts = {name: [row for row in rows if row.split == name] for name in names}
    for fold in range(folds or 0):
        parts[f"fold {fold}"] = [row for row in rows if row.fold == fold]
    for part, members in parts.items():
        if not members:
            count = len({row.group for row in rows}.difference(kept))
            raise CutError(f"{part} would be empty, {count} groups are too few for these shares")
        missing = set(used).difference(row.label or "" for row in members)
        if missing:
            name = sorted(missing)[0]
            groups = {row.group for row in rows if row.label == name}.difference(kept)
            also = " beside images without group, which train" if kept else ""
            raise CutError(
                f"{part} would have no image of class {name!r}, which has {len(groups)} groups"
                f"{also}"
            )


def rewrite(archive: Archive, rows: Sequence[Row]) -> None:
    """Replace manifest and `dataset.json` of an archive; images and what others wrote into
    `dataset.json` stay untouched, readers see old or new.

    Raises:
        UserError: `dataset.json` is nested too deeply to be written.
    """
    known = {"labels", *ArchiveInfo.model_fields}
    document = read_document(archive.files)
    others = {key: value for key, value in document.items() if key not in known}
    try:
        new = list_files(archive.info, rows, others)
    except RecursionError as error:  # reading goes a little deeper than writing
        raise UserError(
            f"{archive.path}: {DATASET} holds what cannot be written again ({error}): correct it"
        ) from None
    container = archive.files.container
    path = container.path.resolve()  # a link stays a link
    if isinstance(container, Folder):
        for name in (DATASET, MANIFEST):  # the manifest, which is the authority, comes last
            write_bytes(path / name, new[name])
        return
    replace_members(path, {container.prefix + name: data for name, data in new.items()})


def split_table(archive: Archive) -> list[tuple[str, int, int, Mapping[str, int]]]:
    """(part, images, groups, images per class) for every split and fold."""
    parts = {name: [r for r in archive.rows if r.split == name] for name in SPLITS}
    folds = sorted({row.fold for row in archive.rows if row.fold is not None})
    parts |= {f"fold {k}": [r for r in archive.rows if r.fold == k] for k in folds}
    return [
        (name, len(rows), len({r.group for r in rows}), count_labels(rows, archive.info.classes))
        for name, rows in parts.items()
        if rows
    ]
