"""A classifier of the images of an archive."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.table import Table
from rich.text import Text

from synthograph.archive.batches import ArchiveRows
from synthograph.archive.manifest import Row, count_labels
from synthograph.archive.reader import Archive, open_archive
from synthograph.core.errors import UserError
from synthograph.core.files import placed
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.version import VERSION
from synthograph.downstream import classifier
from synthograph.downstream.classifier import Classifier, ClassifierInfo
from synthograph.downstream.start import IMAGENET, published_file
from synthograph.report.words import score_words
from synthograph.stats import scores
from synthograph.stats.scores import Threshold
from synthograph.workflows.classify_network import NetworkJob
from synthograph.workflows.classify_probe import ProbeJob
from synthograph.workflows.classifying import Made, refuse_single_class
from synthograph.workflows.downstream_requests import ClassifyTrainRequest
from synthograph.workflows.following import check_following, following
from synthograph.workflows.tables import number, table_lines
from synthograph.workflows.trained import (
    draw_curves,
    few_groups,
    refuse_outputs,
    seen_digests,
    start_of,
    training_parts,
    written_lines,
)


@dataclass(frozen=True, repr=False)
class ClassifyTrainResult(Result):
    """A classifier that was written.

    Attributes:
        out: its file; None for a dry run.
        counts: training images of each class: real, synthetic.
        validation: number of validation images and their groups.
        selection: name of the score that chooses.
        notes: what to know of it.
        how: what the validation images chose; None for a dry run, nor what follows.
        chosen: values of all scores on the validation images, which chose: too good for a report.
        threshold: what decides.
        drawn: lines on pictures that were written.
    """

    out: Path | None
    counts: Mapping[str, Mapping[str, int]]
    validation: tuple[int, int]
    selection: str
    notes: Sequence[str]
    how: str | None = None
    chosen: Mapping[str, float] = field(default_factory=dict)
    threshold: Threshold | None = None
    drawn: Sequence[str] = ()

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
        yield f"chosen by {self.selection} on validation: {self.how}"
        for name, value in self.chosen.items():
            yield f"  {score_words(name)}: {number(value)}"
        yield from written_lines("classifier", self.out)
        yield from self.drawn


def run(request: ClassifyTrainRequest, *, progress: Progress) -> ClassifyTrainResult:
    """Train on split train, choose on split val.

    Raises:
        UserError: the archive lacks a split, a class in one of them, or labels; validation images
            are synthetic; or the backbone's weights are not there.
    """
    out = request.out if request.dry_run else request.place("out")
    refuse_outputs(out, request.curves)
    check_following(request, out)
    request = _with_published(request, progress)
    archive = open_archive(request.data)
    train, validation = _parts(archive)
    counts = _counts(archive.info.classes, train.rows)
    job = job_of(request, train, validation)
    sizes = (len(validation.rows), len(validation.groups))
    notes = [*few_groups(validation), *job.notes(), *_seen_before(request, validation)]
    plan = ClassifyTrainResult(None, counts, sizes, request.measure, notes)
    if request.dry_run:
        return replace(plan, notes=[*notes, *job.estimate()])
    out = placed(request.place("out"))
    with following(request, out, progress.log) as watcher:
        made = job.make(progress, watcher)
        chosen = {each.name: each.value(made.chosen) for each in scores.scores_of(len(counts))}
        info = _info(request, train, validation, made)
        classifier.save(out, Classifier(info, made.probe, made.network))
        job.clear()
        watcher.written(chosen)
    drawn = draw_curves(request.curves, info)
    return replace(
        plan,
        drawn=drawn,
        notes=[*notes, *_single_class(made, archive.info.classes)],
        out=out,
        how=made.how,
        chosen=chosen,
        threshold=made.threshold,
    )


def _with_published(request: ClassifyTrainRequest, progress: Progress) -> ClassifyTrainRequest:
    """The request with a file where it asks for published weights by their word."""
    if request.probe or request.weights != Path(IMAGENET) or request.weights.exists():
        return request
    file = published_file(request.backbone, progress.track("downloading"))
    return request.model_copy(update={"weights": file})


def _seen_before(request: ClassifyTrainRequest, validation: ArchiveRows) -> Iterator[str]:
    """A note where the first weights were trained on validation patients."""
    seen = start_of(request.weights)[0].groups_among(validation.groups)
    if request.weights is not None and seen:
        yield (
            f"{request.weights.name} saw {len(seen)} of {len(validation.groups)} validation groups "
            "before, so validation scores are too good"
        )


def _single_class(made: Made, classes: Sequence[str]) -> Iterator[str]:
    """A note where all validation images get one class."""
    said = made.chosen.decided.unique().tolist()
    if len(said) == 1:
        yield (
            f"all validation images are called {classes[said[0]]!r}: it has learnt nothing yet, "
            "train longer (--steps, --patience) or balance the classes (--balance)"
        )


def job_of(
    request: ClassifyTrainRequest, train: ArchiveRows, validation: ArchiveRows
) -> ProbeJob | NetworkJob:
    """The way that is asked for.

    Raises:
        UserError: the backbone is unknown, or its weights are not here.
    """
    kind = ProbeJob if request.probe else NetworkJob
    return kind(request, train, validation)


def _info(
    request: ClassifyTrainRequest, train: ArchiveRows, validation: ArchiveRows, made: Made
) -> ClassifierInfo:
    """What the file says of the classifier: who it saw, in training and in validation."""
    about = train.archive.info
    groups, images = seen_digests(train, validation, made.style)
    start, snapshots = start_of(request.weights)
    selection: JsonObject = {
        "score": request.measure,
        "tried": list(made.tried),
        "validation": {"images": len(validation.rows), "groups": len(validation.groups)},
    }
    return ClassifierInfo(
        package_version=VERSION,
        backbone=made.extractor.name,
        extractor=made.extractor.describe(),
        network=made.about,
        classes=about.classes,
        spec=about.spec,
        threshold=made.threshold,
        selection=selection,
        counts=_counts(about.classes, train.rows),
        preparation={"view": about.view, "sizing": about.sizing},
        group_digests=sorted({*groups, *start.groups}),
        image_digests=sorted({*images, *start.images}),
        snapshots=[*about.snapshots, *(each for each in snapshots if each not in about.snapshots)],
        data=request.data.name,
        settings=made.settings,
        environments=list(made.environments),
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
    refuse_single_class(archive)
    for part in (parts := training_parts(archive)):
        counts = count_labels(part.rows, archive.info.classes)
        absent = [name for name in archive.info.classes if not counts[name]]
        if absent or None in {row.label for row in part.rows}:
            what = f"class {absent[0]!r}" if absent else "a label for every image"
            raise UserError(f"{archive.path}: split {part.split} lacks {what}")
    return parts
