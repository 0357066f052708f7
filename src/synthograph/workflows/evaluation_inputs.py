"""The image sets of an evaluation, from the archives and networks that a request names."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from synthograph.archive.batches import (
    ArchiveRows,
    ImageSet,
    common_split,
    open_rows,
    path_and_split,
    rows_of_split,
)
from synthograph.archive.manifest import FOLD, Row, in_split
from synthograph.archive.reader import Archive, open_archive
from synthograph.archive.stream import RowSelection, select_rows
from synthograph.core.errors import UserError
from synthograph.core.untrusted.documents import JsonObject
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
        synthetic: images that were generated before, or None.
        run: the run directory, where one was given.
    """

    real: Archive
    split: str | None
    snapshot: Snapshot | None = None
    synthetic: ArchiveRows | None = None
    run: Path | None = None

    @property
    def training(self) -> JsonObject:
        """How the training images were selected from `real`, with the seed of the run, as the
        generator's document says; empty where it says nothing, or names another archive.
        """
        for document in self.documents:
            config = document.get("config") or {}
            data = config.get("data")
            if isinstance(data, Mapping) and document.get("images_hash") == self.real.images_hash:
                return {**data, "seed": config.get("seed", 0)}
        return {}

    @property
    def about(self) -> JsonObject:
        """What every result says of the snapshot; nothing for images of an archive."""
        if self.snapshot is None:
            return {}
        return {
            "snapshot": self.snapshot.path.name,
            "snapshot_sha256": self.snapshot.sha256,
            "kimg": self.snapshot.info.images_seen // 1000,
        }

    @cached_property
    def trained(self) -> Trained:
        """Digests of the groups and images that the generator was trained on, where recorded."""
        return trained_on(self.documents)

    @property
    def stand_in(self) -> str | None:
        """The split taken as training images where the generator does not name them."""
        return "train" if any(row.split for row in self.real.rows) else None

    @property
    def documents(self) -> list[JsonObject]:
        """Documents of the snapshots that made the images."""
        if self.snapshot is not None:
            return [self.snapshot.info.tree()]
        return list(self.synthetic.archive.info.snapshots) if self.synthetic is not None else []

    @cached_property
    def train(self) -> ArchiveRows:
        """The training images: those that the run selected, else those of the recorded groups;
        where nothing is recorded, split train, or all images. There may be none.
        """
        data, rows = self.training, list(self.real.rows)
        if data:
            chosen = RowSelection(data.get("split"), data.get("fold"), data.get("subset"))
            rows = select_rows(self.real, chosen, data["seed"])
        elif self.trained.known:
            names = ArchiveRows(self.real, rows).groups
            seen = {names[digest] for digest in names.keys() & self.trained.groups}
            rows = [row for row in rows if row.group in seen]
        else:
            rows = in_split(rows, self.stand_in)
        return ArchiveRows(self.real, rows, common_split(rows))

    def reference(self) -> tuple[ArchiveRows, list[str]]:
        """The reference images and notes on them: the named split, else split test, else the fold
        that was left out of training, else all images.

        Raises:
            UserError: there are none, one is synthetic, or the generator saw them.
        """
        split, splits = self.split, {row.split for row in self.real.rows}
        if split is None and "test" not in splits and self.training.get("fold") is not None:
            split = f"{FOLD}{self.training['fold']}"
        elif split is None and any(splits):
            split = "test"
        chosen = rows_of_split(self.real, split).real()
        return chosen, refuse_overlap(self.trained, chosen.groups, chosen.pixels, chosen.name)

    def images(self, options: "GenerationOptions", rows: Sequence[Row], count: int) -> ImageSet:
        """Synthetic images: those of the archive, or new ones with labels drawn from `rows`."""
        if self.synthetic is not None:
            return self.synthetic.images
        assert self.snapshot is not None, "there is one thing to evaluate"
        return synthetic_images(
            self.snapshot,
            rows,
            count,
            seed=options.seed,
            device=options.device,
            batch=options.batch,
        )


def open_source(
    run: Path | None, network: Path | None, synthetic: Path | None, real: str | None
) -> Source:
    """Open the archives and networks that were named.

    Raises:
        UserError: not exactly one thing to evaluate, or no real images.
    """
    given = [each for each in (run, network, synthetic) if each is not None]
    if len(given) != 1:
        raise UserError(
            f"{len(given)} things to evaluate: give one of RUN_DIR, --network FILE, "
            "--synthetic PATH"
        )
    if run is not None and real is None:
        path, split = archive_path(read_config(run)), None
    elif real is not None:
        path, split = path_and_split(real)
    else:
        raise UserError("--real is missing: name an archive of real images, such as cells.zip:test")
    archive = open_archive(path)
    if synthetic is None:
        snapshot = load(find_snapshot(given[0]))
        return Source(archive, split, snapshot, run=run)
    named = open_rows(str(synthetic))
    title, part = named.archive.path.name, common_split(named.rows)
    return Source(archive, split, synthetic=ArchiveRows(named.archive, named.rows, part, title))


@dataclass(frozen=True)
class GenerationOptions:
    """How images are generated: number (None: chosen here), seed of labels, device, batch size."""

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
        """Which sets will be compared, by which measures."""
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
    mirror, train = bool(source.training.get("mirror")), source.train.rows
    pair = _published_pair(source, options, requested.published)
    if not requested.own:
        return EvaluationInputs(None, pair, options.seed, mirror=mirror)
    reference, notes = source.reference()
    rows = reference.rows
    count = options.num or min(max(len(rows), MIN_IMAGES), MAX_IMAGES)
    held_out = {row.file for row in train}.isdisjoint(row.file for row in rows)
    task = EvaluationTask(
        reference.images,
        source.images(options, rows, count),
        source.train.images if train and held_out else None,
        requested.own,
        tuple(by),
        options.seed,
    )
    parts = [str(part) for part in check(task)]
    if train and not source.trained.known:
        split = f":{source.stand_in}" if source.stand_in else ""
        name = f"{source.real.path.name}{split}"
        notes.append(f"{name} stands for what the generator was trained on")
    return EvaluationInputs(task, pair, options.seed, notes, mirror, parts)


def _published_pair(
    source: Source, options: GenerationOptions, published: Sequence[Published]
) -> tuple[ImageSet, ImageSet] | None:
    """Training images and as many synthetic ones as the largest published measure needs."""
    if not published:
        return None
    if not source.train.rows:
        raise UserError(
            f"{source.real.path}: holds no image that the generator was trained on, as far as can "
            f"be told, and {published[0].name} compares with those: give the archive that was "
            "trained on"
        )
    train = source.train.real().images
    synthetic = source.images(options, source.train.rows, max(spec.count for spec in published))
    for spec in published:
        check_published(spec, train, synthetic.count, synthetic.name)
    check(EvaluationTask(train, synthetic, measures=()))
    return train, synthetic
