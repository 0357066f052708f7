"""All that a study reads, opened and checked before any work."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synthograph.archive.batches import ArchiveRows
from synthograph.archive.reader import Archive
from synthograph.core.progress import Progress
from synthograph.workflows import study_checks
from synthograph.workflows.classify_train import job_of
from synthograph.workflows.downstream_requests import ClassifyTrainRequest
from synthograph.workflows.study_cells import Cell, Training
from synthograph.workflows.study_checks import Source
from synthograph.workflows.study_folds import Fold, make_folds
from synthograph.workflows.study_generators import generator_config, wanted_images
from synthograph.workflows.study_settings import CHOSEN, Condition, StudySettings

LEFT_OUT = {
    Condition.AUGMENTATION: "augmentation is left out: a probe reads every image once, as it is",
    Condition.BALANCED: "balanced is left out: with 'balance: weights' every arm is balanced",
}


@dataclass(frozen=True)
class Inputs:
    """What a study works on.

    Attributes:
        settings: of the study file.
        archive: the real images.
        folds: who trains, chooses and is tested.
        external: further test images by name.
        sources: fold and draw to the generator or set of others; empty where the study trains.
        notes: what must stand beside the numbers.
    """

    settings: StudySettings
    archive: Archive
    folds: Sequence[Fold]
    external: Mapping[str, ArchiveRows]
    sources: Mapping[tuple[int, int], Source]
    notes: Sequence[str]

    @property
    def conditions(self) -> list[Condition]:
        """Those that make a difference for these classifiers."""
        return [each for each in self.settings.conditions if each not in left_out(self.settings)]

    def draws(self, condition: Condition) -> int:
        """How often an arm is repeated: with other generators, or with other random numbers."""
        fixed = self.settings.probe and not (condition.synthetic or condition.counted)
        return 1 if fixed else self.settings.draws

    def candidates(self) -> Iterator[Cell]:
        """Cells that are trained first: validation images choose a ratio among them."""
        for condition in self.conditions:
            if condition is Condition.MIXED:
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
            if condition.counted and condition is not Condition.MIXED:
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
        if not any(condition.synthetic for condition in self.conditions):
            return []
        return [(fold.number, draw) for fold in self.folds for draw in range(self.settings.draws)]

    @property
    def ratio_chosen(self) -> bool:
        """Whether validation images choose the ratio."""
        return self.settings.primary.ratio == CHOSEN


def first_training(settings: StudySettings, fold: Fold, device: str) -> ClassifyTrainRequest:
    """How the first classifier on real images would be trained."""
    cell = Cell(Condition.REAL, None, fold.number, 0, 0)
    images = len(fold.part("train").rows)
    where = Path(f"{settings.name}.safetensors")
    training = Training(settings, cell, settings.data, where, (), images, device)
    return training.training(settings.data, where)


def left_out(settings: StudySettings) -> list[Condition]:
    """Conditions that would repeat another one."""
    found = []
    if settings.probe:
        found.append(Condition.AUGMENTATION)
        if settings.balance == "weights":
            found.append(Condition.BALANCED)
    return [condition for condition in found if condition in settings.conditions]


def open_inputs(settings: StudySettings, device: str, progress: Progress) -> Inputs:
    """Open and check everything.

    Raises:
        UserError: folds cannot be made, images of a test could have been seen before, or a
            classifier cannot be trained here.
    """
    archive, copies = study_checks.open_data(settings, progress)
    folds = make_folds(archive, settings, copies)
    pictures = study_checks.refuse_one_picture_twice(archive, progress)
    external, alike = study_checks.open_external(settings, archive, folds, progress)
    sources = study_checks.open_sources(settings, archive)
    study_checks.refuse_external_seen(sources, external)
    assigned = {}
    if sources:
        assigned = study_checks.assign_sources(sources, folds, settings.draws)
        for (number, _), source in assigned.items():
            fold = next(fold for fold in folds if fold.number == number)
            study_checks.refuse_unfit(source, fold, wanted_images(settings, fold))
    job_of(first_training(settings, folds[0], device), folds[0].part("train"), folds[0].part("val"))
    if settings.generator.trains:
        generator_config(settings, archive, device)
    notes = [*study_checks.notes(settings, archive, external, sources), *pictures, *alike]
    notes += [LEFT_OUT[condition] for condition in left_out(settings)]
    return Inputs(settings, archive, folds, external, assigned, notes)
