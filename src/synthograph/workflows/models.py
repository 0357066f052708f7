"""Families, presets and every hyper-parameter; and all about one of them."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from synthograph.core.config import Setting, built_from, describe, flatten
from synthograph.core.errors import SettingError, UserError
from synthograph.core.names import nearest
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.documents import JsonObject
from synthograph.models.base import Family
from synthograph.models.registry import FAMILIES, RACES, family
from synthograph.results.search import Search
from synthograph.training.config import RunConfig, option_of
from synthograph.training.presets import resolve
from synthograph.workflows.requests import ModelsRequest
from synthograph.workflows.search_found import Found, found_by, read_searches
from synthograph.workflows.tables import table_lines

WIDTH = 160
"""Columns of the tables."""
COSTS = ("training.kimg", "training.batch")
"""Settings that say what a preset costs."""


@dataclass(frozen=True, repr=False)
class ModelsResult(Result):
    """What a run can be told.

    Attributes:
        families: name -> what it is for, its presets, and its settings with default, range, meaning
            and value.
        heading: what the values are.
        brief: whether settings are left out on the console.
    """

    families: Mapping[str, JsonObject]
    heading: str
    brief: bool = False

    def lines(self) -> Iterator[str]:
        """What each family is for and what its presets cost, or a table of its settings."""
        for name, one in self.families.items():
            yield f"{name}  presets: {', '.join(one['presets'])}"
            yield from textwrap.wrap(
                one["about"], WIDTH, initial_indent="  ", subsequent_indent="  "
            )
            yield from table_lines(self._costs(one) if self.brief else self._settings(one), WIDTH)
        if self.brief:
            for name, presets in RACES.items():
                yield f"{name}  a race of {' and '.join(presets)}, of which the better one goes on"
            yield "The time it takes here: synthograph train --data ARCHIVE --cfg PRESET --dry-run"
            yield "Every setting of a family: synthograph models --family NAME"
            return
        yield "All about one of them: synthograph models --parameter NAME"
        yield "Change any of them with --set NAME=VALUE, for example --set model.r1_gamma=2"

    def _settings(self, one: JsonObject) -> Table:
        table = Table("setting", self.heading, "range", "meaning")
        for row in one["settings"]:
            table.add_row(row["path"], _short(row["value"]), row["rule"], row["meaning"])
        return table

    def _costs(self, one: JsonObject) -> Table:
        table = Table("preset", "thousands of images", "images per step")
        for name, costs in one["costs"].items():
            table.add_row(name, *(_short(costs[path]) for path in COSTS))
        return table

    def json(self) -> JsonObject:
        """Presets and settings by family."""
        return dict(self.families)


@dataclass(frozen=True, repr=False)
class ParameterResult(Result):
    """All about a hyper-parameter.

    Attributes:
        families: name -> the setting there, with its value in each preset.
        searches: what searches found.
        size: side of the images that values of presets are for.
    """

    families: Mapping[str, JsonObject]
    searches: Sequence[Found]
    size: int

    def lines(self) -> Iterator[str]:
        """A paragraph per family, and one per search."""
        for name, one in self.families.items():
            yield f"{one['path']}  of {name}: {one['meaning'] or 'no description'}"
            yield f"  type: {one['kind']}" + (f", {one['rule']}" if one["rule"] else "")
            yield f"  default: {_short(one['default'])}"
            yield from (f"  {line}" for line in self._by_value(one["presets"]))
            way = f"--set {one['path']}=VALUE"
            yield f"  set it by: {' or '.join(filter(None, (one['option'], way)))}"
        for found in self.searches:
            yield from found.lines()
        if not self.searches:
            yield "What searches found here: give their folders, --search DIR"

    def _by_value(self, presets: Mapping[str, Any]) -> Iterator[str]:
        """Presets that have the same value on one line."""
        names: dict[str, list[str]] = {}
        for preset, value in presets.items():
            names.setdefault(_short(value), []).append(preset)
        for value, having in names.items():
            yield f"at {self.size}x{self.size} {value} in {', '.join(having)}"

    def json(self) -> JsonObject:
        """The setting by family, and what searches found."""
        return {"families": dict(self.families), "searches": [asdict(f) for f in self.searches]}


def run(request: ModelsRequest, *, progress: Progress) -> ModelsResult | ParameterResult:
    """Look up what can be set.

    Raises:
        UserError: there is no such family, preset or setting, or the preset does not fit the size.
    """
    del progress
    searches = read_searches(request.search)
    if request.search and request.parameter is None:
        raise UserError("--search says what was found of one setting: name it by --parameter")
    asked = _asked(request)
    if request.parameter is not None:
        return _parameter(request, asked, searches)
    families = {}
    for name, each in asked.items():
        values = {} if request.preset is None else _values(each, request.preset, request.size)
        rows = [{**vars(s), "value": values.get(s.path, s.default)} for s in _settings(each)]
        fitting = {p: _fitting(each, p, request.size) for p in each.preset_names()}
        costs = {p: {path: found.get(path) for path in COSTS} for p, found in fitting.items()}
        families[name] = {
            "about": each.about,
            "presets": list(each.preset_names()),
            "costs": costs,
            "settings": rows,
        }
    size, preset = request.size, request.preset
    heading = f"value in {preset} at {size}x{size}" if preset else "default"
    return ModelsResult(families, heading, brief=not (preset or request.family))


def _asked(request: ModelsRequest) -> Mapping[str, Family]:
    """The family that is asked for; those that have the preset; all where none has it."""
    if request.family is not None:
        return {request.family: family(request.family)}
    having = {n: f for n, f in FAMILIES.items() if request.preset in [*f.preset_names()]}
    return having or FAMILIES


def _settings(one: Family) -> list[Setting]:
    """Settings of a family, then those of every run."""
    engine = [s for s in describe(RunConfig) if not s.path.startswith("model")]
    return [*describe(one.Config, "model."), *engine]


def _values(one: Family, preset: str, size: int) -> JsonObject:
    """Setting -> its value in a preset."""
    with built_from({"height": "size", "width": "size"}):
        spec = ImageSpec.parse({"height": size, "width": size, "modalities": {"image": 3}})
    parts = [{"data": {"path": ""}, "model": {"family": one.name}}]
    return flatten(resolve(spec, preset, parts).tree(), sections=True)


def _fitting(one: Family, preset: str, size: int) -> JsonObject:
    """Values in a preset; none where it does not fit the size."""
    try:
        return _values(one, preset, size)
    except SettingError:
        return {}


def _parameter(
    request: ModelsRequest, asked: Mapping[str, Family], searches: Iterable[Search]
) -> ParameterResult:
    """All about a setting.

    Raises:
        UserError: no family has it.
    """
    path = _path(request.parameter or "", asked)
    families: dict[str, JsonObject] = {}
    for name, one in asked.items():
        setting = next((each for each in _settings(one) if each.path == path), None)
        if setting is None:
            continue
        presets = [request.preset] if request.preset else list(one.preset_names())
        families[name] = {
            **vars(setting),
            "option": option_of(path),
            "presets": {p: _fitting(one, p, request.size).get(path) for p in presets},
        }
    return ParameterResult(families, list(found_by(searches, path, list(families))), request.size)


def _path(name: str, asked: Mapping[str, Family]) -> str:
    """The dotted path of a setting that may be given by its last part, by its option, or by
    something inside it.

    Raises:
        UserError: there is none, or several.
    """
    known = list(dict.fromkeys(s.path for one in asked.values() for s in _settings(one)))
    wanted = name.removeprefix("--").replace("-", "_")
    by_option = [path for path in known if option_of(path) == f"--{wanted.replace('_', '-')}"]
    ends = [path for path in known if path.endswith(f".{wanted}")]
    around = [path for path in known if wanted.startswith(f"{path}.")]
    having = [wanted] if wanted in known else ends or by_option or around
    if len(having) == 1:
        return having[0]
    if having:
        raise UserError(f"--parameter {name}: there are several: {', '.join(having)}")
    hint = nearest(wanted, known if "." in wanted else [p.rpartition(".")[2] for p in known])
    if not hint.endswith("?"):
        hint = "'synthograph models --family NAME' lists all of a family"
    raise UserError(f"--parameter {name}: is unknown: {hint}")


def _short(value: Any) -> str:  # noqa: ANN401 - JSON data
    if isinstance(value, dict):
        return ", ".join(f"{k}: {_short(v)}" for k, v in value.items()) or "-"
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
