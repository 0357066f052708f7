"""What came of a search: importances, what is within noise, and the winner."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from synthograph.core.interval import Interval
from synthograph.core.version import VERSION
from synthograph.report.words import listed, number
from synthograph.results.search import (
    PRESET,
    Retraining,
    Search,
    SearchConstraint,
    SearchObjective,
    SearchParameter,
    SearchTrial,
    SearchWinner,
    TrialValue,
)
from synthograph.stats.intervals import LEVEL, quantile
from synthograph.workflows.search_finals import Finalist, FinalRecord, front, ranked
from synthograph.workflows.search_rungs import badness, keeps, mean_and_spread, misses
from synthograph.workflows.search_store import importances
from synthograph.workflows.search_trials import Trials
from synthograph.workflows.search_winner import WINNER


@dataclass(frozen=True)
class Noise:
    """What seeds of the same settings differ by in a measure, pooled over finalists.

    Attributes:
        spread: standard deviation between seeds.
        freedom: degrees of freedom of it.
    """

    spread: float
    freedom: int

    def of_difference(self, seeds: int) -> float:
        """The largest difference between two means of so many seeds that is within noise."""
        return quantile(self.freedom) * self.spread * math.sqrt(2 / seeds)

    def of_mean(self, mean: float, seeds: int) -> Interval:
        """Where the mean over all seeds lies."""
        half = quantile(self.freedom) * self.spread / math.sqrt(seeds)
        return Interval(mean - half, mean + half, LEVEL)


def noise_between(values: Sequence[Sequence[float]]) -> Noise | None:
    """Noise by the values of every finalist's seeds; None where none has two."""
    squares, freedom = 0.0, 0
    for each in values:
        _, spread = mean_and_spread(each) if each else (0.0, None)
        if spread is not None:
            squares += spread**2 * (len(each) - 1)
            freedom += len(each) - 1
    return Noise(math.sqrt(squares / freedom), freedom) if freedom else None


@dataclass(frozen=True)
class Again:
    """A finalist and what its new runs reached."""

    finalist: Finalist
    seeds: Sequence[int]
    records: Sequence[FinalRecord]

    def numbers(self, measure: str) -> list[float]:
        """Values of a measure that the runs have."""
        found = (record.values.get(measure) for record in self.records)
        return [value for value in found if value is not None]


def search_of(
    trials: Trials,
    ended: Sequence[SearchTrial],
    again: Sequence[Again],
    *,
    sha256: str,
    resumed: int,
    measured_on: str,
    command: str,
) -> Search:
    """The result of a search.

    Args:
        trials: of the search.
        ended: all that came to an end of some kind.
        again: finalists with fresh seeds.
        sha256: of what the search was begun with.
        resumed: how often a trial was taken up from a process that was gone.
        measured_on: which images measured.
        command: that was typed.
    """
    settings, base = trials.settings, trials.space.base()
    noises = {
        name: noise_between([each.numbers(name) for each in again]) for name in settings.measures
    }
    objectives = [
        _noted(each, noises[each.measure], settings.fresh_seeds, settings.seeds)
        for each in trials.objectives
    ]
    retrained = _retrained(trials, again, noises, objectives)
    return Search(
        name=settings.name,
        data=settings.data.name,
        measured_on=measured_on,
        family=base.model.family,
        preset=settings.preset,
        kimg=trials.kimg,
        objectives=tuple(objectives),
        constraints=tuple(trials.constraints),
        extractor=base.metrics.features,
        parameters=tuple(_parameters(trials, ended)),
        trials=tuple(_judged(trials, ended, objectives[0])),
        retrained=tuple(retrained),
        winner=_winner(trials, retrained, objectives[0]),
        search_sha256=sha256,
        resumed=resumed,
        notes=trials.space.notes,
        command=command,
        version=VERSION,
    )


def _noted(
    objective: SearchObjective, noise: Noise | None, fresh: int, seeds: int
) -> SearchObjective:
    if noise is None:
        return objective
    return objective.replace(
        noise=noise.of_difference(fresh), noise_of_trials=noise.of_difference(seeds)
    )


def _parameters(trials: Trials, ended: Sequence[SearchTrial]) -> list[SearchParameter]:
    """What was searched, with the share that each explains of what the trials differ in at the
    first rung, which nearly all of them reached.
    """
    space, objective = trials.space, trials.objectives[0]
    there = [(each, each.rungs[0].value(objective.measure)) for each in ended if each.rungs]
    known = [(each.parameters, value) for each, value in there if value is not None]
    shares = importances(
        space.parameters,
        [drawn for drawn, _ in known],
        [value for _, value in known],
        smaller=objective.smaller,
    )
    return [
        SearchParameter(
            **{name: value for name, value in vars(each).items() if name != "step"},
            preset_value=space.of_preset(each.path),
            importance=shares.get(each.path),
        )
        for each in space.parameters
    ]


def _judged(
    trials: Trials, ended: Sequence[SearchTrial], objective: SearchObjective
) -> list[SearchTrial]:
    """Trials with what can be said once all of them are known."""
    whole = ranked(ended, trials)
    top = whole[0].value(objective.measure) if whole else None
    ahead = front(whole, trials)
    found = []
    for each in sorted(ended, key=lambda trial: trial.number):
        value = each.value(objective.measure)
        within = _within(objective.noise_of_trials, value, top) if each in whole else None
        changes = {"front": each.number in ahead} if len(trials.objectives) > 1 else {}
        found.append(each.replace(within_noise=within, **changes))
    return found


def _retrained(
    trials: Trials,
    again: Sequence[Again],
    noises: Mapping[str, Noise | None],
    objectives: Sequence[SearchObjective],
) -> list[Retraining]:
    """Finalists, the best first: those that keep the constraints, by the first objective."""
    measures = trials.settings.measures
    values = [tuple(_mean(each, name, noises[name]) for name in measures) for each in again]
    own = next((v for v, each in zip(values, again, strict=True) if each.finalist.baseline), ())
    found = [
        Retraining(
            trial=each.finalist.trial,
            baseline=each.finalist.baseline,
            seeds=tuple(each.seeds),
            runs=tuple(record.run for record in each.records),
            by_seed={name: tuple(r.values.get(name) for r in each.records) for name in measures},
            values=means,
            feasible=keeps(means, trials.constraints, own),
        )
        for each, means in zip(again, values, strict=True)
    ]
    first = objectives[0]
    found.sort(key=lambda each: (not each.feasible, badness(each, first)))
    best = found[0].value(first.measure) if found else None
    return [
        each.replace(within_noise=bool(_within(first.noise, each.value(first.measure), best)))
        for each in found
    ]


def _mean(again: Again, measure: str, noise: Noise | None) -> TrialValue:
    """The mean over fresh seeds; None where one of them has no value, as of a collapsed run."""
    numbers = again.numbers(measure)
    if len(numbers) < len(again.records) or not numbers:
        return TrialValue(measure=measure, value=None)
    mean, spread = mean_and_spread(numbers)
    interval = None if noise is None else noise.of_mean(mean, len(numbers))
    return TrialValue(measure=measure, value=mean, spread=spread, interval=interval)


def _within(noise: float | None, value: float | None, best: float | None) -> bool | None:
    """Whether a value differs from the best one by noise alone; None where that is not known."""
    if noise is None or value is None or best is None:
        return None
    return abs(value - best) <= noise


def _winner(
    trials: Trials, retrained: Sequence[Retraining], objective: SearchObjective
) -> SearchWinner | None:
    """The finalist that is best with fresh seeds, and how it compares with the preset."""
    best = next((each for each in retrained if each.feasible), None)
    value = None if best is None else best.value(objective.measure)
    if best is None or value is None:
        return None
    preset = next((each for each in retrained if each.baseline), None)
    own = None if preset is None else preset.value(objective.measure)
    gain = None if own is None else (own - value if objective.smaller else value - own)
    beyond = None if gain is None or objective.noise is None else gain > objective.noise
    drawn = next((e.drawn for e in trials.store.trials() if e.number == best.trial), None) or {}
    return SearchWinner(
        trial=best.trial,
        settings={**trials.space.values(drawn), PRESET: trials.space.preset(drawn)},
        gain=gain,
        beyond_noise=beyond,
        sentence=_sentence(best, objective, preset, trials.constraints, beyond),
        file=WINNER,
    )


def _sentence(
    best: Retraining,
    objective: SearchObjective,
    preset: Retraining | None,
    constraints: Sequence[SearchConstraint],
    beyond: bool | None,
) -> str:
    """What may be said of the winner."""
    seeds, measure = len(best.seeds), objective.measure
    reached = f"{measure} {number(best.value(measure))}"
    if best.baseline:
        return (
            f"no trial was better than the preset's own settings over {seeds} fresh seeds "
            f"({reached}): keep the preset"
        )
    who = f"trial {best.trial}" if best.trial is not None else "the preset"
    own = None if preset is None else preset.value(measure)
    if preset is None or own is None:
        return f"{who} is best over {seeds} fresh seeds: {reached}"
    said = f"{who} has {reached} over {seeds} fresh seeds, the preset {number(own)}"
    if not preset.feasible:
        missed = misses(preset.values, constraints, preset.values)
        names = [name for name, by in missed.items() if by > 0]
        said += f", which misses the constraint on {listed(names)}"
    if beyond:
        return f"{said}: better by more than seeds differ (noise {number(objective.noise)})"
    if not preset.feasible:
        return said
    return f"{said}: within noise ({number(objective.noise)}), so the preset may do as well"
