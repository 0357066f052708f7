"""The sets of images that `synthograph evaluate` compares, from what was named on its line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synthograph.archive.batches import ImageSet
    from synthograph.archive.manifest import Row
    from synthograph.archive.reader import Archive
    from synthograph.metrics.evaluate import Request as Measuring
    from synthograph.metrics.names import Published, Wanted
    from synthograph.metrics.overlap import Trained
    from synthograph.models.snapshot import Snapshot

FEWEST, MOST = 1000, 50_000
"""Generated images where --num does not say: as many as real ones, within these."""


@dataclass(frozen=True)
class Source:
    """What is judged, and by what.

    Attributes:
        real: archive of real images.
        split: which split of it the user named.
        snapshot: the generator, or None.
        made: archive of generated images and their rows, or None.
        run: the run directory, where one was given.
    """

    real: "Archive"
    split: str | None
    snapshot: "Snapshot | None" = None
    made: "tuple[Archive, list[Row]] | None" = None
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
    def trained(self) -> "Trained":
        """What the generator says that it saw, as digests."""
        from synthograph.metrics.overlap import trained_on

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
        return list(self.made[0].info.snapshots) if self.made is not None else []


def open_source(
    run: Path | None, network: Path | None, synthetic: Path | None, real: str | None
) -> Source:
    """Open what was named.

    Raises:
        UserError: not exactly one thing to judge, or no real images.
    """
    from synthograph.archive.batches import rows_of, selected
    from synthograph.archive.reader import open_archive
    from synthograph.core.errors import UserError
    from synthograph.models.snapshot import find_snapshot, load
    from synthograph.training.config import archive_path
    from synthograph.training.run import read_config

    given = [each for each in (run, network, synthetic) if each is not None]
    if len(given) != 1:
        raise UserError(
            f"{len(given)} things to judge: give one of RUN_DIR, --network FILE, --synthetic PATH"
        )
    if run is not None:
        config = read_config(run)
        path, split = selected(real) if real is not None else (archive_path(config), None)
        return Source(open_archive(path), split, load(find_snapshot(run)), run=run)
    if real is None:
        raise UserError("--real is missing: name an archive of real images, such as cells.zip:test")
    path, split = selected(real)
    archive = open_archive(path)
    if network is not None:
        return Source(archive, split, load(find_snapshot(network)))
    made, part = selected(str(synthetic))
    other = open_archive(made)
    return Source(archive, split, made=(other, rows_of(other, part)))


@dataclass(frozen=True)
class Making:
    """How images are generated: how many (None: chosen), which labels, where, how many at once."""

    num: int | None
    seed: int
    device: str
    batch: int


@dataclass(frozen=True)
class Judged:
    """The sets to compare, all checks done.

    Attributes:
        request: for our own measures; None where only published ones are wanted.
        published: training and generated images for published measures, or None.
        seed: of everything random.
        notes: what a reader should know of the sets.
        mirror: whether training saw flips.
        parts: what will be measured one by one.
    """

    request: "Measuring | None"
    published: "tuple[ImageSet, ImageSet] | None"
    seed: int
    notes: Sequence[str] = ()
    mirror: bool = False
    parts: Sequence[str] = ()

    @property
    def lines(self) -> Iterator[str]:
        """What will be compared, before it takes time."""
        request, (train, fake) = self.request, self.published or (None, None)
        sets = {"published: training images": train, "published: generated": fake}
        if request is not None:
            ours = {"reference": request.real, "training images": request.train}
            sets = {**ours, "generated": request.fake, **sets}
        for what, images in sets.items():
            if images is not None:
                groups = "" if "generated" in what else f" of {images.group_count} groups"
                yield f"{what}: {images.name}, {images.count} images{groups}"
        if request is not None:
            yield f"measures: {', '.join(request.measures)}"
            yield f"of: {', '.join(self.parts)}"
        yield from (f"note: {note}" for note in self.notes)


def judged(source: Source, making: Making, wanted: "Wanted", by: Sequence[str]) -> Judged:
    """The sets for the measures that are wanted.

    Raises:
        UserError: sets that cannot be compared, or a reference that was trained on.
    """
    from synthograph.archive.batches import archive_images
    from synthograph.metrics.evaluate import Request, check

    train_rows = training_rows(source)
    mirror = bool(source.training.get("mirror"))
    train = None
    if train_rows:
        train = archive_images(source.real, train_rows, split=_common_split(train_rows))
    pair = _published_pair(source, making, wanted.published, train, train_rows)
    if not wanted.own:
        return Judged(None, pair, making.seed, mirror=mirror)
    rows, split, notes = _reference(source)
    count = making.num or min(max(len(rows), FEWEST), MOST)
    fake = _fakes(source, making, rows, count)
    held_out = {row.file for row in train_rows}.isdisjoint(row.file for row in rows)
    request = Request(
        archive_images(source.real, rows, split=split),
        fake,
        train if held_out else None,
        wanted.own,
        tuple(by),
        making.seed,
    )
    parts = [str(part) for part in check(request)]
    if train_rows and not source.trained.known:
        split = f":{source.stand_in}" if source.stand_in else ""
        name = f"{source.real.path.name}{split}"
        notes.append(f"{name} stands for what the generator was trained on")
    return Judged(request, pair, making.seed, notes, mirror, parts)


def _published_pair(
    source: Source,
    making: Making,
    published: "Sequence[Published]",
    train: "ImageSet | None",
    rows: "Sequence[Row]",
) -> "tuple[ImageSet, ImageSet] | None":
    """Training images and as many generated ones as the largest published measure needs."""
    from synthograph.archive.batches import refuse_synthetic
    from synthograph.core.errors import UserError
    from synthograph.metrics.evaluate import Request, check
    from synthograph.metrics.published import check_published

    if not published:
        return None
    if train is None:
        raise UserError(
            f"{source.real.path}: holds no image that the generator was trained on, as far as can "
            f"be told, and {published[0].name} compares with those: give the archive that was "
            "trained on"
        )
    refuse_synthetic(source.real, rows)
    fake = _fakes(source, making, rows, max(spec.count for spec in published))
    for spec in published:
        check_published(spec, train, fake.count, fake.name)
    check(Request(train, fake, measures=()))
    return train, fake


def training_rows(source: Source) -> "list[Row]":
    """What the generator was trained on: the images that its run names, else those of the groups
    that it says it saw; split train, or all images, only where it says nothing at all.
    """
    from synthograph.archive.batches import group_digests
    from synthograph.archive.manifest import in_split
    from synthograph.archive.stream import Selection, select_rows

    data, rows = source.training, source.real.rows
    if data:
        chosen = Selection(data.get("split"), data.get("fold"), data.get("subset"))
        return select_rows(source.real, chosen, data["seed"])
    if source.trained.known:
        names = group_digests(source.real, rows)
        seen = {names[digest] for digest in names.keys() & source.trained.groups}
        return [row for row in rows if row.group in seen]
    return in_split(rows, source.stand_in)


def _common_split(rows: "Sequence[Row]") -> str | None:
    splits = {row.split for row in rows}
    return splits.pop() if len(splits) == 1 else None


def _reference(source: Source) -> "tuple[list[Row], str | None, list[str]]":
    """Rows to compare with, their split, and notes.

    Raises:
        UserError: there are none, one is synthetic, or the generator saw them.
    """
    from synthograph.archive import batches
    from synthograph.metrics.overlap import refuse_overlap

    archive = source.real
    split = source.split or _held_out(source)
    rows = batches.rows_of(archive, split)
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
    from synthograph.archive.manifest import FOLD

    splits, fold = {row.split for row in source.real.rows}, source.training.get("fold")
    if "test" not in splits and fold is not None:
        return f"{FOLD}{fold}"
    return "test" if any(splits) else None


def _fakes(source: Source, making: Making, rows: "Sequence[Row]", count: int) -> "ImageSet":
    """Generated images: those of the archive, or new ones with labels drawn from `rows`."""
    from synthograph.archive.batches import archive_images
    from synthograph.sampling.image_set import generated_images

    if source.made is not None:
        archive, made = source.made
        part = _common_split(made)
        return archive_images(archive, made, split=part, name=archive.path.name)
    assert source.snapshot is not None, "there is one thing to judge"
    return generated_images(
        source.snapshot,
        rows,
        count,
        seed=making.seed,
        device=making.device,
        batch=making.batch,
    )
