"""`synthograph prepare`: image files to an archive."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synthograph.cli.verbs import spelled_out

if TYPE_CHECKING:
    from synthograph.archive.prepare import PrepareOptions, Summary
    from synthograph.core.record import SourceItem

FLAGS = {
    "transform.width": "--width",
    "transform.height": "--height",
    "transform.fit": "--transform",
    "transform.resize_filter": "--resize-filter",
    "transform.tile": "--tile",
    "transform.overlap": "--overlap",
    "invariances": "--invariant",
}
"""Setting -> the flag that gives it."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `synthograph prepare` can be asked."""

    source: Annotated[Path, typer.Argument(help="folder, zip or archive with images")]
    dest: Annotated[Path, typer.Argument(help="archive to be: NAME.zip or a folder")]
    labels: Annotated[Path | None, typer.Option(help="table (CSV or TSV) with labels and more")] = (
        None
    )
    column: Annotated[
        list[str] | None,
        typer.Option(help="roles of the table's columns: file=...,label=...,group=..."),
    ] = None
    name_regex: Annotated[
        str | None, typer.Option(help="regular expression whose named groups become columns")
    ] = None
    modality: Annotated[
        list[str] | None, typer.Option(help="further modality as NAME=DIR, paired by file name")
    ] = None
    primary: Annotated[
        str | None, typer.Option(help="name of the first modality; image if not given")
    ] = None
    masks: Annotated[Path | None, typer.Option(help="folder of masks, paired by file name")] = None
    invariant: Annotated[
        str, typer.Option(help="what keeps the meaning: mirror,rotate,colour or none")
    ] = "mirror,rotate,colour"
    size: Annotated[int | None, typer.Option(help="side of square images")] = None
    width: Annotated[int | None, typer.Option(help="width of the images")] = None
    height: Annotated[int | None, typer.Option(help="height of the images")] = None
    transform: Annotated[
        str | None, typer.Option(help="center-crop, center-crop-wide, pad or stretch")
    ] = None
    resize_filter: Annotated[str, typer.Option(help="lanczos or box")] = "lanczos"
    tile: Annotated[int | None, typer.Option(help="cut images into tiles of this side")] = None
    overlap: Annotated[int, typer.Option(help="pixels that tiles share")] = 0
    allow_rejects: Annotated[
        bool, typer.Option("--allow-rejects", help="go on without files that cannot be used")
    ] = False
    grid: Annotated[Path | None, typer.Option(help="also draw a PNG, a row per class")] = None
    workers: Annotated[
        int | None, typer.Option(help="processes; one per core if not given", min=1)
    ] = None
    part: Annotated[
        str | None,
        typer.Option(help="make only part 2/4, on any machine; then the command itself ends it"),
    ] = None


@spelled_out
def prepare(options: Options) -> None:
    """Turn image files into an archive: every file decoded once, checked, brought to one size."""
    from synthograph.archive.reader import is_archive
    from synthograph.archive.writer import refuse_destination

    refuse_destination(options.dest)
    check_grid(options.grid)
    rules = _rules(options)
    sources = [options.source, *_modalities(options.modality or []).values()]
    _refuse_inside(options.dest, [*sources, *([options.masks] if options.masks else [])])
    if is_archive(options.source):
        found = _from_archive(options, rules)
    else:
        found = _from_files(options, rules)
    command = {"prepare": str(options.source.resolve()), "files": _stamp(found.items)}
    if options.part is not None:
        _make_part(found, options.dest, options.part, command, options.workers)
        return
    _make_all(found, options.dest, command, options.workers)
    if options.grid is not None:
        draw_grid(options.dest, options.grid)


@dataclass(frozen=True)
class Found:
    """The images of a source, what cannot be used of it, and the rules that it adds to."""

    items: "Sequence[SourceItem]"
    rules: "PrepareOptions"
    rejects: list[tuple[str, str]] = field(default_factory=list)


def _make_all(found: Found, dest: Path, command: dict[str, Any], workers: int | None) -> None:
    """Write the archive and say what was found."""
    from synthograph.archive.prepare import prepare as write
    from synthograph.cli.progress import tracker

    summary = write(
        found.items,
        dest,
        found.rules,
        rejects=found.rejects,
        command=_typed(command),
        track=tracker("preparing"),
        workers=workers,
    )
    print_summary(summary, dest)


def _make_part(
    found: Found, dest: Path, part: str, command: dict[str, Any], workers: int | None
) -> None:
    """Make one part of an archive and say what ends it."""
    from synthograph.archive.parts import Part
    from synthograph.archive.prepare import prepare_part
    from synthograph.cli.progress import tracker

    count = prepare_part(
        found.items,
        dest,
        found.rules,
        Part.parse(part),
        command=_typed(command),
        track=tracker("preparing"),
        workers=workers,
    )
    typer.echo(
        f"{dest}: part {part} of {count} files is made; when all parts are, the same command "
        "without --part puts them together"
    )


def _typed(command: dict[str, Any]) -> dict[str, Any]:
    """A command with the line that was typed, for whoever meets it unfinished."""
    from synthograph.core.commands import TYPED, command_line

    return {TYPED: command_line(), **command}


def _rules(options: Options) -> "PrepareOptions":
    """What decides an archive's content beside its source."""
    from synthograph.archive.prepare import PrepareOptions
    from synthograph.core.config import calling
    from synthograph.core.errors import UserError

    width, height, flags = options.width, options.height, FLAGS
    if options.size is not None:
        if width is not None or height is not None:
            raise UserError("--size N means --width N --height N: give one or the other")
        width, height, flags = options.size, options.size, {**FLAGS, "transform.width": "--size"}
    with calling(flags):
        return PrepareOptions.parse(
            {
                "transform": {
                    "width": width,
                    "height": height,
                    "fit": options.transform,
                    "resize_filter": options.resize_filter,
                    "tile": options.tile,
                    "overlap": options.overlap,
                },
                "invariances": _invariances(options.invariant),
                "allow_rejects": options.allow_rejects,
            }
        )


def _invariances(text: str) -> list[str]:
    return [] if text == "none" else [name.strip() for name in text.split(",")]


def _from_archive(options: Options, rules: "PrepareOptions") -> Found:
    """An existing archive keeps its classes, namespace, invariances and origin; only its splits are
    left behind.
    """
    from synthograph.archive.reader import open_archive
    from synthograph.core.errors import UserError

    own = {
        "--labels": options.labels,
        "--column": options.column,
        "--name-regex": options.name_regex,
        "--modality": options.modality,
        "--masks": options.masks,
        "--primary": options.primary,
    }
    given = [name for name, value in own.items() if value]
    if given:
        raise UserError(
            f"{options.source} is an archive, and has its own labels, columns and modalities: "
            f"leave {', '.join(given)} out"
        )
    archive = open_archive(options.source)
    kept = {
        "classes": archive.info.classes,
        "namespace": archive.info.namespace or None,
        "invariances": [n for n in rules.invariances if n in archive.info.invariances],
        "snapshots": archive.info.snapshots,
    }
    return Found(archive.items(), rules.model_copy(update=kept))


def _from_files(options: Options, rules: "PrepareOptions") -> Found:
    from synthograph.sources.files import FileSourceOptions, read_files
    from synthograph.sources.tables import parse_columns

    files = read_files(
        FileSourceOptions(
            source=options.source,
            primary=options.primary or "image",
            modalities=_modalities(options.modality or []),
            masks=options.masks,
            table=options.labels,
            columns=parse_columns(options.column) if options.column else None,
            name_regex=options.name_regex,
        )
    )
    for remark in files.remarks:
        typer.echo(f"note: {remark}")
    rejects = [(reject.name, reject.reason) for reject in files.rejects]
    return Found(files.items, rules.model_copy(update={"classes": files.classes}), rejects)


def _refuse_inside(dest: Path, sources: Sequence[Path]) -> None:
    """An archive that is a folder in its own source would be taken for images next time."""
    from synthograph.core.errors import UserError

    if dest.suffix.lower() == ".zip":
        return
    place = Path(os.path.realpath(dest))
    for source in sources:
        if source.is_dir() and place.is_relative_to(os.path.realpath(source)):
            raise UserError(
                f"{dest} lies inside {source}, whose images it is made of: put the archive "
                "elsewhere, or pack it as NAME.zip"
            )


def _stamp(items: "Sequence[SourceItem]") -> str:
    """A digest of the files behind the items as they are now: an unfinished archive of files that
    were changed since is not continued.
    """
    import hashlib

    from synthograph.archive.reader import MASKS, RowDecoder
    from synthograph.sources.raster import FileDecoder

    digest = hashlib.sha256()
    for decode in (item.decode for item in items):
        if isinstance(decode, RowDecoder | FileDecoder):
            masks = [(MASKS, *decode.mask)] if decode.mask else []
            for kind, container, name in (*decode.parts, *masks):
                digest.update(f"{kind}\n{container}\n{name}\n{container.stamp(name)}\n".encode())
    return digest.hexdigest()


def _modalities(texts: Sequence[str]) -> dict[str, Path]:
    from synthograph.core.errors import UserError

    result = {}
    for text in texts:
        name, sign, folder = text.partition("=")
        if not (sign and name and folder):
            raise UserError(
                f"--modality {text!r} is not of the form NAME=DIR, such as nir=photos/NIR"
            )
        if name in result:
            raise UserError(f"--modality {name} is given twice: every modality has its own name")
        result[name] = Path(folder)
    return result


def check_grid(grid: Path | None) -> None:
    """Refuse a picture that is in the way, or no PNG, before long work starts."""
    from synthograph.core.errors import UserError
    from synthograph.core.files import refuse_existing, refuse_unwritable

    if grid is not None:
        if grid.suffix.lower() != ".png":
            stem = grid.stem.lstrip(".").removesuffix("png") or "grid"
            raise UserError(f"--grid {grid}: pictures are PNG files; name it {stem}.png")
        refuse_existing(grid, "--grid")
        refuse_unwritable(grid)


def draw_grid(archive: Path, grid: Path) -> None:
    """A contact sheet of an archive, a row per class."""
    from synthograph.archive.gallery import gallery
    from synthograph.archive.reader import open_archive
    from synthograph.core.contact_sheets import contact_sheet
    from synthograph.core.files import disk_errors, write_bytes

    with disk_errors(grid):
        grid.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(grid, contact_sheet(gallery(open_archive(archive))))
    typer.echo(f"{grid}")


def print_summary(summary: "Summary", dest: Path) -> None:
    """What the archive holds, for people."""
    from synthograph.archive.advice import FEW, NO_GROUPS, few_images

    typer.echo(f"{dest}: {summary.images} images, {summary.spec.describe()}")
    if summary.masks:
        typer.echo(f"  masks: {summary.masks} of {summary.images} images have one")
    for name, count in summary.classes.items():
        typer.echo(f"  class {name}: {count}")
    if summary.grouped:
        typer.echo(f"  groups: {summary.groups}")
    else:
        typer.echo(f"warning: {NO_GROUPS}")
    if summary.images < FEW:
        typer.echo(f"note: {few_images(summary.images)}")
    for note, count in summary.notes.items():
        typer.echo(f"  {count} files: {note}")
    if summary.rejects:
        typer.echo(f"  rejected: {len(summary.rejects)}, listed in {dest}.rejected.csv")
    for suspect in summary.suspects:
        typer.echo(f"  worth a look: {suspect.name}: {suspect.reason}")
