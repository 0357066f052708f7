"""When a trial is ended early: successive halving over measures at snapshots.

At every rung a trial goes on if it is among the best of all that came there so far, one in
`halving` (Li et al. 2020, ASHA: nobody waits for others). Early distances rank badly, so the first
rung is late; before it only divergence and collapse end a trial.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from synthograph.results.evaluation import Entry
from synthograph.results.search import (
    Rung,
    SearchConstraint,
    SearchObjective,
    TrialValue,
    WithValues,
)
from synthograph.workflows.search_settings import SearchSettings

LAST = 0.9
"""A rung beyond this share of the kimg would end nothing that is not nearly done."""


def rungs_of(settings: SearchSettings, kimg: float) -> list[float]:
    """Thousands of images at which trials are compared; the last one is the end.

    With a first rung at 30 % and halving by 2: 30 %, 60 %, 100 %.
    """
    shares, share = list[float](), settings.first_rung
    while settings.halving > 1 and share < LAST:
        shares.append(share)
        share *= settings.halving
    return [share * kimg for share in shares] + [kimg]


def values_of(
    measures: Sequence[str], runs: Sequence[Mapping[str, Entry]]
) -> tuple[TrialValue, ...]:
    """Mean and spread of measures over the runs of a trial.

    Args:
        measures: their names.
        runs: what was measured of each run, by name.
    """
    return tuple(
        _value(name, [run[name] for run in runs if name in run], len(runs)) for name in measures
    )


def _value(name: str, entries: Sequence[Entry], runs: int) -> TrialValue:
    numbers = [entry.value for entry in entries if entry.value is not None]
    if len(numbers) < runs or not numbers:
        return TrialValue(measure=name, value=None)
    mean, spread = mean_and_spread(numbers)
    interval = entries[0].interval if runs == 1 else None
    return TrialValue(measure=name, value=mean, spread=spread, interval=interval)


def mean_and_spread(numbers: Sequence[float]) -> tuple[float, float | None]:
    """Mean, and standard deviation between several."""
    mean = math.fsum(numbers) / len(numbers)
    if len(numbers) < 2:
        return mean, None
    squares = math.fsum((number - mean) ** 2 for number in numbers)
    return mean, math.sqrt(squares / (len(numbers) - 1))


def misses(
    values: Iterable[TrialValue],
    constraints: Sequence[SearchConstraint],
    baseline: Iterable[TrialValue] = (),
) -> dict[str, float]:
    """By how much constraints are missed; 0 or less keeps one.

    A constraint by the preset is missed where the value lies below that of the preset's own
    settings by more than noise: with the upper end of its interval. It is left out as long as
    nobody knows what they reach.

    Args:
        values: of a trial.
        constraints: of the search.
        baseline: of the preset's own settings, measured at the same place.
    """
    own = {each.measure: each for each in values}
    preset = {each.measure: each.value for each in baseline}
    found = {}
    for each in constraints:
        least = preset.get(each.measure) if each.at_least is None else each.at_least
        value = own.get(each.measure)
        if least is None:
            continue
        if value is None or value.value is None:
            found[each.measure] = math.inf
        else:
            found[each.measure] = least - (_upper(value) if each.at_least is None else value.value)
    return found


def keeps(
    values: Iterable[TrialValue],
    constraints: Sequence[SearchConstraint],
    baseline: Iterable[TrialValue] = (),
) -> bool:
    """Whether no constraint is missed; see `misses`."""
    return all(missed <= 0 for missed in misses(values, constraints, baseline).values())


def _upper(value: TrialValue) -> float:
    """Upper end of what a value may be."""
    assert value.value is not None, "asked of values alone"
    if value.interval is not None:
        return value.interval.high
    return value.value + 2 * (value.spread or 0.0)


def beats(
    one: WithValues,
    other: WithValues,
    objectives: Sequence[SearchObjective],
    kept: tuple[bool, bool] = (True, True),
) -> bool:
    """Whether one is better: it keeps the constraints where the other does not, or, where both do
    or neither, is no worse in any objective and better in one.

    Args:
        one: what was measured of it.
        other: the same of the other.
        objectives: of the search.
        kept: whether each keeps the constraints.
    """
    if kept[0] != kept[1]:
        return kept[0]
    pairs = [(badness(one, each), badness(other, each)) for each in objectives]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def badness(found: WithValues, objective: SearchObjective) -> float:
    """What sorts by an objective, the best first; what has no value comes last."""
    value = found.value(objective.measure)
    if value is None:
        return math.inf
    return value if objective.smaller else -value


def goes_on(rung: Rung, settings: SearchSettings) -> bool:
    """Whether a trial goes on from a rung: one in `halving` does, and always as many as are
    trained again in the end.
    """
    share = math.ceil((rung.of + 1) / settings.halving)
    return rung.better < max(share, settings.finalists)
