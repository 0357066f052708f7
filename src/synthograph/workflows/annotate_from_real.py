"""Real images with masks become annotations: what the generator makes most like each of them gets
its mask, where both agree.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Num, UInt8

from synthograph.annotation.likeness import Likeness, likeness
from synthograph.annotation.palettes import Palette, of_names
from synthograph.archive.batches import ArchiveRows, open_rows
from synthograph.archive.masked import MaskedImages, masked_images
from synthograph.core.devices import pick_device
from synthograph.core.errors import UserError
from synthograph.core.files import new_folder
from synthograph.core.names import first_few
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.models.snapshot import Snapshot
from synthograph.report.words import number, several
from synthograph.results.annotations import AnnotationSet, Fit, PaintedMask
from synthograph.results.projection import Projections
from synthograph.sampling import latents as drawing
from synthograph.sampling.generate import request_for
from synthograph.sampling.latents import Latents, Rendering, joined, render
from synthograph.workflows import project
from synthograph.workflows.annotate_requests import FARTHEST, AnnotateFromRealRequest
from synthograph.workflows.annotate_sample import write_set
from synthograph.workflows.annotation_pictures import PAINTED, write_painted
from synthograph.workflows.annotation_sets import OpenSet, mask_digest, refuse_folder
from synthograph.workflows.latent_inputs import open_network
from synthograph.workflows.latent_requests import ProjectRequest
from synthograph.workflows.project_files import RESULT
from synthograph.workflows.projected import ProjectedSet
from synthograph.workflows.segment_train import classes_of
from synthograph.workflows.tables import rows_lines

PAINTER = "real"
"""Who painted the masks of real images."""
MAX_LINES = 24


@dataclass(frozen=True)
class Pair:
    """A real image and its projection.

    Attributes:
        latents: of the projection.
        file: the real image.
        mask: its class ids.
        real: its pixels.
        made: those of the projection.
    """

    latents: Latents
    file: str
    mask: UInt8[np.ndarray, "h w"]
    real: Num[np.ndarray, "c h w"]
    made: Num[np.ndarray, "c h w"]


@dataclass(frozen=True)
class Judged:
    """A pair, and how alike both are in the class where they are least so."""

    pair: Pair
    found: Likeness


@dataclass(frozen=True, repr=False)
class AnnotateFromRealResult(Result):
    """Annotations made of real images.

    Attributes:
        outdir: the annotation set.
        about: its record.
        judged: all images, those that agree best first.
        max_move: by how many pixels a real image is moved for the floor.
        asked: by how many it was to be moved at first.
        without: images that have no mask, or were not projected.
        least: how many were asked to agree.
    """

    outdir: Path
    about: AnnotationSet
    judged: Sequence[Judged]
    max_move: int
    asked: int
    without: int
    least: int = 1

    def lines(self) -> Iterator[str]:
        """How well each agrees, and how many do."""
        rows = []
        for each in self.judged[:MAX_LINES]:
            found, verdict = each.found, "" if each.found.agrees else "left out"
            name = self.about.classes[found.of_class].name
            numbers = (number(found.distance), number(found.floor))
            rows.append((each.pair.file, name, *numbers, verdict))
        moved = f"moved by {several(self.max_move, 'pixel')}"
        head = ("image", "least alike", "distance", moved, "")
        yield from rows_lines(head, rows, framed=False)
        if len(self.judged) > MAX_LINES:
            yield f"and {len(self.judged) - MAX_LINES} more"
        out = [each.pair.file for each in self.judged if not each.found.agrees]
        if out:
            yield (
                f"left out: {several(len(out), 'image')} that differ from their projections in a "
                f"class more than from themselves, moved: {first_few(out)}"
            )
        agree = len(self.judged) - len(out)
        if agree < self.least:
            yield (
                f"warning: {agree} of the {self.least} images that --least asks for agree; moved "
                f"by more than {several(self.max_move, 'pixel')}, up to {FARTHEST}, no more do"
            )
        elif self.max_move > self.asked:
            yield (
                f"note: the images were moved by {several(self.max_move, 'pixel')} in place of "
                f"{self.asked}, so that enough agree: look at {PAINTED}"
            )
        if self.without:
            yield f"not used: {several(self.without, 'image')} without a mask or a projection"
        yield (
            f"{self.outdir}: {several(len(self.about.painted), 'mask')} of real images; "
            f"{several(len(self.about.groups), 'group')} may not be among images that test"
        )


def run(request: AnnotateFromRealRequest, *, progress: Progress) -> AnnotateFromRealResult | None:
    """Project, compare and write.

    Returns:
        What was made; None for a dry run.

    Raises:
        UserError: images and network do not fit, there are no masks, or no projection agrees.
        StoppedError: a signal came while projecting; the same command continues.
    """
    refuse_folder(request.outdir)
    snapshot = open_network(request.network, progress)
    drawing.space_of(snapshot)
    how = Rendering(device=str(pick_device(request.device)))
    drawing.check_rendering(snapshot, how)
    rows = open_rows(request.archive, "train").real()
    _refuse_other_size(snapshot, rows)
    read = masked_images(rows, progress.track("masks"))
    classes = classes_of(request.classes, read)
    images = read.numbered(list(classes.values()))
    projected = _projected(request, rows, snapshot, progress)
    if projected is None:
        return None
    pairs, without = _pairs(snapshot, how, images, projected)
    judged, max_move = _enough(pairs, request)
    kept = [each for each in judged if each.found.agrees]
    if not kept:
        best = judged[0].found
        way = several(max_move, "pixel")
        raise UserError(
            f"{request.archive}: no projection is near enough to its image: the best differs by "
            f"{number(best.distance)}, the image moved by {way} by {number(best.floor)}; train the "
            "network longer, project with more --steps, or paint synthetic images (annotate sample)"
        )
    chosen, palette = (rows, kept, max_move), of_names(list(classes))
    with new_folder(request.outdir) as folder:
        about = _write(folder, snapshot, how, chosen, palette, request, progress)
    asked = request.max_move
    return AnnotateFromRealResult(
        request.outdir, about, judged, max_move, asked, without, request.least
    )


def _refuse_other_size(snapshot: Snapshot, rows: ArchiveRows) -> None:
    """Refuse images that are not exactly as the network makes them: masks are not resized."""
    wanted, given = snapshot.info.spec, rows.archive.info.spec
    if given != wanted:
        raise UserError(
            f"{rows.name}: its images are {given.describe()}, the network makes "
            f"{wanted.describe()}: prepare the images like those that it was trained on"
        )


def _projected(
    request: AnnotateFromRealRequest, rows: ArchiveRows, snapshot: Snapshot, progress: Progress
) -> ProjectedSet | None:
    """Projections of the images, made where they are not there yet; None for a dry run.

    Raises:
        UserError: those that are there are of another network or archive, or were made with other
            options, or none are where they should be.
    """
    named = request.projections
    if named is not None and not (named / RESULT).is_file():
        raise UserError(
            f"--projections {named}: has no {RESULT}: name a folder that 'synthograph project' has "
            "finished, or leave this out, and the images are projected"
        )
    folder = named or request.outdir.with_name(f"{request.outdir.name}-projections")
    if not (folder / RESULT).is_file():
        split = "" if rows.split is None else f":{rows.split}"
        asked = ProjectRequest(
            network=snapshot.path,
            target=f"{rows.archive.path}{split}",
            outdir=folder,
            space=request.space,
            steps=request.steps,
            num=request.num,
            device=request.device,
            dry_run=request.dry_run,
        )
        project.run(asked, progress=progress)
        if request.dry_run:
            return None
    found = ProjectedSet.open(folder)
    _refuse_others(request, rows, snapshot, folder, found.found)
    if request.dry_run:
        there = several(len(found.found.projections), "projection")
        progress.log(f"{folder}: {there}, from which the set would be made")
        return None
    return found


def _refuse_others(
    request: AnnotateFromRealRequest,
    rows: ArchiveRows,
    snapshot: Snapshot,
    folder: Path,
    about: Projections,
) -> None:
    """Refuse projections that cannot be used, and those in a folder that nobody named which this
    request would not make.
    """
    named = request.projections is not None
    way = "name another folder with --projections"
    if not named:
        way = "remove this folder, or choose another --outdir"
    if about.network_sha256 != snapshot.sha256:
        raise UserError(
            f"{folder}: holds projections into {about.network} ({about.network_sha256:.16}), the "
            f"network is {snapshot.sha256:.16}: {way}"
        )
    if about.data.images_hash != rows.archive.images_hash:
        raise UserError(
            f"{folder}: holds projections of {about.data.archive}, whose images are others than "
            f"those of {rows.archive.path}: {way}"
        )
    if about.method.space == "pti":
        raise UserError(
            f"{folder}: its projections have a generator each (pti), and masks are learned from "
            f"one: project with --space w or w+; {way}"
        )
    count = len(rows.rows) if request.num is None else min(request.num, len(rows.rows))
    for what, there, wanted in (
        ("split", about.data.split, rows.split),
        ("--space", about.method.space, request.space),
        ("--steps", about.method.steps, request.steps),
        ("number of images", len(about.projections), count),
    ):
        if not named and there != wanted:
            raise UserError(
                f"{folder}: holds projections whose {what} is {there}, not {wanted}: {way}, or "
                f"take them as they are with --projections {folder}"
            )


def _pairs(
    snapshot: Snapshot, how: Rendering, images: MaskedImages, projected: ProjectedSet
) -> tuple[list[Pair], int]:
    """Every image that has a mask and a projection, and how many lack one.

    Raises:
        UserError: no image has both.
    """
    masks = {row.file: m for row, m in zip(images.rows.ordered, images.masks, strict=True)}
    rows = {row.file: row for row in images.rows.rows}
    files = [each for each in projected.found.projections if each.file in masks]
    if not files:
        raise UserError(
            f"{projected.path.parent}: none of its projections is of an image of "
            f"{images.rows.name} that has a mask: project this split"
        )
    found = [drawing.read(projected.beside(each.latent), snapshot) for each in files]
    every = joined(found)
    drawn = render(snapshot, every.values, every.seeds, how)
    pairs = [
        Pair(latents, each.file, masks[each.file], images.rows.archive.read(rows[each.file]), made)
        for each, latents, made in zip(files, found, drawn, strict=True)
    ]
    return pairs, len(images) + len(images.without) - len(files)


def _enough(pairs: Sequence[Pair], request: AnnotateFromRealRequest) -> tuple[list[Judged], int]:
    """All pairs, the best first, and by how many pixels images were moved until enough agree; where
    that never is, by as few as let the most agree.
    """
    tried: list[tuple[int, list[Judged], int]] = []
    for max_move in range(request.max_move, FARTHEST + 1):
        found = (Judged(p, likeness(p.real, p.made, p.mask, max_move)) for p in pairs)
        judged = sorted(found, key=lambda each: each.found.share)
        agree = sum(each.found.agrees for each in judged)
        tried.append((agree, judged, max_move))
        if agree >= min(request.least, len(pairs)):
            break
    _, judged, max_move = max(tried, key=lambda each: each[0])
    return judged, max_move


def _write(
    folder: Path,
    snapshot: Snapshot,
    how: Rendering,
    chosen: tuple[ArchiveRows, Sequence[Judged], int],
    palette: Palette,
    request: AnnotateFromRealRequest,
    progress: Progress,
) -> AnnotationSet:
    """The annotation set of those that agree, with their masks and what is known of the people."""
    rows, kept, max_move = chosen
    latents = joined([each.pair.latents for each in kept])
    names = tuple(Path(each.pair.file).stem for each in kept)
    images = request_for(replace(latents, names=names), {}, how)
    made = write_set(folder, snapshot, images, progress=progress, command=request.command_line())
    files = {each.pair.file for each in kept}
    own = ArchiveRows(rows.archive, [row for row in rows.rows if row.file in files])
    groups = {row.file: next(iter(ArchiveRows(rows.archive, [row]).groups)) for row in own.rows}
    items = []
    for image in made.images:
        each = kept[image.row]
        painted = PaintedMask(painter=PAINTER, sha256=mask_digest(each.pair.mask))
        fit = Fit(
            file=each.pair.file,
            archive=rows.archive.path.name,
            of_class=palette.classes[each.found.of_class].name,
            distance=each.found.distance,
            floor=each.found.floor,
            pixels=max_move,
            group=groups[each.pair.file],
        )
        items.append(image.replace(mask=painted, fit=fit))
    about = made.replace(
        classes=palette.shown,
        images=tuple(items),
        groups=tuple(sorted(own.groups)),
        real_images=tuple(sorted({*own.digests})),
    )
    masks = {image.id: kept[image.row].pair.mask for image in made.images}
    write_painted(OpenSet(folder, about), masks, PAINTER, palette)
    return about
