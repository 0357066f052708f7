"""Families, presets and every hyper-parameter."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from synthograph.core.config import Setting, built_from, describe, flatten
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.spec import ImageSpec
from synthograph.models.base import Family
from synthograph.models.registry import FAMILIES
from synthograph.training.config import RunConfig
from synthograph.training.presets import resolve
from synthograph.workflows.requests import ModelsRequest
from synthograph.workflows.tables import table_lines


@dataclass(frozen=True)
class FamilySettings:
    """What a run with networks of one family can be told.

    Attributes:
        presets: their names.
        settings: every setting.
        values: setting -> its value in the preset that was asked for; empty without one.
    """

    presets: Sequence[str]
    settings: Sequence[Setting]
    values: Mapping[str, Any]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every setting with its value, else its default."""
        for setting in self.settings:
            value = self.values.get(setting.path, setting.default)
            yield {**vars(setting), "value": value}


@dataclass(frozen=True, repr=False)
class ModelsResult(Result):
    """Families by name, and of what their values are."""

    families: Mapping[str, FamilySettings]
    request: ModelsRequest

    def lines(self) -> Iterator[str]:
        """A table per family."""
        size, preset = self.request.size, self.request.preset
        heading = f"value in {preset} at {size}x{size}" if preset else "default"
        for name, one in self.families.items():
            yield f"{name}  presets: {', '.join(one.presets)}"
            table = Table("setting", heading, "range", "meaning")
            for row in one.rows():
                table.add_row(row["path"], _short(row["value"]), row["rule"], row["meaning"])
            yield from table_lines(table, width=160)
        yield "Change any of them with --set NAME=VALUE, for example --set model.r1_gamma=2"

    def json(self) -> dict[str, Any]:
        """Presets and settings by family."""
        return {
            name: {"presets": list(one.presets), "settings": list(one.rows())}
            for name, one in self.families.items()
        }


def run(request: ModelsRequest, *, progress: Progress) -> ModelsResult:
    """Look up what can be set.

    Raises:
        UserError: there is no such preset, or it does not fit the size.
    """
    del progress
    engine = [s for s in describe(RunConfig) if not s.path.startswith("model")]
    families = {
        name: FamilySettings(
            list(family.preset_names()),
            [*describe(family.Config, "model."), *engine],
            _values(family, request),
        )
        for name, family in FAMILIES.items()
    }
    return ModelsResult(families, request)


def _values(family: Family, request: ModelsRequest) -> dict[str, Any]:
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
