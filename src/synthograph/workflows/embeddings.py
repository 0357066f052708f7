"""Vectors of images: distances of pairs, and all audited images for the TensorBoard projector."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from synthograph.core.errors import UserError
from synthograph.core.files import new_folder, refuse_existing, write_json
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.features.base import Extractor
from synthograph.metrics.audit.embeddings import PairDistances, export, pair_distances
from synthograph.metrics.columns import extractor_column, rows_of
from synthograph.metrics.sprites import fitting, thumbnails
from synthograph.workflows.archive_rows import ArchiveRows
from synthograph.workflows.extractors import feature_folder
from synthograph.workflows.tables import table_lines


@dataclass(frozen=True, repr=False)
class PairsResult(Result):
    """Cosine distances of pairs, and the folder of `pairs.json`, if one was asked for."""

    distances: PairDistances
    outdir: Path | None

    def lines(self) -> Iterator[str]:
        """The distances, and the file that was written."""
        yield from table_lines(self.distances.table())
        if self.outdir is not None:
            yield f"{self.outdir}: pairs.json"


def compare_pairs(tensors: Path, metadata: Path | None, outdir: Path | None) -> PairsResult:
    """Cosine distances of the pairs in two files.

    Raises:
        UserError: a file is missing or no such table, or the folder is there already.
    """
    if metadata is None:
        raise UserError("--embeddings goes with --metadata metadata.tsv, a line for every vector")
    if outdir is not None:
        refuse_existing(outdir, "--outdir")
    found = pair_distances(tensors, metadata)
    if outdir is not None:
        with new_folder(outdir) as folder:
            write_json(folder / "pairs.json", {"format": 1, "kind": "pairs", **found.json()})
    return PairsResult(found, outdir)


def export_sets(
    sets: Mapping[str, Sequence[ArchiveRows]],
    extractor: Extractor,
    folder: Path,
    progress: Progress,
) -> str:
    """Features, small pictures and what the manifests say of all images of several sets.

    Args:
        sets: kind -> the images.
        extractor: whose features.
        folder: to be made.
        progress: who listens.

    Returns:
        A line on what was written.

    Raises:
        UserError: the folder has something in it, or there are too many images for a sprite.
    """
    features, about, pictures = [], [], []
    every = [(kind, each) for kind, some in sets.items() for each in some]
    side = fitting(sum(len(each.rows) for _, each in every))
    for kind, each in every:
        images = each.images
        column = extractor_column(extractor, images.spec)
        track = progress.track(f"features of {images.name}")
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
            for row in each.ordered
        ]
    export(folder, torch.cat(features), about, pictures=pictures, name=extractor.name)
    return f"{folder}: {len(about)} images; look at them with: tensorboard --logdir {folder}"
