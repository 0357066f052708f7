"""`synthograph generate`: labelled images from a snapshot and seeds."""

import enum
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from synthograph.sampling.generate import Job

E = TypeVar("E", bound=enum.Enum)
MOST = 10_000_000
"""Images that one command makes at most."""


def generate(
    network: Annotated[
        Path, typer.Option(help="snapshot, .pkl, or run directory (best, else newest)")
    ],
    outdir: Annotated[Path, typer.Option(help="folder for PNG files, or NAME.zip for an archive")],
    seeds: Annotated[
        str | None,
        typer.Option(help="seeds such as 0-35,97 for every class; default 0-15"),
    ] = None,
    num: Annotated[
        int | None,
        typer.Option(min=1, max=MOST, help="so many images in all, classes taking turns"),
    ] = None,
    per_class: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="so many images of every class")
    ] = None,
    classes: Annotated[
        list[str] | None, typer.Option("--class", help="class by name or index; all if not given")
    ] = None,
    trunc: Annotated[float, typer.Option(help="truncation psi; 1 is full diversity")] = 1.0,
    trunc_cutoff: Annotated[int | None, typer.Option(help="truncate so many style rows")] = None,
    trunc_center: Annotated[
        str, typer.Option(help="pull to the global mean or to that of the class")
    ] = "global",
    noise_mode: Annotated[str, typer.Option(help="const, random (by the seed) or none")] = "const",
    kind: Annotated[str, typer.Option("--format", help="png or jpeg, for single files")] = "png",
    grid: Annotated[Path | None, typer.Option(help="also draw all images on one PNG")] = None,
    batch: Annotated[int, typer.Option(help="images at once; does not change them")] = 32,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")] = "auto",
    precision: Annotated[str, typer.Option(help="fp32, or bf16: faster, slightly off")] = "fp32",
) -> None:
    """Generate images; a class and a seed always give the same one."""
    from synthograph.cli.prepare import check_grid
    from synthograph.cli.progress import tracker
    from synthograph.core.devices import Precision, pick_device
    from synthograph.core.files import write_bytes
    from synthograph.models.base import NoiseMode, TruncationCenter
    from synthograph.models.snapshot import find_snapshot, load
    from synthograph.sampling import generate as sampling

    path = find_snapshot(network)
    if network.is_dir():
        typer.echo(f"network: {path}")
    snapshot = load(path)
    names = sampling.choose_classes(snapshot, classes or [])
    request = sampling.Request(
        _jobs(names, seeds, num, per_class),
        truncation=trunc,
        cutoff=trunc_cutoff,
        center=_choice(trunc_center, TruncationCenter, "--trunc-center"),
        noise=_choice(noise_mode, NoiseMode, "--noise-mode"),
        batch=batch,
        device=str(pick_device(device)),
        precision=_choice(precision, Precision, "--precision"),
    )
    check_grid(grid)
    if outdir.suffix == ".zip":
        count = sampling.generate_archive(snapshot, request, outdir, track=tracker("generating"))
    else:
        form = _choice(kind, sampling.FileKind, "--format")
        paths = sampling.generate_files(
            snapshot, request, outdir, kind=form, track=tracker("generating")
        )
        count = len(paths)
    typer.echo(f"{outdir}: {count} images")
    if grid is not None:
        images = [image for part in sampling.generate(snapshot, request) for image in part]
        write_bytes(grid, sampling.picture(snapshot, images, columns=16))
        typer.echo(f"{grid}")


def _jobs(
    classes: Sequence[str], seeds: str | None, num: int | None, per_class: int | None
) -> "list[Job]":
    """The images that one of --seeds, --num and --per-class means."""
    from synthograph.core.errors import UserError
    from synthograph.sampling.generate import jobs_in_turn, jobs_of
    from synthograph.sampling.seeds import parse_seeds

    given = {"--seeds": seeds, "--num": num, "--per-class": per_class}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise UserError(f"{' and '.join(named)} exclude each other: give one of them")
    if num is not None:
        return jobs_in_turn(num, classes)
    if per_class is not None:
        return jobs_of(range(per_class), classes)
    return jobs_of(parse_seeds("0-15" if seeds is None else seeds), classes)


def _choice(text: str, kind: type[E], option: str) -> E:
    """A value of an enum by its name."""
    from synthograph.core.errors import UserError
    from synthograph.core.names import nearest

    known = [str(member.value) for member in kind]
    if text not in known:
        raise UserError(f"{option} {text!r} is unknown: {nearest(text, known)}")
    return kind(text)
