"""Do synthetic images help? Real only beside real and synthetic, by folds, with controls.

All that may be chosen is chosen on validation images, then frozen; test images are predicted after
that. Any number of processes may run the same study: whatever one of them has done, the others
find (see `study_jobs`), and so does the same command after it was killed.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from synthograph.archive.advice import has_groups
from synthograph.archive.linked import linked
from synthograph.core.commands import LINE
from synthograph.core.errors import UserError
from synthograph.core.progress import Progress, Silent
from synthograph.core.request import Result
from synthograph.report.studies import tables
from synthograph.report.write import write_report
from synthograph.results.environment import Environment, distinct
from synthograph.results.study import Study, StudyFacts
from synthograph.training.config import TrackingConfig
from synthograph.training.trackers import check_trackers
from synthograph.training.trackers.parts import parent_run
from synthograph.workflows import study_demo
from synthograph.workflows.downstream_requests import StudyRequest
from synthograph.workflows.processes import side_by_side
from synthograph.workflows.study_analysis import Arm, analyse
from synthograph.workflows.study_cells import (
    TEST,
    TESTED,
    TRAINED,
    Cell,
    CellRecord,
    TestRecord,
    Training,
    predict,
)
from synthograph.workflows.study_checks import folds_together
from synthograph.workflows.study_folder import RESULT, Choices, Frozen, StudyFolder
from synthograph.workflows.study_folds import Fold
from synthograph.workflows.study_generators import GeneratorRecord, Making
from synthograph.workflows.study_inputs import Inputs, open_inputs
from synthograph.workflows.study_jobs import Job, JobRecord, read_record, work_off
from synthograph.workflows.study_plan import StudyPlan, make_plan
from synthograph.workflows.study_predictions import Tested, on_external, out_of_fold, write_table
from synthograph.workflows.study_settings import CHOSEN, Condition, read_study
from synthograph.workflows.tables import worded_lines

MADE = "made.json"
DEMO = "study-demo"
PAGE = "report.html"


@dataclass(frozen=True, repr=False)
class StudyResult(Result):
    """A study that is complete.

    Attributes:
        study: what came of it.
        outdir: its folder.
        told: notes that were told before it began.
    """

    study: Study
    outdir: Path
    told: Sequence[str] = ()

    def lines(self) -> Iterator[str]:
        """Tables, what may be claimed and what may not, and where everything is."""
        if os.environ.get(LINE) is None:  # else who started this process tells it
            for each in tables(self.study):
                yield ""
                yield from worded_lines(each)
            yield ""
            yield from (f"note: {note}" for note in self.study.about.notes if note not in self.told)
            yield f"may be claimed: {self.study.may}"
            may_not = self.study.may_not.removeprefix("It may not be claimed: ")
            yield f"may not be claimed: {may_not}"
        yield f"{self.outdir}: {PAGE}, {RESULT}, predictions, cells"


def run(request: StudyRequest, *, progress: Progress) -> StudyResult | StudyPlan:
    """Run a study, go on with it, or print its plan.

    Raises:
        UserError: the file breaks a rule, or images of a test could have been seen before.
        StoppedError: a signal came; the same command continues.
    """
    path, outdir = _file(request, progress)
    settings = read_study(path, request.trained_on)
    tracking = request.tracking()
    check_trackers(tracking)
    inputs = open_inputs(settings, request.device, progress)
    if request.plan:
        return make_plan(inputs, request.device, progress)
    folder = StudyFolder(outdir)
    follows = os.environ.get(LINE) is not None  # who started this process told them
    told = () if isinstance(progress, Silent) or follows else inputs.notes
    for line in told:
        progress.log(f"note: {line}")
    frozen = folder.freeze(inputs)
    if request.gpus > 1:
        if not torch.cuda.is_available():
            progress.log(f"note: no GPU here: {request.gpus} processes share the processor cores")
        words = request.model_copy(update={"gpus": 1}).command_words()
        side_by_side([words] * request.gpus, request.command_line())
        progress = Silent()
    about = {"study": frozen.settings}
    with parent_run(tracking, folder.path, about, progress.log) as parts:
        study = _Run(inputs, folder, frozen, request.device, progress, parts)
        return StudyResult(study.result(), folder.path, told)


def _file(request: StudyRequest, progress: Progress) -> tuple[Path, Path]:
    """The study file, and the folder of the study."""
    if request.demo:
        if request.study is not None or request.trained_on is not None:
            raise UserError("--demo brings a study file of its own: give it alone")
        path = study_demo.prepare(request.outdir or Path(DEMO), progress)
        return path, path.with_suffix("")
    if request.study is None:
        raise UserError("which study? give a file STUDY.yaml, or --demo for a small one")
    outdir = request.outdir or request.study.with_suffix("")
    if outdir == request.study:
        raise UserError(f"{request.study}: has no ending: name it STUDY.yaml, or give --outdir")
    return request.study, outdir


@dataclass(frozen=True)
class _Run:
    """A study at work in this process."""

    inputs: Inputs
    folder: StudyFolder
    frozen: Frozen
    device: str
    progress: Progress
    tracking: TrackingConfig

    def result(self) -> Study:
        """Do what is left, together with others, and analyse."""
        candidates = list(self.inputs.candidates())
        work_off(
            [*self._folds(), *self._generators(), *map(self._training, candidates)], self.progress
        )
        ratios = self._ratios(candidates)
        controls = list(self.inputs.controls(ratios))
        work_off(list(map(self._training, controls)), self.progress)
        cells = [*_chosen(candidates, ratios), *controls]
        choices = self._choices(cells, ratios)
        work_off([self._testing(cell, choices) for cell in cells], self.progress)
        with self.folder.lock("analyses"):
            if not self.folder.result.exists():
                self._analysed(cells).save(self.folder.result)
            page = self.folder.path / PAGE
            write_report([self.folder.result], page, title=self.inputs.settings.name, force=True)
        return Study.load(self.folder.result)

    # --- jobs -------------------------------------------------------------------------------------

    def _folds(self) -> Iterator[Job]:
        for fold in self.inputs.folds:
            record = self.folder.fold_record(fold.number)
            work = partial(_write_fold, fold, self.folder.fold(fold.number))
            yield Job("fold", f"archive of fold {fold.number}", record, (), work)

    def _generators(self) -> Iterator[Job]:
        for number, draw in self.inputs.generators:
            making = Making(
                self.inputs.settings,
                self.inputs.folds[number],
                draw,
                self.folder.fold(number),
                self.folder.generator(number, draw),
                self.inputs.sources.get((number, draw)),
                self.device,
                self.tracking,
                tuple(self.inputs.task.mask_classes) if self.inputs.settings.labels else (),
            )
            yield Job(
                "generator",
                f"generator of fold {number}, draw {draw}",
                making.folder / MADE,
                (self.folder.fold_record(number),),
                partial(making.run, self.progress),
            )

    def _training(self, cell: Cell) -> Job:
        needs = [self.folder.fold_record(cell.fold)]
        if cell.condition.synthetic:
            needs.append(self.folder.generator(cell.fold, cell.draw) / MADE)

        def work() -> CellRecord:
            task, archive = self.inputs.task, self.folder.fold(cell.fold)
            home, sets = self.folder.cell(cell), self._sets(cell)
            images = len(self.inputs.folds[cell.fold].part("train").rows)
            return Training(task, cell, archive, home, sets, images, self.device).run()

        record = self.folder.cell(cell) / TRAINED
        return Job(f"{cell.condition}", cell.title, record, tuple(needs), work)

    def _sets(self, cell: Cell) -> tuple[Path, ...]:
        """Synthetic images that a cell may use."""
        if not cell.condition.synthetic:
            return ()
        home = self.folder.generator(cell.fold, cell.draw)
        made = read_record(GeneratorRecord, home / MADE)
        return tuple(home / path for path in made.sets)

    def _testing(self, cell: Cell, choices: Choices) -> Job:
        sets = {}
        if any(fold.tested for fold in self.inputs.folds):
            sets[TEST] = f"{self.folder.fold(cell.fold)}:test"
        for name, images in self.inputs.external.items():
            split = "" if images.split is None else f":{images.split}"
            sets[name] = f"{images.archive.path}{split}"
        home = self.folder.cell(cell)
        sha256 = choices.classifiers[cell.name]
        work = partial(predict, self.inputs.task, home, sets, sha256, self.device)
        return Job("test", f"test of {cell.title}", home / TESTED, (), work)

    # --- what validation images choose ------------------------------------------------------------

    def _validation(self, cells: Sequence[Cell]) -> float:
        """Mean of the measure on validation images."""
        name = self.inputs.settings.measure
        values = [self._record(cell).validation.get(name, float("nan")) for cell in cells]
        return sum(values) / len(values)

    def _record(self, cell: Cell) -> CellRecord:
        return read_record(CellRecord, self.folder.cell(cell) / TRAINED)

    def _ratios(self, candidates: Sequence[Cell]) -> dict[tuple[int, int], float]:
        """The ratio of every fold and draw: the best on its validation images, of equals the
        smallest; or the one that was fixed.
        """
        settings = self.inputs.settings
        if settings.leading is None:
            return {}
        places = [(f.number, draw) for f in self.inputs.folds for draw in range(settings.draws)]
        if settings.primary.ratio != CHOSEN:
            return dict.fromkeys(places, float(settings.primary.ratio))
        mixed = [cell for cell in candidates if cell.condition is settings.leading]
        sign = 1 if self.inputs.task.score.higher_is_better else -1
        found = {}
        for place in places:
            values = {}
            for ratio in sorted(settings.ratios):
                same = [c for c in mixed if (c.fold, c.draw) == place and c.ratio == ratio]
                values[ratio] = sign * self._validation(same)
            found[place] = max(values, key=lambda ratio: values[ratio])
        return found

    def _choices(self, cells: Sequence[Cell], ratios: Mapping[tuple[int, int], float]) -> Choices:
        choices = Choices(
            study=self.frozen.sha256,
            ratios={f"{fold}/{draw}": ratio for (fold, draw), ratio in ratios.items()},
            classifiers={cell.name: self._record(cell).sha256 for cell in cells},
        )
        return self.folder.choose(self.frozen, choices, self.inputs, self.progress)

    # --- result -----------------------------------------------------------------------------------

    def _analysed(self, cells: Sequence[Cell]) -> Study:
        settings = self.inputs.settings
        arms = [self._arm(condition, cells) for condition in self.inputs.conditions]
        trained: list[Environment | None] = []
        for cell in cells:
            trained += self._record(cell).environments or [None]
        study = analyse(
            arms,
            about=self._facts(cells),
            primary=settings.primary.condition or "",
            measure=self.inputs.task.score,
            margin=settings.primary.margin if settings.primary.condition else None,
            seed=settings.seed,
        )
        return study.replace(environments=distinct(trained))

    def _arm(self, condition: Condition, cells: Sequence[Cell]) -> Arm[Any]:
        own = [cell for cell in cells if cell.condition is condition]
        draws, external = list[Any](), dict[str, list[Any]]()
        parts = {fold.number: fold.part("test") for fold in self.inputs.folds if fold.tested}
        task = self.inputs.task
        for draw in range(self.inputs.draws(condition)):
            tested = [self._tested(cell) for cell in own if cell.draw == draw]
            name = f"{condition}-draw{draw}"
            if parts:
                found, rows = out_of_fold(task, tested, parts, self.inputs.units[""])
                write_table(self.folder.predictions(name), task, found, rows)
                draws.append(found)
            for place, (title, images) in enumerate(self.inputs.external.items()):
                there = on_external(task, tested, title, images, self.inputs.units[title])
                path = self.folder.predictions(f"{name}-external{place}")
                write_table(path, task, there, images.rows)
                external.setdefault(title, []).append(there)
        if not parts:  # the first external set is what the study is about
            draws = external.pop(next(iter(external)))
        ratios = {cell.ratio for cell in own}
        return Arm(
            name=condition.value,
            kind=condition.kind,
            draws=tuple(draws),
            validation=self._validation(own),
            ratio=ratios.pop() if len(ratios) == 1 else None,
            external={title: tuple(each) for title, each in external.items()},
            together=() if condition.kind.real_only else folds_together(self.inputs.sources),
        )

    def _tested(self, cell: Cell) -> Tested:
        home = self.folder.cell(cell)
        tested = read_record(TestRecord, home / TESTED)
        return Tested(cell, home, self._record(cell), tested)

    def _facts(self, cells: Sequence[Cell]) -> StudyFacts:
        settings = self.inputs.settings
        shares = [
            self.inputs.groups(fold.part("test").rows) / self.inputs.groups(fold.part("train").rows)
            for fold in self.inputs.folds
            if fold.tested
        ]
        unit = settings.unit if has_groups(self.inputs.archive.rows) else "image"
        return StudyFacts(
            name=settings.name,
            task=settings.task.value,
            data=settings.data.name,
            classes=self.inputs.task.classes,
            tested="" if shares else next(iter(self.inputs.external)),
            test_share=sum(shares) / len(shares) if shares else None,
            unit=unit,
            unit_is_patient=unit == "patient",
            plan_sha256=self.frozen.sha256,
            generator=self._generator(),
            notes=(*self.inputs.notes, *self._about_ratios(cells), *self._about_masks()),
        )

    def _generator(self) -> str:
        if not self.inputs.generators:
            return ""
        generator, draws = self.inputs.settings.generator, self.inputs.settings.draws
        masks = ""
        if self.inputs.settings.labels:
            masks = "; masks are learned from projections of real training images of the fold"
        if generator.trains:
            kimg = "" if generator.kimg is None else f", {generator.kimg:g} kimg"
            return (
                f"preset {generator.preset}{kimg}, {draws} per fold, on its training images alone"
                f"{masks}"
            )
        declared = any(source.declared for source in self.inputs.sources.values())
        names = sorted({source.path.name for source in self.inputs.sources.values()})
        proof = "declared, not proven" if declared else "proven by its record"
        return f"{', '.join(names)}: that it saw no image of a test is {proof}{masks}"

    def _about_masks(self) -> Iterator[str]:
        if self.inputs.settings.labels:
            for fold, draw in self.inputs.generators:
                made = read_record(GeneratorRecord, self.folder.generator(fold, draw) / MADE)
                yield f"generator of fold {fold}, draw {draw}: {made.said}"

    def _about_ratios(self, cells: Sequence[Cell]) -> Iterator[str]:
        leading = self.inputs.settings.leading
        ratios = [c.ratio for c in cells if c.condition is leading and not c.seed]
        if len(set(ratios)) > 1:
            counts = {ratio: ratios.count(ratio) for ratio in sorted(filter(None, set(ratios)))}
            said = ", ".join(f"{ratio:g} in {count}" for ratio, count in counts.items())
            yield f"ratio that validation images chose, of folds and draws: {said}"


def _write_fold(fold: Fold, dest: Path) -> JobRecord:
    """Write a fold as an archive with its split, for the ordinary commands; it copies no image."""
    linked(fold.archive, fold.rows, dest, replace=True)
    return JobRecord(said=f"{len(fold.rows)} images")


def _chosen(candidates: Sequence[Cell], ratios: Mapping[tuple[int, int], float]) -> Iterator[Cell]:
    """The candidates that go to the test: of a mixture, only the ratio that was chosen."""
    for cell in candidates:
        if cell.ratio is None or cell.ratio == ratios[cell.fold, cell.draw]:
            yield cell
