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
            "test whether it was trained on",
        ),
    ] = False,
) -> None:
    """Write the generator as safetensors, and its discriminators beside it; nothing is executed."""
    from synthograph.core.files import sha256_file
    from synthograph.models.snapshot import convert as convert_snapshot
    from synthograph.models.snapshot import find_snapshot

    path = find_snapshot(source)
    if source.is_dir():
        typer.echo(f"network: {path}")
    written = convert_snapshot(path, target, public=public)
    for file, what in zip(written, ("generator", "discriminators"), strict=False):
        typer.echo(f"{what}: {file} ({file.stat().st_size} bytes)  sha256 {sha256_file(file)}")
    if len(written) == 1:
        typer.echo("the source holds no discriminators, so training cannot go on from the copy")
    elif public:
        typer.echo(f"share {written[0].name} alone: discriminators are for further training")
