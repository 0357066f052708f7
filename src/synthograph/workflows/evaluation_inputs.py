"""The image sets of an evaluation, from the archives and networks that a request names."""

import contextlib
from collections.abc import Mapping, Sequence
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
    with_mirrored,
)
from synthograph.archive.manifest import FOLD, Row, in_split
from synthograph.archive.reader import Archive, open_archive
from synthograph.archive.stream import RowSelection, select_rows
from synthograph.core.devices import pick_device
from synthograph.core.errors import UserError
from synthograph.core.progress import Progress
from synthograph.core.untrusted.documents import JsonObject
from synthograph.metrics.evaluate import EvaluationTask, check
from synthograph.metrics.names import MeasureSelection, PublishedName
from synthograph.metrics.overlap import Trained, refuse_overlap, same_names, trained_on
from synthograph.metrics.published import check_published
from synthograph.models.snapshot import Snapshot, load
from synthograph.models.snapshot_files import kimg_of
from synthograph.sampling.image_set import synthetic_images
from synthograph.training.config import archive_path
from synthograph.training.run import read_config
from synthograph.workflows.latent_inputs import find_network
from synthograph.workflows.leaks import refuse_itself, without_real
from synthograph.workflows.requests import EvaluateRequest

MIN_IMAGES, MAX_IMAGES = 1000, 50_000
"""Synthetic images where --num does not say: as many as real ones, within these."""


@dataclass(frozen=True)
class EvaluationSource:
    """What is evaluated, and against what.

    Attributes:
        request: what was asked.
        real: archive of real images.
        split: which split of it the user named.
        snapshot: the generator, or None.
        synthetic: images that were generated before, or None.
        notes: what a reader should know of these.
    """

    request: EvaluateRequest
    real: Archive
    split: str | None
    snapshot: Snapshot | None = None
    synthetic: ArchiveRows | None = None
    notes: Sequence[str] = ()

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
            "kimg": kimg_of(self.snapshot.path, self.snapshot.info.images_seen),
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
        """The training images: those that the run selected, unless the archive was split again;
        else those of the recorded groups; where nothing is recorded, split train, or all images.
        There may be none.
        """
        data, known = self.training, self.trained.groups
        if data:
            chosen = RowSelection(data.get("split"), data.get("fold"), data.get("subset"))
            rows = select_rows(self.real, chosen, data["seed"])
            selected = ArchiveRows(self.real, rows, common_split(rows))
            if not known or selected.groups.keys() <= known:
                return selected
        rows = list(self.real.rows)
        if self.trained.known:
            names = ArchiveRows(self.real, rows).groups
            seen = {names[digest] for digest in names.keys() & known}
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
        if self.synthetic is not None:
            refuse_itself(self.synthetic, self.real)
        split, splits = self.split, {row.split for row in self.real.rows}
        if split is None and "test" not in splits and self.training.get("fold") is not None:
            split = f"{FOLD}{self.training['fold']}"
        elif split is None and any(splits):
            split = "test"
        chosen = rows_of_split(self.real, split).real()
        notes = refuse_overlap(self.trained, chosen)
        return chosen, [*self.notes, *notes, *self._same_names(chosen)]

    def _same_names(self, chosen: ArchiveRows) -> list[str]:
        """Notes on groups of the reference that are called as groups of other training archives
        are, and on such archives that are not to be found: a digest alone does not give a name.
        """
        names = [row.group for row in chosen.rows if row.grouped]
        notes = []
        for document in self.documents if names and self.trained.known else ():
            path = ((document.get("config") or {}).get("data") or {}).get("path")
            if document.get("images_hash") == self.real.images_hash or not path:
                continue
            seen = self._names_in(Path(path), str(document.get("images_hash")))
            if seen is None:
                notes.append(
                    f"{Path(path).name}, the training archive, is not where it was at training, "
                    f"nor beside {self.real.path.name}: whether groups of {chosen.name} have names "
                    "of patients that were trained on cannot be checked; put it there to know"
                )
            else:
                notes += same_names(seen, names, chosen.name, Path(path).name)
        return notes

    def _names_in(self, path: Path, images_hash: str) -> list[str] | None:
        """Names of the groups that were trained on, by the training archive at this path or, where
        it was moved, beside the real images, the network or in the working folder; None where it
        is not there.
        """
        inputs = (self.real.path, self.request.run, self.request.network, self.request.synthetic)
        for folder in (path.parent, *(each.parent for each in inputs if each), Path()):
            with contextlib.suppress(UserError):
                archive = open_archive(folder / path.name)
                groups = ArchiveRows(archive, [row for row in archive.rows if row.grouped]).groups
                seen = [groups[digest] for digest in groups.keys() & self.trained.groups]
                if seen or archive.images_hash == images_hash:
                    return seen
        return None

    def images(self, rows: Sequence[Row], count: int) -> ImageSet:
        """Synthetic images: those of the archive, or new ones with labels drawn from `rows`."""
        if self.synthetic is not None:
            return self.synthetic.images
        assert self.snapshot is not None, "there is one thing to evaluate"
        return synthetic_images(
            self.snapshot,
            rows,
            count,
            seed=self.request.seed,
            device=str(pick_device(self.request.device)),
            batch=self.request.batch,
        )


def open_source(request: EvaluateRequest, progress: Progress) -> EvaluationSource:
    """Open the archives and networks that were named.

    Raises:
        UserError: not exactly one thing to evaluate, or no real images.
    """
    run, synthetic, real = request.run, request.synthetic, request.real
    given = [each for each in (run, request.network, synthetic) if each is not None]
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
    rows_of_split(archive, split)  # one that is not there is refused whatever is measured
    if synthetic is None:
        snapshot = load(find_network(given[0], progress))
        return EvaluationSource(request, archive, split, snapshot=snapshot)
    named, notes = without_real(open_rows(str(synthetic)))
    part = common_split(named.rows)
    images = ArchiveRows(named.archive, named.rows, part, title=named.archive.path.name)
    return EvaluationSource(request, archive, split, synthetic=images, notes=notes)


PublishedInputs = tuple[PublishedName, ImageSet, ImageSet]
"""A published measure with its training images, flips as it takes them, and synthetic images."""


@dataclass(frozen=True)
class EvaluationInputs:
    """The sets to compare, all checks done.

    Attributes:
        task: for our own measures; None where only published ones are requested.
        published: for each published measure.
        lines: which sets will be compared, by which measures.
        notes: what a reader should know of the sets.
    """

    task: EvaluationTask | None
    published: Sequence[PublishedInputs]
    lines: Sequence[str]
    notes: Sequence[str] = ()


def evaluation_inputs(source: EvaluationSource, requested: MeasureSelection) -> EvaluationInputs:
    """The sets for the measures that are requested.

    Raises:
        UserError: sets that cannot be compared, or a reference that was trained on.
    """
    published, lines = _published(source, requested.published)
    if not requested.own:
        return EvaluationInputs(None, published, lines)
    request, train = source.request, source.train.rows
    reference, notes = source.reference()
    rows = reference.rows
    count = request.num or min(max(len(rows), MIN_IMAGES), MAX_IMAGES)
    held_out = {row.file for row in train}.isdisjoint(row.file for row in rows)
    task = EvaluationTask(
        reference.images,
        source.images(rows, count),
        source.train.images if train and held_out else None,
        requested.own,
        request.by,
        request.seed,
    )
    parts = task.parts
    if task.train is not None and not source.trained.known:
        split = f":{source.stand_in}" if source.stand_in else ""
        name = f"{source.real.path.name}{split}"
        notes.append(f"{name} stands for what the generator was trained on")
    lines = [
        f"reference: {task.real.describe()}",
        *([] if task.train is None else [f"training images: {task.train.describe()}"]),
        f"generated: {task.fake.describe(groups=False)}",
        *lines,
        f"measures: {', '.join(task.measures)}",
        f"of: {', '.join(map(str, parts))}",
        *(f"note: {note}" for note in notes),
    ]
    return EvaluationInputs(task, published, lines, notes)


def _published(
    source: EvaluationSource, published: Sequence[PublishedName]
) -> tuple[list[PublishedInputs], list[str]]:
    """Training images and as many synthetic ones as the largest published measure needs; and lines
    on both.
    """
    if not published:
        return [], []
    if not source.train.rows:
        raise UserError(
            f"{source.real.path}: holds no image that the generator was trained on, as far as can "
            f"be told, and {published[0].name} compares with those: give the archive that was "
            "trained on"
        )
    train = source.train.real().images
    synthetic = source.images(source.train.rows, max(spec.count for spec in published))
    for spec in published:
        check_published(spec, train, synthetic.count, synthetic.name)
    check(EvaluationTask(train, synthetic, measures=()))
    flipped = with_mirrored(train) if source.training.get("mirror") else train
    lines = [
        f"published: training images: {train.describe()}",
        f"published: generated: {synthetic.describe(groups=False)}",
    ]
    return [(spec, train if spec.full else flipped, synthetic) for spec in published], lines
