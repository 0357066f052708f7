"""A study of classifiers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Int64
from torch import Tensor

from synthograph.archive.batches import ArchiveRows
from synthograph.archive.manifest import Row
from synthograph.archive.reader import Archive
from synthograph.core.errors import UserError
from synthograph.core.progress import Progress, Silent
from synthograph.core.untrusted.documents import JsonObject, parse_csv, read_text
from synthograph.downstream.probe import class_numbers
from synthograph.stats import scores
from synthograph.stats.paired import auroc_error, paired_error
from synthograph.stats.scores import Predictions, Threshold
from synthograph.workflows import classify_predict, classify_train
from synthograph.workflows.classify_network import NetworkJob
from synthograph.workflows.classifying import refuse_single_class
from synthograph.workflows.downstream_requests import (
    ClassifyPredictRequest,
    ClassifyTrainRequest,
    FitOptions,
)
from synthograph.workflows.study_folds import Fold
from synthograph.workflows.study_settings import Condition, StudySettings
from synthograph.workflows.study_task import StudyTask, Trained

SCORES = {score.name: score for score in scores.SCORES}
LEFT_OUT = {
    Condition.AUGMENTED: "augmentation is left out: a probe reads every image once, as it is",
    Condition.BALANCED: "balanced is left out: with 'balance: weights' every arm is balanced",
}


@dataclass(frozen=True)
class Classify(StudyTask[Predictions]):
    """Classifiers, by probe or network."""

    file: ClassVar[str] = "classifier.safetensors"

    @property
    def left_out(self) -> Mapping[Condition, str]:
        """What makes no difference for a probe."""
        found = [Condition.AUGMENTED] * self.settings.probe
        found += [Condition.BALANCED] * (self.settings.probe and self.settings.balance == "weights")
        return {each: LEFT_OUT[each] for each in found}

    def check_fold(self, fold: Fold) -> None:
        """Nothing: `make_folds` sees to classes of images."""

    def check_external(self, images: ArchiveRows) -> None:
        """Refuse images of other classes."""
        strange = {row.label for row in images.rows} - set(self.classes)
        if strange:
            name = sorted(map(str, strange))[0]
            raise UserError(
                f"external {images.name}: has images of class {name!r}, "
                f"{self.settings.data.name} has {', '.join(self.classes)}"
            )

    def check_set(self, made: Archive) -> None:
        """Nothing: `refuse_unfit` counts the images of every class."""

    def request(self, asked: JsonObject, condition: Condition) -> ClassifyTrainRequest:
        """A training of `classify train`."""
        settings = self.settings
        balance = settings.balanced if condition is Condition.BALANCED else settings.balance
        return ClassifyTrainRequest.parse({"probe": settings.probe, **asked, "balance": balance})

    def check_training(self, request: FitOptions, fold: Fold) -> None:
        """Refuse unknown backbones and missing weights."""
        assert isinstance(request, ClassifyTrainRequest)
        classify_train.job_of(request, fold.part("train"), fold.part("val"))

    def seconds(self, request: FitOptions, fold: Fold) -> float:
        """Of a network; `study_plan` measures probes, which share their features."""
        assert isinstance(request, ClassifyTrainRequest)
        return NetworkJob(request, fold.part("train"), fold.part("val")).seconds()

    @property
    def spread(self) -> float | None:
        """Of the study file; else that of shares, and of the Brier score of calibrated
        probabilities of two classes.
        """
        if self.score in (scores.AUROC, scores.AVERAGE_PRECISION):
            return None
        right = self.settings.expected
        of_shares = math.sqrt(right * (1 - right))
        of_brier = 2 * abs(2 * right - 1) * of_shares
        return self.settings.spread or (of_brier if self.score is scores.BRIER else of_shares)

    def fewest_groups(self, rows: Sequence[Row]) -> int:
        """Of the classes that the measure is of; of one of all images alike, all groups."""
        wanted = self.score.classes
        names = self.classes if wanted is None else [self.classes[number] for number in wanted]
        counts = (len({row.group for row in rows if row.label == name}) for name in names)
        return min(counts, default=len({row.group for row in rows}))

    def expected_error(self, rows: Sequence[Row]) -> float:
        """As `stats.paired.auroc_error` has it, the mean over classes; else from the spread, over
        all groups or over those of every class.
        """
        groups = {row.group for row in rows}
        own = [len({row.group for row in rows if row.label == name}) for name in self.classes]
        others = [len({row.group for row in rows if row.label != name}) for name in self.classes]
        if self.spread is None:
            value = self.settings.expected
            of_each = [auroc_error(value, *pair) for pair in zip(own, others, strict=True)]
            return sum(of_each) / len(of_each)
        if self.score in (scores.ACCURACY, scores.BRIER):
            return paired_error(self.spread, len(groups))
        return math.hypot(*(paired_error(self.spread, n) for n in own)) / len(own)

    def train(self, request: FitOptions) -> Trained:
        """By `classify train`."""
        assert isinstance(request, ClassifyTrainRequest)
        made = classify_train.run(request, progress=Silent())
        return Trained(made.chosen, made.threshold)

    def test(self, model: Path, data: str, out: Path, device: str) -> None:
        """By `classify predict`."""
        request = ClassifyPredictRequest(model=model, data=data, out=out, device=device)
        classify_predict.run(request, progress=Silent())

    def read(
        self,
        path: Path,
        rows: Sequence[Row],
        groups: Int64[Tensor, " n"],
        threshold: Threshold | None,
    ) -> Predictions:
        """Probabilities of a table of `classify predict`."""
        table = [cells for _, cells in parse_csv(read_text(path, "it is a table"), str(path))]
        places = [table[0].index(f"p.{each}") for each in self.classes]
        values = [[float(cells[place]) for place in places] for cells in table[1:]]
        files = [cells[table[0].index("file")] for cells in table[1:]]
        if files != [row.file for row in rows]:
            raise ValueError(f"{len(files)} rows, not those of its {len(rows)} images")
        found = torch.tensor(values, dtype=torch.float64).reshape(len(values), len(places))
        said = Predictions(
            found / found.sum(1, keepdim=True),  # digits were cut
            class_numbers([row.label or "" for row in rows], self.classes),
            groups,
            torch.zeros_like(groups),
            threshold,
        )
        return replace(said, threshold=said.shares)

    def mean(self, seeds: Sequence[Predictions]) -> Predictions:
        """Mean probabilities, and the mean of the thresholds."""
        return replace(
            seeds[0],
            probabilities=torch.stack([each.probabilities for each in seeds]).mean(0),
            threshold=torch.stack([each.shares for each in seeds]).mean(0),
        )

    def table(self, outcome: Predictions, rows: Sequence[Row]) -> list[list[object]]:
        """file, group, split, fold, label, p.<class>..."""
        columns = ["file", "group", "split", "fold", "label"]
        found: list[list[object]] = [[*columns, *(f"p.{name}" for name in self.classes)]]
        lists = outcome.folds.tolist(), outcome.probabilities.tolist()
        for row, fold, p in zip(rows, *lists, strict=True):
            cells = [row.file, row.group, "test", fold, row.label or ""]
            found.append([*cells, *(f"{each:.6g}" for each in p)])
        return found


def open_classify(settings: StudySettings, archive: Archive, _: Progress) -> Classify:
    """The task for an archive.

    Raises:
        UserError: an image has no class, or there are fewer than two.
    """
    bare = next((row.file for row in archive.rows if row.label is None), None)
    if bare is not None:
        raise UserError(f"{archive.path}: {bare} has no class: prepare the images with --labels")
    refuse_single_class(archive)
    return Classify(settings, tuple(archive.info.classes), SCORES[settings.measure])
