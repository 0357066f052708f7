"""What a search would do, and how long it would take."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from synthograph.core.request import Result
from synthograph.report.searches import shown
from synthograph.report.words import several
from synthograph.results.search import SearchConstraint, SearchObjective
from synthograph.training.estimate import coarse_estimate
from synthograph.training.loop import duration
from synthograph.training.setup import open_data
from synthograph.workflows.search_rungs import rungs_of
from synthograph.workflows.search_settings import SearchSettings
from synthograph.workflows.search_space import Parameter, Space, presets
from synthograph.workflows.tables import table_lines

SECONDS = 5.0
"""For the time of a preset, about."""
START = 15.0
"""Seconds until a process trains, about."""


@dataclass(frozen=True, repr=False)
class SearchPlan(Result):
    """A search that may begin.

    Attributes:
        space: checked.
        objectives: in order; `constraints` beside them.
        measured_on: which images measure.
        seconds: of a thousand images, by preset.
    """

    space: Space
    objectives: Sequence[SearchObjective]
    constraints: Sequence[SearchConstraint]
    measured_on: str
    seconds: dict[str, float]

    def lines(self) -> Iterator[str]:
        """Space, rungs, objectives, time."""
        settings, kimg = self.space.settings, self.space.base().training.kimg
        yield from table_lines(_table(self.space))
        yield from (f"note: {note}" for note in self.space.notes)
        yield from goals(self.objectives, self.constraints, self.measured_on)
        rungs = rungs_of(settings, kimg)
        places = ", ".join(f"{each:g}" for each in rungs[:-1])
        ends = f", one in {settings.halving} goes on at {places} kimg" if places else ""
        seeds = several(settings.seeds, "seed")
        yield (
            f"{several(settings.trials, 'trial')} of {kimg:g} kimg with {seeds}{ends}; then the "
            f"best {settings.finalists} and the preset again, with "
            f"{settings.fresh_seeds} fresh seeds each"
        )
        yield from self.time()
        yield "nothing was written"

    def time(self) -> Iterator[str]:
        """How long it takes here."""
        settings, kimg = self.space.settings, self.space.base().training.kimg
        for name, each in self.seconds.items():
            yield f"preset {name}: {each:.2f} s/kimg on this machine"
        low, high = total_seconds(settings, kimg, list(self.seconds.values()))
        yield (
            f"about {duration(low)} in one process on this machine, {duration(high)} if no trial "
            "ends early; measures of snapshots come on top; processes side by side (--gpus, or the "
            "same command on other machines) share the work"
        )


def goals(
    objectives: Sequence[SearchObjective], constraints: Sequence[SearchConstraint], measured_on: str
) -> Iterator[str]:
    """What is made better, by which images, and what must be kept."""
    said = ", ".join(f"{e.measure} ({'smaller' if e.smaller else 'larger'})" for e in objectives)
    yield f"objective: {said}, on {measured_on}; test images are never looked at"
    for each in constraints:
        least = (
            "what the preset reaches, less noise" if each.at_least is None else f"{each.at_least:g}"
        )
        yield f"constraint: {each.measure} at least {least}"


def make_plan(
    space: Space,
    objectives: Sequence[SearchObjective],
    constraints: Sequence[SearchConstraint],
    measured_on: str,
) -> SearchPlan:
    """Measure how long trials take; write nothing but the cache."""
    seconds = {}
    for name in presets(space):
        config = space.base(name)
        measured = coarse_estimate(config, open_data(config, space.archive), SECONDS)
        seconds[name] = measured.augmented or measured.sec_per_kimg
    return SearchPlan(space, objectives, constraints, measured_on, seconds)


def total_seconds(
    settings: SearchSettings, kimg: float, per_kimg: Sequence[float]
) -> tuple[float, float]:
    """Seconds of a search in one process: as trials are ended early on average, and with none
    ended. The mean over presets stands for a trial.
    """
    mean = sum(per_kimg) / len(per_kimg)
    rungs = rungs_of(settings, kimg)
    steps = [after - before for before, after in zip([0.0, *rungs], rungs, strict=False)]
    least = min(settings.finalists / settings.trials, 1.0)
    expected = sum(step * max(settings.halving**-n, least) for n, step in enumerate(steps))
    finals = (settings.finalists + 1) * settings.fresh_seeds
    tried = settings.trials * settings.seeds

    def seconds(each: float) -> float:
        work = (tried * each + finals * kimg) * mean + (tried + finals) * START
        most = None if settings.hours is None else settings.hours * 3600 + finals * kimg * mean
        return work if most is None else min(work, most)

    return seconds(expected), seconds(kimg)


def _table(space: Space) -> Table:
    table = Table("setting", "values", "preset", "only where")
    for each in space.parameters:
        own = space.of_preset(each.path)
        when = ", ".join(f"{p} is {' or '.join(map(shown, v))}" for p, v in each.when.items())
        cells: list[Any] = [each.path, _range(each), shown(own), when]
        table.add_row(*map(Text, cells))
    return table


def _range(parameter: Parameter) -> str:
    if parameter.choices:
        return ", ".join(map(shown, parameter.choices))
    text = f"{shown(parameter.low)} to {shown(parameter.high)}"
    text += " times the preset's" if parameter.relative else ""
    text += f", step {parameter.step:g}" if parameter.step else ""
    return f"{text}, log" if parameter.log else text
