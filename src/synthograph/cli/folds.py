"""`synthograph audit --per-fold`: a generator for each fold, compared by what each one saw."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from synthograph.archive.batches import ImageSet
    from synthograph.archive.reader import Archive
    from synthograph.features.base import Extractor


def compare_folds(
    named: Sequence[str],
    train: str | None,
    extractors: "Sequence[Extractor]",
    outdir: Path | None,
    seed: int,
    *,
    dry_run: bool = False,
) -> None:
    """Whether generators lie nearer to the images that they saw than the one that did not.

    Args:
        named: synthetic archives, each of a generator that was trained without another fold.
        train: archive of the real images with their folds.
        extractors: whose features.
        outdir: where `cross-fold.json` is written; None for nowhere.
        seed: of permutations and blocks.
        dry_run: check and tell only.

    Raises:
        UserError: sets that do not belong together, or too few of them.
    """
    import synthograph
    from synthograph.archive.batches import archive_images, refuse_synthetic
    from synthograph.archive.reader import open_archive
    from synthograph.core.commands import command_line
    from synthograph.core.errors import UserError
    from synthograph.core.files import atomic_path, disk_errors, write_json
    from synthograph.metrics.audit.cross_fold import check_unseen

    if train is None:
        raise UserError("--per-fold needs --train ARCHIVE, the real images with their folds")
    archive = open_archive(Path(train))
    rows = [row for row in archive.rows if row.fold is not None]
    if not rows:
        raise UserError(f"{train}: has no folds; 'synthograph split --folds K' makes them")
    refuse_synthetic(archive, rows)
    made = [open_archive(Path(name)) for name in named]
    unseen = [_left_out(each, archive) for each in made]
    real = archive_images(archive, rows)
    check_unseen(unseen)
    fakes = [archive_images(each, each.rows) for each in made]
    typer.echo(f"real: {real.name}, {real.count} images of {real.group_count} groups with a fold")
    for images, fold in zip(fakes, unseen, strict=True):
        typer.echo(f"synthetic: {images.name}, {images.count} images, trained without fold {fold}")
    if dry_run:
        return
    found = {one.name: _compared(one, real, archive, fakes, unseen, seed) for one in extractors}
    if outdir is not None:
        with disk_errors(outdir):
            outdir.parent.mkdir(parents=True, exist_ok=True)
        about = {"seed": seed, "version": synthograph.__version__, "command": command_line()}
        with atomic_path(outdir) as folder:
            folder.mkdir()
            document = {"format": 1, "kind": "cross-fold", "folds": unseen, "tests": found}
            write_json(folder / "cross-fold.json", {**document, "provenance": about})
        typer.echo(f"{outdir}: cross-fold.json")


def _left_out(made: "Archive", real: "Archive") -> int:
    """The fold that the generator of an archive was trained without."""
    from synthograph.core.errors import UserError

    documents = made.info.snapshots
    if len(documents) != 1:
        raise UserError(
            f"{made.path}: names {len(documents)} generators; give the images of one, as "
            "'synthograph generate' writes them"
        )
    (document,) = documents
    fold = ((document.get("config") or {}).get("data") or {}).get("fold")
    if fold is None or document.get("images_hash") != real.images_hash:
        raise UserError(
            f"{made.path}: its generator was not trained with --fold on {real.path.name}, so "
            "nothing tells what it did not see"
        )
    return int(fold)


def _compared(
    extractor: "Extractor",
    real: "ImageSet",
    archive: "Archive",
    fakes: "Sequence[ImageSet]",
    unseen: Sequence[int],
    seed: int,
) -> dict[str, object]:
    import torch

    from synthograph.archive.batches import in_random_order
    from synthograph.cli.progress import tracker
    from synthograph.metrics.audit.cross_fold import cross_fold
    from synthograph.metrics.audit.nearness import nearness
    from synthograph.metrics.columns import extractor_column, rows_of
    from synthograph.stats.sample import Sample
    from synthograph.workflows.extractors import feature_folder

    column, folder = extractor_column(extractor, real.spec), feature_folder()

    def features(images: "ImageSet") -> torch.Tensor:
        track = tracker(f"features of {images.name}")
        (found,) = rows_of(images, [column], folder=folder, track=track)
        return found[:, : extractor.dims]

    count = min(images.count for images in fakes)  # more images lie nearer to anything
    whole = Sample(features(real), real.groups)
    near = [nearness(whole, Sample.singles(features(each)[:count])).nearest for each in fakes]
    rows = in_random_order([row for row in archive.rows if row.fold is not None])
    folds = torch.tensor([row.fold for row in rows])
    found = cross_fold(torch.stack(near), unseen, folds, real.groups, seed=seed)
    verdict = "nearer to what they saw" if found.seen else "no nearer than chance"
    typer.echo(
        f"{extractor.name}: {found.generators} generators of {count} images each are {verdict}: "
        f"{found.nearer:.1%} of {found.images} images of {found.groups} groups lie nearer to those "
        f"that saw them (p = {found.p:.3g} by images, {found.group_p:.3g} by groups)"
    )
    return {**found.json(), "features": extractor.describe(), "synthetic_each": count}
