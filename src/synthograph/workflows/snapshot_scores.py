"""Scores of snapshots during training, measured against held-out images."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from synthograph.archive.batches import ArchiveRows, ImageSet, with_mirrored
from synthograph.archive.reader import Archive
from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.untrusted.tensors import write_tensors
from synthograph.features import registry
from synthograph.features.base import ChoosyExtractor
from synthograph.features.packaged import RANDOM
from synthograph.features.registry import feature_folder
from synthograph.metrics.columns import features_of
from synthograph.metrics.evaluate import MIN_IMAGES, EvaluationTask, evaluate
from synthograph.metrics.measures import BY_NAME, compare
from synthograph.metrics.names import (
    EXTRACTOR_MEASURES,
    FEATURE_MEASURES,
    PROBABILITY_MEASURES,
    MeasureSelection,
    PublishedName,
    parse_selection,
)
from synthograph.metrics.noise import NO_NOISE, PAIRS
from synthograph.metrics.overlap import refuse_overlap, trained_on
from synthograph.metrics.published import measure_published
from synthograph.metrics.report_text import interval_text, number
from synthograph.models.snapshot import Snapshot, SnapshotInfo, load
from synthograph.models.snapshot_files import kimg_of
from synthograph.results.diversity import NOISE_SHARE, WITHIN_CLASSES
from synthograph.results.evaluation import (
    HELD_OUT,
    Entry,
    Measurements,
    PublishedMeasure,
    ResultLine,
)
from synthograph.results.measures import Direction
from synthograph.results.race import RaceScore
from synthograph.sampling.image_set import synthetic_images
from synthograph.stats.sample import Sample
from synthograph.training.config import MEASURES, RunConfig
from synthograph.training.model_selection import Measured
from synthograph.training.session import Session
from synthograph.training.setup import held_out, with_count
from synthograph.training.state import Score
from synthograph.workflows.environment import here
from synthograph.workflows.extractors import extractor, missing_weights

SEED = 0
"""Of labels and blocks. Images have the seeds from 0 on, the same for every snapshot."""
MIN_BATCH, MAX_BATCH = 16, 64
"""Images that are generated at once: as many as train at once, within these."""
WARM_UP, TIMED = 8, 48
"""Images to warm up with, and those from whose time that of a measurement is estimated."""
LABEL_VECTORS = "images for label vectors have no class to be drawn by; use 'synthograph evaluate'"


def check_measures(config: RunConfig, archive: Archive) -> None:
    """Refuse what cannot be measured, before a run begins; missing weights are no reason to.

    Raises:
        UserError: unknown names, damaged weights, an extractor for other images, or patience where
            nothing can choose.
    """
    requested = requested_measures(config)
    _lacking(config, requested)
    if requested.own and held_out(archive, config.data)[0]:
        refuse_unfit(config.metrics.features, archive.info.spec, requested.own)
    patience = config.metrics.patience
    if patience is None:
        return
    if _choosing(config) is None:
        raise UserError(
            f"--patience {patience}: no measure chooses a best snapshot; add one to --metrics, "
            "such as frechet"
        )
    if not held_out(archive, config.data)[0]:
        raise UserError(f"--patience {patience}: {_no_validation(archive)}")
    if config.data.cond and any(row.vector() for row in archive.rows):
        raise UserError(f"--patience {patience}: {LABEL_VECTORS}")


def snapshot_scorer(session: Session) -> "SnapshotScorer | None":
    """The scorer of a session's snapshots; None where no measure is requested, or the generator
    takes label vectors.
    """
    config, condition = session.config, session.info.condition
    requested = requested_measures(config)
    nothing = not (requested.own or requested.published)
    if nothing or (condition.width and not condition.classes):
        return None
    reference, notes = None, list[str]()
    if requested.own:
        reference, notes = _reference(config, session.rows.archive, session.info)
    lacking, skipped = _lacking(config, requested)
    own = [n for n in config.metrics.measures if n in requested.own and n not in lacking]
    own = own if reference is not None else []
    choosing = _choosing(config)
    return SnapshotScorer(
        config=config,
        device=str(session.device),
        train=session.rows,
        reference=reference,
        own=own,
        published=[spec for spec in requested.published if spec.name not in lacking],
        choosing=choosing if choosing in own else None,
        notes=notes,
        skipped=skipped,
    )


def not_measurable(config: RunConfig) -> list[str]:
    """Lines on the measures that a run asks for and that cannot be had here.

    Raises:
        UserError: an unknown name, or weights that cannot be read.
    """
    return _lacking(config, requested_measures(config))[1]


def requested_measures(config: RunConfig) -> MeasureSelection:
    """The measures that a run asks for.

    Raises:
        UserError: an unknown name, or a path length.
    """
    if not config.metrics.measures:
        return MeasureSelection(())
    requested = parse_selection(config.metrics.measures)
    if requested.paths:
        raise UserError(
            f"--metrics {requested.paths[0].name}: path lengths are not measured while a run "
            "trains; leave it out and use 'synthograph evaluate' on the snapshots"
        )
    return requested


def _choosing(config: RunConfig) -> str | None:
    """The first requested measure that can choose the best snapshot."""
    names = (name for name in config.metrics.measures if name in BY_NAME)
    return next((name for name in names if BY_NAME[name].chooses), None)


def _lacking(config: RunConfig, requested: MeasureSelection) -> tuple[set[str], list[str]]:
    """Measures that cannot be had, and lines that say why.

    Raises:
        UserError: an unknown name of an extractor, or weights that cannot be read.
    """
    features, lacking, skipped = config.metrics.features, set[str](), list[str]()
    for name in dict.fromkeys([features, *(spec.extractor for spec in requested.published)]):
        reason = missing_weights(name)
        lost = [spec.name for spec in requested.published if spec.extractor == name]
        if name == features:
            lost += [own for own in requested.own if own in EXTRACTOR_MEASURES]
        if reason is not None and lost:
            lacking |= {*lost}
            skipped.append(f"skipped: {', '.join(lost)}: {reason}")
    if not config.model.has_noise:
        lacking.add(NOISE_SHARE)
        if tuple(config.metrics.measures) != MEASURES and NOISE_SHARE in requested.own:
            skipped.append(NO_NOISE)
    for name in () if registry.classifies(features) else PROBABILITY_MEASURES:
        if name in requested.own:
            lacking.add(name)
            others = " or ".join(registry.classifying())
            skipped.append(f"skipped: {name}: needs --features {others}")
    return lacking, skipped


def refuse_unfit(name: str, spec: ImageSpec, measures: Sequence[str]) -> None:
    """Refuse a network of the user's own that was made for other images; all others take any.

    Args:
        name: of the extractor.
        spec: of the images.
        measures: what is to be measured; not all need an extractor.

    Raises:
        UserError: it was.
    """
    if name in registry.NAMES or {*EXTRACTOR_MEASURES}.isdisjoint(measures):
        return
    one = extractor(name)
    if isinstance(one, ChoosyExtractor) and not one.takes(spec.channels):
        raise UserError(
            f"--features {name}: its network does not take images of {spec.channels} channels, as "
            f"these have; name another one, such as {RANDOM}"
        )


def _no_validation(archive: Archive) -> str:
    return (
        f"{archive.path.name} has no split val, so no images are held out that could choose a best "
        "snapshot; 'synthograph split' makes one"
    )


def _reference(
    config: RunConfig, archive: Archive, info: SnapshotInfo
) -> tuple[ArchiveRows | None, list[str]]:
    """Held-out images and notes on them; None, with the reason, where they cannot be used."""
    rows, split = held_out(archive, config.data)
    if not rows:
        return None, [f"nothing is measured by held-out images: {_no_validation(archive)}"]
    fold = "" if config.data.fold is None else f", fold {config.data.fold}"
    name = f"{archive.path.name}{'' if split is None else f':{split}'}{fold}"
    chosen = ArchiveRows(archive, rows, split, name)
    try:
        notes = refuse_overlap(trained_on([info.tree()]), chosen.real())
        if len(rows) < MIN_IMAGES:
            raise UserError(f"{name} has {len(rows)} images, at least {MIN_IMAGES} are needed")
    except UserError as error:
        return None, [f"nothing is measured by held-out images: {error}"]
    return chosen, notes


@dataclass(frozen=True, kw_only=True)
class SnapshotScorer:
    """Measures the snapshots of a run: an `on_snapshot` of `training.loop.Trainer`.

    Attributes:
        device: where images are generated and features extracted.
        train: the training images, for published names.
        reference: images that were held out; None where there are none to compare with.
        own: measures by held-out images that can be had, in the user's order.
        choosing: the measure that chooses the best snapshot; None where it cannot be had.
        skipped: what cannot be measured, and why.
    """

    config: RunConfig
    device: str
    train: ArchiveRows
    reference: ArchiveRows | None
    own: Sequence[str]
    published: Sequence[PublishedName]
    choosing: str | None
    notes: Sequence[str] = ()
    skipped: Sequence[str] = ()

    @property
    def features(self) -> list[str]:
        """The extractor for held-out images, in a list; empty where only pixels are measured."""
        needed = not {*EXTRACTOR_MEASURES}.isdisjoint(self.own)
        return [self.config.metrics.features] if needed else []

    @property
    def num(self) -> int:
        """Number of synthetic images that are compared with held-out ones."""
        assert self.reference is not None, "there is something to measure"
        count = with_count(self.config.metrics, len(self.reference.rows)).num
        assert count is not None, "it follows from the number of real images"
        return count

    def lines(self) -> Iterator[str]:
        """What will be measured, and what not."""
        if self.reference is not None and self.own:
            images = self.reference.images
            by = f" ({', '.join(self.features)})" if self.features else ""
            chosen = f"; {self.choosing} chooses the best one" if self.choosing else ""
            yield (
                f"at every snapshot: {', '.join(self.own)}{by} of {self.num} generated images by "
                f"{images.count} images of {images.group_count} groups of {images.name}{chosen}"
            )
        if self.published:
            yield (
                f"at every snapshot: {', '.join(spec.name for spec in self.published)} by the "
                f"{len(self.train.rows)} training images, which chooses nothing"
            )
        yield from (f"note: {text}" for text in self.notes)
        yield from self.skipped
        if self.config.metrics.patience is not None and self.choosing is None:
            yield "note: --patience has no effect, since nothing chooses a best snapshot"

    def __call__(self, path: Path, images: int) -> Measured:
        """Measure a snapshot; what goes wrong is logged, and stops no training."""
        start = time.monotonic()
        try:
            snapshot = load(path)
            report = self._by_held_out(snapshot) if self.own else Measurements()
            results = [self._as_published(snapshot, spec) for spec in self.published]
        except (UserError, RuntimeError) as error:  # too little memory is of the second kind
            return Measured(log_lines=[f"not measured: {error}"])
        about: JsonObject = {
            "snapshot": path.name,
            "snapshot_sha256": snapshot.sha256,
            "kimg": kimg_of(path, images),
            "environment": here(self.device),
        }
        lines: list[ResultLine] = [result.replace(**about) for result in results]
        if report.entries:
            lines.append(report.replace(metric=HELD_OUT, **about))
        chosen = [entry for entry in report.entries if entry.scope.modality is None]
        scores = [self._score(entry) for entry in chosen]
        numbers = [entry_text(entry) for entry in chosen if entry.scope.whole]
        numbers += [f"{key} {number(n)}" for each in results for key, n in each.results.items()]
        seconds = f"; took {time.monotonic() - start:.1f} s"
        said = [f"metrics: {', '.join(numbers)}{seconds}"] * bool(numbers)
        return Measured(scores, lines, [*said, *_within_classes(chosen)])

    def _by_held_out(self, snapshot: Snapshot) -> Measurements:
        assert self.reference is not None, "there is something to measure"
        sets = self.reference.images, self._synthetic(snapshot, self.reference, self.num)
        if sets[1].labels is None:
            sets = replace(sets[0], labels=None), sets[1]
        # made anew each time, so that training has the memory in between
        extractors = [extractor(name, device=self.device) for name in self.features]
        request = EvaluationTask(
            *sets,
            measures=tuple(self.own),
            measures_of_parts=tuple(name for name in self.own if name in WITHIN_CLASSES),
            seed=SEED,
        )
        return evaluate(request, extractors, folder=feature_folder(), notes=self.notes)

    def _as_published(self, snapshot: Snapshot, spec: PublishedName) -> PublishedMeasure:
        synthetic, train = self._synthetic(snapshot, self.train, spec.count), self.train.images
        if self.config.data.mirror and not spec.full:
            train = with_mirrored(train)
        one = extractor(spec.extractor, device=self.device)
        return measure_published(spec, train, synthetic, one, folder=feature_folder(), seed=SEED)

    def _synthetic(self, snapshot: Snapshot, like: ArchiveRows, count: int) -> ImageSet:
        """Synthetic images whose labels are as frequent as in a set. Their features are not cached:
        every snapshot has its own.
        """
        batch = min(max(self.config.training.batch_gpu, MIN_BATCH), MAX_BATCH)
        images = synthetic_images(
            snapshot, like.rows, count, seed=SEED, device=self.device, batch=batch
        )
        return replace(images, key=None)

    def _score(self, entry: Entry) -> Score:
        ends, part = entry.interval, entry.scope.level
        chooses = entry.name == self.choosing and entry.scope.whole
        interval = None if ends is None else (ends.low, ends.high, ends.level)
        smaller = entry.direction is Direction.LOW
        return Score(entry.name, entry.value, interval, smaller, chooses, part)

    def seconds(self, session: Session) -> float:
        """Estimated seconds to measure a snapshot: the time of a few images, and of comparing
        random features.
        """
        jobs: list[tuple[ArchiveRows, str, int]] = []
        if self.reference is not None:
            jobs += [(self.reference, name, self.num) for name in self.features]
        jobs += [(self.train, spec.extractor, spec.count) for spec in self.published]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "generator.safetensors"
            write_tensors(path, session.state.ema.state_dict(), session.info.tree())
            snapshot = load(path)
            measuring = sum(self._seconds_of(snapshot, *job) for job in jobs)
            return measuring + self._drawing_again(snapshot)

    def _drawing_again(self, snapshot: Snapshot) -> float:
        """Seconds for the images that are drawn with fixed noise."""
        if self.reference is None or NOISE_SHARE not in self.own:
            return 0.0
        few = min(self.num, TIMED)
        again = self._synthetic(snapshot, self.reference, few).fixed_noise
        assert again is not None, "the generator has noise"
        start = time.perf_counter()
        for _ in again(range(few)):
            pass
        return (time.perf_counter() - start) / few * min(self.num, PAIRS)

    def _seconds_of(
        self, snapshot: Snapshot, reference: ArchiveRows, name: str, count: int
    ) -> float:
        one, times = extractor(name, device=self.device), []
        for few in (WARM_UP, min(count, TIMED)):
            synthetic, start = self._synthetic(snapshot, reference, few), time.perf_counter()
            features_of(synthetic, one, folder=feature_folder())
            times.append((time.perf_counter() - start) / few)
        real_count = reference.images.count
        drawn = Streams(SEED).normal("watch", torch.arange(real_count + count), (one.dims,))
        real = Sample(drawn[:real_count], reference.images.groups)
        start = time.perf_counter()
        compare(real, Sample.singles(drawn[real_count:]), FEATURE_MEASURES, seed=SEED)
        return times[-1] * count + time.perf_counter() - start


def _within_classes(entries: Sequence[Entry]) -> Iterator[str]:
    """A line on every class."""
    for part in dict.fromkeys(entry.scope for entry in entries if not entry.scope.whole):
        found = [entry for entry in entries if entry.scope == part and entry.value is not None]
        if found:
            yield f"metrics of {part}: {', '.join(map(entry_text, found))}"


def entry_text(entry: Entry | RaceScore) -> str:
    """A measure with its value and interval."""
    interval = "" if entry.interval is None else f" ({interval_text(entry.interval)})"
    return f"{entry.name} {number(entry.value)}{interval}"
