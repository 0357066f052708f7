"""How far sets of images are from each other."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import RenderableType

from synthograph.archive import batches
from synthograph.archive.manifest import Row
from synthograph.archive.reader import Archive, open_archive
from synthograph.core.devices import pick_device
from synthograph.core.errors import UserError
from synthograph.core.files import (
    atomic_path,
    disk_errors,
    refuse_existing,
    refuse_unwritable,
    write_bytes,
)
from synthograph.core.names import first_few
from synthograph.core.progress import Progress
from synthograph.core.seeds import Streams
from synthograph.features import registry
from synthograph.metrics.domain_gap import DomainImages, check, domain_gap, pictures_of
from synthograph.metrics.domain_gap_text import draw, table
from synthograph.metrics.overlap import MAX_COPIES
from synthograph.results.domain_gap import DomainGap, Thumbnails
from synthograph.workflows.extractors import feature_folder, open_extractors
from synthograph.workflows.requests import DomainGapRequest
from synthograph.workflows.tables import TableResult

JSON, PNG, SVG, SPRITE = "domain-gap.json", "map.png", "map.svg", "sprite.png"
SIDE = 40
"""Pixels of a picture in the sprite."""


@dataclass(frozen=True, repr=False)
class DomainGapResult(TableResult):
    """What was found.

    Attributes:
        gap: all of it.
        written: files.
    """

    gap: DomainGap
    written: Sequence[Path] = ()

    @property
    def table(self) -> RenderableType:
        """Sets and pairs."""
        return table(self.gap)

    def notes(self) -> Iterator[str]:
        """The files that were written."""
        yield from map(str, self.written)


def run(request: DomainGapRequest, *, progress: Progress) -> DomainGapResult | None:
    """Measure the gap of every pair of sets.

    Args:
        request: which sets, and by what.
        progress: who listens meanwhile.

    Returns:
        What was found; None for a dry run.

    Raises:
        UserError: an archive that cannot be read, a class that it lacks, sets that overlap or
            cannot be compared, missing weights.
    """
    if request.outdir is not None:
        refuse_existing(request.outdir, "--outdir")
        refuse_unwritable(request.outdir)
    device = str(pick_device(request.device))
    extractors, missing = open_extractors(request.features or [registry.DEFAULT], device)
    if missing:
        raise UserError("; ".join(missing.values()))
    sets = _sets(request)
    check(sets)
    for each in sets:
        groups = "" if each.origin == "synthetic" else f" of {each.images.group_count} groups"
        progress.log(f"{each.name}: {each.images.count} {each.origin} images{groups}")
    if request.dry_run:
        return None
    found = domain_gap(
        sets,
        list(extractors.values()),
        folder=feature_folder(),
        tracks=progress.track,
        seed=request.seed,
    )
    written = [] if request.outdir is None else _write(sets, found, request.outdir)
    return DomainGapResult(found, written)


@dataclass(frozen=True)
class _Chosen:
    """The rows of one set: what was typed, its split, its archive, the classes."""

    text: str
    split: str | None
    archive: Archive
    rows: list[Row]
    classes: list[str]

    @property
    def name(self) -> str:
        """File, split and classes."""
        file = self.archive.path.name
        return "/".join([file if self.split is None else f"{file}:{self.split}", *self.classes])


def _sets(request: DomainGapRequest) -> list[DomainImages]:
    """The sets that were named, none of them sharing patients or pictures with another.

    Raises:
        UserError: an archive that cannot be read, a class that it lacks, or sets that overlap.
    """
    classes = {text: _classes(text, request) for text in request.archives}
    chosen = [_chosen(text, classes[text]) for text in request.archives]
    names = [each.name for each in chosen]
    if len(set(names)) < len(names):
        names = list(request.archives)
    _refuse_common(names, chosen)
    return [_set(name, each, request) for name, each in zip(names, chosen, strict=True)]


def _chosen(text: str, classes: list[str]) -> _Chosen:
    """Open one archive and choose the rows.

    Raises:
        UserError: it cannot be read, or no image is of these classes.
    """
    path, split = batches.path_and_split(text)
    archive = open_archive(path)
    rows = batches.rows_of_split(archive, split)
    rows = [row for row in rows if not classes or row.label in classes]
    lacking = [name for name in classes if name not in archive.info.classes]
    if lacking or not rows:
        there = ", ".join(archive.info.classes) or "none"
        raise UserError(
            f"{text}: no image is of class {', '.join(lacking or classes)}; its classes "
            f"are {there} (--class {path.name}=CLASS speaks of this archive only)"
        )
    return _Chosen(text, split, archive, rows, classes)


def _classes(text: str, request: DomainGapRequest) -> list[str]:
    """The classes that are asked for of one archive.

    Raises:
        UserError: a class is asked of an archive that was not named.
    """

    def names_of(archive: str) -> set[str]:
        path = batches.path_and_split(archive)[0]
        return {archive, str(path), path.name}

    found = []
    for each in request.of_class:
        where, equals, name = each.partition("=")
        if not equals:
            found.append(each)
        elif where in names_of(text):
            found.append(name)
        elif not any(where in names_of(other) for other in request.archives):
            raise UserError(
                f"--class {each}: no archive {where!r} was named; give --class CLASS for all, or "
                f"--class ARCHIVE=CLASS with one of {', '.join(request.archives)}"
            )
    return found


def _refuse_common(names: Sequence[str], sets: Sequence[_Chosen]) -> None:
    """Refuse sets that share patients, or more than a hundredth of their pictures.

    Raises:
        UserError: two sets do; both and an example are named.
    """
    way = "compare sets of different patients and pictures, such as two splits of one archive"
    groups, images = [], []
    for each in sets:
        real = [row for row in each.rows if row.origin == "real"]
        groups.append(batches.group_digests(each.archive, real))
        images.append(batches.image_digests(each.archive, each.rows))
    for i, j in itertools.combinations(range(len(sets)), 2):
        both = f"{names[i]} and {names[j]}"
        common = sorted(groups[i][each] for each in groups[i].keys() & groups[j].keys())
        if common:
            raise UserError(
                f"{both} share {len(common)} groups, such as "
                f"{first_few(repr(each) for each in common)}: {way}"
            )
        equal = sorted(images[i][each] for each in images[i].keys() & images[j].keys())
        if len(equal) > MAX_COPIES * min(len(images[i]), len(images[j])):
            raise UserError(
                f"{both}: {len(equal)} pictures are in both, such as {first_few(equal)}: {way}"
            )


def _set(name: str, chosen: _Chosen, request: DomainGapRequest) -> DomainImages:
    """At most so many images of an archive."""
    rows, total, notes = chosen.rows, len(chosen.rows), []
    if total > request.most:
        by_name = sorted(rows, key=lambda row: row.file)
        order = Streams(request.seed).permutation("cli/domain-gap", 0, total)[: request.most]
        rows = [by_name[place] for place in order.tolist()]
        notes.append(f"{request.most} of {total} images, drawn at random (--most)")
    origins = {row.origin for row in rows}
    images = batches.archive_images(chosen.archive, rows, name=name, split=chosen.split)
    return DomainImages(images, origins.pop() if len(origins) == 1 else "mixed", tuple(notes))


def _write(sets: Sequence[DomainImages], found: DomainGap, outdir: Path) -> list[Path]:
    """The folder, in one rename; its files."""
    sprite = pictures_of(sets, found.map, side=SIDE)
    thumbnails = Thumbnails(file=SPRITE, **sprite.json())
    with disk_errors(outdir):
        outdir.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(outdir) as folder:
        folder.mkdir()
        found.replace(thumbnails=thumbnails).save(folder / JSON)
        write_bytes(folder / PNG, draw(found))
        write_bytes(folder / SVG, draw(found, "svg"))
        write_bytes(folder / SPRITE, sprite.png)
    return [outdir / name for name in (JSON, PNG, SVG, SPRITE)]
