"""The cross-fold test of `audit --per-fold`: one generator per fold left out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import synthograph
from synthograph.archive.batches import ArchiveRows, ImageSet
from synthograph.archive.reader import Archive, open_archive
from synthograph.core.errors import UserError
from synthograph.core.files import new_folder
from synthograph.core.progress import Progress
from synthograph.core.request import Result, keeping
from synthograph.features.base import Extractor
from synthograph.features.registry import feature_folder
from synthograph.metrics.audit.cross_fold import check_unseen, cross_fold
from synthograph.metrics.audit.nearness import nearness
from synthograph.metrics.columns import features_of
from synthograph.metrics.overlap import trained_on
from synthograph.results.folds import CrossFold, FoldTest
from synthograph.results.provenance import Features, Provenance
from synthograph.stats.sample import Sample
from synthograph.workflows.leaks import without_real
from synthograph.workflows.requests import AuditRequest


@dataclass(frozen=True, repr=False)
class CrossFoldResult(Result):
    """Whether generators lie nearer to images that they trained on than the one that did not; and
    where `cross-fold.json` was written, if anywhere.
    """

    found: CrossFold
    outdir: Path | None = None

    def lines(self) -> Iterator[str]:
        """A sentence per extractor."""
        for name, test in self.found.tests.items():
            verdict = "nearer to what they saw" if test.seen else "no nearer than chance"
            yield (
                f"{name}: {test.generators} generators of {test.synthetic_each} images each are "
                f"{verdict}: {test.share_nearer:.1%} of {test.images} images of {test.groups} "
                f"groups lie nearer to those that saw them (p = {test.p:.3g} by images, "
                f"{test.group_p:.3g} by groups)"
            )
        if self.outdir is not None:
            yield f"{self.outdir}: cross-fold.json"


def compare_folds(
    request: AuditRequest, extractors: Sequence[Extractor], progress: Progress
) -> CrossFoldResult | None:
    """Whether generators lie nearer to images that they trained on than the one that did not.

    Raises:
        UserError: sets that do not belong together, or too few of them.
    """
    if request.train is None:
        raise UserError("--per-fold needs --train ARCHIVE, the real images with their folds")
    archive = open_archive(Path(request.train))
    rows = [row for row in archive.rows if row.fold is not None]
    if not rows:
        raise UserError(f"{request.train}: has no folds; 'synthograph split --folds K' makes them")
    real = ArchiveRows(archive, rows).real()
    archives = [open_archive(Path(name)) for name in request.per_fold]
    unseen = [_left_out(each, archive) for each in archives]
    check_unseen(unseen)
    given = [without_real(ArchiveRows(each, each.rows)) for each in archives]
    synthetic = [made.images for made, _ in given]
    for note in (note for _, notes in given for note in notes):
        progress.log(f"note: {note}")
    progress.log(f"real: {real.images.describe()} with a fold")
    for images, fold in zip(synthetic, unseen, strict=True):
        progress.log(f"synthetic: {images.describe(groups=False)}, trained without fold {fold}")
    if request.dry_run:
        return None
    tests = {
        one.name: _compared(one, real, synthetic, unseen, request.seed, progress)
        for one in extractors
    }
    about = Provenance(
        seed=request.seed, version=synthograph.__version__, command=request.command_line()
    )
    found = CrossFold(folds=tuple(unseen), tests=tests, provenance=about)
    if request.outdir is not None:
        with keeping(CrossFoldResult(found)), new_folder(request.outdir) as folder:
            found.save(folder / "cross-fold.json")
    return CrossFoldResult(found, request.outdir)


def _left_out(synthetic: Archive, real: Archive) -> int:
    """The fold that was left out when the generator of an archive was trained."""
    documents = synthetic.info.snapshots
    if len(documents) != 1:
        raise UserError(
            f"{synthetic.path}: names {len(documents)} generators; give the images of one, as "
            "'synthograph generate' writes them"
        )
    (document,) = documents
    fold = ((document.get("config") or {}).get("data") or {}).get("fold")
    if fold is None or document.get("images_hash") != real.images_hash:
        raise UserError(
            f"{synthetic.path}: its generator was not trained with --fold on {real.path.name}, so "
            "nothing tells what it did not see"
        )
    left_out = ArchiveRows(real, [row for row in real.rows if row.fold == fold])
    trained = trained_on(documents)
    seen = trained.groups_among(left_out.groups)
    if seen or (not trained.known and document.get("manifest_hash") != real.manifest_hash):
        saw = f"saw {len(seen)} groups of fold {fold}" if seen else "does not say what it saw"
        raise UserError(
            f"{synthetic.path}: its generator {saw}, and {real.path.name} has other folds or "
            "labels than it was trained with: give the archive as it was then, or train the "
            "generators again"
        )
    return int(fold)


def _compared(
    extractor: Extractor,
    real: ArchiveRows,
    synthetic: Sequence[ImageSet],
    unseen: Sequence[int],
    seed: int,
    progress: Progress,
) -> FoldTest:
    def features(images: ImageSet) -> Sample:
        return features_of(images, extractor, folder=feature_folder(), tracks=progress.track)

    count = min(images.count for images in synthetic)  # more images lie nearer to anything
    groups = real.images.groups
    whole = features(real.images)
    others = (Sample.singles(features(images).values[:count]) for images in synthetic)
    nearest = [nearness(whole, each).nearest for each in others]
    folds = torch.tensor([row.fold for row in real.ordered])
    found = cross_fold(torch.stack(nearest), unseen, folds, groups, seed=seed)
    return found.replace(features=Features(**extractor.describe()), synthetic_each=count)
