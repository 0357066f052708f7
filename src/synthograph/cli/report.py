"""`synthograph report`: one page that says what a synthetic set is worth."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN_OR_FOLDER...",
            help="run directories, archives, and what evaluate --out, audit and domain-gap wrote",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="page to write; JSON of its content goes beside it")
    ] = Path("report.html"),
    title: Annotated[str, typer.Option(help="of the page; default the set's name")] = "",
    public: Annotated[
        bool,
        typer.Option(
            "--public",
            help="without real images and local folders, and without generated images unless an "
            "audit is clean",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="replace a page that is there")] = False,
) -> None:
    """Write one page on a synthetic set: data, training, numbers, copies, with verdicts."""
    from synthograph.report.write import write_report

    written = write_report(paths, out, title=title, public=public, force=force)
    for verdict in written.document["verdicts"]:
        name = verdict["question"].partition("?")[0]
        typer.echo(f"{name.lower() + '?':<10} {verdict['headline']}")
    for problem in written.document["problems"]:
        typer.echo(f"left out: {problem}")
    for lacking in written.document["missing"]:
        typer.echo(f"missing: {lacking['what']}: {lacking['command'] or lacking['text']}")
    if written.document["pictures_left_out"]:
        typer.echo(written.document["pictures_left_out"])
    if not public:
        typer.echo("the page shows real images and names of local files: --public leaves them out")
    typer.echo(f"{written.page}   {written.size / 1e6:.1f} MB; {written.data} holds its content")
