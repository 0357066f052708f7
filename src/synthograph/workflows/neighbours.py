"""Images around a seed, with their distances as latents and as images."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from synthograph.core.contact_sheets import as_rgb, contact_sheet
from synthograph.core.errors import UserError
from synthograph.core.files import new_folder, refuse_output, write_text
from synthograph.core.outputs import refuse_other_kinds
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.features.registry import default_distance, perceptual_distance
from synthograph.features.vgg16 import MIN_SIDE
from synthograph.models.snapshot import Snapshot
from synthograph.ops.similarity import unit_range
from synthograph.sampling import latents as drawing
from synthograph.sampling import neighbours as sampling
from synthograph.sampling.latents import Latents, Rendering, Space
from synthograph.sampling.pictures import write_pngs
from synthograph.sampling.seeds import parse_seeds
from synthograph.workflows.latent_inputs import class_of, open_styled, read_latents
from synthograph.workflows.latent_requests import NeighboursRequest
from synthograph.workflows.tables import csv_text, rows_lines

SHEET, TABLE, LATENTS, CENTRE = "sheet.png", "neighbours.csv", "latents.npz", "centre"
OTHERS = "other seeds"
MAX_IMAGES = 4096
"""Images of one sheet; they are held in memory."""


@dataclass(frozen=True)
class Neighbour:
    """An image and how far it is from the one in the middle.

    Attributes:
        name: of its file without ending.
        distance: at which it was asked for; None for images to compare with.
        measured: name of a measure -> distance.
    """

    name: str
    distance: float | None
    measured: Mapping[str, float]


@dataclass(frozen=True, repr=False)
class NeighboursResult(Result):
    """A folder of neighbours.

    Attributes:
        outdir: the folder, with `centre.png`, an image of every neighbour, `sheet.png`,
            `neighbours.csv` and `latents.npz`.
        space: where the distances were asked for.
        neighbours: those of the first distance first, and other images of the class behind them.
    """

    outdir: Path
    space: Space
    neighbours: tuple[Neighbour, ...]

    def lines(self) -> Iterator[str]:
        """Medians of all distances, and what is where."""
        names = list(self.neighbours[0].measured)
        first, rows = f"distance in {self.space}, {sampling.UNITS[self.space]}", []
        for distance, some in itertools.groupby(self.neighbours, lambda each: each.distance):
            found = [each.measured for each in some]
            medians = (float(np.median([row[name] for row in found])) for name in names)
            asked = OTHERS if distance is None else f"{distance:g}"
            rows.append((asked, *(f"{number:.3g}" for number in medians)))
        head = (first, *(f"{name}, median" for name in names))
        yield from rows_lines(head, rows, framed=False)
        count = sum(each.distance is not None for each in self.neighbours)
        yield f"{self.outdir}: {count} neighbours, {SHEET}, {TABLE}, {LATENTS}"


def run(request: NeighboursRequest, *, progress: Progress) -> NeighboursResult:
    """Draw and measure the neighbours of one latent.

    Raises:
        UserError: an option breaks a rule, a class is missing, latents are of another network, or
            the folder is there.
    """
    refuse_other_kinds(request.outdir, "--outdir")
    refuse_output(request.outdir, "--outdir")
    snapshot, how = open_styled(request, request.network, progress)
    centre = _centre(snapshot, request, progress)
    drawing.labels_of(snapshot, centre, how, needed=True)
    if request.space == Space.W.value and centre.space is Space.Z:
        centre = sampling.styled_centre(snapshot, centre, how)
    distances = sampling.parse_distances(request.distance, centre.space)
    if len(distances) * request.num > MAX_IMAGES:
        raise UserError(
            f"{len(distances)} distances of {request.num} neighbours are more than the "
            f"{MAX_IMAGES} images of one sheet: ask for fewer"
        )
    near = sampling.around(snapshot, centre, distances, request.num, how)
    far = sampling.others(snapshot, centre, request.num)
    wanted = [distance for distance in distances for _ in range(request.num)]
    with new_folder(request.outdir) as folder:
        found = _draw(snapshot, how, (centre, near, far), wanted, folder, progress)
    return NeighboursResult(request.outdir, centre.space, tuple(found))


def _centre(snapshot: Snapshot, request: NeighboursRequest, progress: Progress) -> Latents:
    """The latent in the middle."""
    label = class_of(snapshot, request.of_class)
    if (request.seed is None) == (request.latents is None):
        raise UserError("give --seed or --latents, one of them: it is the centre")
    if request.latents is None:
        seeds = parse_seeds(str(request.seed), "--seed")
        return drawing.of_seeds(snapshot, seeds, [label])
    space = Space.Z if request.space == Space.Z.value else None
    found = read_latents(request.latents, snapshot, progress, space)
    found = found.of_class(label, str(request.latents))
    if len(found) > 1:
        raise UserError(f"{request.latents}: holds {len(found)} latents, give a file with one")
    return found


def _draw(
    snapshot: Snapshot,
    how: Rendering,
    sets: tuple[Latents, Latents, Latents],
    wanted: Sequence[float],
    folder: Path,
    progress: Progress,
) -> list[Neighbour]:
    """All files, and the distances of the neighbours and of other images."""
    centre, near, far = sets
    spec, count = snapshot.info.spec, len(near)
    drawn = drawing.as_styles(snapshot, [centre, near, far], how)
    images = []
    rendered = drawing.render(snapshot, drawn.values, drawn.seeds, how)
    for pixels in progress.track("drawing")(rendered, len(drawn)):
        images.append(pixels)
    for name, pixels in zip([CENTRE, *near.names], images, strict=False):
        write_pngs(folder, f"{name}.png", spec, pixels)
    measured = _measured(snapshot, how, sets, drawn, torch.from_numpy(np.stack(images)))
    rows = [
        Neighbour(name, distance, {m: float(values[k]) for m, values in measured.items()})
        for k, (name, distance) in enumerate(
            zip((*near.names, *far.names), (*wanted, *[None] * len(far)), strict=True)
        )
    ]
    write_text(folder / TABLE, _table(rows, centre.space))
    small = [as_rgb(pixels, spec.modalities.values()) for pixels in images[: count + 1]]
    (folder / SHEET).write_bytes(_sheet(small, rows[:count], centre.space))
    z = torch.cat((centre.values, near.values)) if centre.space is Space.Z else None
    drawn.take(slice(count + 1)).save(folder / LATENTS, snapshot, z)
    return rows


def _measured(
    snapshot: Snapshot,
    how: Rendering,
    sets: tuple[Latents, Latents, Latents],
    drawn: Latents,
    images: Tensor,
) -> dict[str, Tensor]:
    """Name of a measure -> distances from the first, of all others."""
    centre, near, far = sets
    found = {}
    if centre.space is Space.Z:
        found["angle"] = sampling.angles(centre.values, torch.cat((near.values, far.values)))
    spread = sampling.spread_of(snapshot, centre.labels[0], how)
    found["w"] = sampling.style_distances(drawn.values[:1], drawn.values[1:], spread)
    first, others = images[:1].expand(len(images) - 1, -1, -1, -1), images[1:]
    errors = unit_range(first).double() - unit_range(others).double()
    found["rmse"] = errors.square().mean((1, 2, 3)).sqrt()
    if min(images.shape[2:]) >= MIN_SIDE:
        perceptual = perceptual_distance(default_distance(), device=how.device)
        found[perceptual.name] = perceptual(first, others)
    return found


def _table(rows: Sequence[Neighbour], space: Space) -> str:
    """The table as CSV."""
    names = list(rows[0].measured)
    head = ("name", "kind", f"asked_{space}", *names)
    lines = []
    for row in rows:
        kind = "other" if row.distance is None else "neighbour"
        asked = "" if row.distance is None else f"{row.distance:g}"
        lines.append((row.name, kind, asked, *(f"{row.measured[name]:.6g}" for name in names)))
    return csv_text(head, lines)


def _sheet(images: Sequence[np.ndarray], rows: Sequence[Neighbour], space: Space) -> bytes:
    """The middle, and a row of neighbours for every distance; below each its distance as image."""
    measure = list(rows[0].measured)[-1]
    lines, captions, place = [(CENTRE, images[:1])], [["0"]], 1
    for distance, some in itertools.groupby(rows, lambda each: each.distance):
        words = [f"{each.measured[measure]:.3f}" for each in some]
        lines.append((f"{distance:g} {sampling.UNITS[space]}", images[place : place + len(words)]))
        captions.append(words)
        place += len(words)
    return contact_sheet(lines, captions=captions)
