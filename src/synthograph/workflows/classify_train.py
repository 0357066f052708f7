"""A classifier of the images of an archive."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from rich.table import Table
from rich.text import Text

from synthograph.archive.batches import ArchiveRows
from synthograph.archive.manifest import Row, count_labels
from synthograph.archive.reader import Archive, open_archive
from synthograph.core.errors import UserError
from synthograph.core.files import sha256_file
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.version import VERSION
from synthograph.downstream import classifier, probe
from synthograph.downstream.classifier import Classifier, ClassifierInfo
from synthograph.downstream.probe import LogisticProbe, Tried
from synthograph.features.base import Extractor
from synthograph.features.registry import feature_folder
from synthograph.metrics.columns import features_of
from synthograph.stats import scores
from synthograph.stats.scores import Predictions
from synthograph.workflows.classifying import open_backbone, predictions_of
from synthograph.workflows.downstream_requests import ClassifyTrainRequest
from synthograph.workflows.tables import number, table_lines
from synthograph.workflows.trained import few_groups, refuse_out, seen_digests, training_parts

SELECTING = {score.name: score for score in scores.SCORES}
"""Scores that can choose, by name."""


@dataclass(frozen=True, repr=False)
class ClassifyTrainResult(Result):
    """A classifier that was written.

    Attributes:
        out: its file; None for a dry run.
        counts: training images of each class: real, synthetic.
        validation: number of validation images and their groups.
        selection: name of the score that chooses.
        notes: what to know of it.
        tried: what it was for each penalty; none for a dry run, nor what follows.
        penalty: that of the classifier.
        chosen: values of all scores on the validation images, which chose: too good for a report.
        threshold: with two classes.
    """

    out: Path | None
    counts: Mapping[str, Mapping[str, int]]
    validation: tuple[int, int]
    selection: str
    notes: Sequence[str]
    tried: Sequence[Tried] = ()
    penalty: float | None = None
    chosen: Mapping[str, float] = field(default_factory=dict)
    threshold: float | None = None

    def lines(self) -> Iterator[str]:
        """Training images by class, what chose, and the validation scores."""
        table = Table("training images", "real", "synthetic")
        for name, row in self.counts.items():
            table.add_row(Text(name), str(row["real"]), str(row["synthetic"]))
        yield from table_lines(table)
        images, groups = self.validation
        yield f"validation: {images} images of {groups} groups"
        yield from (f"note: {note}" for note in self.notes)
        if self.out is None:
            return
        yield f"chosen by {self.selection} on validation: penalty {self.penalty:.3g}"
        for name, value in self.chosen.items():
            yield f"  {name}: {number(value)}"
        yield "these scores chose the classifier: for a report, evaluate it on test images"
        yield f"{self.out}  sha256 {sha256_file(self.out)}"


def run(request: ClassifyTrainRequest, *, progress: Progress) -> ClassifyTrainResult:
    """Train on split train, choose on split val.

    Raises:
        UserError: the archive lacks a split, a class in one of them, or labels; validation images
            are synthetic; or the backbone's weights are not there.
    """
    refuse_out(request.out, ".safetensors")
    archive = open_archive(request.data)
    train, validation = _parts(archive)
    extractor = open_backbone(request.backbone, request.device)
    counts = _counts(archive.info.classes, train.rows)
    sizes, notes = (len(validation.rows), len(validation.groups)), few_groups(validation)
    plan = ClassifyTrainResult(None, counts, sizes, request.measure, notes)
    if request.dry_run:
        return plan
    made = _fit(request, archive, train, validation, extractor, progress)
    info = _info(request, archive, (train, validation), extractor, made)
    classifier.save(request.out, Classifier(info, made.probe))
    return replace(
        plan,
        out=request.out,
        tried=made.tried,
        penalty=made.penalty,
        chosen={each.name: each.value(made.chosen) for each in scores.scores_of(len(counts))},
        threshold=made.chosen.threshold,
    )


@dataclass(frozen=True)
class _Fitted:
    """A probe, what was tried, and its predictions of the validation images."""

    probe: LogisticProbe
    tried: Sequence[Tried]
    penalty: float
    chosen: Predictions


def _info(
    request: ClassifyTrainRequest,
    archive: Archive,
    parts: tuple[ArchiveRows, ArchiveRows],
    extractor: Extractor,
    made: _Fitted,
) -> ClassifierInfo:
    """What the file says of the classifier: who it saw, in training and in validation."""
    train, validation = parts
    groups, images = seen_digests(train, validation)
    selection: JsonObject = {
        "score": request.measure,
        "tried": [{"penalty": each.penalty, "value": each.value} for each in made.tried],
        "validation": {"images": len(validation.rows), "groups": len(validation.groups)},
    }
    return ClassifierInfo(
        package_version=VERSION,
        backbone=extractor.name,
        extractor=extractor.describe(),
        classes=archive.info.classes,
        spec=archive.info.spec,
        threshold=made.chosen.threshold,
        selection=selection,
        counts=_counts(archive.info.classes, train.rows),
        group_digests=groups,
        image_digests=images,
        snapshots=archive.info.snapshots,
        data=request.data.name,
    )


def _counts(classes: Sequence[str], rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    """Real and synthetic images of each class."""
    found = {name: {"real": 0, "synthetic": 0} for name in classes}
    for row in rows:
        if row.label is not None:
            found[row.label]["real" if row.real else "synthetic"] += 1
    return found


def _parts(archive: Archive) -> tuple[ArchiveRows, ArchiveRows]:
    """Training and validation images, checked."""
    if len(archive.info.classes) < 2:
        raise UserError(f"{archive.path}: has fewer than two classes: nothing can be told apart")
    for part in (parts := training_parts(archive)):
        counts = count_labels(part.rows, archive.info.classes)
        absent = [name for name in archive.info.classes if not counts[name]]
        if absent or None in {row.label for row in part.rows}:
            what = f"class {absent[0]!r}" if absent else "a label for every image"
            raise UserError(f"{archive.path}: split {part.split} lacks {what}")
    return parts


def _fit(
    request: ClassifyTrainRequest,
    archive: Archive,
    train: ArchiveRows,
    validation: ArchiveRows,
    extractor: Extractor,
    progress: Progress,
) -> _Fitted:
    classes = archive.info.classes
    folder = feature_folder()
    seen = features_of(train.images, extractor, folder=folder, tracks=progress.track)
    checked = features_of(validation.images, extractor, folder=folder, tracks=progress.track)
    labels = probe.class_numbers([row.label or "" for row in train.ordered], classes)
    weights = torch.ones(len(labels), dtype=torch.float64)
    if request.balance == "weights":
        weights = probe.balanced_weights(labels, len(classes))
    blank, score = predictions_of(validation, classes), SELECTING[request.measure]
    made, tried, penalty = probe.fit(seen.values, labels, weights, blank, checked.values, score)
    chosen = replace(blank, probabilities=made.probabilities(checked.values))
    if len(classes) == 2:
        chosen = replace(chosen, threshold=scores.best_threshold(chosen))
    return _Fitted(made, tried, penalty, chosen)
