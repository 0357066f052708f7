"""`synthograph split`: train, validation and test by group."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from synthograph.archive.reader import Archive


def split(
    archive: Annotated[Path, typer.Argument(help="archive to split, in place")],
    test: Annotated[float, typer.Option(help="share of the images that only reports")] = 0.2,
    val: Annotated[float, typer.Option(help="share of the images that chooses")] = 0.1,
    folds: Annotated[
        int | None, typer.Option(help="cross-validation folds of the train part")
    ] = None,
    seed: Annotated[int, typer.Option(help="seed of the random order")] = 0,
    force: Annotated[bool, typer.Option("--force", help="replace an existing split")] = False,
) -> None:
    """Cut an archive into train, val and test. Groups stay whole, classes keep their shares."""
    from synthograph.archive.advice import NO_GROUPS, has_groups
    from synthograph.archive.split import SplitOptions, split_archive
    from synthograph.core.config import calling

    flags = {name: f"--{name}" for name in ("test", "val", "folds", "seed")}
    with calling(flags):
        options = SplitOptions.parse({"test": test, "val": val, "folds": folds, "seed": seed})
    result = split_archive(archive, options, force=force)
    print_table(result)
    if not has_groups(result.rows):
        typer.echo(f"warning: {NO_GROUPS}")


def print_table(archive: "Archive") -> None:
    """Images, groups and classes of every part."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    from synthograph.archive.split import split_table

    classes = archive.info.classes  # as Text: brackets in their names are no markup
    table = Table("part", "images", "groups", *(Column(Text(name)) for name in classes))
    for part, images, groups, counts in split_table(archive):
        cells = (str(counts.get(name, 0)) for name in classes)
        table.add_row(part, str(images), str(groups), *cells)
    # a file or pipe has no width that columns would have to fit into
    Console(width=None if sys.stdout.isatty() else 1000).print(table)
