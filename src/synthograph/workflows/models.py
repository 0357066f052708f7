"""Families, presets and every hyper-parameter."""

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from synthograph.core.config import built_from, describe, flatten
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.documents import JsonObject
from synthograph.models.base import Family
from synthograph.models.registry import FAMILIES
from synthograph.training.config import RunConfig
from synthograph.training.presets import resolve
from synthograph.workflows.requests import ModelsRequest
from synthograph.workflows.tables import table_lines

WIDTH = 160
"""Columns of the tables."""


@dataclass(frozen=True, repr=False)
class ModelsResult(Result):
    """What a run can be told.

    Attributes:
        families: name -> its presets, and its settings with default, range, meaning and value.
        heading: what the values are.
    """

    families: Mapping[str, JsonObject]
    heading: str

    def lines(self) -> Iterator[str]:
        """A table per family."""
        for name, one in self.families.items():
            yield f"{name}  presets: {', '.join(one['presets'])}"
            yield from textwrap.wrap(
                one["about"], WIDTH, initial_indent="  ", subsequent_indent="  "
            )
            table = Table("setting", self.heading, "range", "meaning")
            for row in one["settings"]:
                table.add_row(row["path"], _short(row["value"]), row["rule"], row["meaning"])
            yield from table_lines(table, width=WIDTH)
        yield "Change any of them with --set NAME=VALUE, for example --set model.r1_gamma=2"

    def json(self) -> JsonObject:
        """Presets and settings by family."""
        return dict(self.families)


def run(request: ModelsRequest, *, progress: Progress) -> ModelsResult:
    """Look up what can be set.

    Raises:
        UserError: there is no such preset, or it does not fit the size.
    """
    del progress
    families, engine = {}, [s for s in describe(RunConfig) if not s.path.startswith("model")]
    for name, family in _asked(request.preset).items():
        values = _values(family, request)
        settings = [*describe(family.Config, "model."), *engine]
        rows = [{**vars(s), "value": values.get(s.path, s.default)} for s in settings]
        presets = list(family.preset_names())
        families[name] = {"about": family.about, "presets": presets, "settings": rows}
    size, preset = request.size, request.preset
    return ModelsResult(families, f"value in {preset} at {size}x{size}" if preset else "default")


def _asked(preset: str | None) -> Mapping[str, Family]:
    """The families that have a preset of that name; all where none is asked for, or none has it."""
    if preset is None:
        return FAMILIES
    having = {n: each for n, each in FAMILIES.items() if preset in each.preset_names()}
    return having or FAMILIES


def _values(family: Family, request: ModelsRequest) -> JsonObject:
    """Setting -> its value in a preset."""
    if request.preset is None:
        return {}
    size = request.size
    with built_from({"height": "size", "width": "size"}):
        spec = ImageSpec.parse({"height": size, "width": size, "modalities": {"image": 3}})
    parts = [{"data": {"path": ""}, "model": {"family": family.name}}]
    return flatten(resolve(spec, request.preset, parts).tree(), sections=True)


def _short(value: Any) -> str:  # noqa: ANN401 - JSON data
    if isinstance(value, dict):
        return ", ".join(f"{k}: {_short(v)}" for k, v in value.items())
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
