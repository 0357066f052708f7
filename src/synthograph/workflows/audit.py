"""Whether synthetic images give away those that were trained on."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import RenderableType

from synthograph.archive import batches
from synthograph.archive.manifest import Row
from synthograph.archive.reader import Archive, open_archive
from synthograph.core.errors import UserError
from synthograph.core.files import (
    atomic_path,
    disk_errors,
    refuse_existing,
    refuse_unwritable,
    write_bytes,
    write_text,
)
from synthograph.core.progress import Progress
from synthograph.features import registry
from synthograph.features.base import Extractor
from synthograph.metrics.audit.audit import (
    Audited,
    AuditSets,
    audit,
    check,
    refuse_seen,
    refuse_strange_training,
)
from synthograph.metrics.audit.pairs import picture
from synthograph.metrics.audit.report_text import table
from synthograph.metrics.overlap import trained_on
from synthograph.workflows.cross_fold import CrossFoldResult, compare_folds
from synthograph.workflows.embeddings import PairsResult, compare_pairs, export_sets
from synthograph.workflows.extractors import feature_folder, open_extractors
from synthograph.workflows.requests import AuditRequest
from synthograph.workflows.tables import TableResult


@dataclass(frozen=True, repr=False)
class AuditResult(TableResult):
    """What an audit found.

    Attributes:
        audit: all of it.
        written: lines on the files that were written.
    """

    audit: Audited
    written: Sequence[str]

    @property
    def table(self) -> RenderableType:
        """Verdict and tests."""
        return table(self.audit.result)

    def notes(self) -> Iterator[str]:
        """The files that were written."""
        yield from self.written


def run(
    request: AuditRequest, *, progress: Progress
) -> AuditResult | CrossFoldResult | PairsResult | None:
    """Search synthetic images for memorised ones.

    Args:
        request: what to audit, and by what.
        progress: who listens meanwhile.

    Returns:
        What was found; None for a dry run.

    Raises:
        UserError: a set is missing, sets that cannot be compared, or whose patients overlap.
    """
    if request.embeddings is not None:
        _refuse_beside(request, "embeddings", "train", "per_fold")
        outdir = None if request.dry_run else request.outdir
        return compare_pairs(request.embeddings, request.metadata, outdir)
    if request.per_fold:
        _refuse_beside(request, "per_fold")
    for folder, option in ((request.outdir, "--outdir"), (request.export, "--export")):
        if folder is not None:
            refuse_existing(folder, option)
            refuse_unwritable(folder)
    extractors = _extractors(request, progress)
    if request.per_fold:
        return compare_folds(request, extractors, progress)
    sets = _open(request)
    for line in sets.lines():
        progress.log(line)
    if request.dry_run:
        return None
    found = audit(sets.task, extractors, folder=feature_folder(), tracks=progress.track)
    written = ["nothing was written: --outdir keeps the numbers, the pairs and the list"]
    if request.outdir is not None:
        written = [_write(found, sets, request.outdir, request.command_line())]
    if request.export is not None:
        written.append(export_sets(sets.all, extractors[0], request.export, progress))
    return AuditResult(found, written)


def _refuse_beside(request: AuditRequest, test: str, *more: str) -> None:
    """Refuse options that would be ignored."""
    option, names = request.flags()[test], ("synthetic", "holdout", "export", *more)
    given = [request.flags()[name] for name in names if getattr(request, name)]
    if given:
        raise UserError(
            f"{option} asks for one test only, which {' and '.join(given)} would not change: leave "
            f"{'it' if len(given) == 1 else 'them'} out, or call the audit again without {option}"
        )


def _extractors(request: AuditRequest, progress: Progress) -> list[Extractor]:
    """The extractors that can be had; it logs why others cannot.

    Raises:
        UserError: an unknown name, or not one of them can be had.
    """
    found, missing = open_extractors(request.features or [registry.DEFAULT], request.device)
    skipped = [f"skipped: features {name}: {reason}" for name, reason in missing.items()]
    if not found:
        raise UserError(
            f"nothing can be audited: {'; '.join(skipped)}; or take --features {registry.DEFAULT}, "
            "which needs no file"
        )
    for line in skipped:
        progress.log(line)
    return list(found.values())


@dataclass(frozen=True)
class _Set:
    """Rows of an archive."""

    archive: Archive
    split: str | None
    rows: list[Row]

    @property
    def images(self) -> batches.ImageSet:
        """Their images."""
        return batches.archive_images(self.archive, self.rows, split=self.split)

    @property
    def groups(self) -> dict[str, str]:
        """Digest of every group to its name."""
        return batches.group_digests(self.archive, self.rows)


@dataclass(frozen=True)
class _Sets:
    """What is audited, and the files in the order of the images."""

    task: AuditSets
    synthetic: list[Row]
    train: list[Row]
    holdout: list[Row]

    @property
    def all(self) -> list[tuple[str, batches.ImageSet, list[Row]]]:
        """Kind, images and rows of every set."""
        return [
            ("real", self.task.train, self.train),
            ("real", self.task.holdout, self.holdout),
            ("synthetic", self.task.synthetic, self.synthetic),
        ]

    def lines(self) -> Iterator[str]:
        """What will be audited, before it takes time."""
        for what, images in (("training", self.task.train), ("held out", self.task.holdout)):
            yield f"{what}: {images.name}, {images.count} images of {images.group_count} groups"
        yield f"synthetic: {self.task.synthetic.name}, {self.task.synthetic.count} images"
        yield from (f"note: {note}" for note in self.task.notes)


def _open(request: AuditRequest) -> _Sets:
    """Open what was named, all checks done."""
    if request.synthetic is None or request.train is None or request.holdout is None:
        raise UserError(
            "an audit needs --synthetic ARCHIVE, --train ARCHIVE:train and --holdout ARCHIVE:test; "
            "distances of pairs of vectors alone need --embeddings and --metadata"
        )
    path, part = batches.path_and_split(request.synthetic)
    archive = open_archive(path)
    synthetic = _Set(archive, part, batches.rows_of_split(archive, part))
    train, holdout = _real(request.train, "train"), _real(request.holdout, "test")
    task = AuditSets(
        train.images,
        holdout.images,
        synthetic.images,
        request.seed,
        train.groups,
        holdout.groups,
        tuple(_notes(synthetic, train, holdout)),
    )
    check(task)
    rows = (synthetic.rows, train.rows, holdout.rows)
    return _Sets(task, *map(batches.in_random_order, rows))


def _real(text: str, default: str) -> _Set:
    """Real images of the split that was named or is usual."""
    path, split = batches.path_and_split(text)
    archive = open_archive(path)
    if split is None and any(row.split for row in archive.rows):
        split = default
    rows = batches.rows_of_split(archive, split)
    batches.refuse_synthetic(archive, rows)
    return _Set(archive, split, rows)


def _notes(synthetic: _Set, train: _Set, holdout: _Set) -> list[str]:
    """What the generator's document says of both real sets, as notes.

    Raises:
        UserError: the generator saw the hold-out, or nothing of the training set.
    """
    trained = trained_on(synthetic.archive.info.snapshots)
    pixels = batches.image_digests(holdout.archive, holdout.rows)
    notes = refuse_seen(trained, holdout.groups, pixels, holdout.archive.path.name)
    return notes + refuse_strange_training(trained, train.groups, train.archive.path.name)


def _write(found: Audited, sets: _Sets, outdir: Path, command: str) -> str:
    """The folder, whole or not at all; its files."""
    names = ([row.file for row in sets.synthetic], [row.file for row in sets.train])
    pairs = picture(sets.task.synthetic, sets.task.train, found.result.copies.pairs, names)
    pictures = {} if pairs is None else {"pairs": "pairs.png"}
    about = found.result.provenance.replace(command=command)
    document = found.result.replace(pictures=pictures, provenance=about)
    with disk_errors(outdir):
        outdir.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(outdir) as folder:
        folder.mkdir()
        document.save(folder / "audit.json")
        if pairs is not None:
            write_bytes(folder / "pairs.png", pairs)
        write_text(folder / "withhold.csv", _withheld(found, sets))
    return f"{outdir}: audit.json, withhold.csv{', pairs.png' if pairs is not None else ''}"


def _withheld(found: Audited, sets: _Sets) -> str:
    """CSV of the synthetic images that should not be shared."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "network", "seed", "training_file", "score"))
    for each in found.withheld:
        row, score = sets.synthetic[each.image], "" if each.score is None else f"{each.score:.6g}"
        origin = (row.columns.get(name, "") for name in ("network", "seed"))
        writer.writerow((row.file, *origin, sets.train[each.source].file, score))
    return text.getvalue()
