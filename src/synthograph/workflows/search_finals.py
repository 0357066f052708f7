"""The best trials trained again, with seeds that no trial had, before one is named.

The best of many trials is partly the luckiest: another seed moves a distance more than many a
setting does. The preset's own settings are trained beside them, so that the winner is compared with
what one gets without a search.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from synthograph.core.errors import DivergedError
from synthograph.core.progress import Progress
from synthograph.results.evaluation import Entry
from synthograph.results.search import SearchTrial, Settings, TrialState
from synthograph.workflows.search_rungs import badness, beats
from synthograph.workflows.search_runs import CollapsedError, LostError, TrialRun, Worker
from synthograph.workflows.search_trials import Trials
from synthograph.workflows.study_jobs import Job, JobRecord
from synthograph.workflows.training_lines import told

FIRST_FRESH = 10_000
"""Added to the seed of a search: seeds from there on are fresh."""
DONE = "final.json"


class FinalRecord(JobRecord):
    """A new run of a finalist.

    Attributes:
        run: its directory, relative to the folder of the search.
        values: measure to value; empty where it diverged or collapsed.
    """

    run: str
    values: dict[str, float | None]


@dataclass(frozen=True)
class Finalist:
    """Settings that are trained again.

    Attributes:
        trial: that had them; None for the preset's own, where none had these.
        drawn: as in the trial.
        baseline: whether they are the preset's own.
    """

    trial: int | None
    drawn: Settings
    baseline: bool

    def name(self, seed: int) -> str:
        """Name of the folder of a run."""
        who = "preset" if self.trial is None else f"{self.trial:05d}"
        return f"{who}-seed{seed}"


@dataclass(frozen=True)
class Finals:
    """Finalists at work in this process."""

    trials: Trials
    device: str
    progress: Progress

    @property
    def seeds(self) -> range:
        """Those that no trial had."""
        first = self.trials.settings.seed + FIRST_FRESH
        return range(first, first + self.trials.settings.fresh_seeds)

    def finalists(self, ended: Sequence[SearchTrial]) -> list[Finalist]:
        """The best trials that came to the end, and the preset's own settings."""
        best = ranked(ended, self.trials)[: self.trials.settings.finalists]
        found = [Finalist(each.number, each.parameters, each.baseline) for each in best]
        if found and not any(each.baseline for each in found):
            own = next((each for each in ended if each.baseline), None)
            drawn = {} if own is None else own.parameters
            found.append(Finalist(None if own is None else own.number, drawn, baseline=True))
        return found

    def jobs(self, finalists: Sequence[Finalist]) -> Iterator[Job]:
        """A job per finalist and seed; seeds come first, so that all have as many when stopped."""
        for seed in self.seeds:
            for each in finalists:
                title = f"{_title(each)}, seed {seed}"
                record = self.trials.folder.final(each.name(seed)) / DONE
                yield Job("final", title, record, (), partial(self._train, each, seed, title))

    def _train(self, finalist: Finalist, seed: int, title: str) -> FinalRecord:
        space, folder = self.trials.space, self.trials.folder
        run = TrialRun(
            folder.final(finalist.name(seed)),
            space.configuration(finalist.drawn).model_copy(
                update={"tracking": self.trials.tracking}
            ),
            space.preset(finalist.drawn),
            seed,
            self.device,
            space.of_process(),
        )
        found: dict[str, Entry] = {}
        try:
            with Worker(told(title, self.progress), lambda: None) as worker:
                run.train(worker, self.trials.kimg)
            found = run.measured(self.trials.kimg) or {}
            said = ", ".join(
                f"{name} {found[name].value:.3g}" for name in found if found[name].value is not None
            )
        except (CollapsedError, DivergedError, LostError) as error:
            said = str(error)
        place = "" if run.run is None else str(run.run.relative_to(folder.path))
        values = {name: entry.value for name, entry in found.items()}
        return FinalRecord(run=place, values=values, said=said)


def _title(finalist: Finalist) -> str:
    own = " (the preset's own settings)" if finalist.baseline else ""
    who = "preset" if finalist.trial is None else f"trial {finalist.trial}"
    return f"{who} again{own}"


def ranked(ended: Sequence[SearchTrial], trials: Trials) -> list[SearchTrial]:
    """Trials that came to the end, the best first: those that keep the constraints; of several
    objectives, those of the front before others; then by the first objective.
    """
    whole = [each for each in ended if each.state is TrialState.COMPLETE]
    objective, ahead = trials.objectives[0], front(whole, trials)
    return sorted(
        whole, key=lambda e: (not e.feasible, e.number not in ahead, badness(e, objective))
    )


def front(whole: Sequence[SearchTrial], trials: Trials) -> set[int]:
    """Numbers of trials that no other one beats in all objectives; constraints go before."""
    return {
        one.number
        for one in whole
        if not any(
            beats(other, one, trials.objectives, (bool(other.feasible), bool(one.feasible)))
            for other in whole
        )
    }
