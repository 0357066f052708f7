"""Which images are evaluated against which: what was named becomes sets that can be compared."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from synthograph.archive import batches
from synthograph.archive.batches import ImageSet
from synthograph.archive.manifest import FOLD, Row, in_split
from synthograph.archive.reader import Archive, open_archive
from synthograph.archive.stream import RowSelection, select_rows
from synthograph.core.errors import UserError
from synthograph.metrics.evaluate import EvaluationTask, check
from synthograph.metrics.names import MeasureSelection, Published
from synthograph.metrics.overlap import Trained, refuse_overlap, trained_on
from synthograph.metrics.published import check_published
from synthograph.models.snapshot import Snapshot, find_snapshot, load
from synthograph.sampling.image_set import synthetic_images
from synthograph.training.config import archive_path
from synthograph.training.run import read_config

MIN_IMAGES, MAX_IMAGES = 1000, 50_000
"""Synthetic images where --num does not say: as many as real ones, within these."""


@dataclass(frozen=True)
class Source:
    """What is evaluated, and against what.

    Attributes:
        real: archive of real images.
        split: which split of it the user named.
        snapshot: the generator, or None.
        synthetic: archive of synthetic images and their rows, or None.
        run: the run directory, where one was given.
    """

    real: Archive
    split: str | None
    snapshot: Snapshot | None = None
    synthetic: tuple[Archive, list[Row]] | None = None
    run: Path | None = None

    @property
    def training(self) -> Mapping[str, Any]:
        """What a generator's document says of the images of `real` that trained it, with the seed
        of its run; empty where it does not, or where they were others.
        """
        for document in self.documents:
            config = document.get("config") or {}
            data = config.get("data")
            if isinstance(data, Mapping) and document.get("images_hash") == self.real.images_hash:
                return {**data, "seed": config.get("seed", 0)}
        return {}

    @cached_property
    def trained(self) -> Trained:
        """What the generator says that it saw, as digests."""
        return trained_on(self.documents)

    @property
    def stand_in(self) -> str | None:
        """The split that stands for the training images of a generator that does not name them."""
        return "train" if any(row.split for row in self.real.rows) else None

    @property
    def documents(self) -> list[Mapping[str, Any]]:
        """Documents of the snapshots that made the images."""
        if self.snapshot is not None:
            return [self.snapshot.info.tree()]
        return list(self.synthetic[0].info.snapshots) if self.synthetic is not None else []

    @cached_property
    def training_rows(self) -> list[Row]:
        """What the generator was trained on: the images that its run names, else those of the
        groups that it says it saw; split train, or all images, only where it says nothing at all.
        """
        data, rows = self.training, self.real.rows
        if data:
            chosen = RowSelection(data.get("split"), data.get("fold"), data.get("subset"))
            return select_rows(self.real, chosen, data["seed"])
        if self.trained.known:
            names = batches.group_digests(self.real, rows)
            seen = {names[digest] for digest in names.keys() & self.trained.groups}
            return [row for row in rows if row.group in seen]
        return in_split(rows, self.stand_in)


def open_source(
    run: Path | None, network: Path | None, synthetic: Path | None, real: str | None
) -> Source:
    """Open what was named.

    Raises:
        UserError: not exactly one thing to evaluate, or no real images.
    """
    given = [each for each in (run, network, synthetic) if each is not None]
    if len(given) != 1:
        raise UserError(
            f"{len(given)} things to evaluate: give one of RUN_DIR, --network FILE, "
            "--synthetic PATH"
        )
    if run is not None:
        config = read_config(run)
        path, split = (
            batches.path_and_split(real) if real is not None else (archive_path(config), None)
        )
        return Source(open_archive(path), split, load(find_snapshot(run)), run=run)
    if real is None:
        raise UserError("--real is missing: name an archive of real images, such as cells.zip:test")
    path, split = batches.path_and_split(real)
    archive = open_archive(path)
    if network is not None:
        return Source(archive, split, load(find_snapshot(network)))
    path, part = batches.path_and_split(str(synthetic))
    other = open_archive(path)
    return Source(archive, split, synthetic=(other, batches.rows_of_split(other, part)))


@dataclass(frozen=True)
class GenerationOptions:
    """How images are generated: how many (None: chosen), which labels, where, how many at once."""

    num: int | None
    seed: int
    device: str
    batch: int


@dataclass(frozen=True)
class EvaluationInputs:
    """The sets to compare, all checks done.

    Attributes:
        task: for our own measures; None where only published ones are requested.
        published: training and synthetic images for published measures, or None.
        seed: of everything random.
        notes: what a reader should know of the sets.
        mirror: whether training saw flips.
        parts: what will be measured one by one.
    """

    task: EvaluationTask | None
    published: tuple[ImageSet, ImageSet] | None
    seed: int
    notes: Sequence[str] = ()
    mirror: bool = False
    parts: Sequence[str] = ()

    def lines(self) -> Iterator[str]:
        """What will be compared, before it takes time."""
        task, (train, synthetic) = self.task, self.published or (None, None)
        sets = {"published: training images": train, "published: generated": synthetic}
        if task is not None:
            ours = {"reference": task.real, "training images": task.train}
            sets = {**ours, "generated": task.fake, **sets}
        for what, images in sets.items():
            if images is not None:
                groups = "" if "generated" in what else f" of {images.group_count} groups"
                yield f"{what}: {images.name}, {images.count} images{groups}"
        if task is not None:
            yield f"measures: {', '.join(task.measures)}"
            yield f"of: {', '.join(self.parts)}"
        yield from (f"note: {note}" for note in self.notes)


def evaluation_inputs(
    source: Source, options: GenerationOptions, requested: MeasureSelection, by: Sequence[str]
) -> EvaluationInputs:
    """The sets for the measures that are requested.

    Raises:
        UserError: sets that cannot be compared, or a reference that was trained on.
    """
    train_rows = source.training_rows
    mirror = bool(source.training.get("mirror"))
    train = None
    if train_rows:
        train = batches.archive_images(source.real, train_rows, split=_common_split(train_rows))
    pair = _published_pair(source, options, requested.published, train)
    if not requested.own:
        return EvaluationInputs(None, pair, options.seed, mirror=mirror)
    rows, split, notes = _reference(source)
    count = options.num or min(max(len(rows), MIN_IMAGES), MAX_IMAGES)
    held_out = {row.file for row in train_rows}.isdisjoint(row.file for row in rows)
    task = EvaluationTask(
        batches.archive_images(source.real, rows, split=split),
        _synthetic(source, options, rows, count),
        train if held_out else None,
        requested.own,
        tuple(by),
        options.seed,
    )
    parts = [str(part) for part in check(task)]
    if train_rows and not source.trained.known:
        split = f":{source.stand_in}" if source.stand_in else ""
        name = f"{source.real.path.name}{split}"
        notes.append(f"{name} stands for what the generator was trained on")
    return EvaluationInputs(task, pair, options.seed, notes, mirror, parts)


def _published_pair(
    source: Source,
    options: GenerationOptions,
    published: Sequence[Published],
    train: ImageSet | None,
) -> tuple[ImageSet, ImageSet] | None:
    """Training images and as many synthetic ones as the largest published measure needs."""
    if not published:
        return None
    if train is None:
        raise UserError(
            f"{source.real.path}: holds no image that the generator was trained on, as far as can "
            f"be told, and {published[0].name} compares with those: give the archive that was "
            "trained on"
        )
    batches.refuse_synthetic(source.real, source.training_rows)
    count = max(spec.count for spec in published)
    synthetic = _synthetic(source, options, source.training_rows, count)
    for spec in published:
        check_published(spec, train, synthetic.count, synthetic.name)
    check(EvaluationTask(train, synthetic, measures=()))
    return train, synthetic


def _common_split(rows: Sequence[Row]) -> str | None:
    splits = {row.split for row in rows}
    return splits.pop() if len(splits) == 1 else None


def _reference(source: Source) -> tuple[list[Row], str | None, list[str]]:
    """Rows to compare with, their split, and notes.

    Raises:
        UserError: there are none, one is synthetic, or the generator saw them.
    """
    archive = source.real
    split = source.split or _held_out(source)
    rows = batches.rows_of_split(archive, split)
    batches.refuse_synthetic(archive, rows)
    notes = refuse_overlap(
        source.trained,
        batches.group_digests(archive, rows),
        batches.image_digests(archive, rows),
        archive.path.name if split is None else f"{archive.path.name}:{split}",
    )
    return rows, split, notes


def _held_out(source: Source) -> str | None:
    """What is compared with where nothing is named: split test, else the fold that the generator
    did not see, else all images.
    """
    splits, fold = {row.split for row in source.real.rows}, source.training.get("fold")
    if "test" not in splits and fold is not None:
        return f"{FOLD}{fold}"
    return "test" if any(splits) else None


def _synthetic(
    source: Source, options: GenerationOptions, rows: Sequence[Row], count: int
) -> ImageSet:
    """Synthetic images: those of the archive, or new ones with labels drawn from `rows`."""
    if source.synthetic is not None:
        archive, chosen = source.synthetic
        split = _common_split(chosen)
        return batches.archive_images(archive, chosen, split=split, name=archive.path.name)
    assert source.snapshot is not None, "there is one thing to evaluate"
    return synthetic_images(
        source.snapshot,
        rows,
        count,
        seed=options.seed,
        device=options.device,
        batch=options.batch,
    )
