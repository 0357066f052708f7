"""`synthograph weights`: files of weights that measures need; list, import, download."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from synthograph.features.weights import WeightState

weights = typer.Typer(invoke_without_command=True)


@weights.callback()
def listing(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """List the weights that measures can use, and what is here; `get` and `import` fetch them."""
    import json

    from synthograph.features.weights import WEIGHTS, weight_state

    if context.invoked_subcommand is not None:
        return
    facts = [_facts(weight_state(name)) for name in WEIGHTS]
    typer.echo(json.dumps(facts, indent=2) if as_json else _text(facts))


@weights.command("import")
def bring(
    name: Annotated[str, typer.Argument(help="of the weights, as 'synthograph weights' lists it")],
    file: Annotated[Path, typer.Argument(help="the published file, or safetensors of the same")],
) -> None:
    """Check a file of weights and keep it; nothing in it is executed."""
    from synthograph.features.weights import import_weights

    _report(import_weights(name, file))


@weights.command("get")
def get(
    name: Annotated[str, typer.Argument(help="of the weights, as 'synthograph weights' lists it")],
    offline: Annotated[
        bool, typer.Option("--offline", help="do not connect; say which file to put where")
    ] = False,
) -> None:
    """Download a file of weights, check its hash and keep it."""
    from synthograph.cli.progress import tracker
    from synthograph.features.weights import get_weights, weight_state

    state = weight_state(name)
    if not state.present:
        typer.echo(f"note: licence of {name}: {state.file.licence}")
    _report(get_weights(name, offline=True if offline else None, track=tracker("downloading")))


def _report(state: "WeightState") -> None:
    digest = state.digest
    if digest is not None:
        typer.echo(f"{state.file.name}: {state.path}")
        typer.echo(f"from {digest.file}  sha256 {digest.sha256}")
        typer.echo(
            "the hash is the published one"
            if digest.verified
            else "no full hash is known to compare with: this one is recorded in every result"
        )


def _facts(state: "WeightState") -> dict[str, Any]:
    file, digest = state.file, state.digest
    return {
        "name": file.name,
        "present": state.present,
        "path": str(state.path) if state.present else None,
        "sha256": None if digest is None else digest.sha256,
        "verified": None if digest is None else digest.verified,
        "file": file.file,
        "address": file.address,
        "licence": file.licence,
        "bytes": file.size,
        "published_sha256": file.sha256,
        "note": file.note or None,
    }


def _text(facts: list[dict[str, Any]]) -> str:
    lines = [
        "random-vgg16: ships with synthograph; its numbers are indicative",
        "classifier:FILE: a residual network of your own; beside FILE a .json with the side of its "
        "images",
    ]
    for fact in facts:
        known = fact["published_sha256"]
        sure = "recorded at import" if known is None else known
        if known is not None and len(known) < 64:
            sure = f"begins with {known}"
        here = f"present, {fact['path']}" if fact["present"] else "not here"
        lines += [
            f"{fact['name']}: {here}",
            f"  file     {fact['file']}  {_size(fact['bytes'])}",
            f"  from     {fact['address']}",
            f"  licence  {fact['licence']}",
            f"  sha256   {sure}",
        ]
        if fact["present"] and not fact["verified"]:
            lines.append(f"  here     {fact['sha256']}")
        if fact["note"]:
            lines.append(f"  note     {fact['note']}")
    return "\n".join(lines)


def _size(count: int) -> str:
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
