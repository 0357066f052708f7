"""The space of a search: which settings are drawn, and the configuration that follows from a draw.

Everything is checked against the configuration of a run before a trial begins.
"""

import bisect
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from synthograph.archive.reader import Archive
from synthograph.core.config import (
    flatten,
    parse_assignments,
    refuse_decided,
    set_path,
    takes_whole,
)
from synthograph.core.errors import SettingError, UserError
from synthograph.core.names import first_few, nearest
from synthograph.core.untrusted.documents import JsonObject
from synthograph.models.registry import RACES, family
from synthograph.results.base import Plain
from synthograph.results.search import PRESET, ParameterKind, Settings
from synthograph.training.config import MEASURES, OPTIONS, RunConfig
from synthograph.training.setup import resolve_run
from synthograph.workflows.search_built_in import BUILT_IN
from synthograph.workflows.search_rungs import rungs_of
from synthograph.workflows.search_settings import Searched, SearchSettings

DECIDED = {
    "training.kimg": "kimg",
    "training.max_hours": "hours, which begin no trial after them",
    "metrics.patience": "first_rung and halving, which end trials early",
    "metrics.measures": "objectives and constraints",
    "seed": "seeds (runs of every trial) or seed (of everything random)",
    "data.path": "data",
    "device": "--device",
    "data.fold": "fold",
    "data.cond": "cond",
    "tracking": "--tracker, --tracking-uri and --experiment",
}
"""Settings that the search itself decides, and what gives them."""
MEASURING = ("metrics.", "data.split", "data.subset", "schema_version")
"""Settings that would change what is measured, or by what: values of trials could not be
compared.
"""
OF_PROCESS = ("precision", "threads")
"""How a process computes: fixed settings, which no draw changes."""
BETWEEN = 0.38
"""Place of a value that is tried between two ends; in the middle often lies the preset's own."""


@dataclass(frozen=True)
class Parameter:
    """A setting that is searched; attributes as in `results.search.SearchParameter`.

    Attributes:
        step: distance between values; None for any.
    """

    path: str
    kind: ParameterKind
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None
    relative: bool = False
    choices: tuple[Plain, ...] = ()
    when: Mapping[str, tuple[Plain, ...]] = field(default_factory=dict)

    def holds(self, drawn: Settings) -> bool:
        """Whether it is searched where these values were drawn of the parameters before it."""
        return all(drawn.get(path) in among for path, among in self.when.items())

    @property
    def examples(self) -> tuple[Plain, ...]:
        """Values that stand for all of them in checks: of a range its ends and one between."""
        low, high = self.low, self.high
        if low is None or high is None:
            return self.choices
        between = low * (high / low) ** BETWEEN if self.log else low + (high - low) * BETWEEN
        if step := self.step or float(self.kind is ParameterKind.INTEGER):
            between = low + round((between - low) / step) * step
        return low, high, between


@dataclass(frozen=True)
class Space:
    """What is drawn, and what follows from it.

    Attributes:
        archive: the images.
        settings: of the search.
        parameters: those that others depend on come first.
        device: where trials train.
        notes: on what a built-in space leaves out, and on judges that may favour a preset.
    """

    archive: Archive
    settings: SearchSettings
    parameters: tuple[Parameter, ...]
    device: str
    notes: tuple[str, ...] = ()

    def preset(self, drawn: Settings) -> str:
        """Name of the preset of a draw."""
        return str(drawn.get(PRESET, self.settings.preset))

    def base(self, preset: str | None = None) -> RunConfig:
        """The configuration of a preset without any draw."""
        return self._resolved(preset or self.settings.preset, {})

    def of_process(self) -> JsonObject:
        """What the user fixed of how each process computes."""
        fixed = parse_assignments(self.settings.settings)
        return {name: fixed[name] for name in OF_PROCESS if name in fixed}

    def configuration(self, drawn: Settings) -> RunConfig:
        """The configuration of a whole trial.

        Args:
            drawn: path to what was drawn.

        Raises:
            UserError: the values do not go together.
        """
        tree: JsonObject = {}
        for path, value in self.values(drawn).items():
            if path != PRESET:
                tree = set_path(tree, path, value)
        return self._resolved(self.preset(drawn), tree)

    def values(self, drawn: Settings) -> Settings:
        """Settings of a draw, as a configuration takes them."""
        base: RunConfig | None = None
        found = {}
        for parameter in self.parameters:
            path = parameter.path
            if path not in drawn:
                continue
            value = drawn[path]
            if parameter.relative:
                base = base or self.base(self.preset(drawn))
                value = float(_at(base.tree(), path)) * float(value)  # type: ignore[arg-type]
                value = round(value) if takes_whole(base, path) else value
            elif isinstance(value, str) and path in OPTIONS:
                value = OPTIONS[path].read(value)
            found[path] = value
        return found

    def completed(self, drawn: Settings) -> Settings:
        """A draw with some value of every parameter that is searched because of it."""
        whole = dict(drawn)
        for parameter in self.parameters:
            if parameter.when and parameter.path not in whole and parameter.holds(whole):
                whole[parameter.path] = parameter.examples[0]
        return whole

    def of_preset(self, path: str) -> Plain:
        """What the preset of the search gives; None where it gives nothing."""
        if path == PRESET:
            return self.settings.preset
        value: Plain = _at(self.base().tree(), path)
        return value

    def baseline(self) -> Settings | None:
        """The draw that gives the preset's own settings, None where the space does not hold it."""
        drawn: Settings = {}
        for parameter in self.parameters:
            if not parameter.holds(drawn):
                continue
            value = self._own(parameter)
            if value is None:
                return None
            drawn[parameter.path] = value
        return drawn

    def _own(self, parameter: Parameter) -> Plain:
        """How a parameter gives the preset's own value; None where it cannot."""
        own = self.of_preset(parameter.path)
        if parameter.choices:
            read = {
                repr(self.values({parameter.path: c})[parameter.path]): c for c in parameter.choices
            }
            return read.get(repr(own))
        number = 1.0 if parameter.relative else own
        inside = isinstance(number, int | float) and parameter.low <= number <= parameter.high  # type: ignore[operator]
        return number if inside else None

    def _resolved(self, preset: str, tree: JsonObject) -> RunConfig:
        settings = self.settings
        if preset in RACES:
            raise UserError(
                f"preset {preset} is a race of {' and '.join(RACES[preset])}, a search needs one: "
                f"let 'synthograph train --cfg {preset}' choose it, or search over both as values "
                "of preset"
            )
        kimg = {} if settings.kimg is None else {"kimg": settings.kimg}
        common: JsonObject = {
            "data": {"cond": settings.cond, "fold": settings.fold},
            "device": self.device,
            "training": kimg,
            "metrics": {"measures": list(dict.fromkeys([*settings.measures, *MEASURES]))},
        }
        parts = [parse_assignments(settings.settings), common, tree]
        return resolve_run(self.archive, preset, parts)[0]


def open_space(archive: Archive, settings: SearchSettings, device: str) -> Space:
    """The space of a search, checked.

    Raises:
        UserError: an unknown setting or space, or values that a configuration refuses.
    """
    fixed = flatten(parse_assignments(settings.settings))
    refuse_decided(fixed, DECIDED, "settings", "search")
    empty = Space(archive, settings, (), device)
    empty.base()
    if not isinstance(settings.space, str):
        parameters = tuple(_ordered(settings.space, empty))
        space = replace(empty, parameters=parameters)
        for parameter in parameters:
            _check(parameter, space)
    elif settings.space in BUILT_IN:
        space = _fitting(BUILT_IN[settings.space](settings), empty)
    else:
        raise UserError(f"space {settings.space!r} is unknown: {nearest(settings.space, BUILT_IN)}")
    return replace(space, notes=(*space.notes, *_of_own_judges(space)))


def _of_own_judges(space: Space) -> Iterator[str]:
    """Names presets whose discriminator looks through the network that measures the trials."""
    searched = [each.choices for each in space.parameters if each.path == PRESET]
    for preset in map(str, searched[0] if searched else [space.settings.preset]):
        config = space.base(preset)
        own = config.model.frozen_features
        if own is not None and own.name == config.metrics.features:
            yield (
                f"the discriminator of {preset} looks through {own.name}, which also measures "
                "here and may favour it: 'settings: [metrics.features=random-vgg16]' measures by "
                "another one"
            )


def _fitting(given: Mapping[str, Searched], empty: Space) -> Space:
    """What of a built-in space these images and these presets allow: a setting that only some
    presets take is searched with those.
    """
    kept, notes = _with_usable_presets(given, empty)
    known = _known_paths(kept, empty)
    kept = {path: searched for path, searched in kept.items() if path in known}
    notes += [f"left out of the space: {path}: no preset has it" for path in given.keys() - known]
    while kept:
        space = replace(empty, parameters=tuple(_ordered(kept, empty)), notes=tuple(notes))
        refused = next(filter(None, (_refusal(each, space) for each in space.parameters)), None)
        if refused is None:
            return space
        path, reason = refused
        some = [] if path == PRESET else _presets_taking(path, kept, empty)
        if some and PRESET not in kept[path].when:
            when = {**kept[path].when, PRESET: some}
            kept[path] = kept[path].model_copy(update={"when": when})
        else:
            notes.append(f"left out of the space: {reason.removeprefix('space: ')}")
            kept = {p: s for p, s in kept.items() if p != path and path not in s.when}
    raise UserError(f"space {empty.settings.space}: nothing of it can be searched here: {notes[0]}")


def _with_usable_presets(
    given: Mapping[str, Searched], empty: Space
) -> tuple[dict[str, Searched], list[str]]:
    """A space without the presets that cannot train here, such as for want of weights, or that
    are still growing when trials are compared first, and why.
    """
    usable, notes = list[Plain](), list[str]()
    for preset in given[PRESET].choices if PRESET in given else []:
        try:
            growing = _still_growing(empty.base(str(preset)), empty)
        except UserError as error:
            notes.append(f"left out of the space: {PRESET}: {preset}: {error}")
            continue
        if growing and preset != empty.settings.preset:
            notes.append(f"left out of the space: {PRESET}: {preset}: {growing}")
        else:
            usable.append(preset)
    if not notes:
        return dict(given), notes
    return {**given, PRESET: given[PRESET].model_copy(update={"choices": usable})}, notes


def _still_growing(config: RunConfig, space: Space) -> str:
    """What is said of networks that are still growing when trials are compared first; empty for
    others.
    """
    spec, model, kimg = space.archive.info.spec, config.model, config.training.kimg
    kind, first = family(model.family), rungs_of(space.settings, kimg)[0]
    if kind.grown(model, spec, int(first * 1000)):
        return ""
    last = kind.stage_starts(model, spec)[-1]
    ends = range(last, 2 * last + 1)
    whole = ends[bisect.bisect_left(ends, True, key=lambda n: kind.grown(model, spec, n))] / 1000
    return (
        f"its networks grow until {whole:.3g} kimg, and trials are first compared at {first:g}: it "
        f"takes part with a kimg of {math.ceil(whole * kimg / first)} or more"
    )


def _refusal(parameter: Parameter, space: Space) -> tuple[str, str] | None:
    """Path and reason, where a parameter is refused."""
    try:
        _check(parameter, space)
    except UserError as error:
        return parameter.path, str(error)
    return None


def _presets_taking(path: str, given: Mapping[str, Searched], empty: Space) -> list[Plain]:
    """Presets with which a setting may be searched, of several."""
    found = []
    for preset in given[PRESET].choices if PRESET in given else []:
        wanted = {PRESET, *_needed(path, given)}
        wanted |= {each for each in given if path in given[each].when}
        alone = {each: given[each] for each in given if each in wanted}
        alone[PRESET] = Searched(choices=[preset])
        try:
            space = replace(empty, parameters=tuple(_ordered(alone, empty)))
        except UserError:  # a family without the setting
            continue
        own = next(each for each in space.parameters if each.path == path)
        if _refusal(own, space) is None:
            found.append(preset)
    return found


def _needed(path: str, given: Mapping[str, Searched]) -> set[str]:
    """A setting and those that it depends on."""
    return {path}.union(*(_needed(other, given) for other in given[path].when))


def _ordered(given: Mapping[str, Searched], empty: Space) -> Iterator[Parameter]:
    """The parameters, those that others depend on first.

    Raises:
        UserError: an unknown path, or a condition that nothing can fulfil.
    """
    known = _known_paths(given, empty)
    for path, searched in given.items():
        _refuse_path(path, known)
        for other in searched.when:
            if other not in given:
                raise UserError(
                    f"space: {path}: when: {other} is not searched: "
                    f"{nearest(other, [each for each in given if each != path])}"
                )
    done: list[str] = []
    while len(done) < len(given):
        ready = [p for p in given if p not in done and all(o in done for o in given[p].when)]
        if not ready:
            circle = first_few(p for p in given if p not in done)
            raise UserError(f"space: when: {circle} depend on each other: leave one condition out")
        done.append(ready[0])
        yield _parameter(ready[0], given[ready[0]], _bases(given, empty))


def _known_paths(given: Mapping[str, Searched], empty: Space) -> set[str]:
    """Paths of the configuration of every preset that may be drawn."""
    return {PRESET}.union(*(flatten(each.tree(), sections=True) for each in _bases(given, empty)))


def _bases(given: Mapping[str, Searched], empty: Space) -> Iterator[RunConfig]:
    """The configuration of every preset that may be drawn."""
    for preset in given[PRESET].choices if PRESET in given else [empty.settings.preset]:
        try:
            yield empty.base(str(preset))
        except UserError as error:
            raise UserError(f"space: {PRESET}: {preset}: {error}") from None


def _refuse_path(path: str, known: set[str]) -> None:
    refuse_decided([path], DECIDED, "space", "search")
    if path in OF_PROCESS:
        raise UserError(f"space: {path} says how to compute: fix it under settings")
    if path.startswith(MEASURING):
        raise UserError(
            f"space: {path} would change what trials are measured by: fix it under settings"
        )
    if path not in known:
        raise UserError(f"space: {path}: unknown setting, {nearest(path, sorted(known))}")


def _parameter(path: str, searched: Searched, bases: Iterator[RunConfig]) -> Parameter:
    when = searched.conditions()
    if searched.choices:
        return Parameter(path, ParameterKind.CHOICE, choices=tuple(searched.choices), when=when)
    if searched.times is not None:
        low, high = searched.times
        return Parameter(path, ParameterKind.NUMBER, low, high, log=True, relative=True, when=when)
    assert searched.low is not None and searched.high is not None, "checked where it is declared"
    whole = any(takes_whole(base, path) for base in bases)
    ends = searched.low, searched.high
    if whole and any(number != int(number) for number in (*ends, searched.step or 1)):
        raise UserError(f"space: {path} takes whole numbers: give low, high and step as such")
    kind = ParameterKind.INTEGER if whole else ParameterKind.NUMBER
    return Parameter(path, kind, *ends, log=searched.log, step=searched.step, when=when)


def _check(parameter: Parameter, space: Space) -> None:
    """Refuse values that the configuration of some preset refuses.

    Raises:
        UserError: with path, value and rule.
    """
    for conditions in _settings_of(parameter, space):
        own = _at(space.base(space.preset(conditions)).tree(), parameter.path)
        if parameter.relative and not _positive(own):
            raise UserError(
                f"space: {parameter.path}: preset {space.preset(conditions)} gives {own}, of which "
                "there are no multiples: give low and high, or a condition (when)"
            )
        for value in parameter.examples:
            try:
                space.configuration(space.completed({**conditions, parameter.path: value}))
            except UserError as error:
                raise _unfit(parameter, value, error) from None


def _unfit(parameter: Parameter, value: Plain, error: UserError) -> UserError:
    said = str(error)
    if isinstance(error, SettingError) and error.path == parameter.path:
        said = error.rule
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    shown += " times the preset's" * parameter.relative
    if value not in (parameter.low, parameter.high, *parameter.choices):
        said += "; values between are drawn, too: give low, high and step, or a list of values"
    return UserError(f"space: {parameter.path}: {shown}: {said}")


def _settings_of(parameter: Parameter, space: Space) -> Iterator[Settings]:
    """Draws of other parameters under which one is searched: every one that it depends on, and
    every preset.
    """
    by_path = {each.path: each for each in space.parameters}
    draws: list[Settings] = [{}]
    for path, among in _all_conditions(parameter, by_path).items():
        draws = [{**draw, path: value} for draw in draws for value in among]
    preset = by_path.get(PRESET)
    if preset is not None and parameter.path != PRESET and PRESET not in draws[0]:
        draws = [{**draw, PRESET: value} for draw in draws for value in preset.choices]
    yield from draws


def _all_conditions(
    parameter: Parameter, by_path: Mapping[str, Parameter]
) -> dict[str, tuple[Plain, ...]]:
    """Its conditions, and those of the parameters that it depends on, outermost first."""
    found: dict[str, tuple[Plain, ...]] = {}
    for path, among in parameter.when.items():
        other = by_path[path]
        odd = [value for value in among if other.choices and value not in other.choices]
        if odd:
            near = nearest(str(odd[0]), map(str, other.choices))
            raise UserError(f"space: {parameter.path}: when: {path} is never {odd[0]}: {near}")
        found |= _all_conditions(other, by_path) | {path: among}
    return found


def _at(tree: JsonObject, path: str) -> Any:  # noqa: ANN401 - of any setting
    """Value at a dotted path; None where there is none."""
    found: Any = tree
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def presets(space: Space) -> Sequence[str]:
    """Presets that a trial may have."""
    found = next((each.choices for each in space.parameters if each.path == PRESET), ())
    return [str(name) for name in found] or [space.settings.preset]
