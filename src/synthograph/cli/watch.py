"""Measures while a run trains: every snapshot by images that were held out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synthograph.archive.batches import ImageSet
    from synthograph.archive.manifest import Row
    from synthograph.archive.reader import Archive
    from synthograph.metrics.evaluate import Entry, Report
    from synthograph.metrics.names import Published, Wanted
    from synthograph.models.snapshot import Snapshot, SnapshotInfo
    from synthograph.training.choice import Measured, Score
    from synthograph.training.config import RunConfig
    from synthograph.training.session import Session
    from synthograph.training.setup import Data

SEED = 0
"""Of labels and blocks. Images have the seeds from 0 on, the same for every snapshot."""
LEAST_BATCH, MOST_BATCH = 16, 64
"""Images that are generated at once: as many as train at once, within these."""
WARM, TIMED = 8, 48
"""Images to warm up with, and those from whose time that of a measurement is estimated."""
BY_VECTOR = "images for label vectors have no class to be drawn by; use 'synthograph evaluate'"
HELD_OUT = "held_out"
"""What `metrics.jsonl` calls measures by held-out images."""


def check_watch(config: "RunConfig", archive: "Archive") -> None:
    """Refuse what cannot be measured, before a run begins; missing weights are no reason to.

    Raises:
        UserError: unknown names, damaged weights, or patience where nothing can choose.
    """
    from synthograph.core.errors import UserError
    from synthograph.training.setup import held_out

    _missing(config, _wanted(config))
    patience = config.metrics.patience
    if patience is not None and _leading(config) is None:
        raise UserError(
            f"--patience {patience}: no measure chooses a best snapshot; add one to --metrics, "
            "such as frechet"
        )
    if patience is not None and not held_out(archive, config.data)[0]:
        raise UserError(f"--patience {patience}: {_without(archive)}")
    if patience is not None and config.data.cond and any(row.vector() for row in archive.rows):
        raise UserError(f"--patience {patience}: {BY_VECTOR}")


def watch(session: "Session", data: "Data") -> "Watch | None":
    """What measures the snapshots of a session; None where nothing is to be measured, or the
    generator takes label vectors.
    """
    from synthograph.archive.batches import archive_images

    config, condition = session.config, session.info.condition
    wanted = _wanted(config)
    if not (wanted.own or wanted.published) or (condition.width and not condition.classes):
        return None
    held, notes = _reference(config, data, session.info) if wanted.own else (None, [])
    images = archive_images(data.archive, data.rows, split=data.split)
    return Watch(
        config,
        wanted,
        str(session.device),
        Part(data.rows, images),
        held,
        _missing(config, wanted),
        notes,
    )


def _wanted(config: "RunConfig") -> "Wanted":
    from synthograph.core.errors import UserError
    from synthograph.metrics.names import Wanted, parse_wanted

    if not config.metrics.measures:
        return Wanted(())
    wanted = parse_wanted(config.metrics.measures)
    if wanted.paths:
        raise UserError(
            f"--metrics {wanted.paths[0].name}: path lengths are not measured while a run trains; "
            "leave it out and use 'synthograph evaluate' on the snapshots"
        )
    return wanted


def _leading(config: "RunConfig") -> str | None:
    """The first measure that tells which of two snapshots is better by held-out images."""
    from synthograph.metrics.report_text import DISTANCES, GOOD

    return next((n for n in config.metrics.measures if n in (*DISTANCES, *GOOD)), None)


def _missing(config: "RunConfig", wanted: "Wanted") -> dict[str, str]:
    """Extractors whose weights are not here, and how to get them."""
    from synthograph.features import registry
    from synthograph.features.base import MissingWeightsError

    found = {}
    names = (config.metrics.features, *(spec.extractor for spec in wanted.published))
    for name in dict.fromkeys(names):
        if name != registry.DEFAULT:  # which needs none
            try:
                registry.extractor(name)
            except MissingWeightsError as error:
                found[name] = str(error)
    return found


def _without(archive: "Archive") -> str:
    return (
        f"{archive.path.name} has no split val, so no images are held out that could choose a best "
        "snapshot; 'synthograph split' makes one"
    )


@dataclass(frozen=True)
class Part:
    """Images to compare with, and their rows, from which labels are drawn."""

    rows: "Sequence[Row]"
    images: "ImageSet"


def _reference(
    config: "RunConfig", data: "Data", info: "SnapshotInfo"
) -> tuple[Part | None, list[str]]:
    """Held-out images, and what a reader should know; None where they are not fit to compare."""
    from synthograph.archive import batches
    from synthograph.core.errors import UserError
    from synthograph.metrics.evaluate import LEAST
    from synthograph.metrics.overlap import refuse_overlap, trained_on
    from synthograph.training.setup import held_out

    archive = data.archive
    rows, split = held_out(archive, config.data)
    if not rows:
        return None, [f"nothing is measured by held-out images: {_without(archive)}"]
    fold = "" if config.data.fold is None else f", fold {config.data.fold}"
    name = f"{archive.path.name}{'' if split is None else f':{split}'}{fold}"
    try:
        batches.refuse_synthetic(archive, rows)
        groups, files = batches.group_digests(archive, rows), batches.image_digests(archive, rows)
        notes = refuse_overlap(trained_on([info.tree()]), groups, files, name)
    except UserError as error:
        return None, [f"nothing is measured by held-out images: {error}"]
    if len(rows) < LEAST:
        few = f"{name} has {len(rows)} images, at least {LEAST} are needed"
        return None, [f"nothing is measured by held-out images: {few}"]
    return Part(rows, batches.archive_images(archive, rows, name=name, split=split)), notes


@dataclass(frozen=True)
class Watch:
    """Measures the snapshots of a run: an `on_snapshot` of `training.loop.Trainer`.

    Attributes:
        config: of the run.
        wanted: what is measured.
        device: where images are generated and features extracted.
        train: the training images, for published names.
        held: images that were held out; None where there are none to compare with.
        missing: extractors whose weights are not here, and how to get them.
        notes: what a reader should know.
    """

    config: "RunConfig"
    wanted: "Wanted"
    device: str
    train: Part
    held: Part | None
    missing: Mapping[str, str]
    notes: Sequence[str] = ()

    @property
    def own(self) -> list[str]:
        """Measures by held-out images that can be had, in the user's order."""
        if self.held is None:
            return []
        names = [name for name in self.config.metrics.measures if name in self.wanted.own]
        without = self.config.metrics.features in self.missing
        return [n for n in names if not (without and _of_features(n)) and n != self.unfit]

    @property
    def unfit(self) -> str | None:
        """A wanted measure that the extractor cannot give."""
        from synthograph.metrics.names import SCORE

        wanted = SCORE in self.wanted.own and self.config.metrics.features != "inception"
        return SCORE if wanted else None

    @property
    def published(self) -> "list[Published]":
        """Measures under published names that can be had."""
        return [spec for spec in self.wanted.published if spec.extractor not in self.missing]

    @property
    def leading(self) -> str | None:
        """The measure that chooses the best snapshot; None where it cannot be had."""
        name = _leading(self.config)
        return name if name in self.own else None

    @property
    def features(self) -> list[str]:
        """Extractors of measures by held-out images; there are none where only pixels count."""
        return [self.config.metrics.features] * any(map(_of_features, self.own))

    @property
    def num(self) -> int:
        """Generated images for measures by held-out ones."""
        from synthograph.training.setup import with_count

        assert self.held is not None, "there is something to measure"
        count = with_count(self.config.metrics, self.held.images.count).num
        assert count is not None, "it follows from the number of real images"
        return count

    def lines(self) -> Iterator[str]:
        """What will be measured, and what not."""
        if self.held is not None and self.own:
            images = self.held.images
            by = f" ({', '.join(self.features)})" if self.features else ""
            chosen = f"; {self.leading} chooses the best one" if self.leading else ""
            yield (
                f"at every snapshot: {', '.join(self.own)}{by} of {self.num} generated images by "
                f"{images.count} images of {images.group_count} groups of {images.name}{chosen}"
            )
        if self.published:
            yield (
                f"at every snapshot: {', '.join(spec.name for spec in self.published)} by the "
                f"{self.train.images.count} training images, which chooses nothing"
            )
        yield from (f"note: {text}" for text in self.notes)
        for name, reason in self.missing.items():
            asked = [spec.name for spec in self.wanted.published if spec.extractor == name]
            if name == self.config.metrics.features:
                asked += filter(_of_features, self.wanted.own)
            if asked:
                yield f"skipped: {', '.join(asked)}: {reason}"
        if self.unfit is not None:
            yield f"skipped: {self.unfit}: needs --features inception"
        if self.config.metrics.patience is not None and self.leading is None:
            yield "note: --patience has no effect, since nothing chooses a best snapshot"

    def __call__(self, path: Path, images: int) -> "Measured":
        """Measure a snapshot; what goes wrong is told, and stops no training."""
        import time

        from synthograph.core.errors import UserError
        from synthograph.metrics.evaluate import Report
        from synthograph.models.snapshot import load
        from synthograph.training.choice import Measured

        start = time.monotonic()
        try:
            snapshot = load(path)
            report = self._by_held_out(snapshot) if self.own else Report()
            results = [self._as_published(snapshot, spec) for spec in self.published]
        except (UserError, RuntimeError) as error:  # too little memory is of the second kind
            return Measured(told=[f"not measured: {error}"])
        about = {
            "snapshot": path.name,
            "snapshot_sha256": snapshot.sha256,
            "kimg": images // 1000,
        }
        lines = [{**about, **result} for result in results]
        if report.entries:
            lines.append({**about, "metric": HELD_OUT, "published": False, **report.json()})
        whole = [entry for entry in report.entries if entry.scope.modality is None]
        scores = [self._score(entry) for entry in whole]
        told = [*map(_in_words, scores), *(_as_words(result) for result in results)]
        took = f"; took {time.monotonic() - start:.1f} s"
        return Measured(scores, lines, [f"metrics: {', '.join(told)}{took}"] if told else [])

    def _by_held_out(self, snapshot: "Snapshot") -> "Report":
        from synthograph.cli.measuring import feature_folder
        from synthograph.features import registry
        from synthograph.metrics.evaluate import Request, evaluate

        assert self.held is not None, "there is something to measure"
        fake = self._generated(snapshot, self.held, self.num)
        # without labels all images are one part, and classes are not measured one by one
        real, made = (replace(images, labels=None) for images in (self.held.images, fake))
        # made anew each time, so that training has the memory in between
        extractors = [registry.extractor(name, device=self.device) for name in self.features]
        request = Request(real, made, measures=tuple(self.own), seed=SEED)
        return evaluate(request, extractors, folder=feature_folder(), notes=self.notes)

    def _as_published(self, snapshot: "Snapshot", spec: "Published") -> dict[str, Any]:
        from synthograph.archive.batches import mirrored
        from synthograph.cli.measuring import feature_folder
        from synthograph.features import registry
        from synthograph.metrics.published import measure_published

        fake = self._generated(snapshot, self.train, spec.count)
        train = self.train.images
        if self.config.data.mirror and not spec.full:
            train = mirrored(train)
        one = registry.extractor(spec.extractor, device=self.device)
        return measure_published(spec, train, fake, one, folder=feature_folder(), seed=SEED).json()

    def _generated(self, snapshot: "Snapshot", part: Part, count: int) -> "ImageSet":
        """Generated images with labels as in a part. Their features are not kept, since every
        snapshot has its own.
        """
        from synthograph.sampling.image_set import generated_images

        batch = min(max(self.config.training.batch_gpu, LEAST_BATCH), MOST_BATCH)
        images = generated_images(
            snapshot, part.rows, count, seed=SEED, device=self.device, batch=batch
        )
        return replace(images, key=None)

    def _score(self, entry: "Entry") -> "Score":
        from synthograph.metrics.report_text import DISTANCES
        from synthograph.training.choice import Score

        value, ends = entry.value, entry.value.interval
        interval = None if ends is None else (ends.low, ends.high, ends.level)
        leads = value.name == self.leading
        return Score(value.name, value.value, interval, value.name in DISTANCES, leads)

    def seconds(self, session: "Session") -> float:
        """About how long the measurement of a snapshot takes: from the time of a few images, and
        that of comparing random features.
        """
        import tempfile

        from synthograph.core.untrusted.tensors import write_tensors
        from synthograph.models.snapshot import load

        jobs: list[tuple[Part, str, int]] = []
        if self.held is not None:
            jobs += [(self.held, name, self.num) for name in self.features]
        jobs += [(self.train, spec.extractor, spec.count) for spec in self.published]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "generator.safetensors"
            write_tensors(path, session.state.ema.state_dict(), session.info.tree())
            snapshot = load(path)
            return sum(self._timed(snapshot, *job) for job in jobs)

    def _timed(self, snapshot: "Snapshot", part: Part, name: str, count: int) -> float:
        import time

        import torch

        from synthograph.cli.measuring import feature_folder
        from synthograph.core.seeds import Streams
        from synthograph.features import registry
        from synthograph.metrics.columns import extractor_column, rows_of
        from synthograph.metrics.measures import compare
        from synthograph.metrics.names import FEATURE_MEASURES
        from synthograph.stats.sample import Sample

        one, times = registry.extractor(name, device=self.device), []
        for few in (WARM, min(count, TIMED)):
            made, start = self._generated(snapshot, part, few), time.perf_counter()
            rows_of(made, [extractor_column(one, made.spec)], folder=feature_folder())
            times.append((time.perf_counter() - start) / few)
        drawn = Streams(SEED).normal("watch", torch.arange(part.images.count + count), (one.dims,))
        real = Sample(drawn[: part.images.count], part.images.groups)
        start = time.perf_counter()
        compare(real, Sample.singles(drawn[part.images.count :]), FEATURE_MEASURES, seed=SEED)
        return times[-1] * count + time.perf_counter() - start


def _of_features(name: str) -> bool:
    from synthograph.metrics.names import FEATURE_MEASURES, SCORE

    return name in (*FEATURE_MEASURES, SCORE)


def _in_words(score: "Score") -> str:
    from synthograph.metrics.report_text import number

    low_high = "" if score.interval is None else " ({} .. {})"
    ends = () if score.interval is None else map(number, score.interval[:2])
    return f"{score.name} {number(score.value)}{low_high.format(*ends)}"


def _as_words(result: Mapping[str, Any]) -> str:
    from synthograph.metrics.report_text import number

    return ", ".join(f"{key} {number(value)}" for key, value in result["results"].items())
