"""`synthograph inspect`: what a file or folder is, without trusting it."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

HIDDEN = ("spec",)
"""Said in other words elsewhere, or only for programs."""
MOST = 20
"""Entries of a list that are shown without --full."""


def inspect(
    path: Annotated[
        Path,
        typer.Argument(help="snapshot, pickle, archive, state, run directory, or folder of runs"),
    ],
    quick: Annotated[bool, typer.Option("--quick", help="read no images of an archive")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="every setting of a model, all lists")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON, complete")] = False,
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
        shown = facts if full or as_json else _shortened(facts)
        typer.echo(json.dumps(shown, indent=2) if as_json else "\n".join(_lines(shown)))


def _describer(path: Path, quick: bool) -> Callable[[Path, dict[str, Any]], None]:
    """Who knows such files; others count as snapshot or archive."""
    from synthograph.archive.describe import describe as describe_archive
    from synthograph.cli.progress import tracker
    from synthograph.core.errors import UserError
    from synthograph.core.files import disk_errors
    from synthograph.models.inspect import describe as describe_network
    from synthograph.models.snapshot import is_zip, list_snapshots
    from synthograph.training.describe import (
        describe_run,
        describe_runs,
        describe_state,
        is_state,
        list_runs,
    )

    archive = partial(describe_archive, quick=quick, track=tracker("images"))
    with disk_errors(path):
        if not path.is_dir() and not path.is_file() and path.exists():
            raise UserError(f"{path}: is a pipe or a device; give a file or a folder")
        if path.is_file():
            return archive if is_zip(path) or path.suffix == ".zip" else describe_network
        if (path / "config.json").is_file():
            return describe_run
        if is_state(path):
            return describe_state
        if path.is_dir() and list_snapshots(path):
            return lambda folder, facts: describe_network(list_snapshots(folder)[-1], facts)
        if list_runs(path):
            return partial(describe_runs, quick=quick)
        return archive if path.exists() else describe_network


def _shortened(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What fits a screen: one line per run and network, short lists, and of a model what is set
    apart.
    """
    return {name: _short(name, value) for name, value in facts.items() if name not in HIDDEN}


def _short(name: str, value: Any) -> Any:  # noqa: ANN401 - JSON data
    if isinstance(value, list) and len(value) > MOST:
        return [*value[:MOST], f"... ({len(value)} in all, see --full)"]
    if not isinstance(value, dict):
        return value
    if name == "model":
        return _model(value)
    if name == "runs":
        return {run: _one_line(outline) for run, outline in value.items()}
    if name in ("parameters", "tensors"):
        return _one_line(value)
    known = [(inner, of) for inner, of in value.items() if of is not None]
    more = {"...": f"{len(known)} in all, see --full"} if len(known) > MOST else {}
    return {**dict(known[:MOST]), **more}


def _model(tree: Mapping[str, Any]) -> str:
    """The settings that are not the defaults, in one line."""
    from synthograph.core.errors import UserError
    from synthograph.models.inspect import changed_settings

    try:
        told = _one_line(changed_settings(tree))
    except UserError:
        told = _one_line(tree)
    return f"{told or 'all settings as by default'} (all settings: --full)"


def _one_line(facts: Mapping[str, Any]) -> str:
    """`name value, name value`; inner facts in brackets."""
    parts = []
    for name, value in facts.items():
        if isinstance(value, dict):
            parts.append(f"{name} ({_one_line(value)})")
        elif isinstance(value, list):
            parts.append(f"{name} {' '.join(map(str, value))}")
        else:
            parts.append(f"{name} {'-' if value is None else value}")
    return ", ".join(parts)


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
