"""`synthograph generate`: labelled images from a snapshot and seeds."""

import enum
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from synthograph.cli.verbs import spelled_out

if TYPE_CHECKING:
    from synthograph.archive.parts import Part
    from synthograph.core.signals import StopRequest
    from synthograph.models.snapshot import Snapshot
    from synthograph.sampling.generate import FileKind, ImageRequest, Job, RejectionRule

E = TypeVar("E", bound=enum.Enum)
MOST = 10_000_000
"""Images that one command makes at most."""
GRID_MOST = 4096
"""Images that one picture shows at most; they are held in memory."""
COLUMNS = 16
FINISHING = "the images at work are finished and kept; Ctrl-C once more ends at once"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `synthograph generate` can be asked."""

    network: Annotated[
        Path, typer.Option(help="snapshot, .pkl, or run directory (best, else newest)")
    ]
    outdir: Annotated[Path, typer.Option(help="folder for PNG files, or NAME.zip for an archive")]
    seeds: Annotated[
        str | None,
        typer.Option(help="seeds such as 0-35,97 for every class; default 0-15"),
    ] = None
    num: Annotated[
        int | None,
        typer.Option(min=1, max=MOST, help="so many images in all, classes taking turns"),
    ] = None
    per_class: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="so many images of every class")
    ] = None
    classes: Annotated[
        list[str] | None, typer.Option("--class", help="class by name or index; all if not given")
    ] = None
    trunc: Annotated[float, typer.Option(help="truncation psi; 1 is full diversity")] = 1.0
    trunc_cutoff: Annotated[int | None, typer.Option(help="truncate so many style rows")] = None
    trunc_center: Annotated[
        str, typer.Option(help="pull to the global mean or to that of the class")
    ] = "global"
    noise_mode: Annotated[str, typer.Option(help="const, random (by the seed) or none")] = "const"
    kind: Annotated[str, typer.Option("--format", help="png or jpeg, for single files")] = "png"
    grid: Annotated[Path | None, typer.Option(help="also draw all images on one PNG")] = None
    batch: Annotated[int, typer.Option(help="images at once; does not change them")] = 32
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")] = "auto"
    precision: Annotated[str, typer.Option(help="fp32, or bf16: faster, slightly off")] = "fp32"
    gpus: Annotated[
        int, typer.Option(min=1, max=1024, help="processes, one per GPU; does not change images")
    ] = 1
    part: Annotated[
        str | None,
        typer.Option(
            help="only part 2/4, on any machine; an archive then needs the command itself"
        ),
    ] = None
    reject_copies: Annotated[
        str | None,
        typer.Option(help="leave out what is too like an image of TRAIN.zip[:split]"),
    ] = None

    @property
    def packed(self) -> bool:
        """Whether an archive is asked for."""
        return self.outdir.suffix.lower() == ".zip"


@spelled_out
def generate(options: Options) -> None:
    """Generate images; a class and a seed always give the same one."""
    from synthograph.archive.parts import Part
    from synthograph.core.outputs import refuse_other_kinds
    from synthograph.core.signals import StopRequest
    from synthograph.models.snapshot import find_snapshot, load
    from synthograph.sampling.generate import FileKind, choose_classes
    from synthograph.workflows.grid import refuse_grid
    from synthograph.workflows.processes import in_parts

    refuse_other_kinds(options.outdir, "--outdir")
    refuse_grid(options.grid)
    path = find_snapshot(options.network)
    if options.network.is_dir():
        typer.echo(f"network: {path}")
    snapshot = load(path)
    request = _request(options, choose_classes(snapshot, options.classes or []))
    form = _choice(options.kind, FileKind, "--format")
    _refuse_together(options, form)
    share = None if options.part is None else Part.parse(options.part)
    _check_grid_with(options, len(request.jobs), list(snapshot.info.spec.modalities))
    if options.gpus > 1 and share is None:
        _begin(snapshot, request, options, form)
        # a run that is still training may have another snapshot by the time a process looks
        code = in_parts(options.gpus, f"--network={path}")
        if code:
            raise typer.Exit(code)
    with StopRequest(FINISHING) as stop:
        _write(snapshot, request, options, form, stop, share)
        if options.grid is not None and share is None:
            _draw(snapshot, request, options.grid, stop)


def _request(options: Options, classes: Sequence[str]) -> "ImageRequest":
    """What is to be generated, and how."""
    from synthograph.core.devices import Precision, pick_device
    from synthograph.models.base import NoiseMode, TruncationCenter
    from synthograph.sampling.generate import ImageRequest

    return ImageRequest(
        _jobs(options, classes),
        truncation=options.trunc,
        cutoff=options.trunc_cutoff,
        center=_choice(options.trunc_center, TruncationCenter, "--trunc-center"),
        noise=_choice(options.noise_mode, NoiseMode, "--noise-mode"),
        batch=options.batch,
        device=str(pick_device(options.device)),
        precision=_choice(options.precision, Precision, "--precision"),
    )


def _refuse_together(options: Options, form: "FileKind") -> None:
    """Refuse options that contradict each other.

    Raises:
        UserError: there are some.
    """
    from synthograph.core.errors import UserError
    from synthograph.sampling.generate import FileKind

    if form is not FileKind.PNG and options.packed:
        raise UserError(f"--format {form.value}: archives hold PNG; leave it out, or name a folder")
    if options.reject_copies is not None and not options.packed:
        raise UserError("--reject-copies leaves gaps, which an archive counts: name NAME.zip")
    if options.reject_copies is not None and options.grid is not None:
        raise UserError("--grid shows what --reject-copies leaves out: give one of them")
    if options.part is not None and options.gpus == 1 and options.grid is not None:
        raise UserError("--grid needs all images: give it to the command without --part")


def _write(
    snapshot: "Snapshot",
    request: "ImageRequest",
    options: Options,
    form: "FileKind",
    stop: "StopRequest",
    part: "Part | None",
) -> None:
    """All images, or a part of them, as an archive or as files.

    Raises:
        StoppedError: a signal came; it names the command that goes on.
    """
    from synthograph.cli.progress import tracker
    from synthograph.core.commands import command_line
    from synthograph.core.errors import StoppedError
    from synthograph.sampling.generate import generate_archive, generate_files

    track, typed = tracker("generating"), command_line()
    outdir, training = options.outdir, options.reject_copies
    known: Any = {"track": track, "stop": stop, "typed": typed, "part": part}
    try:
        if options.packed:
            reject = None if training is None else _copies(snapshot, training, outdir)
            count = generate_archive(snapshot, request, outdir, reject=reject, **known)
        else:
            count = len(generate_files(snapshot, request, outdir, kind=form, **known))
    except StoppedError as stopped:
        raise StoppedError(f"{stopped}. Go on with: {typed}") from None
    if training is not None and part is None:
        left = len(request.jobs) - count
        typer.echo(f"left out as too like an image of {training}: {left}")
    said = f"{outdir}: {count} images"
    if part is not None:
        said += f" of part {part}"
    if part is not None and options.packed:
        said += "; when all parts are made, the same command without --part puts them together"
    typer.echo(said)


def _copies(snapshot: "Snapshot", named: str, outdir: Path) -> "RejectionRule":
    """What leaves out copies of the images of an archive.

    Raises:
        UserError: the archive holds other kinds of images, synthetic ones, too few groups, or none
            that the generator was trained on.
    """
    from synthograph.archive.batches import (
        archive_images,
        group_digests,
        path_and_split,
        refuse_synthetic,
        rows_of_split,
    )
    from synthograph.archive.reader import open_archive
    from synthograph.archive.writer import refuse_destination
    from synthograph.cli.progress import tracker
    from synthograph.core.errors import UserError
    from synthograph.core.files import cache_folder
    from synthograph.metrics.audit.audit import refuse_strange_training, unsearched
    from synthograph.metrics.audit.reject import copy_judge
    from synthograph.metrics.overlap import trained_on
    from synthograph.sampling.generate import RejectionRule

    refuse_destination(outdir)
    path, split = path_and_split(named)
    archive = open_archive(path)
    rows = rows_of_split(archive, split)
    refuse_synthetic(archive, rows)
    mine, theirs = snapshot.info.spec, archive.info.spec
    if (mine.height, mine.width, mine.channels, mine.bits) != (
        theirs.height,
        theirs.width,
        theirs.channels,
        theirs.bits,
    ):
        raise UserError(
            f"--reject-copies {named}: images of {theirs.width}x{theirs.height}, {theirs.channels} "
            f"channels, {theirs.bits} bits; the generator makes {mine.width}x{mine.height}, "
            f"{mine.channels}, {mine.bits}: name the archive that it was trained on"
        )
    trained, groups = trained_on([snapshot.info.tree()]), group_digests(archive, rows)
    refuse_strange_training(trained, groups, f"--reject-copies {named}")
    notes = unsearched(trained, groups, named)
    if not trained.groups:
        notes = [
            "the network does not say what it was trained on, so whether its training images are "
            f"those of {named} cannot be checked"
        ]
    for note in notes:
        typer.echo(f"--reject-copies: {note}")
    judge = copy_judge(
        archive_images(archive, rows, split=split), folder=cache_folder(), tracks=tracker
    )
    return RejectionRule(
        judge, {**judge.origin, "score": judge.threshold.score, "rate": judge.threshold.rate}
    )


def _draw(snapshot: "Snapshot", request: "ImageRequest", grid: Path, stop: "StopRequest") -> None:
    """All images on one picture.

    Raises:
        StoppedError: a signal came; the images themselves are complete.
    """
    from synthograph.core.errors import StoppedError
    from synthograph.core.files import disk_errors, write_bytes
    from synthograph.sampling.generate import draw_contact_sheet, generate

    images = []
    for part in generate(snapshot, request):
        if stop.requested:
            raise StoppedError(
                f"stopped on request ({stop.reason}): all images are written, {grid} is not; the "
                "same command with another --outdir draws it"
            )
        images += part
    with disk_errors(grid):
        grid.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(grid, draw_contact_sheet(snapshot, images, columns=COLUMNS))
    typer.echo(f"{grid}")


def _check_grid_with(options: Options, count: int, modalities: Sequence[str]) -> None:
    """Refuse a picture of too many images, or one that would take the place of an image."""
    from synthograph.core.errors import UserError

    grid, outdir = options.grid, options.outdir
    taken = {os.path.realpath(folder) for folder in (outdir, *(outdir / m for m in modalities))}
    if grid is not None and grid.name.startswith("seed") and os.path.realpath(grid.parent) in taken:
        raise UserError(
            f"--grid {grid}: images have such names there; name it {outdir / 'grid.png'}"
        )
    if grid is not None and count > GRID_MOST:
        raise UserError(
            f"--grid {grid}: {count} images are too many for one picture, which shows at most "
            f"{GRID_MOST}; leave --grid out, or ask for fewer images"
        )


def _jobs(options: Options, classes: Sequence[str]) -> "list[Job]":
    """The images that one of --seeds, --num and --per-class means."""
    from synthograph.core.errors import UserError
    from synthograph.sampling.generate import jobs_in_turn, jobs_of
    from synthograph.sampling.seeds import parse_seeds

    given = {
        "--seeds": options.seeds,
        "--num": options.num,
        "--per-class": options.per_class,
    }
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise UserError(f"{' and '.join(named)} exclude each other: give one of them")
    if options.num is not None:
        return jobs_in_turn(options.num, classes)
    wanted: Sequence[int] = range(options.per_class or 0)
    if options.per_class is None:
        wanted = parse_seeds("0-15" if options.seeds is None else options.seeds)
    count = len(wanted) * max(len(classes), 1)
    if count > MOST:
        raise UserError(
            f"{len(wanted)} seeds for each of {len(classes)} classes are {count} images, more than "
            f"the {MOST} of one command: ask for fewer seeds, or for one --class at a time"
        )
    return jobs_of(wanted, classes)


def _choice(text: str, kind: type[E], option: str) -> E:
    """A value of an enum by its name."""
    from synthograph.core.errors import UserError
    from synthograph.core.names import nearest

    known = [str(member.value) for member in kind]
    if text not in known:
        raise UserError(f"{option} {text!r} is unknown: {nearest(text, known)}")
    return kind(text)


def _begin(
    snapshot: "Snapshot", request: "ImageRequest", options: Options, form: "FileKind"
) -> None:
    """Refuse a destination that is there, before several processes find it out for themselves; a
    folder is noted to be filled by the command as a whole, whatever becomes of its processes.
    """
    from synthograph.archive.writer import refuse_destination
    from synthograph.core.commands import command_line
    from synthograph.sampling.generate import begin_files

    if options.packed:
        refuse_destination(options.outdir)
    else:
        begin_files(snapshot, request, options.outdir, kind=form, typed=command_line())
