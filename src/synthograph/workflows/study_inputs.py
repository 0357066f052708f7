"""All that a study reads, opened and checked before any work."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from synthograph.archive.batches import ArchiveRows
from synthograph.archive.copies import joined_groups
from synthograph.archive.manifest import Row
from synthograph.archive.reader import Archive
from synthograph.core.errors import UserError
from synthograph.core.progress import Progress
from synthograph.workflows import study_checks
from synthograph.workflows.downstream_requests import FitOptions
from synthograph.workflows.study_cells import Cell, Training
from synthograph.workflows.study_checks import Source
from synthograph.workflows.study_classify import open_classify
from synthograph.workflows.study_folds import Fold, make_folds
from synthograph.workflows.study_generators import generator_config, wanted_images
from synthograph.workflows.study_segment import open_segment
from synthograph.workflows.study_settings import Condition, StudySettings, TaskName
from synthograph.workflows.study_task import StudyTask

TASKS: Mapping[TaskName, Callable[[StudySettings, Archive, Progress], StudyTask[Any]]] = {
    TaskName.CLASSIFY: open_classify,
    TaskName.SEGMENT: open_segment,
}


@dataclass(frozen=True)
class Inputs:
    """What a study works on.

    Attributes:
        task: what is trained, with the settings of the study file.
        archive: the real images.
        folds: who trains, chooses and is tested, by number.
        external: further test images by name.
        sources: fold and draw to the generator or set of others; empty where the study trains.
        units: group to the first of those that it is joined with by equal images: what is divided
            into folds, and what intervals draw; by the name of an external set, empty for the
            archive.
        notes: what must stand beside the numbers.
    """

    task: StudyTask[Any]
    archive: Archive
    folds: Sequence[Fold]
    external: Mapping[str, ArchiveRows]
    sources: Mapping[tuple[int, int], Source]
    units: Mapping[str, Mapping[str, str]]
    notes: Sequence[str]

    @property
    def settings(self) -> StudySettings:
        """Of the study file."""
        return self.task.settings

    @property
    def conditions(self) -> list[Condition]:
        """Those that make a difference for this task."""
        return [each for each in self.settings.conditions if each not in self.task.left_out]

    @property
    def tested(self) -> list[Row]:
        """Test images that the study is about, under the group that each counts as: those of the
        folds, or of the first external set where folds have none.
        """
        name, rows = "", [row for fold in self.folds for row in fold.part("test").rows]
        if not rows:
            name, images = next(iter(self.external.items()))
            rows = list(images.rows)
        return [replace(row, group=self.units[name][row.group]) for row in rows]

    def groups(self, rows: Sequence[Row], name: str = "") -> int:
        """How many groups images count as, of an external set by its name."""
        return len({self.units[name][row.group] for row in rows})

    def draws(self, condition: Condition) -> int:
        """How often an arm is repeated: with other generators, or with other random numbers."""
        fixed = self.settings.probe and not (condition.synthetic or condition.counted)
        return 1 if fixed else self.settings.draws

    def candidates(self) -> Iterator[Cell]:
        """Cells that are trained first: validation images choose a ratio among them."""
        for condition in self.conditions:
            if condition is self.settings.leading:
                for ratio in self.settings.ratios:
                    yield from self._cells(condition, ratio)
            elif not condition.counted:
                yield from self._cells(condition, None)

    def controls(self, ratios: Mapping[tuple[int, int], float]) -> Iterator[Cell]:
        """Cells that have as many images as the chosen ratio gives.

        Args:
            ratios: of every fold and draw.
        """
        for condition in self.conditions:
            if condition.counted and condition is not self.settings.leading:
                for cell in self._cells(condition, 0.0):
                    ratio = ratios[cell.fold, cell.draw]
                    yield Cell(condition, ratio, cell.fold, cell.draw, cell.seed)

    def _cells(self, condition: Condition, ratio: float | None) -> Iterator[Cell]:
        for fold in self.folds:
            for draw in range(self.draws(condition)):
                for seed in range(self.settings.classifier_seeds):
                    yield Cell(condition, ratio, fold.number, draw, seed)

    @property
    def generators(self) -> list[tuple[int, int]]:
        """Fold and draw of every generator."""
        if not self.settings.synthetic:
            return []
        return [(fold.number, draw) for fold in self.folds for draw in range(self.settings.draws)]


def first_training(task: StudyTask[Any], fold: Fold, device: str) -> FitOptions:
    """How the first training on real images would be done."""
    settings = task.settings
    cell = Cell(Condition.REAL, None, fold.number, 0, 0)
    images = len(fold.part("train").rows)
    where = Path(f"{settings.name}.safetensors")
    training = Training(task, cell, settings.data, where, (), images, device)
    return training.training(settings.data, where)


def open_inputs(settings: StudySettings, device: str, progress: Progress) -> Inputs:
    """Open and check everything.

    Raises:
        UserError: folds cannot be made, images of a test could have been seen before, or a
            classifier cannot be trained here.
    """
    archive, copies = study_checks.open_data(settings, progress)
    settings = study_checks.with_published(settings, progress)
    task = TASKS[settings.task](settings, archive, progress)
    wanted = settings.primary.condition
    if wanted is not None and wanted in task.left_out:
        raise UserError(f"primary.condition: {task.left_out[wanted]}")
    folds = make_folds(archive, settings, copies)
    for fold in folds:
        task.check_fold(fold)
    pictures = study_checks.refuse_one_picture_twice(archive, progress)
    external, alike = study_checks.open_external(task, archive, folds, progress)
    sources = study_checks.open_sources(task, archive)
    study_checks.refuse_external_seen(sources, external)
    study_checks.refuse_start_seen(settings, folds, external)
    assigned = {}
    if sources:
        assigned = study_checks.assign_sources(settings, sources, folds)
        for (number, _), source in assigned.items():
            study_checks.refuse_unfit(source, folds[number], wanted_images(settings, folds[number]))
        alike += study_checks.refuse_tested_pictures(settings, assigned, folds, progress)
    task.check_training(first_training(task, folds[0], device), folds[0])
    if settings.generator.trains and settings.synthetic:
        generator_config(settings, archive, device)
    notes = [*study_checks.notes(settings, archive, external, sources, assigned), *pictures, *alike]
    notes += [why for each, why in task.left_out.items() if each in settings.conditions]
    units = {name: study_checks.units_of(each, progress) for name, each in external.items()}
    units[""] = joined_groups(archive.rows, copies)
    return Inputs(task, archive, folds, external, assigned, units, notes)
