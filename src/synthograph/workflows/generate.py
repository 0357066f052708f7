"""Labelled images from a snapshot and seeds."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from synthograph.archive.parts import Part
from synthograph.archive.writer import refuse_destination
from synthograph.core.errors import StoppedError, UserError
from synthograph.core.files import (
    disk_errors,
    placed,
    refuse_output,
    sha256_file,
    write_bytes,
)
from synthograph.core.names import first_few
from synthograph.core.outputs import is_packed, refuse_other_kinds
from synthograph.core.progress import Progress
from synthograph.core.request import Result, keeping
from synthograph.core.signals import StopRequest
from synthograph.core.spec import MASKS
from synthograph.core.untrusted.arrays import SUFFIX
from synthograph.models.snapshot import Snapshot
from synthograph.sampling import generate as sampling
from synthograph.sampling.latents import Latents, Rendering, Space, joined, labels_of
from synthograph.sampling.seeds import parse_seeds
from synthograph.workflows.grid import refuse_grid
from synthograph.workflows.latent_inputs import open_network, read_latents, rendering_of
from synthograph.workflows.processes import in_parts
from synthograph.workflows.requests import MAX_IMAGES, GenerateRequest, Seeds

MAX_GRID_IMAGES = 4096
"""Images that one picture shows at most; they are held in memory."""
COLUMNS = 16
WAYS = ("seeds", "num", "per_class")
"""Options of which one says which seeds are wanted."""
FINISHING = "the images at work are finished and kept; Ctrl-C once more ends at once"


@dataclass(frozen=True, repr=False)
class GenerateResult(Result):
    """Synthetic images that were written.

    Attributes:
        outdir: the archive or folder.
        count: how many images were written.
        part: of which part they are, such as 2/4; None for all.
        left_out: how many were too similar to a training image; None where that was not asked.
        compared_with: the archive that `left_out` is about.
        grid: the picture of them, if one was asked for.
        latents: the file of their latents, likewise.
    """

    outdir: Path
    count: int
    part: str | None = None
    left_out: int | None = None
    compared_with: str | None = None
    grid: Path | None = None
    latents: Path | None = None

    def lines(self) -> Iterator[str]:
        """How many images are where."""
        if self.left_out is not None:
            yield f"left out as too similar to an image of {self.compared_with}: {self.left_out}"
        of_part = "" if self.part is None else f" of part {self.part}"
        way = ""
        if of_part and is_packed(self.outdir):
            way = "; once all parts are done, the same command without --part joins them"
        yield f"{self.outdir}: {self.count} images{of_part}{way}"
        yield from (str(path) for path in (self.latents, self.grid) if path is not None)


def run(request: GenerateRequest, *, progress: Progress) -> GenerateResult:
    """Write all images, or a part of them, as an archive or as files.

    Raises:
        UserError: an option breaks a rule, or something is in the way.
        StoppedError: a signal came; it names the command that goes on.
        ProcessesError: one of several processes ended early.
    """
    refuse_other_kinds(request.outdir, "--outdir")
    refuse_grid(request.grid)
    snapshot = open_network(request.network, progress)
    images = _images(snapshot, request, progress)
    if snapshot.info.masks:
        progress.log(
            f"note: {snapshot.info.masks} training images have masks, in {MASKS}/ of their archive;"
            " they are not used, and synthetic images have none"
        )
    part = None if request.part is None else Part.parse(request.part)
    _refuse_together(request)
    _refuse_large_grid(request, list(snapshot.info.spec.modalities), images)
    if request.save_latents is not None and part is None:
        images = _save_latents(snapshot, images, request, request.save_latents)
    if request.gpus > 1 and part is None:
        _claim(snapshot, images, request)
        # a run that is still training may have another snapshot by the time a process looks
        words = request.model_copy(update={"network": snapshot.path}).command_words()
        in_parts(words, request.command_line(), request.gpus)
    with StopRequest(FINISHING) as stop:
        try:
            count = _write(snapshot, images, request, part, progress, stop)
        except StoppedError as stopped:
            raise StoppedError(f"{stopped}. Continue with: {request.command_line()}") from None
        if part is not None:
            return GenerateResult(request.outdir, count, part=request.part)
        compared = request.reject_copies
        left_out = None if compared is None else len(images.jobs) - count
        result = GenerateResult(
            request.outdir, count, None, left_out, compared, latents=request.save_latents
        )
        if request.grid is None:
            return result
        with keeping(result):
            _draw(snapshot, images, request.grid, stop)
    return replace(result, grid=request.grid)


def _images(
    snapshot: Snapshot, request: GenerateRequest, progress: Progress
) -> sampling.ImageRequest:
    how = rendering_of(request, snapshot, progress)
    if request.latents or request.projected_w is not None:
        return _images_of_latents(snapshot, request, how, progress)
    jobs = seeds_and_classes(request, sampling.choose_classes(snapshot, request.classes))
    return sampling.ImageRequest(jobs, **vars(how))


def _images_of_latents(
    snapshot: Snapshot, request: GenerateRequest, how: Rendering, progress: Progress
) -> sampling.ImageRequest:
    """An image of every latent that files hold; in z one for each class that is named.

    Raises:
        UserError: seeds are asked for, too, a file is refused, or classes are missing or too many.
    """
    flags = request.flags()
    named = [flags[way] for way in (*WAYS, "latents", "projected_w") if getattr(request, way)]
    if len(named) > 1:
        raise UserError(f"{' and '.join(named)} exclude each other: give one of them")
    projection = request.projected_w
    space = None if projection is None else Space.W
    files, found = request.latents if projection is None else (projection,), list[Latents]()
    for path in files:
        found.append(read_latents(path, snapshot, progress, space))
        space = found[0].space
    every, classes = joined(found), sampling.choose_classes(snapshot, request.classes)
    if request.classes:
        if space is Space.W and len(classes) > 1:
            raise UserError("--class: styles w are of the class that they have: name one, or none")
        every.refuse_other_class(classes[0], first_few(map(str, files)))
        every = joined([every.of_class(name) for name in classes])
    labels_of(snapshot, every, how)
    return sampling.request_for(every, {sha256_file(path): path.name for path in files}, how)


def _refuse_together(request: GenerateRequest) -> None:
    """Refuse options that contradict each other."""
    packed, rejecting = is_packed(request.outdir), request.reject_copies is not None
    if packed and sampling.FileKind(request.kind) is not sampling.FileKind.PNG:
        raise UserError(
            f"--format {request.kind}: archives hold PNG; leave it out, or name a folder"
        )
    if rejecting and not packed:
        raise UserError("--reject-copies leaves gaps, which an archive counts: name NAME.zip")
    if rejecting and request.grid is not None:
        raise UserError("--grid shows what --reject-copies leaves out: give one of them")
    one_part = request.part is not None and request.gpus == 1
    for name in ("grid", "save_latents"):
        if one_part and getattr(request, name) is not None:
            flag = request.flags()[name]
            raise UserError(f"{flag} needs all images: give it to the command without --part")


def _refuse_large_grid(
    request: GenerateRequest, modalities: Sequence[str], images: sampling.ImageRequest
) -> None:
    """Refuse a picture of too many images, or one that would take the place of an image."""
    grid, outdir, count = request.grid, request.outdir, len(images.jobs)
    if grid is None:
        return
    names = () if is_packed(outdir) else images.file_names(sampling.FileKind(request.kind))
    taken = {os.path.realpath(path) for path in (outdir, *(outdir / name for name in modalities))}
    if (grid.name.startswith("seed") or grid.name in names) and os.path.realpath(
        grid.parent
    ) in taken:
        raise UserError(
            f"--grid {grid}: images have such names there; name it {outdir / 'grid.png'}"
        )
    if count > MAX_GRID_IMAGES:
        raise UserError(
            f"--grid {grid}: {count} images are too many for one picture, which shows at most "
            f"{MAX_GRID_IMAGES}; leave --grid out, or ask for fewer images"
        )


def _save_latents(
    snapshot: Snapshot, images: sampling.ImageRequest, request: GenerateRequest, path: Path
) -> sampling.ImageRequest:
    """Write the latents of all images, where these can be written, and note their file."""
    sampling.check_request(snapshot, images)
    data = sampling.latents_to_save(snapshot, images)
    if path.suffix != SUFFIX:
        raise UserError(
            f"--save-latents {path}: latents are {SUFFIX} files; name it {path}{SUFFIX}"
        )
    with disk_errors(path):  # the same bytes are what an interrupted command leaves
        if not (path.is_file() and path.read_bytes() == data):
            refuse_output(path, "--save-latents", file=True)
    _claim(snapshot, images, request)
    write_bytes(placed(path), data)
    return replace(images, files={**images.files, hashlib.sha256(data).hexdigest(): path.name})


def _claim(snapshot: Snapshot, images: sampling.ImageRequest, request: GenerateRequest) -> None:
    """Refuse a destination that is there, before latents are written or several processes find it
    out for themselves; a folder is noted to be filled by the request as a whole, whatever becomes
    of its processes.
    """
    if is_packed(request.outdir):
        refuse_destination(request.outdir)
    else:
        kind, typed = sampling.FileKind(request.kind), request.command_line()
        sampling.begin_files(snapshot, images, request.outdir, kind=kind, typed=typed)


def _write(
    snapshot: Snapshot,
    images: sampling.ImageRequest,
    request: GenerateRequest,
    part: Part | None,
    progress: Progress,
    stop: StopRequest,
) -> int:
    """All images, or a part of them, and how many they are."""
    outdir, typed, track = request.outdir, request.command_line(), progress.track("generating")
    if not is_packed(outdir):
        kind = sampling.FileKind(request.kind)
        files = sampling.generate_files(
            snapshot, images, outdir, kind=kind, track=track, stop=stop, typed=typed, part=part
        )
        return len(files)
    reject = None
    if request.reject_copies is not None:
        # the measures behind it take a second to load, and few ask for it
        from synthograph.workflows.copies import copy_rejection

        refuse_destination(outdir)
        reject = copy_rejection(snapshot, request.reject_copies, progress)
    return sampling.generate_archive(
        snapshot, images, outdir, track=track, stop=stop, typed=typed, part=part, reject=reject
    )


def _draw(snapshot: Snapshot, images: sampling.ImageRequest, grid: Path, stop: StopRequest) -> None:
    """All images on one picture.

    Raises:
        StoppedError: a signal came; the images themselves are complete.
    """
    drawn = []
    for batch in sampling.generate(snapshot, images):
        if stop.requested:
            raise StoppedError(
                f"stopped on request ({stop.reason}): all images are written, {grid} is not; "
                "the same command with another --outdir draws it"
            )
        drawn += batch
    picture = sampling.draw_contact_sheet(snapshot, drawn, columns=COLUMNS)
    write_bytes(placed(grid), picture)


def seeds_and_classes(request: Seeds, classes: Sequence[str]) -> list[sampling.Job]:
    """The images that one of --seeds, --num and --per-class means.

    Raises:
        UserError: more than one is given, the seeds cannot be read, or they are too many.
    """
    named = [request.flags()[way] for way in WAYS if getattr(request, way) is not None]
    if len(named) > 1:
        raise UserError(f"{' and '.join(named)} exclude each other: give one of them")
    if request.num is not None:
        return sampling.jobs_in_turn(request.num, classes)
    seeds: Sequence[int] = range(request.per_class or 0)
    if request.per_class is None:
        seeds = parse_seeds("0-15" if request.seeds is None else request.seeds)
    count = len(seeds) * max(len(classes), 1)
    if count > MAX_IMAGES:
        raise UserError(
            f"{len(seeds)} seeds for each of {len(classes)} classes are {count} images, more than "
            f"the {MAX_IMAGES} of one command: ask for fewer seeds, or for one --class at a time"
        )
    return sampling.jobs_of(seeds, classes)
