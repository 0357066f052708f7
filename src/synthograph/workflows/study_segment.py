"""A study of segmenters. Synthetic images have masks: those of a set, or made here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from synthograph.archive.batches import ArchiveRows, open_rows
from synthograph.archive.manifest import Row
from synthograph.archive.masked import REMEDY, MaskedImages, masked_images
from synthograph.archive.reader import Archive
from synthograph.core.devices import pick_device
from synthograph.core.errors import UserError
from synthograph.core.files import write_text
from synthograph.core.names import first_few
from synthograph.core.progress import Progress, Silent
from synthograph.core.untrusted.documents import JsonObject, parse_csv, read_text
from synthograph.downstream import segmenter
from synthograph.stats.masks import OF, Overlaps, averaged, mask_measure
from synthograph.stats.paired import paired_error
from synthograph.stats.scores import Threshold
from synthograph.workflows import segment_train
from synthograph.workflows.downstream_requests import FitOptions, SegmentTrainRequest
from synthograph.workflows.segment_evaluate import mask_table
from synthograph.workflows.segmenting import overlaps_of, predicted_masks, same_classes
from synthograph.workflows.study_folds import PARTS, Fold
from synthograph.workflows.study_settings import EXTERNAL, Condition, StudySettings
from synthograph.workflows.study_task import StudyTask, Trained

LEFT_OUT = {
    Condition.BALANCED: "balanced is left out: every pixel of a mask has a class of its own",
    Condition.SHUFFLED: "shuffled is left out: classes of images say nothing of masks",
}
OPTIONS: JsonObject = {"data": Path("a"), "out": Path("b.safetensors")}


@dataclass(frozen=True)
class Segment(StudyTask[Overlaps]):
    """Segmenters.

    Attributes:
        values: mask value of every class.
        there: file to the numbers of the classes in its mask.
        diagonal: of the images, in pixels.
    """

    file: ClassVar[str] = "segmenter.safetensors"
    values: tuple[int, ...]
    there: Mapping[str, frozenset[int]]
    diagonal: float

    @property
    def left_out(self) -> Mapping[Condition, str]:
        """What is of classes of images."""
        return LEFT_OUT

    def check_fold(self, fold: Fold) -> None:
        """Refuse a fold of which a part lacks a class."""
        for part in PARTS if fold.tested else PARTS[:2]:
            rows = fold.part(part).rows
            found = frozenset[int]().union(*(self.there[row.file] for row in rows))
            absent = [name for k, name in enumerate(self.classes) if k and k not in found]
            if absent:
                raise UserError(
                    f"folds: part {part} of fold {fold.number} has no mask with class "
                    f"{absent[0]!r}: use fewer folds, or add images"
                )

    def check_external(self, images: ArchiveRows) -> None:
        """Refuse images without masks, or with unknown mask values."""
        _all_masked(images, Silent()).numbered(self.values)

    def check_set(self, made: Archive) -> None:
        """Refuse a set without masks, or with unknown mask values."""
        _all_masked(ArchiveRows(made, made.rows), Silent()).numbered(self.values)
        notes = same_classes(made, dict(zip(self.classes, self.values, strict=True)))
        if notes:
            raise UserError(f"{made.path}: {notes[0]}: segmenter: {{classes: [background=0, ...]}}")

    @property
    def mask_classes(self) -> Sequence[str]:
        """`NAME=VALUE`."""
        return [f"{n}={v}" for n, v in zip(self.classes, self.values, strict=True)]

    def request(self, asked: JsonObject, condition: Condition) -> SegmentTrainRequest:
        """A training of `segment train`; every fold names the same classes."""
        return SegmentTrainRequest.parse({**asked, "classes": self.mask_classes})

    def check_training(self, request: FitOptions, fold: Fold) -> None:
        """Refuse what cannot be trained, or no MONAI."""
        _job(request, fold)

    def seconds(self, request: FitOptions, fold: Fold) -> float:
        """Of a training on the processor."""
        return _job(request, fold).seconds()

    @property
    def spread(self) -> float | None:
        """Of the study file; else a third of the largest that a mean in 0..1 may have."""
        value = self.settings.expected
        return self.settings.spread or math.sqrt(value * (1 - value)) / 3

    def fewest_groups(self, rows: Sequence[Row]) -> int:
        """With a class that is measured; all groups where nobody knows which have it."""
        # nobody has looked at masks of external sets, whose files are called as the archive's own
        there = {} if self.settings.folds == EXTERNAL else self.there
        of_class = [
            {row.group for row in rows if number in there.get(row.file, ())}
            for number in self.measured
        ]
        return min(map(len, of_class)) or len({row.group for row in rows})

    def expected_error(self, rows: Sequence[Row]) -> float:
        """From the spread, over the groups with the class that fewest groups have."""
        assert self.spread is not None
        return paired_error(self.spread, self.fewest_groups(rows))

    @property
    def measured(self) -> Sequence[int]:
        """Numbers of the classes that the measure is of."""
        name = self.settings.measure.partition(OF)[2]
        return [self.classes.index(name)] if name else range(1, len(self.classes))

    def train(self, request: FitOptions) -> Trained:
        """By `segment train`."""
        assert isinstance(request, SegmentTrainRequest)
        made = segment_train.run(request, progress=Silent())
        assert made.fitted is not None, "it was trained"
        best = made.fitted.best.value
        return Trained({made.measure: math.nan if best is None else best})

    def test(self, model: Path, data: str, out: Path, device: str) -> None:
        """The table of `segment evaluate`."""
        made = segmenter.load(model, pick_device(device))
        images = _all_masked(open_rows(data, "test").real(), Silent()).numbered(self.values)
        masks = predicted_masks(made, images.rows, Silent().track(""))
        found = overlaps_of(images, masks, len(self.classes))
        write_text(out, mask_table(made, images, found))

    def read(
        self,
        path: Path,
        rows: Sequence[Row],
        groups: Int64[Tensor, " n"],
        threshold: Threshold | None,
    ) -> Overlaps:
        """Pixels and distances of a table of `segment evaluate`."""
        table = [cells for _, cells in parse_csv(read_text(path, "it is a table"), str(path))]
        file, name = (table[0].index(each) for each in ("file", "class"))
        places = [table[0].index(each) for each in READ]
        cells = {(each[file], each[name]): [each[place] for place in places] for each in table[1:]}
        wanted = [(row.file, each) for row in rows for each in self.classes[1:]]
        if sorted(cells) != sorted(wanted):
            raise ValueError(f"{len(cells)} rows, not those of its {len(rows)} images")
        numbers = [[float(text or "nan") for text in cells[key]] for key in wanted]
        found = torch.tensor(numbers, dtype=torch.float64)
        found = found.reshape(len(rows), len(self.classes) - 1, len(READ))
        # the background is in no score
        found = torch.cat([torch.zeros_like(found[:, :1]), found], dim=1)
        truth, predicted, dice, distance = found.unbind(2)
        hits = (dice.nan_to_num() * (truth + predicted) / 2).round()  # digits of Dice were cut
        folds = torch.zeros_like(groups)
        return Overlaps(hits, truth, predicted, distance, groups, folds, self.diagonal)

    def mean(self, seeds: Sequence[Overlaps]) -> Overlaps:
        """Means of their scores, and of pixels."""
        return averaged(seeds)

    def table(self, outcome: Overlaps, rows: Sequence[Row]) -> list[list[object]]:
        """file, group, split, fold, class, true_pixels, predicted_pixels, hits, dice; of several
        seeds their means.
        """
        columns = ["file", "group", "split", "fold", "class"]
        found: list[list[object]] = [[*columns, "true_pixels", "predicted_pixels", "hits", "dice"]]
        dice = outcome.each_seed[..., 0].nanmean(2)
        parts = (outcome.truth, outcome.predicted, outcome.hits, dice)
        values = torch.stack(parts, dim=2).tolist()
        for row, fold, of_row in zip(rows, outcome.folds.tolist(), values, strict=True):
            for name, numbers in list(zip(self.classes, of_row, strict=True))[1:]:
                cells = [f"{each:.6g}" if each == each else "" for each in numbers]
                found.append([row.file, row.group, "test", fold, name, *cells])
        return found


READ = ("true_pixels", "predicted_pixels", "dice", "hausdorff95")


def open_segment(settings: StudySettings, archive: Archive, progress: Progress) -> Segment:
    """The task for an archive.

    Raises:
        UserError: an image has no mask, values are no classes, or the measure names none of them.
    """
    request = SegmentTrainRequest.parse({**settings.segmenter, **OPTIONS})
    images = _all_masked(ArchiveRows(archive, archive.rows), progress)
    classes = segment_train.classes_of(request.classes, images)
    masks = images.numbered(list(classes.values())).masks
    if settings.labels and list(classes.values()) != list(range(len(classes))):
        raise UserError(
            f"{archive.path}: its mask values are {first_few(map(str, classes.values()), 6)}, and "
            f"masks of synthetic images hold 0 to {len(classes) - 1}: prepare it with masks that "
            "hold these, or name sets with masks as generator.sets"
        )
    files = zip(images.rows.ordered, masks, strict=True)
    spec = archive.info.spec
    return Segment(
        settings,
        tuple(classes),
        mask_measure(settings.measure, list(classes)),
        tuple(classes.values()),
        {row.file: frozenset(np.unique(mask).tolist()) for row, mask in files},
        math.hypot(spec.height, spec.width),
    )


def _all_masked(images: ArchiveRows, progress: Progress) -> MaskedImages:
    """Images with their masks.

    Raises:
        UserError: one has none.
    """
    found = masked_images(images, progress.track("masks"))
    if found.without:
        count = len(found.without)
        raise UserError(
            f"{images.name}: {count} of its {len(images.rows)} images have no mask, such as "
            f"{found.without[0]}: {REMEDY}"
        )
    return found


def _job(request: FitOptions, fold: Fold) -> segment_train.SegmentJob:
    assert isinstance(request, SegmentTrainRequest)
    return segment_train.job_of(request, fold.part("train"), fold.part("val"), Silent())
