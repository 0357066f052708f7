"""Audit of synthetic images for memorised training images."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from synthograph.archive.batches import ArchiveRows, open_rows
from synthograph.core.errors import UserError
from synthograph.core.files import new_folder, refuse_output, write_bytes, write_text
from synthograph.core.names import first_few
from synthograph.core.progress import Progress
from synthograph.core.request import Result, keeping
from synthograph.features.base import Extractor
from synthograph.features.packaged import RANDOM, default_extractors
from synthograph.features.registry import feature_folder
from synthograph.metrics.audit.audit import (
    Audited,
    AuditSets,
    audit,
    check,
    refuse_seen,
    refuse_strange_training,
)
from synthograph.metrics.audit.pairs import picture
from synthograph.metrics.audit.recorded import trained_with
from synthograph.metrics.audit.report_text import table
from synthograph.metrics.overlap import trained_on
from synthograph.workflows.cross_fold import CrossFoldResult, compare_folds
from synthograph.workflows.environment import here
from synthograph.workflows.extractors import open_extractors
from synthograph.workflows.leaks import refuse_itself, without_real
from synthograph.workflows.requests import AuditRequest
from synthograph.workflows.tables import csv_text, table_lines

NOTHING = "nothing was written: --outdir keeps the numbers, the pairs and the list"
NAMED = 20
"""Images to be withheld that are named on the console; the file names all."""


@dataclass(frozen=True, repr=False)
class AuditResult(Result):
    """What an audit found, the images to be withheld, and a line on the files that were written."""

    audit: Audited
    withheld: tuple[str, ...]
    written: str

    def lines(self) -> Iterator[str]:
        """Tests, verdict, images to be withheld, and files."""
        yield from table_lines(table(self.audit.result))
        if self.withheld:
            yield f"withhold {len(self.withheld)} images: {first_few(self.withheld, NAMED)}"
        yield self.written


def run(request: AuditRequest, *, progress: Progress) -> AuditResult | CrossFoldResult | None:
    """Search synthetic images for memorised ones.

    Returns:
        What was found; None for a dry run.

    Raises:
        UserError: a set is missing, sets that cannot be compared, or whose patients overlap.
    """
    if request.per_fold:
        _refuse_beside(request)
    refuse_output(request.outdir, "--outdir")
    extractors = _extractors(request, progress)
    if request.per_fold:
        return compare_folds(request, extractors, progress)
    sets = _open(request)
    task = sets.task
    for line in (
        f"training: {task.train.describe()}",
        f"held out: {task.holdout.describe()}",
        f"synthetic: {task.synthetic.describe(groups=False)}",
        *(f"note: {note}" for note in task.notes),
    ):
        progress.log(line)
    if request.dry_run:
        return None
    found = audit(task, extractors, folder=feature_folder(), tracks=progress.track)
    files = tuple(sets.synthetic.ordered[each.image].file for each in found.withheld)
    result = AuditResult(found, files, NOTHING)
    if request.outdir is None:
        return result
    with keeping(result):
        written = _write(found, sets, request.outdir, request)
    return AuditResult(found, files, written)


def _refuse_beside(request: AuditRequest) -> None:
    """Refuse options that the comparison over folds would ignore."""
    given = [f"--{name}" for name in ("synthetic", "holdout") if getattr(request, name)]
    if given:
        raise UserError(
            f"--per-fold asks for one test only, which {' and '.join(given)} would not change: "
            f"leave {'it' if len(given) == 1 else 'them'} out, or call the audit again without "
            "--per-fold"
        )


def _extractors(request: AuditRequest, progress: Progress) -> list[Extractor]:
    """The available extractors; a line for each of the others is logged.

    Raises:
        UserError: an unknown name, or none of them is available.
    """
    found, missing = open_extractors(request.features or default_extractors(), request.device)
    skipped = [f"skipped: features {name}: {reason}" for name, reason in missing.items()]
    if not found:
        raise UserError(
            f"nothing can be audited: {'; '.join(skipped)}; or take --features {RANDOM}, "
            "which needs no file"
        )
    for line in skipped:
        progress.log(line)
    return list(found.values())


@dataclass(frozen=True)
class _Sets:
    """The audited sets as the measures take them; two of them also as rows of archives."""

    task: AuditSets
    synthetic: ArchiveRows
    train: ArchiveRows


def _open(request: AuditRequest) -> _Sets:
    """Open the three sets and check them.

    Raises:
        UserError: also where the generator saw the hold-out, or nothing of the training set.
    """
    if request.synthetic is None or request.train is None or request.holdout is None:
        raise UserError(
            "an audit needs --synthetic ARCHIVE, --train ARCHIVE:train and --holdout ARCHIVE:test"
        )
    synthetic, notes = without_real(open_rows(request.synthetic))
    train = open_rows(request.train, "train").real()
    holdout = open_rows(request.holdout, "test", [train]).real()
    for real in (train, holdout):
        refuse_itself(synthetic, real.archive)
    trained = trained_on(synthetic.archive.info.snapshots)
    notes += refuse_seen(trained, holdout)
    notes += refuse_strange_training(trained, train.groups, train.archive.path.name)
    task = AuditSets(
        train.images,
        holdout.images,
        synthetic.images,
        request.seed,
        train.groups,
        holdout.groups,
        tuple(notes),
        trained_with(synthetic.archive.info.snapshots),
    )
    check(task)
    return _Sets(task, synthetic, train)


def _write(found: Audited, sets: _Sets, outdir: Path, request: AuditRequest) -> str:
    """Write the folder, whole or not at all; returns a line on its files."""
    names = ([r.file for r in sets.synthetic.ordered], [r.file for r in sets.train.ordered])
    pairs = picture(sets.task.synthetic, sets.task.train, found.result.copies.pairs, names)
    pictures = {} if pairs is None else {"pairs": "pairs.png"}
    about = found.result.provenance.replace(
        command=request.command_line(), environment=here(request.device)
    )
    document = found.result.replace(pictures=pictures, provenance=about)
    with new_folder(outdir) as folder:
        document.save(folder / "audit.json")
        if pairs is not None:
            write_bytes(folder / "pairs.png", pairs)
        write_text(folder / "withhold.csv", _withheld(found, sets))
    return f"{outdir}: audit.json, withhold.csv{', pairs.png' if pairs is not None else ''}"


def _withheld(found: Audited, sets: _Sets) -> str:
    """CSV of the synthetic images that should not be shared."""
    lines = []
    for each in found.withheld:
        row = sets.synthetic.ordered[each.image]
        score = "" if each.score is None else f"{each.score:.6g}"
        origin = (row.columns.get(name, "") for name in ("network", "seed"))
        lines.append((row.file, *origin, sets.train.ordered[each.source].file, score, each.why))
    return csv_text(("file", "network", "seed", "training_file", "score", "why"), lines)
