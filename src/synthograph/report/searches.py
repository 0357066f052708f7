"""A search in tables and pictures: the same words for the page and for the console."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from synthograph.report.curves import ACCENT, MUTED, RULE, SECOND, painted
from synthograph.report.tables import TableText, with_ends
from synthograph.report.words import as_sentence, listed, number, percent, several
from synthograph.results.base import Plain, Tree
from synthograph.results.search import (
    PRESET,
    Retraining,
    Search,
    SearchParameter,
    SearchTrial,
    TrialState,
    TrialValue,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_SLICES = 9
"""Settings whose values are drawn: those that explain most."""
COLUMNS, PANEL = 3, (2.6, 2.1)
"""Panels of a row, and the size of one in inches."""
CAPTION = (
    "How much each setting explains of what the trials differ in at the first rung; the first "
    "objective trial by trial; and over each setting. Filled dots came to the end, hollow ones "
    "were ended early and show what they had then."
)
NO_WINNER = "No trial came to the end and kept the constraints, so nothing is recommended."


def shown(value: Plain) -> str:
    """A value of a setting, for people; of multipliers those that are not 0."""
    if isinstance(value, dict):
        return "+".join(name for name, of in value.items() if of) or "none"
    if isinstance(value, float):
        return f"{value:.3g}"
    return "–" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def measured(value: TrialValue | None) -> str:
    """A value with its interval, else with the spread between seeds."""
    if value is None or value.value is None:
        return "–"
    if value.interval is not None:
        return with_ends(value.value, value.interval, number)
    return number(value.value) + ("" if value.spread is None else f" ± {number(value.spread)}")


def sentence(search: Search) -> str:
    """What may be said of the winner."""
    return NO_WINNER if search.winner is None else f"{as_sentence(search.winner.sentence)}."


def tables(search: Search) -> Iterator[TableText]:
    """Finalists with fresh seeds, settings with what they explain, and all trials."""
    if search.retrained:
        yield _finalists(search)
    yield _settings(search)
    yield _trials(search)


def _measures(search: Search) -> list[str]:
    goals = [each.measure for each in search.objectives]
    return [*goals, *(each.measure for each in search.constraints)]


def _finalists(search: Search) -> TableText:
    first, names = search.objectives[0], _measures(search)
    head = ["finalist", *names, f"{first.measure} by seed", "keeps constraints", "to the best"]
    rows = [_finalist_row(each, search) for each in search.retrained]
    seeds = len(search.retrained[0].seeds)
    notes = [
        f"Fresh seeds: no trial had them. A difference in {goal.measure} up to "
        f"{number(goal.noise)} between means of {several(seeds, 'seed')} is within noise (95 %)."
        for goal in search.objectives
        if goal.noise is not None
    ]
    title = f"The best trials again, {several(seeds, 'fresh seed')} each, {search.kimg:g} kimg"
    return TableText(title, head, rows, notes)


def _finalist_row(each: Retraining, search: Search) -> list[str]:
    found = {value.measure: value for value in each.values}
    by_seed = each.by_seed.get(search.objectives[0].measure, ())
    best = search.retrained[0] is each
    return [
        _who(each),
        *(measured(found.get(name)) for name in _measures(search)),
        ", ".join(number(value) for value in by_seed),
        "yes" if each.feasible else "no",
        "best" if best else "within noise" if each.within_noise else "worse",
    ]


def _who(each: Retraining) -> str:
    if each.trial is None:
        return "preset"
    return f"trial {each.trial}{' (the preset)' if each.baseline else ''}"


def _settings(search: Search) -> TableText:
    chosen = {} if search.winner is None else search.winner.settings
    rows = [
        [
            each.path,
            _range(each),
            shown(each.preset_value),
            shown(chosen.get(each.path)),
            percent(each.importance),
        ]
        for each in search.parameters
    ]
    head = ["setting", "searched", f"preset {search.preset}", "winner", "explains"]
    note = (
        "What a setting explains is a share of what the trials differ in at the first rung; with "
        "few trials it is a hint."
    )
    return TableText("Settings", head, rows, [note])


def _range(each: SearchParameter) -> str:
    text = ", ".join(map(shown, each.choices))
    if not each.choices:
        text = f"{shown(each.low)} to {shown(each.high)}{' times the preset' * each.relative}"
        text += ", log" * each.log
    conditions = [f"{path} {' or '.join(map(shown, among))}" for path, among in each.when.items()]
    return f"{text}; only with {listed(conditions)}" if conditions else text


def _trials(search: Search) -> TableText:
    first, paths = search.objectives[0], [each.path for each in search.parameters]
    told = [p for p in paths if any(p in trial.settings for trial in search.trials)]
    head = ["trial", "came to", "kimg", *_measures(search), "keeps constraints", *told, "why"]
    ahead = any(each.front for each in search.trials)
    head += ["front"] if ahead else []
    rows = [_trial_row(each, search, told, ahead) for each in search.trials]
    seeds = [len(each.seeds) for each in search.trials[:1]]
    notes = [f"Every trial trained with {several(count, 'seed')}." for count in seeds]
    if first.noise_of_trials is not None:
        close = [str(e.number) for e in search.trials if e.within_noise]
        notes.append(
            f"A difference in {first.measure} up to {number(first.noise_of_trials)} between two "
            f"trials is within noise, as seeds of the same settings differ: of those that came to "
            f"the end, {listed(close)} cannot be told from the best."
        )
    return TableText(f"All {several(len(search.trials), 'trial')}", head, rows, notes)


def _trial_row(each: SearchTrial, search: Search, paths: Sequence[str], ahead: bool) -> list[str]:
    found = {value.measure: value for value in each.values}
    kept = {True: "yes", False: "no", None: "–"}[each.feasible]
    row = [
        f"{each.number}{' (the preset)' if each.baseline else ''}",
        each.state.value,
        f"{each.kimg:g}",
        *(measured(found.get(name)) for name in _measures(search)),
        kept,
        *(shown(each.settings.get(path)) for path in paths),
        each.reason or "–",
    ]
    return [*row, "yes" if each.front else "no"] if ahead else row


def search_tree(search: Search) -> Tree:
    """A search for the page."""
    winner = search.winner
    about = (
        f"{several(len(search.trials), 'trial')} of {search.kimg:g} thousand images with preset "
        f"{search.preset} on {search.data}, measured on {search.measured_on} by features of "
        f"{search.extractor}. Test images were never looked at."
    )
    return {
        "name": search.name,
        "winner": "" if winner is None else _winner(search),
        "sentence": sentence(search),
        "about": about,
        "caption": CAPTION,
        "tables": [each.tree() for each in tables(search)],
        "notes": list(search.notes),
    }


def _winner(search: Search) -> str:
    winner = search.winner
    if winner is None or winner.trial is None or search.trial(winner.trial).baseline:
        return "the preset"
    return f"trial {winner.trial}"


# --- pictures -------------------------------------------------------------------------------------


def drawing(search: Search, name: str) -> str:
    """Importance of every setting, history, and the first objective over each setting, as SVG;
    empty where nothing was measured.
    """
    known = [trial for trial in search.trials if _place(trial, search) is not None]
    if not known:
        return ""
    slices = sorted(search.parameters, key=lambda each: -(each.importance or 0.0))[:MAX_SLICES]
    slices = [each for each in slices if any(each.path in trial.settings for trial in known)]
    weighed = [each for each in slices if each.importance is not None]
    panels = 1 + bool(weighed) + len(slices)
    rows = -(-panels // COLUMNS)

    def paint(figure: "Figure") -> None:
        axes = [figure.add_subplot(rows, COLUMNS, place + 1) for place in range(panels)]
        if weighed:
            _importances(axes.pop(0), weighed)
        _history(axes.pop(0), known, search)
        for panel, parameter in zip(axes, slices, strict=True):
            _slice(panel, parameter, known, search)

    return painted(paint, (COLUMNS * PANEL[0], rows * PANEL[1]), name)


def _place(trial: SearchTrial, search: Search) -> float | None:
    return trial.value(search.objectives[0].measure)


def _importances(axes: "Axes", weighed: Sequence[SearchParameter]) -> None:
    names = [_short(each.path) for each in weighed][::-1]
    axes.barh(names, [100 * (each.importance or 0.0) for each in weighed][::-1], color=ACCENT)
    axes.set_xlabel("explains, percent")


def _history(axes: "Axes", known: Sequence[SearchTrial], search: Search) -> None:
    from matplotlib.ticker import MaxNLocator  # takes long, as in `curves`

    _dots(axes, [(float(trial.number), trial) for trial in known], search)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial")
    axes.set_ylabel(search.objectives[0].measure)


def _slice(
    axes: "Axes", parameter: SearchParameter, known: Sequence[SearchTrial], search: Search
) -> None:
    having = [trial for trial in known if parameter.path in trial.settings]
    if parameter.choices:
        words = list(dict.fromkeys(shown(trial.settings[parameter.path]) for trial in having))
        places = [float(words.index(shown(trial.settings[parameter.path]))) for trial in having]
        axes.set_xticks(range(len(words)), words)
        axes.set_xlim(-0.5, len(words) - 0.5)
    else:
        places = [float(trial.settings[parameter.path]) for trial in having]  # type: ignore[arg-type]
        if parameter.log:
            axes.set_xscale("log")
            low, high = min(places), max(places)
            ticks = sorted({low, math.sqrt(low * high), high})
            axes.set_xticks(ticks, [shown(tick) for tick in ticks])
            axes.minorticks_off()
    _dots(axes, list(zip(places, having, strict=True)), search)
    axes.set_xlabel(_short(parameter.path))


def _dots(axes: "Axes", points: Sequence[tuple[float, SearchTrial]], search: Search) -> None:
    """Filled dots for trials that came to the end, hollow ones for others, the winner apart."""
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    winner = None if search.winner is None else search.winner.trial
    for x, trial in points:
        color = SECOND if trial.number == winner else ACCENT
        whole = trial.state is TrialState.COMPLETE
        edge = color if whole else MUTED
        axes.plot(
            [x],
            np.array([_place(trial, search)], np.float64),
            marker="o",
            markersize=6 if trial.number == winner else 4,
            color=edge,
            markerfacecolor=edge if whole else "none",
            linestyle="none",
        )


def _short(path: str) -> str:
    """The end of a path that tells it apart, such as `G.lr`."""
    if path == PRESET:
        return path
    return ".".join(path.split(".")[-2:]).removeprefix("model.").removeprefix("training.")
