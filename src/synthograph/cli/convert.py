"""`synthograph convert`: a snapshot of any readable kind as safetensors."""

from pathlib import Path
from typing import Annotated

import typer


def convert(
    source: Annotated[Path, typer.Argument(help="published .pkl, snapshot or run directory")],
    target: Annotated[Path, typer.Argument(help="the generator's file, NAME.safetensors")],
    public: Annotated[
        bool,
        typer.Option(
            "--public",
            help="leave out the digests of groups and images, by which a holder of an image could "
            "test whether it was trained on, and the folders that private files lay in",
        ),
    ] = False,
) -> None:
    """Write the generator as safetensors, and its discriminators beside it; nothing is executed."""
    from synthograph.core.files import sha256_file
    from synthograph.core.untrusted.tensors import SUFFIX
    from synthograph.models.snapshot import PARTNER, find_snapshot, has_partner, is_pickle, partner
    from synthograph.models.snapshot import convert as convert_snapshot

    path = find_snapshot(source)
    if source.is_dir():
        typer.echo(f"network: {path}")
    _refuse_targets(target)
    alone = path.suffix == SUFFIX and PARTNER not in path.name and not has_partner(path)
    if alone and path.is_file() and not is_pickle(path):
        typer.echo(
            f"note: there is no {partner(path).name} beside it, so the copy is the generator "
            "alone: it makes images, but training cannot go on from it"
        )
    written = convert_snapshot(path, target, public=public)
    for file, what in zip(written, ("generator", "discriminators"), strict=False):
        typer.echo(f"{what}: {file} ({file.stat().st_size} bytes)  sha256 {sha256_file(file)}")
    if public and len(written) > 1:
        typer.echo(f"share {written[0].name} alone: discriminators are for further training")


def _refuse_targets(target: Path) -> None:
    """Stop before the source is read where one of the files could not be written.

    Raises:
        UserError: one exists, its folder is missing or not writable, or its name is too long.
    """
    from synthograph.core.errors import UserError
    from synthograph.core.files import disk_errors, refuse_existing, refuse_unwritable
    from synthograph.core.untrusted.tensors import SUFFIX
    from synthograph.models.snapshot import partner

    if target.suffix != SUFFIX:
        raise UserError(f"{target}: a snapshot's name ends in {SUFFIX}")
    for path in (target, partner(target)):
        with disk_errors(path):
            refuse_existing(path, "name")
            refuse_unwritable(path)
            if not path.parent.is_dir():
                raise UserError(
                    f"{path.parent} is no folder: make it first, or choose another place"
                )
