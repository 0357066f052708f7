"""`synthograph prepare`: image files to an archive."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from synthograph.archive.prepare import PrepareOptions, Summary
    from synthograph.core.record import SourceItem


def prepare(
    source: Annotated[Path, typer.Argument(help="folder, zip or archive with images")],
    dest: Annotated[Path, typer.Argument(help="archive to be: NAME.zip or a folder")],
    labels: Annotated[
        Path | None, typer.Option(help="table (CSV or TSV) with labels and more")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="roles of the table's columns: file=...,label=...,group=..."),
    ] = None,
    name_regex: Annotated[
        str | None, typer.Option(help="regular expression whose named groups become columns")
    ] = None,
    modality: Annotated[
        list[str] | None, typer.Option(help="further modality as NAME=DIR, paired by file name")
    ] = None,
    primary: Annotated[str, typer.Option(help="name of the first modality")] = "image",
    masks: Annotated[Path | None, typer.Option(help="folder of masks, paired by file name")] = None,
    invariant: Annotated[
        str, typer.Option(help="what keeps the meaning: mirror,rotate,colour or none")
    ] = "mirror,rotate,colour",
    size: Annotated[int | None, typer.Option(help="side of square images")] = None,
    width: Annotated[int | None, typer.Option(help="width of the images")] = None,
    height: Annotated[int | None, typer.Option(help="height of the images")] = None,
    transform: Annotated[
        str | None, typer.Option(help="center-crop, center-crop-wide, pad or stretch")
    ] = None,
    resize_filter: Annotated[str, typer.Option(help="lanczos or box")] = "lanczos",
    tile: Annotated[int | None, typer.Option(help="cut images into tiles of this side")] = None,
    overlap: Annotated[int, typer.Option(help="pixels that tiles share")] = 0,
    allow_rejects: Annotated[
        bool, typer.Option("--allow-rejects", help="go on without files that cannot be used")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="processes; one per core if not given")
    ] = None,
) -> None:
    """Turn image files into an archive: every file decoded once, checked, brought to one size."""
    from synthograph.archive.prepare import PrepareOptions
    from synthograph.archive.prepare import prepare as write
    from synthograph.archive.reader import is_archive
    from synthograph.cli.progress import tracker
    from synthograph.sources.files import FileSourceOptions
    from synthograph.sources.tables import parse_columns

    names = [] if invariant == "none" else invariant.split(",")
    options = PrepareOptions.parse(
        {
            "transform": {
                "width": size or width,
                "height": size or height,
                "fit": transform,
                "resize_filter": resize_filter,
                "tile": tile,
                "overlap": overlap,
            },
            "invariances": names,
            "allow_rejects": allow_rejects,
        }
    )
    if is_archive(source):
        items, rejects, options = _from_archive(source, options, labels)
    else:
        found = FileSourceOptions(
            source=source,
            primary=primary,
            modalities=_modalities(modality or []),
            masks=masks,
            table=labels,
            columns=parse_columns(column) if column else None,
            name_regex=name_regex,
        )
        items, rejects, options = _from_files(found, options)
    summary = write(
        items,
        dest,
        options,
        rejects=rejects,
        command={"prepare": str(source.resolve()), "names": [item.name for item in items]},
        track=tracker("preparing"),
        workers=workers,
    )
    print_summary(summary, dest)


Found = tuple["Sequence[SourceItem]", list[tuple[str, str]], "PrepareOptions"]


def _from_archive(source: Path, options: "PrepareOptions", labels: Path | None) -> Found:
    """An existing archive keeps its classes, namespace and invariances; only its splits are left
    behind.
    """
    from synthograph.archive.reader import open_archive
    from synthograph.core.errors import UserError

    if labels is not None:
        raise UserError(f"{source} is an archive and has its own labels: leave --labels out")
    archive = open_archive(source)
    kept = {
        "classes": archive.info.classes,
        "namespace": archive.info.namespace or None,
        "invariances": [n for n in options.invariances if n in archive.info.invariances],
    }
    return archive.items(), [], options.model_copy(update=kept)


def _from_files(found: Any, options: "PrepareOptions") -> Found:  # noqa: ANN401
    from synthograph.sources.files import read_files

    files = read_files(found)
    for remark in files.remarks:
        typer.echo(f"note: {remark}")
    rejects = [(reject.name, reject.reason) for reject in files.rejects]
    return files.items, rejects, options.model_copy(update={"classes": files.classes})


def _modalities(texts: Sequence[str]) -> dict[str, Path]:
    from synthograph.core.errors import UserError

    result = {}
    for text in texts:
        name, sign, folder = text.partition("=")
        if not (sign and name and folder):
            raise UserError(
                f"--modality {text!r} is not of the form NAME=DIR, such as nir=photos/NIR"
            )
        result[name] = Path(folder)
    return result


def print_summary(summary: "Summary", dest: Path) -> None:
    """What the archive holds, for people."""
    typer.echo(f"{dest}: {summary.images} images, {summary.spec.describe()}")
    for name, count in summary.classes.items():
        typer.echo(f"  class {name}: {count}")
    if summary.grouped:
        typer.echo(f"  groups: {summary.groups}")
    else:
        typer.echo(
            "warning: no groups were given, so every image counts as a patient of its own. If "
            "patients have "
            "several images, name them (--column group=... or --name-regex), or splits will leak"
        )
    for note, count in summary.notes.items():
        typer.echo(f"  {count} files: {note}")
    if summary.rejects:
        typer.echo(f"  rejected: {len(summary.rejects)}, listed in {dest}.rejected.csv")
    for suspect in summary.suspects:
        typer.echo(f"  worth a look: {suspect.name}: {suspect.reason}")
