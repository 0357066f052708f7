"""Which settings train best? Trials by Optuna, each a run of `train` in a process of its own.

Bad trials are ended early, the best are trained again with fresh seeds, and only then is one named.
Any number of processes may run the same search: whatever one of them has done, the others find
(see `search_trials`), and so does the same command after it was killed.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from synthograph.archive.batches import ArchiveRows
from synthograph.archive.reader import Archive, open_archive
from synthograph.core.commands import LINE
from synthograph.core.config import calling
from synthograph.core.errors import StoppedError, UserError
from synthograph.core.names import nearest
from synthograph.core.progress import Progress, Silent
from synthograph.core.request import Result
from synthograph.metrics.evaluate import MIN_IMAGES
from synthograph.metrics.measures import BY_NAME
from synthograph.metrics.names import parse_selection
from synthograph.models.registry import RACES
from synthograph.report.searches import sentence, tables
from synthograph.report.words import several
from synthograph.report.write import write_report
from synthograph.results.measures import Direction, about
from synthograph.results.search import PRESET, Search, SearchConstraint, SearchObjective
from synthograph.training.config import RunConfig
from synthograph.training.setup import held_out
from synthograph.training.trackers import check_trackers
from synthograph.training.trackers.parts import parent_run
from synthograph.workflows.processes import side_by_side
from synthograph.workflows.search_analysis import Again, search_of
from synthograph.workflows.search_finals import DONE, FinalRecord, Finals
from synthograph.workflows.search_folder import (
    PAGE,
    Frozen,
    SearchFolder,
    begin,
    begun_with,
)
from synthograph.workflows.search_plan import SearchPlan, goals, make_plan
from synthograph.workflows.search_requests import STORAGE, SearchRequest
from synthograph.workflows.search_settings import SMALL_DATA, Searched, SearchSettings, read_search
from synthograph.workflows.search_space import open_space
from synthograph.workflows.search_store import Store, refuse_storage
from synthograph.workflows.search_trials import Trials
from synthograph.workflows.search_winner import RESULT, WINNER, write_winner
from synthograph.workflows.snapshot_scores import LABEL_VECTORS, not_measurable
from synthograph.workflows.study_jobs import read_record, work_off
from synthograph.workflows.tables import worded_lines

OUTDIR = Path("search")


@dataclass(frozen=True, repr=False)
class SearchResult(Result):
    """A search that is complete.

    Attributes:
        search: what came of it; None where another folder names the winner.
        outdir: its folder.
    """

    search: Search | None
    outdir: Path

    def lines(self) -> Iterator[str]:
        """Trials, finalists, the winner, and where everything is."""
        if self.search is None:
            yield f"{self.outdir}: its trials are done; the winner is named where that was begun"
            return
        if os.environ.get(LINE) is None:  # else who started this process tells it
            for each in tables(self.search):
                yield ""
                yield from worded_lines(each)
            yield ""
            yield sentence(self.search)
            if self.search.winner is not None:
                yield f"the winner at full length: synthograph train --from-search {self.outdir}"
        yield f"{self.outdir}: {PAGE}, {RESULT}, {WINNER}, trials, finals"


def run(request: SearchRequest, *, progress: Progress) -> SearchResult | SearchPlan:
    """Search, go on with a search, or print its plan.

    Raises:
        UserError: the file breaks a rule, the configuration refuses what it names, or the store
            cannot be used.
        StoppedError: a signal came; the same command continues.
    """
    with calling({name: flag for name, flag in request.flags().items() if name in request.typed()}):
        settings = _raced(read_search(request.search, request.typed()))
    tracking = request.tracking()
    check_trackers(tracking)
    outdir = request.outdir or (
        OUTDIR if request.search is None else request.search.with_suffix("")
    )
    if outdir == request.search:
        raise UserError(f"{outdir}: has no ending: name it SEARCH.yaml, or give --outdir")
    archive = open_archive(settings.data)
    frozen = begun_with(outdir, settings, archive)
    storage = request.shared_storage()
    if storage is not None:
        refuse_storage(storage, settings.name, frozen.sha256)
    objectives = [_objective(name) for name in settings.objectives]
    constraints = [_constraint(name, least) for name, least in settings.constraints.items()]
    space = open_space(archive, settings, request.device)
    measured_on = _measured_on(space.base(), archive)
    if request.dry_run:
        return make_plan(space, objectives, constraints, measured_on)
    folder, frozen = begin(outdir, settings, archive)
    store = _store(storage, folder, frozen, settings, objectives)
    follows = os.environ.get(LINE) is not None  # who started this process told them
    if not isinstance(progress, Silent) and not follows:
        notes = (*space.notes, *request.warnings())
        for line in (*(f"note: {e}" for e in notes), *goals(objectives, constraints, measured_on)):
            progress.log(line)
        if not store.trials():
            for line in make_plan(space, objectives, constraints, measured_on).time():
                progress.log(line)
    if request.gpus > 1:
        words = request.model_copy(update={"gpus": 1, "storage": None}).command_words()
        shared = {} if storage is None else {STORAGE: storage}
        side_by_side([words] * request.gpus, request.command_line(), shared)
        progress = Silent()
    try:
        about = {"search": frozen.settings}
        with parent_run(tracking, folder.path, about, progress.log) as parts:
            trials = Trials(space, objectives, constraints, folder, store, progress, parts)
            trials.work_off()
            search = _named(trials, frozen, measured_on, request, progress)
    except StoppedError as error:
        raise StoppedError(f"{error}; trials are saved, and the same command continues") from None
    return SearchResult(search, folder.path)


def _raced(settings: SearchSettings) -> SearchSettings:
    """The settings with all presets of a race as values, where the preset is a race; what its first
    one reaches is what others are compared with. The space `small-data` has them already.

    Raises:
        UserError: another built-in space, which has other presets.
    """
    raced = RACES.get(settings.preset, ())
    if not raced:
        return settings
    space = settings.space
    if not isinstance(space, str):
        space = {PRESET: Searched(choices=list(raced)), **space}
    elif space != SMALL_DATA:
        raise UserError(f"--cfg {settings.preset}: space {space} has presets of its own; name one")
    return settings.model_copy(update={"preset": raced[0], "space": space})


def _store(
    storage: str | None,
    folder: SearchFolder,
    frozen: Frozen,
    settings: SearchSettings,
    objectives: Sequence[SearchObjective],
) -> Store:
    with folder.lock("opens the trials"):
        return Store(
            storage,
            folder.path,
            name=settings.name,
            sha256=frozen.sha256,
            smaller=[each.smaller for each in objectives],
            seed=settings.seed,
        )


# --- what measures --------------------------------------------------------------------------------


def _objective(name: str) -> SearchObjective:
    """A measure that can choose.

    Raises:
        UserError: it is unknown, or cannot.
    """
    can = [each for each, measure in BY_NAME.items() if measure.chooses]
    if name not in BY_NAME:
        try:
            parse_selection([name])
        except UserError:
            raise UserError(f"objective {name!r} is unknown: {nearest(name, can)}") from None
        raise UserError(
            f"objective {name} cannot choose: it is not measured against images that were held "
            f"out; take one of {', '.join(can)}"
        )
    if name not in can:
        raise UserError(
            f"objective {name} cannot choose: it does not say which images are more like real "
            f"ones; take one of {', '.join(can)}"
        )
    smaller = BY_NAME[name].about.better is Direction.LOW
    return SearchObjective(measure=name, title=about(name).title, smaller=smaller)


def _constraint(name: str, least: float | str) -> SearchConstraint:
    can = [each for each, measure in BY_NAME.items() if measure.about.better is Direction.HIGH]
    if name not in can:
        known = "is no measure whose larger values are better" if name in BY_NAME else "is unknown"
        raise UserError(f"constraint {name!r} {known}: {nearest(name, can)}")
    at_least = None if isinstance(least, str) else float(least)
    return SearchConstraint(measure=name, at_least=at_least)


def _measured_on(config: RunConfig, archive: Archive) -> str:
    """Which images measure trials: those that were held out and may choose.

    Raises:
        UserError: there are none, too few, or they cannot be measured.
    """
    lines = not_measurable(config)
    if lines:
        raise UserError(f"{lines[0]}; a search needs all of its objectives and constraints")
    rows, split = held_out(archive, config.data)
    name = f"{archive.path.name}{'' if split is None else f':{split}'}"
    if not rows and config.data.fold is not None:
        folds = sorted({row.fold for row in archive.rows if row.fold is not None})
        there = ", ".join(map(str, folds)) or "none: 'synthograph split --folds K' makes some"
        raise UserError(f"--fold {config.data.fold}: folds of {archive.path.name} are {there}")
    if not rows:
        raise UserError(
            f"{archive.path.name} has no split val, so no images are held out that could choose: "
            "'synthograph split' makes one, or leave a fold out with --fold"
        )
    if len(rows) < MIN_IMAGES:
        raise UserError(f"{name} has {len(rows)} images, at least {MIN_IMAGES} are needed")
    if config.data.cond and any(row.vector() for row in archive.rows):
        raise UserError(f"{name}: {LABEL_VECTORS}")
    fold = "" if config.data.fold is None else f", fold {config.data.fold}"
    groups = len(ArchiveRows(archive, rows).groups)
    return f"{name}{fold} ({len(rows)} images of {groups} groups)"


# --- the winner -----------------------------------------------------------------------------------


def _named(
    trials: Trials, frozen: Frozen, measured_on: str, request: SearchRequest, progress: Progress
) -> Search | None:
    """Train the best again, and name a winner; None where another folder does."""
    folder = trials.folder
    if trials.store.finals_at(folder.home) != folder.home:
        return None
    known = trials.store.trials()
    ended = [each.record for each in known if each.record is not None]
    finals = Finals(trials, request.device, progress)
    finalists = finals.finalists(ended)
    jobs = list(finals.jobs(finalists))
    if jobs:
        progress.log(f"trained again with fresh seeds: {several(len(finalists), 'finalist')}")
    work_off(jobs, progress)
    again = [
        Again(
            each,
            finals.seeds,
            [read_record(FinalRecord, folder.final(each.name(s)) / DONE) for s in finals.seeds],
        )
        for each in finalists
    ]
    with folder.lock("names the winner"):
        found = search_of(
            trials,
            ended,
            again,
            sha256=frozen.sha256,
            resumed=sum(each.way.taken_up for each in known),
            measured_on=measured_on,
            command=request.command_line(),
        )
        if found.winner is not None:
            number = found.winner.trial
            drawn = {} if number is None else found.trial(number).parameters
            space = trials.space
            config, own = space.configuration(drawn), space.of_process()
            write_winner(config, found, folder.path / WINNER, own)
        found.save(folder.result)
        page = folder.path / PAGE
        write_report([folder.result], page, title=f"Search {found.name}", force=True)
    return found
