"""Scores of a segmenter on real images that it never saw."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float, UInt8
from torch import Tensor

from synthograph.archive.batches import open_rows
from synthograph.archive.masked import MaskedImages, masked_images
from synthograph.core.contact_sheets import contact_sheet
from synthograph.core.devices import pick_device
from synthograph.core.files import placed, sha256_file, write_bytes, write_text
from synthograph.core.overlays import legend
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.version import VERSION
from synthograph.downstream import segmenter
from synthograph.downstream.segmenter import Segmenter, SegmenterInfo
from synthograph.downstream.start import RANDOM
from synthograph.report.segmentations import tables
from synthograph.results.segmentation import (
    MEAN,
    ClassCases,
    MaskScoreValue,
    SegmenterEvaluation,
    SegmenterRecord,
)
from synthograph.results.validations import Fit
from synthograph.stats.masks import (
    EMPTY_RULE,
    IGNORED,
    MISS_RULE,
    TITLES,
    MaskScore,
    Overlaps,
    cases,
    mask_scores,
)
from synthograph.workflows.downstream_requests import SegmentEvaluateRequest
from synthograph.workflows.environment import here
from synthograph.workflows.scoring import levels_of, parts_of, scored
from synthograph.workflows.segmenting import drawn_beside, overlaps_of, predicted_masks
from synthograph.workflows.tables import csv_text, number, worded_lines
from synthograph.workflows.trained import (
    fit_of,
    history_of,
    noted_look,
    refuse_other_modalities,
    refuse_out,
    refuse_seen,
    refuse_seen_recoded,
)

SURE_GROUPS = 50
SHOWN = 6
"""Images of an overlay picture: that many worst, middle and best ones."""


@dataclass(frozen=True, repr=False)
class SegmentEvaluateResult(Result):
    """Scores, and the files that they were written to."""

    evaluation: SegmenterEvaluation
    files: Sequence[Path]

    def lines(self) -> Iterator[str]:
        """Scores with intervals, empty cases and their rules."""
        for each in tables(self.evaluation):
            yield from worded_lines(each)
        yield from (f"rule: {rule}" for rule in self.evaluation.rules)
        yield from (f"note: {note}" for note in self.evaluation.notes)
        yield from map(str, self.files)


def run(request: SegmentEvaluateRequest, *, progress: Progress) -> SegmentEvaluateResult:
    """Evaluate on a split, test by default.

    Raises:
        UserError: the segmenter or a generator of its training images saw a group or an image of
            the split, images are synthetic, or masks are missing or hold unknown values.
    """
    wanted = (
        (request.out, ".json", "--out"),
        (request.table, ".csv", "--table"),
        (request.overlays, ".png", "--overlays"),
    )
    for path, ending, option in wanted:
        if path is not None:
            refuse_out(path, ending, option)
    model = segmenter.load(request.model, pick_device(request.device))
    rows = open_rows(request.data, "test").real()
    refuse_other_modalities(model.info, rows)
    refuse_seen(model.info, rows, request.model.name)
    notes = refuse_seen_recoded(model.info, rows, request.model, progress)
    images = masked_images(rows, progress.track("masks")).numbered(model.info.values)
    for column in request.by:
        levels_of(images.rows, column)
    notes += noted_look(rows, "segment evaluate", request.model)
    masks = predicted_masks(model, images.rows, progress.track("predicting"))
    overlaps = overlaps_of(images, masks, len(model.info.classes))
    evaluation = _evaluation(request, model, images, overlaps, notes)
    if request.out is not None:
        evaluation.save(placed(request.out))
    if request.table is not None:
        write_text(placed(request.table), mask_table(model, images, overlaps))
    if request.overlays is not None:
        picture = _overlays(images, masks, overlaps, model.info.classes)
        write_bytes(placed(request.overlays), picture)
    return SegmentEvaluateResult(evaluation, [path for path, _, _ in wanted if path is not None])


def _evaluation(
    request: SegmentEvaluateRequest,
    model: Segmenter,
    images: MaskedImages,
    overlaps: Overlaps,
    notes: Sequence[str],
) -> SegmenterEvaluation:
    info, rows = model.info, images.rows
    values = [
        MaskScoreValue(**dict(scored(score, part, request.seed)), of_class=name)
        for part in parts_of(overlaps, rows, request.by)
        for name, score in _each_score(info.classes, part.outcome)
    ]
    counted = [(name, cases(overlaps, k)) for k, name in enumerate(info.classes) if k > 0]
    return SegmenterEvaluation(
        model=SegmenterRecord(
            file=request.model.name,
            sha256=sha256_file(request.model),
            network=info.network,
            data=info.data,
            counts=info.counts,
            history=history_of(info),
            fit=_fit(info),
        ),
        data=rows.archive.path.name,
        split=rows.split,
        images_hash=rows.archive.images_hash,
        classes=tuple(info.classes),
        images=len(overlaps),
        groups=len(overlaps.groups.unique()),
        scores=tuple(values),
        titles=TITLES,
        cases=tuple(
            ClassCases(
                of_class=name,
                both=each.both,
                missed=each.missed,
                false_alarms=each.false_alarms,
                neither=each.neither,
            )
            for name, each in counted
        ),
        rules=(EMPTY_RULE, MISS_RULE),
        without=len(images.without),
        ignored=images.values.get(IGNORED, 0.0),
        seed=request.seed,
        version=VERSION,
        environment=here(request.device),
        notes=(*notes, *_notes(info.spec.describe(), images)),
    )


def _fit(info: SegmenterInfo) -> Fit | None:
    if not info.settings:
        return None
    return fit_of(info, {**info.settings, "transforms": info.selection.get("transforms")}, RANDOM)


def _notes(trained: str, images: MaskedImages) -> Iterator[str]:
    rows, given = images.rows, images.rows.archive.info.spec.describe()
    yield from images.without_note()
    if trained != given:
        yield f"the segmenter was trained on {trained}, these images are {given}"
    if not any(row.grouped for row in rows.rows):
        yield "every image is its own group: if patients have several, intervals are too narrow"
    groups = len(rows.groups)
    if groups < SURE_GROUPS:
        yield (
            f"{groups} groups, which is few: a rare miss may be in none of them, and then the "
            "intervals are too narrow"
        )
    if share := images.values.get(IGNORED):
        yield f"{share:.1%} of the pixels are ignored (value {IGNORED})"


def _each_score(classes: Sequence[str], overlaps: Overlaps) -> Iterator[tuple[str, MaskScore]]:
    """Class and score, the mean over several classes first, which has no class."""
    there = overlaps.occurring
    parts = [(classes[k], [k]) for k in there]
    for name, numbers in [(MEAN, there)] * (len(there) > 1) + parts:
        yield from ((name, score) for score in mask_scores(numbers, overlaps.diagonal))


def mask_table(model: Segmenter, images: MaskedImages, overlaps: Overlaps) -> str:
    """One row per image and class, as CSV; empty cells where there is no value."""
    lines = []
    columns = ["file", "source", "group", "split", "class", "true_pixels", "predicted_pixels"]
    for n, row in enumerate(images.rows.ordered):
        for k, name in enumerate(model.info.classes[1:], start=1):
            pixels = (int(overlaps.truth[n, k]), int(overlaps.predicted[n, k]))
            found = (float(of[n, k]) for of in (overlaps.dice, overlaps.iou, overlaps.distance))
            values = ("" if value != value else f"{value:.6g}" for value in found)
            lines.append([row.file, row.source, row.group, row.split or "", name, *pixels, *values])
    return csv_text([*columns, "dice", "iou", "hausdorff95"], lines)


def shown_order(dice: Float[Tensor, " n"]) -> list[int]:
    """Numbers of images, the worst first. Those without any class have no value, and are only
    there where all are such.
    """
    order: list[int] = dice.nan_to_num(2.0).argsort(stable=True).tolist()
    return [n for n in order if not dice[n].isnan()] or order


def _overlays(
    images: MaskedImages, masks: UInt8[Tensor, "n h w"], overlaps: Overlaps, classes: Sequence[str]
) -> bytes:
    """A picture of the worst, middle and best images: image, truth and prediction."""
    dice = overlaps.dice[:, 1:].nanmean(1)
    order = shown_order(dice)
    middle = max(len(order) // 2 - SHOWN // 2, 0)
    parts = {"worst": order[:SHOWN], "middle": order[middle:][:SHOWN], "best": order[-SHOWN:]}
    shown = {n: title for title, numbers in reversed(parts.items()) for n in numbers}
    lines = []
    for n in (each for each in order if each in shown):
        drawn = drawn_beside(images.rows, n, [images.masks[n], masks[n].numpy()])
        row = images.rows.ordered[n]
        title = f"{row.source or row.file}: {shown[n]}, Dice {number(float(dice[n]))}"
        lines.append((title, drawn))
    heads = ("image", "truth", "prediction")
    return contact_sheet(lines, factor=1, heads=heads, legend=legend(classes))
