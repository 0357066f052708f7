"""What `search` writes: which settings were tried, what came of each, and which one won."""

import enum
from typing import Annotated, Literal

import pydantic

from synthograph.results.base import (
    Command,
    Count,
    Document,
    Ends,
    FileName,
    IfGiven,
    Many,
    Plain,
    Prose,
    Schema,
    Share,
)

PRESET = "preset"
"""Name of the parameter that chooses the preset."""

Settings = dict[str, Plain]
"""Dotted path of a setting -> its value, in plain data."""
Positive = Annotated[float, pydantic.Field(ge=0)]


class ParameterKind(enum.StrEnum):
    """How values of a parameter are drawn."""

    CHOICE = "choice"
    INTEGER = "integer"
    NUMBER = "number"


class TrialState(enum.StrEnum):
    """How far a trial came."""

    COMPLETE = "complete"
    ENDED = "ended early"
    COLLAPSED = "collapsed"
    DIVERGED = "diverged"
    FAILED = "failed"


class SearchObjective(Schema):
    """A measure that the search makes better.

    Attributes:
        measure: its name, such as `kernel`; `title` for readers.
        smaller: whether smaller values are better.
        noise: differences between means of fresh seeds up to this size are within noise, at 95 %,
            by what seeds of the same settings differ by; `noise_of_trials`, between two trials.
            None where too few were trained again.
    """

    measure: str
    title: str
    smaller: bool
    noise: Positive | None = None
    noise_of_trials: Positive | None = None


class SearchConstraint(Schema):
    """A measure that has to reach a value: a trial that does not reach it cannot win.

    Attributes:
        at_least: the value; None for that of the preset's own settings, less noise.
    """

    measure: str
    at_least: float | None


class SearchParameter(Schema):
    """A setting that was searched.

    Attributes:
        path: dotted path in the configuration tree, such as `model.r1_gamma`; or `preset`.
        low, high: the range, of numbers.
        log: whether values are drawn evenly by their logarithm.
        relative: whether range and values are multiples of what the preset gives.
        choices: of a choice.
        when: path -> values that another parameter must have for this one to be searched.
        preset_value: what the preset of the search gives; None where it gives nothing.
        importance: share of the objective's variation that it explains; None where it cannot be
            told.
    """

    path: str
    kind: ParameterKind
    low: float | None = None
    high: float | None = None
    log: bool = False
    relative: bool = False
    choices: Many[Plain] = ()
    when: IfGiven[dict[str, tuple[Plain, ...]]] = {}
    preset_value: Plain = None
    importance: Share | None = None


class TrialValue(Schema):
    """A measure of a trial.

    Attributes:
        value: mean over the seeds; None where it has none.
        spread: standard deviation between seeds; None for a single one.
        interval: of a single seed, from the images that measure it.
    """

    measure: str
    value: float | None
    spread: Positive | None = None
    interval: IfGiven[Ends | None] = None


class WithValues(Schema):
    """Something that was measured."""

    values: Many[TrialValue] = ()

    def value(self, measure: str) -> float | None:
        """The value of a measure; None where it has none."""
        return next((each.value for each in self.values if each.measure == measure), None)


class Rung(WithValues):
    """What was measured of a trial on its way.

    Attributes:
        kimg: thousands of images that its snapshots had seen.
        better: trials that were better at this place, of `of` others that had come there.
    """

    kimg: Positive
    better: Count = 0
    of: Count = 0


class SearchTrial(WithValues):
    """A trial: settings, and one run per seed.

    Attributes:
        number: from 0.
        baseline: whether it has the preset's own settings.
        settings: every searched setting that it has, as its configuration holds it.
        parameters: the same as drawn: multiples of the preset's value for relative parameters.
        seeds: of its runs.
        runs: run directories, relative to the folder of the search.
        kimg: thousands of images that each of its runs has seen.
        seconds: that it took.
        values: measures of its last snapshots: objectives first.
        rungs: what was measured on its way, in order; the last one is where it ended.
        feasible: whether it keeps all constraints; None where they were not measured.
        within_noise: whether the difference to the best trial is within noise; None where it has
            no value or nothing is known of noise.
        front: whether no other trial is better in all objectives; of several objectives.
        reason: why it ended, where it did not come to the end.
    """

    number: Count
    state: TrialState
    baseline: bool = False
    settings: Settings
    parameters: Settings = {}
    seeds: Many[Count]
    runs: Many[str] = ()
    kimg: Positive
    seconds: Positive
    rungs: Many[Rung] = ()
    feasible: bool | None = None
    within_noise: bool | None = None
    front: IfGiven[bool] = False
    reason: IfGiven[Prose] = ""


class Retraining(WithValues):
    """A finalist trained again, with seeds that no trial had.

    Attributes:
        trial: whose settings; None for the preset's own, where no trial had these.
        seeds: fresh ones; `runs` in the same order, relative to the folder of the search.
        by_seed: measure -> a value per seed.
        values: mean, spread and, of several seeds, the interval of the mean.
        feasible: whether the means keep all constraints.
        within_noise: whether the difference to the winner is within noise.
    """

    trial: Count | None
    baseline: bool = False
    seeds: Many[Count]
    runs: Many[str]
    by_seed: dict[str, tuple[float | None, ...]]
    feasible: bool
    within_noise: bool = False


class SearchWinner(Schema):
    """The settings that won.

    Attributes:
        trial: number of the trial; None for the preset's own settings, where no trial had these.
        settings: searched settings, as the configuration holds them.
        gain: how much better than the preset's own settings, by the first objective and fresh
            seeds; above 0 is better. None where the preset was not trained.
        beyond_noise: whether that is more than noise.
        sentence: what may be said.
        file: configuration, in the folder of the search.
    """

    trial: Count | None
    settings: Settings
    gain: float | None = None
    beyond_noise: bool | None = None
    sentence: Prose
    file: FileName


class Search(Document):
    """A search of settings.

    Attributes:
        name: of the search.
        data: archive that was trained on; `measured_on` says which of its images measured.
        family: kind of model of the preset.
        preset: that every trial begins with.
        kimg: thousands of images of a whole trial.
        objectives: the first one decides where a single one has to.
        extractor: whose features measure.
        trials: all that ended, by number.
        retrained: finalists with fresh seeds, the best first.
        winner: None where no trial came to an end and kept the constraints.
        search_sha256: of what the search was begun with.
        resumed: how often work of a process that was gone was taken up.
    """

    kind: Literal["search"] = "search"
    name: str
    data: FileName
    measured_on: Prose
    family: str
    preset: str
    kimg: Positive
    objectives: Many[SearchObjective]
    constraints: Many[SearchConstraint] = ()
    extractor: str = ""
    parameters: Many[SearchParameter]
    trials: Many[SearchTrial]
    retrained: Many[Retraining] = ()
    winner: SearchWinner | None = None
    search_sha256: str
    resumed: Count = 0
    notes: Many[Prose] = ()
    command: IfGiven[Command] = ""
    version: str

    def parameter(self, path: str) -> SearchParameter | None:
        """A setting that was searched, by its path."""
        return next((each for each in self.parameters if each.path == path), None)

    def trial(self, number: int) -> SearchTrial:
        """A trial by its number."""
        return next(each for each in self.trials if each.number == number)
