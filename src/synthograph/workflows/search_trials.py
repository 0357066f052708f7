"""Trials of a search, shared by any number of processes and machines: whoever is free takes one.

A trial whose process was killed is gone on with by the next process that sees its folder, from its
last saved state. One that another machine has in a folder of its own is drawn again once nothing
was heard of it for long.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from synthograph.core.errors import BlockedError, DivergedError, UserError
from synthograph.core.files import disk_errors
from synthograph.core.locks import Lock
from synthograph.core.progress import Progress
from synthograph.report.searches import shown
from synthograph.report.words import number, several
from synthograph.results.search import (
    Rung,
    SearchConstraint,
    SearchObjective,
    SearchTrial,
    Settings,
    TrialState,
    TrialValue,
)
from synthograph.training.config import TrackingConfig
from synthograph.training.loop import duration
from synthograph.workflows.search_folder import SearchFolder
from synthograph.workflows.search_rungs import (
    beats,
    goes_on,
    keeps,
    misses,
    rungs_of,
    values_of,
)
from synthograph.workflows.search_runs import CollapsedError, LostError, TrialRun, Worker
from synthograph.workflows.search_settings import SearchSettings
from synthograph.workflows.search_space import Space
from synthograph.workflows.search_store import Noted, Store
from synthograph.workflows.training_lines import told

SILENT_MINUTES = 30
"""Minutes after which a trial of another machine counts as lost."""
SECONDS_BETWEEN_BEATS = 60.0
SECONDS_BETWEEN_LOOKS = 1.0
ATTEMPTS = 2
"""How often a training is begun whose process ended without a word."""


@dataclass(frozen=True)
class Trials:
    """The trials of a search, as one process works on them.

    Attributes:
        space: of the search.
        objectives: in order; `constraints` beside them.
        folder: of the search, as this process sees it.
        store: what all processes share.
        progress: who listens.
        tracking: who follows the runs.
    """

    space: Space
    objectives: Sequence[SearchObjective]
    constraints: Sequence[SearchConstraint]
    folder: SearchFolder
    store: Store
    progress: Progress
    tracking: TrackingConfig

    @property
    def settings(self) -> SearchSettings:
        """Of the search."""
        return self.space.settings

    @property
    def kimg(self) -> float:
        """Thousands of images of a whole trial."""
        return self.space.base().training.kimg

    def work_off(self) -> None:
        """Do trials until the budget is spent and all of them ended.

        Raises:
            StoppedError: a signal came; the same command continues.
        """
        waiting = False
        while True:
            taken = self._take()
            if taken is not None:
                waiting = False
                noted, claim = taken
                try:
                    self._ended(self._work(noted))
                finally:
                    claim.release()
            elif any(each.running for each in self.store.trials()):
                if not waiting:
                    self.progress.log("waiting for trials that other processes are at")
                waiting = True
                time.sleep(SECONDS_BETWEEN_LOOKS)
            else:
                return

    # --- who does what ----------------------------------------------------------------------------

    def _take(self) -> tuple[Noted, Lock] | None:
        """A trial that nobody is at, with its claim; None where there is none."""
        with self.folder.lock("takes a trial"):
            found = self.store.trials()
            left = next(filter(None, map(self._taken_over, found)), None)
            if left is not None or not self._affordable(self.store.trials()):
                return left
            fixed = self.space.baseline() if not found else None
            asked = self.store.ask(
                self.space.parameters, self.folder.home, trials=self.settings.trials, fixed=fixed
            )
            claim = self._claim(asked.number)
            assert claim is not None, "nobody knows of it yet"
            return asked, claim

    def _taken_over(self, noted: Noted) -> tuple[Noted, Lock] | None:
        """A trial of a process that is gone, with its claim; one that cannot be gone on with is
        begun anew by whoever comes next.
        """
        if not noted.running:
            return None
        if noted.home != self.folder.home:
            if time.time() - noted.alive > SILENT_MINUTES * 60:
                self.store.forget(noted.number)
                if noted.drawn is not None:
                    self.store.begin_again(noted.drawn)
            return None
        claim = self._claim(noted.number)
        if claim is None:
            return None
        if noted.drawn is None:
            self.store.forget(noted.number)
            claim.release()
            return None
        self.progress.log(f"trial {noted.number}: its process is gone; continuing")
        return self.store.take_up(noted), claim

    def _claim(self, number: int) -> Lock | None:
        """The claim on a trial; None where another process has it."""
        home = self.folder.trial(number)
        with disk_errors(home):
            home.mkdir(parents=True, exist_ok=True)
            claim = Lock(home / "claim", f"trial {number}: another process is at it")
            try:
                claim.acquire()
            except BlockedError:
                return None
        return claim

    def _affordable(self, found: Sequence[Noted]) -> bool:
        """Whether one more trial may begin."""
        settings, counted = self.settings, [each for each in found if each.counted]
        hours = sum(each.seconds for each in counted) / 3600
        kimg = sum(each.kimg for each in counted) * settings.seeds
        return (
            len(counted) < settings.trials
            and (settings.hours is None or hours < settings.hours)
            and (settings.total_kimg is None or kimg < settings.total_kimg)
        )

    # --- one trial --------------------------------------------------------------------------------

    def _work(self, noted: Noted) -> SearchTrial:
        """Train and measure, until the trial ends; what came of it is shared."""
        drawn, clock = noted.drawn or {}, _Clock(self.store, noted)
        trial = SearchTrial(
            number=noted.number,
            state=TrialState.FAILED,
            baseline=drawn == self.space.baseline(),
            settings={},
            parameters=drawn,
            seeds=tuple(range(self.settings.seed, self.settings.seed + self.settings.seeds)),
            kimg=noted.kimg,
            seconds=0.0,
            rungs=noted.rungs,
            values=noted.rungs[-1].values if noted.rungs else (),
        )
        try:
            config = self.space.configuration(drawn)
        except UserError as error:
            return self._finish(trial.replace(reason=f"these values do not go together: {error}"))
        trial = trial.replace(settings=self.space.values(drawn))
        if not noted.rungs:
            self.progress.log(f"trial {noted.number}: {described(trial.settings)}")
        config = config.model_copy(update={"tracking": self.tracking})
        home, preset = self.folder.trial(noted.number), self.space.preset(drawn)
        own = self.space.of_process()
        runs = [
            TrialRun(home / f"seed{seed}", config, preset, seed, self.space.device, own)
            for seed in trial.seeds
        ]
        with Worker(told(f"trial {noted.number}", self.progress), clock.beat) as worker:
            trial = self._climbed(trial, noted, runs, worker, clock)
        places = [str(run.run.relative_to(self.folder.path)) for run in runs if run.run]
        return self._finish(trial.replace(runs=tuple(places), seconds=clock.spent()))

    def _climbed(
        self,
        trial: SearchTrial,
        noted: Noted,
        runs: Sequence[TrialRun],
        worker: Worker,
        clock: "_Clock",
    ) -> SearchTrial:
        """A trial trained from rung to rung, until it ends."""
        for rung in trial.rungs[-1:]:  # its process may have been killed right after measuring
            if not self._last(rung) and not goes_on(rung, self.settings):
                return _ended_early(trial, rung)
        for kimg in rungs_of(self.settings, self.kimg)[len(trial.rungs) :]:
            ended = self._train(runs, worker, kimg)
            if ended is not None:
                return trial.replace(state=ended[0], reason=ended[1])
            rung = self._rung(trial, runs, kimg)
            trial = trial.replace(rungs=(*trial.rungs, rung), values=rung.values, kimg=kimg)
            self.store.note(
                noted.number, noted.way.replace(rungs=trial.rungs, seconds=clock.spent())
            )
            if not self._last(rung) and not goes_on(rung, self.settings):
                return _ended_early(trial, rung)
        return trial.replace(state=TrialState.COMPLETE)

    def _last(self, rung: Rung) -> bool:
        return rung.kimg >= self.kimg

    def _train(
        self, runs: Sequence[TrialRun], worker: Worker, kimg: float
    ) -> tuple[TrialState, str] | None:
        """Train all runs so far; how and why the trial ends, where it does."""
        try:
            for run in runs:
                _persistently(run, worker, kimg)
        except CollapsedError as error:
            return TrialState.COLLAPSED, str(error)
        except DivergedError as error:
            return TrialState.DIVERGED, str(error)
        except LostError as error:
            return TrialState.FAILED, str(error)
        return None

    def _rung(self, trial: SearchTrial, runs: Sequence[TrialRun], kimg: float) -> Rung:
        """What was measured at a rung, and how many others were better there."""
        measured = []
        for run in runs:
            found = run.measured(kimg)
            if found is None:
                raise UserError(
                    f"{run.run}: nothing was measured, so trials cannot be compared: its log says "
                    "why"
                )
            measured.append(found)
        values = values_of(self.settings.measures, measured)
        rung = Rung(kimg=kimg, values=values)
        place = len(trial.rungs)
        there = (e for e in self.store.trials() if e.number != trial.number)
        others = [each.rungs[place] for each in there if len(each.rungs) > place]
        preset = self._baseline(place)
        own, *kept = [keeps(e.values, self.constraints, preset) for e in (rung, *others)]
        better = sum(
            beats(other, rung, self.objectives, (keeping, own))
            for other, keeping in zip(others, kept, strict=True)
        )
        return rung.replace(better=better, of=len(others))

    def _baseline(self, place: int) -> Sequence[TrialValue]:
        """What the preset's own settings reached at a rung; nothing where they did not come
        there.
        """
        draw = self.space.baseline()
        found = (e for e in self.store.trials() if e.drawn == draw and len(e.rungs) > place)
        return next((each.rungs[place].values for each in found), ())

    def _finish(self, trial: SearchTrial) -> SearchTrial:
        """Share what came of a trial."""
        values, missed = None, dict[str, float]()
        if trial.rungs:
            preset = self._baseline(len(trial.rungs) - 1)
            missed = misses(trial.values, self.constraints, preset)
            trial = trial.replace(feasible=all(each <= 0 for each in missed.values()))
        objectives = [trial.value(each.measure) for each in self.objectives]
        if trial.state is TrialState.COMPLETE:
            known = [value for value in objectives if value is not None]
            values = known if len(known) == len(objectives) else None
        if objectives and objectives[0] is not None:
            self.store.report(trial.number, trial.kimg, objectives[0])
        self.store.finish(trial, values, missed)
        return trial

    def _ended(self, trial: SearchTrial) -> None:
        """Tell how a trial ended, and how long the others will take."""
        said = [f"{each.measure} {number(each.value)}" for each in trial.values]
        why = f" ({trial.reason})" if trial.reason else ""
        done = [each.record for each in self.store.trials() if each.record is not None]
        left = max(self.settings.trials - len(done), 0)
        seconds = left * sum(each.seconds for each in done) / max(len(done), 1)
        until = f", about {duration(seconds)} of work left" if left else ""
        self.progress.log(
            f"{len(done)} of {several(self.settings.trials, 'trial')}{until}: trial {trial.number} "
            f"{trial.state}{why}{': ' if said else ''}{', '.join(said)}"
        )


@dataclass
class _Clock:
    """How long a trial takes, and signs of life while it does."""

    store: Store
    noted: Noted

    def __post_init__(self) -> None:
        self._begun = self._last = time.monotonic()

    def spent(self) -> float:
        """Seconds, with those of processes before."""
        return self.noted.seconds + time.monotonic() - self._begun

    def beat(self) -> None:
        """Say that the trial is alive, now and then."""
        if time.monotonic() - self._last > SECONDS_BETWEEN_BEATS:
            self._last = time.monotonic()
            self.store.beat(self.noted.number)


def _ended_early(trial: SearchTrial, rung: Rung) -> SearchTrial:
    said = f"{rung.better} of {rung.of} others were better at {rung.kimg:g} kimg"
    return trial.replace(state=TrialState.ENDED, reason=said)


def _persistently(run: TrialRun, worker: Worker, kimg: float) -> None:
    """Train; once more where the process ended without a word.

    Raises:
        LostError: it did so again.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            run.train(worker, kimg)
        except LostError:
            if attempt == ATTEMPTS:
                raise
        else:
            return


def described(settings: Settings) -> str:
    """Settings in a line."""
    return (
        ", ".join(f"{path} {shown(value)}" for path, value in settings.items()) or "as the preset"
    )
