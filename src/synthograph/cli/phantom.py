"""`synthograph phantom`: an archive of procedural test objects whose truth is known."""

from pathlib import Path
from typing import Annotated

import typer


def phantom(
    kind: Annotated[str, typer.Argument(help="skin, eye or knee")],
    dest: Annotated[Path, typer.Argument(help="archive to be: NAME.zip or a folder")],
    count: Annotated[int, typer.Option(help="number of images")] = 2000,
    size: Annotated[int, typer.Option(help="side in pixels")] = 64,
    seed: Annotated[int, typer.Option(help="seed of patients, factors and pixels")] = 0,
    site: Annotated[str, typer.Option(help="camera: a or b")] = "a",
    grid: Annotated[Path | None, typer.Option(help="also draw a PNG, a row per class")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="further settings as name=value, such as auroc=0.95"),
    ] = None,
) -> None:
    """Make an archive of phantoms: skin lesions, eyes in two modalities, or 16-bit knees."""
    from synthograph.archive.prepare import PrepareOptions
    from synthograph.archive.prepare import prepare as write
    from synthograph.archive.writer import refuse_destination
    from synthograph.cli.prepare import check_grid, draw_grid, print_summary
    from synthograph.cli.progress import tracker
    from synthograph.core.commands import TYPED, command_line
    from synthograph.core.config import calling, flatten, merge, parse_assignments
    from synthograph.sources.phantoms import PhantomOptions, make_phantoms

    asked = {"kind": kind, "count": count, "size": size, "seed": seed, "site": site}
    sets = parse_assignments(settings or [])
    flags = {name: f"--{name}" for name in asked} | {"kind": "KIND"}
    with calling(flags | {name: f"--set {name}" for name in flatten(sets, sections=True)}):
        options = PhantomOptions.parse(merge(asked, sets))
    refuse_destination(dest)
    check_grid(grid)
    phantoms = make_phantoms(options)
    summary = write(
        phantoms.items,
        dest,
        PrepareOptions(classes=phantoms.classes, invariances=list(phantoms.invariances)),
        command={TYPED: command_line(), "phantom": options.tree()},
        track=tracker(f"drawing {kind} phantoms"),
    )
    print_summary(summary, dest)
    if grid is not None:
        draw_grid(dest, grid)
