"""`synthograph inspect`: what a file or folder is, without trusting it."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer


def inspect(
    path: Annotated[Path, typer.Argument(help="snapshot, pickle, archive, state or run directory")],
    quick: Annotated[bool, typer.Option("--quick", help="read no images of an archive")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Tell what a file or folder is; nothing in it is executed. Ends with 2 if it is refused."""
    import json

    from synthograph.core.errors import UserError

    facts: dict[str, Any] = {"path": str(path)}
    try:
        _describer(path, quick)(path, facts)
    except UserError as error:
        facts["refused"] = str(error)
        raise
    finally:
        typer.echo(json.dumps(facts, indent=2) if as_json else "\n".join(_lines(facts)))


def _describer(path: Path, quick: bool) -> Callable[[Path, dict[str, Any]], None]:
    """Who knows such files; others count as snapshot or archive."""
    from synthograph.archive.describe import describe as describe_archive
    from synthograph.cli.progress import tracker
    from synthograph.core.files import disk_errors
    from synthograph.models.inspect import describe as describe_network
    from synthograph.models.snapshot import is_zip, list_snapshots
    from synthograph.training.describe import describe_run, describe_state, is_state

    archive = partial(describe_archive, quick=quick, track=tracker("images"))
    with disk_errors(path):
        if path.is_file():
            return archive if is_zip(path) or path.suffix == ".zip" else describe_network
        if (path / "config.json").is_file():
            return describe_run
        if is_state(path):
            return describe_state
        if path.is_dir() and list_snapshots(path):
            return lambda folder, facts: describe_network(list_snapshots(folder)[-1], facts)
        return archive if path.exists() else describe_network


def _lines(facts: Mapping[str, Any], indent: str = "") -> list[str]:
    """`name: value` lines, inner facts indented; a refusal is said by the error itself."""
    lines = []
    for name, value in facts.items():
        text = ", ".join(map(str, value)) if isinstance(value, list | dict) else str(value)
        whole = f"{name}: {text if value or value == 0 else '-'}"
        if isinstance(value, dict) and value:
            lines += [
                f"{indent}{name if name.isprintable() else repr(name)}:",
                *_lines(value, f"{indent}  "),
            ]
        elif name != "refused":
            lines.append(indent + (whole if whole.isprintable() else repr(whole)))
    return lines
