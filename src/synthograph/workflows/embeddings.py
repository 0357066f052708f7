"""Vectors of images, or latents: an export for the TensorBoard projector, and distances of given
pairs.
"""

import importlib.util
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from rich import box
from rich.table import Table
from rich.text import Text
from torch import Tensor

from synthograph.archive.batches import open_rows
from synthograph.archive.manifest import Row
from synthograph.core.contact_sheets import as_rgb
from synthograph.core.devices import pick_device
from synthograph.core.errors import UserError
from synthograph.core.files import new_folder, refuse_output
from synthograph.core.progress import Progress
from synthograph.core.request import Result, keeping
from synthograph.features.packaged import default_extractor
from synthograph.features.registry import feature_folder
from synthograph.metrics.audit.embeddings import pair_distances
from synthograph.metrics.columns import features_of
from synthograph.metrics.sprites import fitted, fitting, thumbnails
from synthograph.results.pairs import PairDistances
from synthograph.sampling.latents import Rendering, as_styles, check_rendering, render
from synthograph.workflows.extractors import extractor
from synthograph.workflows.latent_inputs import class_of, open_network, read_latents
from synthograph.workflows.projected import ProjectedSet
from synthograph.workflows.requests import EmbeddingsRequest
from synthograph.workflows.tables import table_lines

COLUMNS = ["label", "image_name", "kind", "split"]
"""What the projector shows of every image."""


@dataclass(frozen=True, repr=False)
class PairsResult(Result):
    """Cosine distances of pairs, and the folder of `pairs.json` where one was written."""

    distances: PairDistances
    outdir: Path | None

    def lines(self) -> Iterator[str]:
        """Quartiles as a table, sentences, and the file that was written."""
        found = self.distances
        yield from table_lines(_table(found))
        yield f"- pairs by {found.pairing}"
        if found.share_nearer_than_other_images is not None:
            yield (
                f"- {found.share_nearer_than_other_images:.1%} of the images are nearer to their "
                "partner than to any other image"
            )
        yield from (f"- {note}" for note in found.notes)
        if self.outdir is not None:
            yield f"{self.outdir}: pairs.json"


def _table(distances: PairDistances) -> Table:
    title = "cosine distance of pairs"
    table = Table(box=box.SIMPLE, pad_edge=False, title=title, title_justify="left")
    table.add_column("pairs")
    for name in ("n", "min", "q1", "median", "q3", "max", "mean"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, each in distances.summaries.items():
        numbers = (each.min, each.q1, each.median, each.q3, each.max, each.mean)
        table.add_row(Text(name), str(each.count), *(f"{number:.3g}" for number in numbers))
    return table


@dataclass(frozen=True, repr=False)
class ExportResult(Result):
    """A folder for the TensorBoard projector, and how many images it shows."""

    folder: Path
    images: int

    def lines(self) -> Iterator[str]:
        """How to look at it."""
        yield f"{self.folder}: {self.images} images; tensorboard --logdir {self.folder}"


def run(request: EmbeddingsRequest, *, progress: Progress) -> PairsResult | ExportResult | None:
    """Export images, or compare pairs of vectors.

    Returns:
        What was found or written; None for a dry run of an export.

    Raises:
        UserError: none or several of them are named, a file that cannot be read, missing weights, a
            folder that is there, or too many images for a sprite.
    """
    archives = [*request.archives, *request.synthetic]
    asked = (archives or request.projections, request.latents, request.tensors is not None)
    if sum(map(bool, asked)) != 1:
        raise UserError(
            "give archives or --projections to export their images, --latents to export these, or "
            "--tensors and --metadata for distances of pairs: one of them"
        )
    for name, has, goes in (
        ("of_class", request.latents, "--latents"),
        ("network", request.latents, "--latents"),
        ("metadata", request.tensors, "--tensors"),
        ("features", archives or request.projections, "archives and --projections"),
    ):
        if getattr(request, name) is not None and not has:
            raise UserError(f"{request.flags()[name]}: goes with {goes}: leave it out")
    refuse_output(request.outdir, "--outdir")
    if request.tensors is not None:
        return _compare(request, request.tensors)
    if request.outdir is None:
        raise UserError("an export needs --outdir FOLDER, for tensorboard --logdir FOLDER")
    if importlib.util.find_spec("tensorboard") is None:
        raise UserError("the projector needs TensorBoard: pip install 'synthograph[tensorboard]'")
    if request.latents:
        return _export_latents(request, request.outdir, progress)
    return _export(request, archives, request.outdir, progress)


def _compare(request: EmbeddingsRequest, tensors: Path) -> PairsResult:
    if request.metadata is None:
        raise UserError("--tensors goes with --metadata metadata.tsv, a line for every vector")
    found = pair_distances(tensors, request.metadata)
    outdir = None if request.dry_run else request.outdir
    if outdir is not None:
        with keeping(PairsResult(found, None)), new_folder(outdir) as folder:
            found.save(folder / "pairs.json")
    return PairsResult(found, outdir)


def _export(
    request: EmbeddingsRequest, archives: Sequence[str], outdir: Path, progress: Progress
) -> ExportResult | None:
    one = extractor(request.features or default_extractor(), device=request.device)
    sets = [open_rows(text) for text in archives]
    projected = [ProjectedSet.open(path) for path in request.projections]
    total = sum(each.images.count for each in sets)
    total += 2 * sum(len(each.found.projections) for each in projected)
    for each in sets:
        progress.log(f"{each.name}: {each.images.count} images")
    for given in projected:
        progress.log(f"{given.path}: {len(given.found.projections)} images and projections")
    if request.dry_run:
        return None
    features, about, pictures = [], list[list[str]](), list[np.ndarray]()
    for place, each in enumerate(sets):
        images, synthetic = each.images, place >= len(request.archives)
        found = features_of(images, one, folder=feature_folder(), tracks=progress.track)
        features.append(found.values)
        small = thumbnails(images, range(images.count), side=fitting(total))
        pictures += [_squared(small[number]) for number in range(images.count)]
        about += [_cells(row, "synthetic" if synthetic else row.origin) for row in each.ordered]
    for given in projected:
        features += given.features(one)
        about += _cells_of_pairs(given)
        every = given.found.projections
        files = [*(each.target for each in every), *(each.result for each in every)]
        pictures += [_squared(fitted(given.shown(file), fitting(total))) for file in files]
    write_projector(outdir, one.name, torch.cat(features), about, pictures)
    return ExportResult(outdir, total)


def _export_latents(
    request: EmbeddingsRequest, outdir: Path, progress: Progress
) -> ExportResult | None:
    """Styles as vectors, with the images that the network makes of them: one row of each style
    where its rows are alike, as in w, else all of them.
    """
    if request.network is None:
        raise UserError("--latents goes with --network, which draws their images")
    snapshot = open_network(request.network, progress)
    rendering = Rendering(device=str(pick_device(request.device)))
    check_rendering(snapshot, rendering)
    label = class_of(snapshot, request.of_class)
    sets = [read_latents(path, snapshot, progress) for path in request.latents]
    named = zip(request.latents, sets, strict=True)
    sets = [each.of_class(label, str(path)) for path, each in named]
    for path, each in zip(request.latents, sets, strict=True):
        progress.log(f"{path}: {len(each)} latents")
    if request.dry_run:
        return None
    found = as_styles(snapshot, sets, rendering)
    ws, side = found.values, fitting(len(found))
    alike = bool((ws == ws[:, :1]).all())
    drawn = progress.track("images")(render(snapshot, ws, found.seeds, rendering), len(found))
    counts = snapshot.info.spec.modalities.values()
    pictures = [_squared(fitted(as_rgb(pixels, counts), side)) for pixels in drawn]
    given = zip(request.latents, sets, strict=True)
    files = [path.name for path, each in given for _ in range(len(each))]
    about = [_texts(*cells, "") for cells in zip(found.labels, found.names, files, strict=True)]
    write_projector(outdir, "w", ws[:, 0] if alike else ws.flatten(1), about, pictures)
    return ExportResult(outdir, len(found))


def _cells(row: Row, kind: str) -> list[str]:
    """Text that cannot end a cell or a line."""
    return _texts(row.label, row.file, kind, row.split)


def _cells_of_pairs(given: ProjectedSet) -> Iterator[list[str]]:
    """All images, then all projections."""
    for kind, side in (("real", "target"), ("projection", "result")):
        for one in given.found.projections:
            yield _texts(one.label, getattr(one, side), kind, one.split)


def _texts(*cells: str | None) -> list[str]:
    return [re.sub(r"[\t\r\n\0]", " ", cell or "") for cell in cells]


def _squared(picture: np.ndarray) -> np.ndarray:
    """White below or beside, since the projector shows squares."""
    height, width, _ = picture.shape
    side = max(height, width)
    return np.pad(picture, ((0, side - height), (0, side - width), (0, 0)), constant_values=255)


def write_projector(
    folder: Path,
    name: str,
    features: Float[Tensor, "m d"],
    about: Sequence[Sequence[str]],
    pictures: Sequence[np.ndarray],
) -> None:
    """Write a folder for `tensorboard --logdir FOLDER`, whole or not at all.

    Args:
        folder: to be made.
        name: of the embedding in the projector.
        features: a vector per image.
        about: text of every image in `COLUMNS`, without tabs and line ends.
        pictures: uint8 [side, side, 3] of every image.
    """
    # what needs the optional package is imported where it is known to be there
    from torch.utils.tensorboard import SummaryWriter

    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) / 255
    with new_folder(folder) as temporary, SummaryWriter(str(temporary)) as writer:
        writer.add_embedding(
            features, metadata=about, label_img=images, metadata_header=COLUMNS, tag=name
        )
