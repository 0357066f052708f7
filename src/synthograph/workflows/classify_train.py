"""A classifier of the images of an archive."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.table import Table
from rich.text import Text

from synthograph.archive.batches import ArchiveRows, group_numbers
from synthograph.archive.manifest import Row, count_labels
from synthograph.archive.reader import Archive, open_archive
from synthograph.core.errors import UserError
from synthograph.core.files import disk_errors, refuse_output, sha256_file
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.version import VERSION
from synthograph.downstream import classifier, probe
from synthograph.downstream.classifier import Classifier, ClassifierInfo
from synthograph.downstream.probe import Tried
from synthograph.features.base import Extractor
from synthograph.features.packaged import default_extractor
from synthograph.features.registry import feature_folder, open_extractors
from synthograph.metrics.columns import features_of
from synthograph.stats import scores
from synthograph.stats.scores import Predictions
from synthograph.workflows.requests import ClassifyTrainRequest
from synthograph.workflows.tables import number, table_lines

SELECTING = {score.name: score for score in (*scores.SCORES, scores.SENSITIVITY)}
"""Scores that can choose, by name."""


@dataclass(frozen=True, repr=False)
class ClassifyTrainResult(Result):
    """A classifier that was written.

    Attributes:
        out: its file; None for a dry run.
        counts: training images of each class: real, synthetic.
        validation: number of validation images and their groups.
        selection: name of the score that chose; `tried` is what it was for each penalty.
        chosen: values of all scores on the validation images, which chose: too good for a report.
        threshold: with two classes.
        notes: what to know of it.
    """

    out: Path | None
    counts: Mapping[str, Mapping[str, int]]
    validation: tuple[int, int]
    selection: str
    tried: Sequence[Tried]
    chosen: Mapping[str, float]
    threshold: float | None
    notes: Sequence[str]

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
        best = max(self.tried, key=lambda each: each.value)
        yield f"chosen by {self.selection} on validation: penalty {best.penalty:.3g}"
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
    groups = len({row.group for row in validation.rows})
    score = SELECTING[request.measure]
    notes = [] if groups >= 20 else [f"{groups} validation groups choose, which is few"]
    result = ClassifyTrainResult(
        None, counts, (len(validation.rows), groups), score.name, (), {}, None, notes
    )
    if request.dry_run:
        return result
    made, tried, chosen = _fit(request, archive, train, validation, extractor, progress)
    info = _info(request, archive, (train, validation), extractor, tried, chosen)
    classifier.save(request.out, Classifier(info, made))
    values = {each.name: each.value(chosen) for each in scores_for(len(archive.info.classes))}
    return ClassifyTrainResult(
        request.out,
        counts,
        (len(validation.rows), groups),
        score.name,
        tried,
        values,
        chosen.threshold,
        notes,
    )


def _info(
    request: ClassifyTrainRequest,
    archive: Archive,
    parts: tuple[ArchiveRows, ArchiveRows],
    extractor: Extractor,
    tried: Sequence[Tried],
    chosen: Predictions,
) -> ClassifierInfo:
    """What the file says of the classifier: who it saw, in training and in validation."""
    train, validation = parts
    real = ArchiveRows(archive, [row for row in train.rows if row.real])
    selection: JsonObject = {
        "score": request.measure,
        "tried": [{"penalty": each.penalty, "value": each.value} for each in tried],
        "validation": {"images": len(validation.rows), "groups": len(validation.groups)},
    }
    return ClassifierInfo(
        package_version=VERSION,
        backbone=extractor.name,
        extractor=extractor.describe(),
        classes=archive.info.classes,
        spec=archive.info.spec,
        threshold=chosen.threshold,
        selection=selection,
        counts=_counts(archive.info.classes, train.rows),
        group_digests=sorted({*real.groups, *validation.groups}),
        image_digests=sorted({*real.pixels, *validation.pixels}),
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


def refuse_out(path: Path, ending: str) -> None:
    """Refuse a result that exists, has another ending or cannot be written; make its folder.

    Raises:
        UserError: it does, has, or cannot.
    """
    if path.suffix.lower() != ending:
        raise UserError(f"--out {path}: name it {path.with_suffix(ending).name}")
    refuse_output(path, "--out")
    with disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)


def open_backbone(name: str | None, device: str) -> Extractor:
    """The network whose features are read.

    Raises:
        UserError: there is none of that name, or its weights are not on this machine.
    """
    extractors, missing = open_extractors([name or default_extractor()], device)
    if missing:
        raise UserError("; ".join(missing.values()))
    return next(iter(extractors.values()))


def scores_for(classes: int) -> tuple[scores.PredictionScore, ...]:
    """The scores of that many classes."""
    if classes != 2:
        return scores.SCORES
    return (*scores.SCORES, scores.SENSITIVITY, scores.SPECIFICITY)


def predictions_of(images: ArchiveRows, classes: Sequence[str]) -> Predictions:
    """Labels and groups of images, in the order of `images.images`; without probabilities yet."""
    rows = images.ordered
    labels = probe.class_numbers([row.label or "" for row in rows], classes)
    empty = torch.full((len(rows), len(classes)), 1 / len(classes), dtype=torch.float64)
    return Predictions(empty, labels, group_numbers(rows), torch.zeros_like(labels))


def _parts(archive: Archive) -> tuple[ArchiveRows, ArchiveRows]:
    """Training and validation images, checked."""
    if len(archive.info.classes) < 2:
        raise UserError(f"{archive.path}: has fewer than two classes: nothing can be told apart")
    found = []
    for split in ("train", "val"):
        rows = [row for row in archive.rows if row.split == split]
        if not rows:
            way = f"'synthograph split {archive.path}' makes train, val and test"
            if any(row.split for row in archive.rows):
                way = (
                    "add --force to 'synthograph split' to cut all images anew, by group, which "
                    "gives up the split that it has"
                )
            raise UserError(f"{archive.path}: has no images in split {split}: {way}")
        counts = count_labels(rows, archive.info.classes)
        absent = [name for name in archive.info.classes if not counts[name]]
        if absent or None in {row.label for row in rows}:
            what = f"class {absent[0]!r}" if absent else "a label for every image"
            raise UserError(f"{archive.path}: split {split} lacks {what}")
        found.append(ArchiveRows(archive, rows, split))
    train, validation = found
    return train, validation.real()


def _fit(
    request: ClassifyTrainRequest,
    archive: Archive,
    train: ArchiveRows,
    validation: ArchiveRows,
    extractor: Extractor,
    progress: Progress,
) -> tuple[probe.LogisticProbe, list[Tried], Predictions]:
    """The probe, what was tried, and its predictions of the validation images."""
    classes = archive.info.classes
    folder = feature_folder()
    seen = features_of(train.images, extractor, folder=folder, tracks=progress.track)
    checked = features_of(validation.images, extractor, folder=folder, tracks=progress.track)
    labels = probe.class_numbers([row.label or "" for row in train.ordered], classes)
    weights = torch.ones(len(labels), dtype=torch.float64)
    if request.balance == "weights":
        weights = probe.balanced_weights(labels, len(classes))
    blank = predictions_of(validation, classes)
    score = SELECTING[request.measure]
    made, tried = probe.fit(seen.values, labels, weights, blank, checked.values, score)
    probabilities = made.probabilities(checked.values)
    chosen = Predictions(probabilities, blank.labels, blank.groups, blank.folds)
    if len(classes) == 2:
        threshold = scores.best_threshold(chosen)
        chosen = Predictions(probabilities, blank.labels, blank.groups, blank.folds, threshold)
    return made, tried, chosen
