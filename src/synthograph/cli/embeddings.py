"""Vectors of images for `synthograph audit`: distances of given pairs, and all audited images for
the TensorBoard projector.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from synthograph.archive.batches import ImageSet
    from synthograph.archive.manifest import Row
    from synthograph.features.base import Extractor


def tell_pairs(tensors: Path, metadata: Path | None, outdir: Path | None) -> None:
    """Cosine distances of the pairs in two files, as a table and as `pairs.json`.

    Raises:
        UserError: a file is missing or no such table, or the folder is there already.
    """
    from rich.console import Console

    from synthograph.core.errors import UserError
    from synthograph.core.files import atomic_path, disk_errors, refuse_existing, write_json
    from synthograph.metrics.audit.embeddings import pair_distances

    if metadata is None:
        raise UserError("--embeddings goes with --metadata metadata.tsv, a line for every vector")
    if outdir is not None:
        refuse_existing(outdir, "--outdir")
    found = pair_distances(tensors, metadata)
    Console(highlight=False).print(found.table())
    if outdir is not None:
        with disk_errors(outdir):
            outdir.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(outdir) as folder:
            folder.mkdir()
            write_json(folder / "pairs.json", {"format": 1, "kind": "pairs", **found.json()})
        typer.echo(f"{outdir}: pairs.json")


def export_sets(
    sets: "Sequence[tuple[str, ImageSet, Sequence[Row]]]", extractor: "Extractor", folder: Path
) -> None:
    """Features, small pictures and what the manifests say of all images of several sets.

    Args:
        sets: kind of the images, the images, and their rows in the same order.
        extractor: whose features.
        folder: to be made.

    Raises:
        UserError: the folder has something in it, or there are too many images for a sprite.
    """
    import torch

    from synthograph.cli.progress import tracker
    from synthograph.metrics.audit.embeddings import export
    from synthograph.metrics.columns import extractor_column, rows_of
    from synthograph.metrics.sprites import fitting, thumbnails
    from synthograph.workflows.extractors import feature_folder

    features, about, pictures = [], [], []
    side = fitting(sum(images.count for _, images, _ in sets))
    for kind, images, rows in sets:
        column = extractor_column(extractor, images.spec)
        track = tracker(f"features of {images.name}")
        (found,) = rows_of(images, [column], folder=feature_folder(), track=track)
        features.append(found[:, : extractor.dims])
        small = thumbnails(images, range(images.count), side=side)
        pictures += [small[number] for number in range(images.count)]
        about += [
            {
                "label": row.label or "",
                "image_name": row.file,
                "kind": kind,
                "split": row.split or "",
            }
            for row in rows
        ]
    export(folder, torch.cat(features), about, pictures=pictures, name=extractor.name)
    typer.echo(f"{folder}: {len(about)} images; look at them with: tensorboard --logdir {folder}")
