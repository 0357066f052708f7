"""A segmenter of the images of an archive."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from rich.table import Column, Table
from rich.text import Text
from torch import Tensor

from synthograph.archive.batches import ArchiveRows
from synthograph.archive.masked import MOST, MaskedImages, masked_images
from synthograph.archive.reader import Archive, open_archive
from synthograph.core.devices import pick_device
from synthograph.core.errors import UserError
from synthograph.core.files import placed, remove
from synthograph.core.names import first_few
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.version import VERSION
from synthograph.downstream import segmenter
from synthograph.downstream.fit_time import fit_seconds
from synthograph.downstream.fitting import Batch, FitConfig, Fitted, Score, Task, fit
from synthograph.downstream.orders import shuffled
from synthograph.downstream.segmenter import Segmenter, SegmenterInfo
from synthograph.downstream.start import moments_of
from synthograph.features.mask_networks import depth_for, mask_loss
from synthograph.stats.masks import IGNORED, MaskScore, Overlaps, mask_measure, mask_scores
from synthograph.workflows.downstream_requests import SegmentTrainRequest
from synthograph.workflows.following import check_following, following
from synthograph.workflows.segmenting import overlaps_of, predicted_masks, same_classes
from synthograph.workflows.tables import number, table_lines
from synthograph.workflows.trained import (
    draw_curves,
    estimated,
    few_groups,
    refuse_outputs,
    seen_digests,
    training_parts,
    unfinished,
    written_lines,
)
from synthograph.workflows.transforming import Transforming, transforming

RATE = 3e-3
"""Learning rate where none is given."""


@dataclass(frozen=True, repr=False)
class SegmentTrainResult(Result):
    """A segmenter that was written.

    Attributes:
        out: its file; None for a dry run.
        classes: name of every class -> its mask value and its share of the training pixels.
        counts: real and synthetic training images.
        validation: number of validation images and their groups.
        config: of the training.
        measure: the score that chooses.
        notes: what to know of it.
        fitted: how the training went; None for a dry run.
        chosen: Dice of every class on the validation images, which chose: too good for a report.
        drawn: lines on pictures that were written.
    """

    out: Path | None
    classes: Mapping[str, tuple[int, float]]
    counts: Mapping[str, int]
    validation: tuple[int, int]
    config: FitConfig
    measure: str
    notes: Sequence[str]
    fitted: Fitted | None = None
    chosen: Mapping[str, float] = field(default_factory=dict)
    drawn: Sequence[str] = ()

    def lines(self) -> Iterator[str]:
        """Classes, images, and the validation scores."""
        table = Table("class", Column("mask value", justify="right"), "share of training pixels")
        for name, (stored, share) in self.classes.items():
            table.add_row(Text(name), str(stored), f"{share:.2%}")
        yield from table_lines(table)
        images, groups = self.validation
        yield f"training images: {self.counts['real']} real, {self.counts['synthetic']} synthetic"
        yield f"validation: {images} images of {groups} groups"
        yield f"{self.config.steps} steps of {self.config.batch} images"
        yield from (f"note: {note}" for note in self.notes)
        if self.out is None or self.fitted is None:
            return
        yield f"chosen by {self.measure} on validation: step {self.fitted.best.step}"
        for name, value in self.chosen.items():
            yield f"  Dice {name}: {number(value)}"
        yield from written_lines("segmenter", self.out)
        yield from self.drawn


def run(request: SegmentTrainRequest, *, progress: Progress) -> SegmentTrainResult:
    """Train on split train, choose on split val.

    Raises:
        UserError: the archive lacks a split, masks or a class; validation images are synthetic; or
            MONAI is not there.
        StoppedError: on a signal; the same command continues.
    """
    out = request.out if request.dry_run else request.place("out")
    refuse_outputs(out, request.curves)
    check_following(request, out)
    archive, device = open_archive(request.data), pick_device(request.device)
    job = job_of(request, *training_parts(archive), progress)
    empty, config = job.empty, job.plan.config
    empty.network.standardise(*moments_of(job.train.rows.images))
    empty.network.to(device)
    if request.dry_run:
        told = estimated(config, job.seconds(), device)
        return replace(job.plan, notes=[*job.plan.notes, told])
    out = placed(request.place("out"))
    state = unfinished(out)
    with following(request, out, progress.log) as watcher:
        fitted = fit(
            job.task(),
            config,
            state=state,
            tracks=progress.track,
            log=progress.log,
            watcher=watcher,
        )
        made = replace(empty, info=_seen(job, fitted))
        segmenter.save(out, made)
        remove(state)
        chosen = _dice(made.info, _validated(made, job.validation))
        watcher.written({f"dice {name}": value for name, value in chosen.items()})
    drawn = draw_curves(request.curves, made.info)
    return replace(job.plan, out=out, fitted=fitted, chosen=chosen, drawn=drawn)


@dataclass(frozen=True)
class SegmentJob:
    """A training that may begin.

    Attributes:
        plan: what a dry run tells.
        empty: a segmenter with random weights, which has seen nobody yet.
        train, validation: images with class numbers in their masks.
        transforms: of training images.
        measure: the score that chooses.
    """

    plan: SegmentTrainResult
    empty: Segmenter
    train: MaskedImages
    validation: MaskedImages
    transforms: Transforming
    measure: MaskScore

    def task(self) -> Task:
        """What the loop trains."""
        network, seed = self.empty.network, self.plan.config.seed
        device = network.mean.device
        truth = torch.from_numpy(self.train.masks)

        def loss(batch: Batch) -> Tensor:
            images, masks = self.train.rows.gather(batch.numbers), truth[batch.numbers]
            images, moved = self.transforms.apply.with_masks(
                images.to(device), masks.to(device), batch.indices, IGNORED
            )
            assert moved is not None, "masks were given"
            return mask_loss(network(images), moved, IGNORED)

        def validate() -> Score:
            found = _validated(self.empty, self.validation)
            of_classes = {f"dice {n}": v for n, v in _dice(self.empty.info, found).items()}
            value = self.measure.value(found)
            return Score(value, scores={self.measure.name: value, **of_classes})

        archive, info = self.train.rows.archive, self.empty.info
        hashes = f"{archive.images_hash}/{archive.manifest_hash}"
        # what a training ends with, or came after the first trainings, is no part of the key
        about = {k: v for k, v in info.tree().items() if k not in ("settings", "environments")}
        said = f"{hashes}/{about}/{self.transforms.key}/{self.measure.name}"
        key = hashlib.sha256(said.encode()).hexdigest()
        return Task(network, loss, validate, shuffled(len(self.train), seed), key)

    def seconds(self) -> float:
        """How long it takes at most where the network is, measured."""
        rows, predict = self.validation.rows, self.empty.predict
        return fit_seconds(
            self.task(),
            self.plan.config,
            lambda count: predict(rows.gather(torch.arange(count))),
            checked=len(self.validation),
        )


def job_of(
    request: SegmentTrainRequest, trains: ArchiveRows, chooses: ArchiveRows, progress: Progress
) -> SegmentJob:
    """A training on some images, checked.

    Raises:
        UserError: masks or a class are lacking, an option breaks a rule, or MONAI is not there.
    """
    read = [masked_images(part, progress.track("masks")) for part in (trains, chooses)]
    classes = classes_of(request.classes, read[0])
    measure = mask_measure(request.measure, list(classes))
    train, validation = (part.numbered(list(classes.values())) for part in read)
    transforms = transforming(request, trains.archive)
    notes = [*_check(train, validation, list(classes)), *transforms.notes]
    _refuse_unmeasured(measure, validation, list(classes))
    notes += same_classes(trains.archive, classes)
    config = FitConfig.parse(request.fit_settings(images=len(train), rate=RATE))
    shares = [train.values.get(k, 0.0) for k in range(len(classes))]
    real = sum(row.real for row in train.rows.rows)
    plan = SegmentTrainResult(
        None,
        dict(zip(classes, zip(classes.values(), shares, strict=True), strict=True)),
        {"real": real, "synthetic": len(train) - real},
        (len(validation), len(validation.rows.groups)),
        config,
        measure.name,
        notes,
    )
    torch.manual_seed(config.seed)
    empty = _empty(request, trains.archive, plan)
    return SegmentJob(plan, empty, train, validation, transforms, measure)


def _refuse_unmeasured(
    measure: MaskScore, validation: MaskedImages, classes: Sequence[str]
) -> None:
    """Refuse a measure of classes that no validation mask holds: it would choose nothing."""
    wanted = measure.classes or ()
    if not validation.values.keys() & {*wanted}:
        absent = first_few(classes[k] for k in wanted)
        raise UserError(
            f"--measure {measure.name}: no validation mask holds {absent}: split the archive anew "
            "with another --seed, or choose by --measure dice"
        )


def classes_of(words: Sequence[str], train: MaskedImages) -> dict[str, int]:
    """Name of every class and its mask value, the background first; all values if none is named."""
    if words:
        return _named(words)
    values = sorted(value for value in train.values if value != IGNORED)
    if len(values) == 1 and IGNORED in train.values:
        raise UserError(
            f"{train.rows.name}: its masks hold {values[0]} and {IGNORED}, which is ignored unless "
            f"it is named: add --classes background={values[0]},object={IGNORED}"
        )
    if values != list(range(len(values))) or len(values) > MOST:
        raise UserError(
            f"{train.rows.name}: its masks hold the values {first_few(map(str, values), 6)}: "
            "values without gaps, from 0 on, are classes by themselves; name others, background "
            "first: --classes background=0,nucleus=128"
        )
    return {str(value): value for value in values}


def _named(words: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for place, word in enumerate(words):
        name, equals, text = word.partition("=")
        text = text if equals else str(place)
        if not text.isascii() or not text.isdigit() or int(text) > IGNORED or not name:
            raise UserError(f"--classes {word}: give NAME=VALUE, a value from 0 to {IGNORED}")
        if name in found or int(text) in found.values():
            raise UserError(f"--classes {word}: its name or its value is given twice")
        found[name] = int(text)
    return found


def _check(train: MaskedImages, validation: MaskedImages, names: Sequence[str]) -> list[str]:
    """Notes on masks that are lacking.

    Raises:
        UserError: there are fewer than two classes, one is in no training mask, or validation has
            the background only.
    """
    if len(names) < 2:
        raise UserError(
            f"{train.rows.name}: its masks hold one value only, so nothing can be told apart: "
            "prepare masks that show where something is"
        )
    notes = few_groups(validation.rows)
    for images in (train, validation):
        there = images.values
        absent = [name for k, name in enumerate(names) if k not in there]
        if absent and (images is train or not there.keys() - {0, IGNORED}):
            raise UserError(
                f"{images.rows.name}: no mask holds class {absent[0]!r}: split the archive anew "
                "with another --seed, or name the classes that it has with --classes"
            )
        if absent:
            notes.append(f"no validation mask holds {first_few(absent)}: others choose")
        notes += images.without_note()
    return notes


def _empty(request: SegmentTrainRequest, archive: Archive, plan: SegmentTrainResult) -> Segmenter:
    """A segmenter with random weights, which has seen nobody yet."""
    spec = archive.info.spec
    info = SegmenterInfo(
        package_version=VERSION,
        network=request.network,
        width=request.width,
        depth=depth_for(spec.height, spec.width),
        classes=list(plan.classes),
        values=[value for value, _ in plan.classes.values()],
        shares=[share for _, share in plan.classes.values()],
        spec=spec,
        selection={},
        counts=dict(plan.counts),
        group_digests=[],
        image_digests=[],
        snapshots=archive.info.snapshots,
        data=request.data.name,
        preparation={"view": archive.info.view, "sizing": archive.info.sizing},
    )
    return Segmenter(info, segmenter.build(info))


def _seen(job: SegmentJob, fitted: Fitted) -> SegmenterInfo:
    """The header with who was seen, and how the weights were chosen."""
    train, validation, transforms = job.train, job.validation, job.transforms
    groups, images = seen_digests(train.rows, validation.rows, transforms.style)
    selection = {
        "score": job.measure.name,
        "tried": [each.tree() for each in fitted.history],
        "steps": fitted.steps,
        "transforms": transforms.apply.describe(),
        "validation": {"images": len(validation), "groups": len(validation.rows.groups)},
    }
    return job.empty.info.model_copy(
        update={
            "selection": selection,
            "group_digests": groups,
            "image_digests": images,
            "settings": fitted.settings,
            "environments": list(fitted.environments),
        }
    )


def _validated(made: Segmenter, validation: MaskedImages) -> Overlaps:
    """What predicted masks of validation images have in common with the true ones."""
    masks = predicted_masks(made, validation.rows, lambda items, total: items)
    return overlaps_of(validation, masks, len(made.info.classes), distances=False)


def _dice(info: SegmenterInfo, found: Overlaps) -> dict[str, float]:
    """Dice of every class but the background on the validation images."""
    return {
        info.classes[k]: mask_scores([k], found.diagonal)[0].value(found) for k in found.occurring
    }
