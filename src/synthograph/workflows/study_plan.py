"""What a study would do: groups per fold, the smallest difference that it can see, and hours."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from rich.table import Column, Table
from rich.text import Text

from synthograph.archive.ledger import told
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.downstream import probe
from synthograph.report.words import several
from synthograph.stats.intervals import MIN_GROUPS, quantile
from synthograph.stats.paired import detectable
from synthograph.stats.scores import AUROC, BRIER
from synthograph.training.estimate import coarse_estimate
from synthograph.training.loop import duration
from synthograph.workflows.classifying import open_backbone, predictions_of
from synthograph.workflows.study_folds import PARTS
from synthograph.workflows.study_generators import generator_config, wanted_images
from synthograph.workflows.study_inputs import Inputs, first_training
from synthograph.workflows.study_settings import Condition, StudySettings
from synthograph.workflows.tables import number, table_lines

SAMPLE = 32
"""Images that the network of a probe is timed on."""
GENERATE = 1 / 6
"""Time of a generated image, as a share of that of an image of training."""
PROJECT = 2.5
"""Time of a step of the projection of an image, likewise; at 32x32 it was two to three times."""


@dataclass(frozen=True)
class Cost:
    """A kind of work.

    Attributes:
        seconds: of all of it, for one process; None where it could not be measured.
    """

    what: str
    count: int
    seconds: float | None


@dataclass(frozen=True, repr=False)
class StudyPlan(Result):
    """A study that may begin.

    Attributes:
        inputs: opened and checked.
        fewest: groups of test images of the class that fewest have.
        error: expected standard error of a difference, for given trainings; None with too few
            groups.
        costs: of the parts.
    """

    inputs: Inputs
    fewest: int
    error: float | None
    costs: Sequence[Cost]

    def lines(self) -> Iterator[str]:
        """Folds, arms, the smallest difference, hours."""
        inputs, settings = self.inputs, self.inputs.settings
        yield from table_lines(_groups(inputs))
        for condition in inputs.conditions:
            yield f"arm: {condition}, {_about(condition, inputs)}"
        yield from self._primary(settings)
        yield from (f"note: {note}" for note in inputs.notes)
        for archive in (inputs.archive, *(each.archive for each in inputs.external.values())):
            yield from (f"note: {line}" for line in told(archive.path))
        table = Table("work", Column("number", justify="right"), Column("time", justify="right"))
        for cost in self.costs:
            known = "unknown" if cost.seconds is None else duration(cost.seconds)
            table.add_row(Text(cost.what), str(cost.count), known)
        yield from table_lines(table)
        total = sum(cost.seconds or 0 for cost in self.costs)
        yield (
            f"about {duration(total)} in one process on this machine; processes side by side "
            "(--gpus, or the same command on other machines) share the work"
        )
        yield "nothing was written"

    def _primary(self, settings: StudySettings) -> Iterator[str]:
        primary, task = settings.primary, self.inputs.task
        margin = "none" if primary.margin is None else f"{primary.margin:g}"
        ratio = "" if settings.leading is None else f", ratio {primary.ratio}"
        if primary.condition is None:
            yield f"by {settings.measure}; no comparison is fixed before"
        else:
            fixed = f"{primary.condition}{ratio}, by {settings.measure}, margin {margin}"
            yield f"fixed before: {fixed}"
        near = f"near a value of {settings.expected:g}"
        if task.score is BRIER:
            near = f"where {settings.expected:.0%} are right"
        if task.spread is not None:
            near += f" and a standard deviation of {number(task.spread)} between groups"
        compared, freedom = len(self.inputs.conditions) > 1, self.fewest - 1
        if self.error is None:
            what = "nothing will be decided" if compared else "there will be no interval"
            yield (
                f"{what}: {settings.measure} rests on {several(self.fewest, 'group')} of test "
                f"images, at least {MIN_GROUPS} are needed"
            )
        elif compared:
            others = "generators" if settings.synthetic else "trainings"
            smallest = number(detectable(self.error, freedom))
            yield (
                f"smallest difference that is seen with a power of 80 %: {smallest} of "
                f"{settings.measure}, {near}; if {others} differ, only a larger one is seen"
            )
        else:  # two arms on the same groups are planned to differ by as much as one from the truth
            width = number(quantile(freedom) * self.error)
            yield f"95 % interval of {settings.measure}: about ±{width}, {near}"
        if settings.synthetic and settings.draws == 1:
            yield "one draw of the generator: what is found holds given this generator"


def _groups(inputs: Inputs) -> Table:
    heads = [f"{part}, {what}" for part in PARTS for what in ("groups", "images")]
    table = Table("fold", *(Column(head, justify="right") for head in heads))
    for fold in inputs.folds:
        parts = [fold.part(part) for part in PARTS]
        cells = [str(n) for part in parts for n in (inputs.groups(part.rows), len(part.rows))]
        table.add_row(str(fold.number), *cells)
    for name, images in inputs.external.items():
        counts = (str(inputs.groups(images.rows, name)), str(len(images.rows)))
        table.add_row(Text(name), "", "", "", "", *counts)
    return table


def _about(condition: Condition, inputs: Inputs) -> str:
    settings = inputs.settings
    words = []
    if condition is settings.leading:
        words.append(f"ratios {', '.join(f'{ratio:g}' for ratio in settings.ratios)}")
    elif condition.counted:
        words.append("as many images as the chosen ratio adds")
    draws, seeds = inputs.draws(condition), settings.classifier_seeds
    words.append(f"per fold {several(draws * seeds, 'training')}")
    if draws > 1 and (condition.synthetic or condition.counted):
        words.append(f"from {draws} draws of the images")
    return ", ".join(words)


def make_plan(inputs: Inputs, device: str, progress: Progress) -> StudyPlan:
    """Measure on this machine what a study would cost; write nothing but the cache."""
    progress.log("measuring how long it takes ...")
    costs = [*_generators(inputs, device), *_cells(inputs, device)]
    rows = inputs.tested
    fewest = inputs.task.fewest_groups(rows)
    error = inputs.task.expected_error(rows) if fewest >= MIN_GROUPS else None
    return StudyPlan(inputs, fewest, error, costs)


def _generators(inputs: Inputs, device: str) -> Iterator[Cost]:
    settings, count = inputs.settings, len(inputs.generators)
    if not count:
        return
    images = sum(sum(wanted_images(settings, fold).values()) for fold in inputs.folds)
    images *= settings.draws
    if not settings.generator.trains:
        yield Cost("synthetic images", 0 if settings.generator.sets else images, None)
        return
    config = generator_config(settings, inputs.archive, device)
    measured = coarse_estimate(config, inputs.folds[0].part("train"), 5.0)
    per_kimg = measured.augmented or measured.sec_per_kimg
    yield Cost("generators", count, count * config.training.kimg * per_kimg)
    yield Cost("synthetic images", images, images * per_kimg * GENERATE / 1000)
    if settings.labels:
        masks = settings.generator.masks
        steps = count * masks.num * masks.steps
        yield Cost("mask generators", count, steps * per_kimg * PROJECT / 1000)


def _cells(inputs: Inputs, device: str) -> Iterator[Cost]:
    settings = inputs.settings
    cells = list(inputs.candidates())
    if settings.leading is not None:
        places = [(fold.number, draw) for fold in inputs.folds for draw in range(settings.draws)]
        cells += inputs.controls(dict.fromkeys(places, settings.ratios[-1]))
    fold = inputs.folds[0]
    part = fold.part("train")
    if not settings.probe:
        seconds = inputs.task.seconds(first_training(inputs.task, fold, device), fold)
        yield Cost("trainings", len(cells), len(cells) * seconds)
        return
    extractor = open_backbone(settings.classifier.get("backbone"), device)
    batch = next(iter(part.images.batches()))[:SAMPLE]
    extractor(batch[:1])
    begun = time.monotonic()
    features = extractor(batch)
    per_image = (time.monotonic() - begun) / len(batch)
    synthetic = sum(
        sum(wanted_images(settings, fold).values()) * settings.draws for fold in inputs.folds
    )
    images = len(inputs.archive.rows) + synthetic
    images += sum(len(each.rows) for each in inputs.external.values())
    yield Cost("features of images", images, images * per_image)
    yield Cost("classifiers", len(cells), len(cells) * _fit_seconds(inputs, features.shape[1]))


def _fit_seconds(inputs: Inputs, dims: int) -> float:
    """Time of a probe on as many numbers as the first fold has, which are easier to tell apart."""
    fold, classes = inputs.folds[0], inputs.archive.info.classes
    train, checked = fold.part("train"), fold.part("val")
    labels = probe.class_numbers([row.label or "" for row in train.ordered], classes)
    blank = predictions_of(checked, classes)
    values, others = (
        torch.randn(len(of), dims) + torch.nn.functional.one_hot(of, dims)
        for of in (labels, blank.labels)
    )
    begun = time.monotonic()
    weights = torch.ones(len(labels), dtype=torch.float64)
    shares = probe.frequencies(labels, len(classes))
    probe.fit(values, labels, weights, replace(blank), others, shares, AUROC)
    return time.monotonic() - begun
