"""What searches found of one setting, for `models --parameter`."""

import contextlib
import itertools
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthograph.core.errors import UserError
from synthograph.models.registry import family_of_preset
from synthograph.report.words import number, percent, several
from synthograph.results.search import PRESET, Search, SearchParameter, TrialState
from synthograph.workflows.search_winner import RESULT

MOST = 8
"""Trials that are listed at most, the best first."""


@dataclass(frozen=True)
class Found:
    """What a search found of a setting.

    Attributes:
        search: name, data, preset and length, in words.
        path: of the setting, or of one inside it.
        tried: values it was drawn from, in words; empty where it was not searched.
        importance: share of the first objective's variation that it explains.
        trials: value and first objective of trials that came to the end, the best first.
        measure: the first objective.
        verdict: what may be said of the winner.
    """

    search: str
    path: str
    tried: str = ""
    importance: float | None = None
    trials: tuple[tuple[Any, float], ...] = ()
    measure: str = ""
    verdict: str = ""

    def lines(self) -> Iterator[str]:
        """In words."""
        if not self.tried:
            yield f"search {self.search}: did not try {self.path}"
            return
        explains = "" if self.importance is None else f"; explains {percent(self.importance)}"
        yield f"search {self.search}: tried {self.path} from {self.tried}{explains}"
        if self.trials:
            said = [f"{_text(value)} gave {number(result)}" for value, result in self.trials]
            yield f"  {self.measure}, the best first: {', '.join(said[:MOST])}"
        if self.verdict:
            yield f"  {self.verdict}"


def read_searches(folders: Iterable[Path]) -> list[Search]:
    """What searches wrote.

    Raises:
        UserError: a folder holds no search that is complete.
    """
    found = []
    for folder in folders:
        path = folder / RESULT if folder.is_dir() else folder
        if not path.is_file():
            raise UserError(
                f"--search {folder}: holds no {RESULT}: give the folder of a search that is "
                "complete, or run 'synthograph search' again to complete it"
            )
        found.append(Search.load(path))
    return found


def found_by(searches: Iterable[Search], path: str, families: Collection[str]) -> Iterator[Found]:
    """What each search of one of these families found of a setting and of those inside it."""
    for search in searches:
        about = (
            f"{search.name} ({search.data}, {search.preset}, {number(search.kimg)} kimg, "
            f"{several(len(search.trials), 'trial')})"
        )
        inside = [p for p in search.parameters if p.path == path or p.path.startswith(f"{path}.")]
        searched = _presets(search)
        if not set(searched.values()) & set(families):
            yield Found(f"{about} is of {' and '.join(dict.fromkeys(searched.values()))}", path)
            continue
        fitting = {preset for preset, name in searched.items() if name in families}
        yield from (_found(search, about, each, fitting) for each in inside)
        if not inside:
            yield Found(about, path)


def _presets(search: Search) -> dict[str, str]:
    """Presets that a search tried -> their families, without those that this version lacks."""
    choices = (each.choices for each in search.parameters if each.path == PRESET)
    found = {search.preset: search.family}
    for preset in map(str, itertools.chain.from_iterable(choices)):
        with contextlib.suppress(UserError):
            found.setdefault(preset, family_of_preset(preset).name)
    return found


def _found(
    search: Search, about: str, parameter: SearchParameter, presets: Collection[str]
) -> Found:
    """What a search found of a setting, in trials of these presets."""
    objective = search.objectives[0]
    results = [
        (trial.settings[parameter.path], result)
        for trial in search.trials
        if trial.state is TrialState.COMPLETE
        and parameter.path in trial.settings
        and trial.settings.get(PRESET, search.preset) in presets
        and (result := trial.value(objective.measure)) is not None
    ]
    results.sort(key=lambda each: each[1] if objective.smaller else -each[1])
    return Found(
        search=about,
        path=parameter.path,
        tried=_tried(parameter),
        importance=parameter.importance,
        trials=tuple(results),
        measure=objective.title,
        verdict="" if search.winner is None else search.winner.sentence,
    )


def _tried(parameter: SearchParameter) -> str:
    if parameter.choices:
        return " | ".join(map(_text, parameter.choices))
    times = f" times the preset's {_text(parameter.preset_value)}" if parameter.relative else ""
    scale = ", by the logarithm" if parameter.log else ""
    return f"{_text(parameter.low)} to {_text(parameter.high)}{times}{scale}"


def _text(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "none" if value is None else str(value)
