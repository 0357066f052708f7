"""`synthograph generate`: labelled images from a snapshot and seeds."""

from pathlib import Path
from typing import Annotated

import typer


def generate(
    network: Annotated[Path, typer.Option(help="snapshot, or run directory (its newest snapshot)")],
    outdir: Annotated[Path, typer.Option(help="folder for PNG files, or NAME.zip for an archive")],
    seeds: Annotated[str, typer.Option(help="seeds such as 0-35,97")] = "0-15",
    classes: Annotated[
        list[str] | None, typer.Option("--class", help="class by name or index; all if not given")
    ] = None,
    trunc: Annotated[float, typer.Option(help="truncation psi; 1 is full diversity")] = 1.0,
    trunc_cutoff: Annotated[int | None, typer.Option(help="truncate so many style rows")] = None,
    noise_mode: Annotated[str, typer.Option(help="const, random or none")] = "const",
    grid: Annotated[Path | None, typer.Option(help="also draw all images on one PNG")] = None,
    batch: Annotated[int, typer.Option(help="images at once; does not change them")] = 32,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")] = "auto",
) -> None:
    """Generate images; a class and a seed always give the same one."""
    from synthograph.cli.progress import tracker
    from synthograph.core.devices import pick_device
    from synthograph.core.files import refuse_existing, write_bytes
    from synthograph.models.snapshot import find_snapshot, load
    from synthograph.sampling import generate as sampling
    from synthograph.sampling.seeds import parse_seeds

    path = find_snapshot(network)
    if network.is_dir():
        typer.echo(f"network: {path}")
    snapshot = load(path)
    request = sampling.Request(
        seeds=parse_seeds(seeds),
        classes=sampling.choose_classes(snapshot, classes or []),
        truncation=trunc,
        cutoff=trunc_cutoff,
        noise=noise_mode,
        batch=batch,
        device=str(pick_device(device)),
    )
    if grid is not None:
        refuse_existing(grid, "--grid")
    if outdir.suffix == ".zip":
        count = sampling.generate_archive(snapshot, request, outdir, track=tracker("generating"))
    else:
        count = len(sampling.generate_files(snapshot, request, outdir, track=tracker("generating")))
    typer.echo(f"{outdir}: {count} images")
    if grid is not None:
        images = [image for part in sampling.generate(snapshot, request) for image in part]
        write_bytes(grid, sampling.picture(snapshot, images, columns=16))
        typer.echo(f"{grid}")
