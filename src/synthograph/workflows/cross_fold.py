"""A generator for each fold, compared by what each one saw: `audit` with `per_fold`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import synthograph
from synthograph.archive import batches
from synthograph.archive.batches import ImageSet
from synthograph.archive.manifest import Row
from synthograph.archive.reader import Archive, open_archive
from synthograph.core.errors import UserError
from synthograph.core.files import atomic_path, disk_errors
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.features.base import Extractor
from synthograph.metrics.audit.cross_fold import check_unseen, cross_fold
from synthograph.metrics.audit.nearness import nearness
from synthograph.metrics.columns import extractor_column, rows_of
from synthograph.results.folds import CrossFold, FoldTest
from synthograph.results.provenance import Features, Provenance
from synthograph.stats.sample import Sample
from synthograph.workflows.extractors import feature_folder
from synthograph.workflows.requests import AuditRequest


@dataclass(frozen=True, repr=False)
class CrossFoldResult(Result):
    """Whether generators lie nearer to the images that they saw than the one that did not.

    Attributes:
        tests: by extractor.
        count: synthetic images of each generator.
        outdir: where `cross-fold.json` was written, if anywhere.
    """

    tests: Mapping[str, FoldTest]
    count: int
    outdir: Path | None = None

    def lines(self) -> Iterator[str]:
        """A sentence per extractor."""
        for name, found in self.tests.items():
            verdict = "nearer to what they saw" if found.seen else "no nearer than chance"
            yield (
                f"{name}: {found.generators} generators of {self.count} images each are {verdict}: "
                f"{found.share_nearer:.1%} of {found.images} images of {found.groups} groups lie "
                f"nearer to those that saw them (p = {found.p:.3g} by images, {found.group_p:.3g} "
                "by groups)"
            )
        if self.outdir is not None:
            yield f"{self.outdir}: cross-fold.json"


def compare_folds(
    request: AuditRequest, extractors: Sequence[Extractor], progress: Progress
) -> CrossFoldResult | None:
    """Whether generators lie nearer to the images that they saw than the one that did not.

    Args:
        request: with synthetic archives, each of a generator trained without another fold.
        extractors: whose features.
        progress: who listens meanwhile.

    Raises:
        UserError: sets that do not belong together, or too few of them.
    """
    if request.train is None:
        raise UserError("--per-fold needs --train ARCHIVE, the real images with their folds")
    archive = open_archive(Path(request.train))
    rows = [row for row in archive.rows if row.fold is not None]
    if not rows:
        raise UserError(f"{request.train}: has no folds; 'synthograph split --folds K' makes them")
    batches.refuse_synthetic(archive, rows)
    archives = [open_archive(Path(name)) for name in request.per_fold]
    unseen = [_left_out(each, archive) for each in archives]
    real = batches.archive_images(archive, rows)
    check_unseen(unseen)
    synthetic = [batches.archive_images(each, each.rows) for each in archives]
    progress.log(f"real: {real.name}, {real.count} images of {real.group_count} groups with a fold")
    for images, fold in zip(synthetic, unseen, strict=True):
        progress.log(
            f"synthetic: {images.name}, {images.count} images, trained without fold {fold}"
        )
    if request.dry_run:
        return None
    sets = _Sets(real, batches.in_random_order(rows), synthetic, unseen)
    tests = {one.name: _compared(one, sets, request.seed, progress) for one in extractors}
    if request.outdir is not None:
        _write(request, request.outdir, sets, tests)
    return CrossFoldResult(tests, sets.count, request.outdir)


@dataclass(frozen=True)
class _Sets:
    """Real images with their rows, and those of every generator with the fold it did not see."""

    real: ImageSet
    rows: Sequence[Row]
    synthetic: Sequence[ImageSet]
    unseen: Sequence[int]

    @property
    def count(self) -> int:
        """Synthetic images of each generator: more of them lie nearer to anything."""
        return min(images.count for images in self.synthetic)


def _left_out(synthetic: Archive, real: Archive) -> int:
    """The fold that the generator of an archive was trained without."""
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
    return int(fold)


def _compared(extractor: Extractor, sets: _Sets, seed: int, progress: Progress) -> FoldTest:
    def features(images: ImageSet) -> Tensor:
        column = extractor_column(extractor, sets.real.spec)
        track = progress.track(f"features of {images.name}")
        (found,) = rows_of(images, [column], folder=feature_folder(), track=track)
        return found[:, : extractor.dims]

    real = Sample(features(sets.real), sets.real.groups)
    nearest = [
        nearness(real, Sample.singles(features(each)[: sets.count])).nearest
        for each in sets.synthetic
    ]
    folds = torch.tensor([row.fold for row in sets.rows])
    found = cross_fold(torch.stack(nearest), sets.unseen, folds, sets.real.groups, seed=seed)
    return found.replace(features=Features(**extractor.describe()), synthetic_each=sets.count)


def _write(request: AuditRequest, outdir: Path, sets: _Sets, tests: Mapping[str, FoldTest]) -> None:
    """`cross-fold.json` in a folder, whole or not at all."""
    about = Provenance(
        seed=request.seed, version=synthograph.__version__, command=request.command_line()
    )
    with disk_errors(outdir):
        outdir.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(outdir) as folder:
        folder.mkdir()
        document = CrossFold(folds=tuple(sets.unseen), tests=dict(tests), provenance=about)
        document.save(folder / "cross-fold.json")
