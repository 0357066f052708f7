"""A segmenter of the images of an archive."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from rich.table import Column, Table
from rich.text import Text
from torch import Tensor

from synthograph.archive.masked import MOST, MaskedImages, masked_images
from synthograph.archive.reader import Archive, open_archive
from synthograph.core.devices import pick_device
from synthograph.core.errors import UserError
from synthograph.core.files import remove, sha256_file
from synthograph.core.names import first_few
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.version import VERSION
from synthograph.downstream import segmenter
from synthograph.downstream.fit_time import fit_seconds
from synthograph.downstream.fitting import Batch, FitConfig, Fitted, Score, Task, fit, shuffled
from synthograph.downstream.segmenter import Segmenter, SegmenterInfo, mask_loss
from synthograph.downstream.start import moments_of
from synthograph.stats.masks import IGNORED, Overlaps, mask_scores, mean_dice
from synthograph.workflows.downstream_requests import SegmentTrainRequest
from synthograph.workflows.segmenting import overlaps_of, predicted_masks
from synthograph.workflows.tables import number, table_lines
from synthograph.workflows.trained import (
    estimated,
    few_groups,
    placed,
    refuse_out,
    seen_digests,
    training_parts,
    unfinished,
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
        notes: what to know of it.
        fitted: how the training went; None for a dry run.
        chosen: Dice of every class on the validation images, which chose: too good for a report.
    """

    out: Path | None
    classes: Mapping[str, tuple[int, float]]
    counts: Mapping[str, int]
    validation: tuple[int, int]
    config: FitConfig
    notes: Sequence[str]
    fitted: Fitted | None = None
    chosen: Mapping[str, float] = field(default_factory=dict)

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
        yield f"chosen by Dice on validation: step {self.fitted.best.step}"
        for name, value in self.chosen.items():
            yield f"  Dice {name}: {number(value)}"
        yield "these scores chose the segmenter: for a report, evaluate it on test images"
        yield f"{self.out}  sha256 {sha256_file(self.out)}"


def run(request: SegmentTrainRequest, *, progress: Progress) -> SegmentTrainResult:
    """Train on split train, choose on split val.

    Raises:
        UserError: the archive lacks a split, masks or a class; validation images are synthetic; or
            MONAI is not there.
        StoppedError: on a signal; the same command goes on.
    """
    refuse_out(request.out, ".safetensors")
    archive, device = open_archive(request.data), pick_device(request.device)
    read = [masked_images(part, progress.track("masks")) for part in training_parts(archive)]
    classes = _classes(request, read[0])
    train, validation = (part.numbered(list(classes.values())) for part in read)
    transforms = transforming(request, archive)
    notes = [*_check(train, validation, list(classes)), *transforms.notes]
    config = FitConfig.parse(request.fit_settings(images=len(train), rate=RATE))
    shares = [train.values.get(k, 0.0) for k in range(len(classes))]
    real = sum(row.real for row in train.rows.rows)
    plan = SegmentTrainResult(
        None,
        dict(zip(classes, zip(classes.values(), shares, strict=True), strict=True)),
        {"real": real, "synthetic": len(train) - real},
        (len(validation), len(validation.rows.groups)),
        config,
        notes,
    )
    torch.manual_seed(config.seed)
    empty = _empty(request, archive, plan)
    empty.network.standardise(*moments_of(train.rows.images))
    empty.network.to(device)
    task = _task(empty, train, validation, config, transforms)
    if request.dry_run:
        return replace(plan, notes=[*notes, _estimate(task, empty, validation, config)])
    state = unfinished(placed(request.out))
    fitted = fit(task, config, state=state, tracks=progress.track, log=progress.log)
    made = replace(empty, info=_seen(empty.info, train, validation, fitted, transforms))
    segmenter.save(request.out, made)
    remove(state)
    return replace(plan, out=request.out, fitted=fitted, chosen=_chosen(made, validation))


def _classes(request: SegmentTrainRequest, train: MaskedImages) -> dict[str, int]:
    """Name of every class and its mask value, the background first."""
    if request.classes:
        return _named(request.classes)
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
        depth=segmenter.depth_for(spec.height, spec.width),
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


def _seen(
    info: SegmenterInfo,
    train: MaskedImages,
    validation: MaskedImages,
    fitted: Fitted,
    transforms: Transforming,
) -> SegmenterInfo:
    """The header with who was seen, and how the weights were chosen."""
    groups, images = seen_digests(train.rows, validation.rows, transforms.style)
    selection = {
        "score": "dice",
        "tried": [{"step": each.step, "value": each.value} for each in fitted.history],
        "steps": fitted.steps,
        "transforms": transforms.apply.describe(),
        "validation": {"images": len(validation), "groups": len(validation.rows.groups)},
    }
    return info.model_copy(
        update={"selection": selection, "group_digests": groups, "image_digests": images}
    )


def _task(
    made: Segmenter,
    train: MaskedImages,
    validation: MaskedImages,
    config: FitConfig,
    transforming: Transforming,
) -> Task:
    device = made.network.mean.device
    truth = torch.from_numpy(train.masks)

    def loss(batch: Batch) -> Tensor:
        images, masks = train.rows.gather(batch.numbers).to(device), truth[batch.numbers]
        images, moved = transforming.apply.with_masks(images, masks.to(device), batch.indices)
        assert moved is not None, "masks were given"
        return mask_loss(made.network(images), moved, IGNORED)

    def validate() -> Score:
        return Score(mean_dice(_validated(made, validation)))

    archive = train.rows.archive
    said = f"{archive.images_hash}/{archive.manifest_hash}/{made.info.tree()}/{transforming.key}"
    key = hashlib.sha256(said.encode()).hexdigest()
    return Task(made.network, loss, validate, shuffled(len(train), config.seed), key)


def _estimate(task: Task, made: Segmenter, validation: MaskedImages, config: FitConfig) -> str:
    """How long it takes, in words."""
    rows = validation.rows
    seconds = fit_seconds(
        task,
        config,
        lambda count: made.predict(rows.gather(torch.arange(count))),
        checked=len(validation),
    )
    return estimated(config, seconds, made.network.mean.device)


def _validated(made: Segmenter, validation: MaskedImages) -> Overlaps:
    """What predicted masks of validation images have in common with the true ones."""
    masks = predicted_masks(made, validation.rows, lambda items, total: items)
    return overlaps_of(validation, masks, len(made.info.classes), distances=False)


def _chosen(made: Segmenter, validation: MaskedImages) -> dict[str, float]:
    """Dice of every class but the background on the validation images."""
    found = _validated(made, validation)
    return {
        made.info.classes[k]: mask_scores([k], found.diagonal)[0].value(found)
        for k in found.occurring
    }
