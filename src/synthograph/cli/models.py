"""`synthograph models`: families, presets and every hyper-parameter."""

from typing import Annotated, Any

import typer


def models(
    preset: Annotated[str | None, typer.Option(help="show the values of this preset")] = None,
    size: Annotated[int, typer.Option(help="side of the images that the preset is for")] = 256,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """List model families, presets and every hyper-parameter with default, range and meaning."""
    import json

    from rich.console import Console
    from rich.table import Table

    from synthograph.core.config import describe
    from synthograph.models.registry import FAMILIES
    from synthograph.training.config import RunConfig

    found: dict[str, Any] = {}
    for name, family in FAMILIES.items():
        model = describe(family.Config, "model.")
        engine = [s for s in describe(RunConfig) if not s.path.startswith("model")]
        values = _values(family, preset, size) if preset is not None else {}
        rows = [{**vars(s), "value": values.get(s.path, s.default)} for s in [*model, *engine]]
        found[name] = {"presets": list(family.preset_names()), "settings": rows}
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    console = Console(width=None if Console().is_terminal else 160)
    for name, entry in found.items():
        console.print(f"[bold]{name}[/bold]  presets: {', '.join(entry['presets'])}")
        heading = f"value in {preset} at {size}x{size}" if preset else "default"
        table = Table("setting", heading, "range", "meaning")
        for row in entry["settings"]:
            table.add_row(row["path"], _short(row["value"]), row["rule"], row["meaning"])
        console.print(table)
    typer.echo("Change any of them with --set NAME=VALUE, for example --set model.r1_gamma=2")


def _values(family: Any, preset: str, size: int) -> dict[str, Any]:  # noqa: ANN401
    """Setting -> its value in a preset."""
    from synthograph.core.config import calling, flatten
    from synthograph.core.spec import ImageSpec
    from synthograph.training.presets import resolve

    with calling({"height": "--size", "width": "--size"}):
        spec = ImageSpec.parse({"height": size, "width": size, "modalities": {"image": 3}})
    tree = resolve(spec, preset, [{"data": {"path": ""}, "model": {"family": family.name}}]).tree()
    return flatten(tree, sections=True)


def _short(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, dict):
        return ", ".join(f"{k}: {_short(v)}" for k, v in value.items())
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
