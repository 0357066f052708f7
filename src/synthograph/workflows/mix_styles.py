"""Sheets of mixed styles: rows of w exchanged between latents."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from synthograph.core.contact_sheets import as_rgb, contact_sheet
from synthograph.core.errors import UserError
from synthograph.core.files import new_folder, refuse_output
from synthograph.core.outputs import refuse_other_kinds
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.untrusted.arrays import SUFFIX
from synthograph.models.snapshot import Snapshot
from synthograph.report.words import several
from synthograph.sampling.latents import (
    Latents,
    Rendering,
    as_styles,
    joined,
    of_seeds,
    render,
    space_of,
)
from synthograph.sampling.mixing import mix, parse_styles
from synthograph.sampling.naming import file_head, refuse_same_names
from synthograph.sampling.pictures import write_pngs
from synthograph.sampling.seeds import parse_seeds
from synthograph.workflows.latent_inputs import class_of, open_styled, read_latents
from synthograph.workflows.latent_requests import MixStylesRequest

GRID, LATENTS = "grid.png", "latents.npz"
MAX_HEAD = 9
"""Letters above the smallest image."""
MAX_IMAGES = 4096
"""Images of one sheet; they are held in memory."""


@dataclass(frozen=True, repr=False)
class MixStylesResult(Result):
    """A folder of mixed images.

    Attributes:
        outdir: the folder, with `grid.png`, `latents.npz` and an image for every mixture.
        rows: names of the latents of the rows.
        cols: names of those of the columns.
        styles: style rows that come from the columns.
        of: how many the network has.
    """

    outdir: Path
    rows: tuple[str, ...]
    cols: tuple[str, ...]
    styles: tuple[int, ...]
    of: int

    def lines(self) -> Iterator[str]:
        """What is where."""
        count = len(self.rows) * len(self.cols)
        rows = ", ".join(map(str, self.styles))
        yield f"style rows {rows} (of {self.of}) come from the columns"
        yield f"{self.outdir}: {several(count, 'mixture')}, {GRID}, {LATENTS}"


def run(request: MixStylesRequest, *, progress: Progress) -> MixStylesResult:
    """Draw all mixtures of rows and columns.

    Raises:
        UserError: an option breaks a rule, a class is missing, latents are of another network, or
            the folder is there.
    """
    refuse_other_kinds(request.outdir, "--outdir")
    refuse_output(request.outdir, "--outdir")
    snapshot, how = open_styled(request, request.network, progress)
    of = space_of(snapshot).rows
    chosen = parse_styles(request.styles, of)
    rows, cols = (_side(snapshot, request, how, side, progress) for side in ("row", "col"))
    if len(rows) * len(cols) > MAX_IMAGES:
        raise UserError(
            f"{len(rows)} rows and {len(cols)} columns are more than the {MAX_IMAGES} images of "
            "one sheet: ask for fewer"
        )
    mixed = mix(rows, cols, chosen)
    refuse_same_names(_names(rows, cols, mixed), "--rows and --cols")
    with new_folder(request.outdir) as folder:
        _draw(snapshot, how, (rows, cols, mixed), folder, progress)
        mixed.save(folder / LATENTS, snapshot)
    return MixStylesResult(request.outdir, rows.names, cols.names, tuple(chosen), of)


def _side(
    snapshot: Snapshot, request: MixStylesRequest, how: Rendering, side: str, progress: Progress
) -> Latents:
    """Styles of the rows or of the columns: of seeds such as `0-3,7`, and of files of latents."""
    option, own = f"--{side}s", f"--{side}-class"
    sources: Sequence[str] = getattr(request, f"{side}s")
    named = getattr(request, f"{side}_class")
    label = class_of(snapshot, request.of_class, "--class")
    if named is not None:
        label = class_of(snapshot, named, own)
    found = []
    for text in sources:
        if text.lower().endswith(SUFFIX):
            given = read_latents(Path(text), snapshot, progress)
            where = "" if named is None else text  # --class is of seeds, too
            found.append(given.of_class(label, where, own))
        else:
            seeds = parse_seeds(text, option)
            found.append(of_seeds(snapshot, seeds, [label] * len(seeds), "{}"))
    result = as_styles(snapshot, found, how)
    return replace(result, names=tuple(map(file_head, result.names)))


def _draw(
    snapshot: Snapshot,
    how: Rendering,
    sets: tuple[Latents, Latents, Latents],
    folder: Path,
    progress: Progress,
) -> None:
    """An image for every mixture, those of the rows and columns themselves, and the sheet."""
    rows, cols, mixed = sets
    spec, every, small = snapshot.info.spec, joined(sets), list[np.ndarray]()
    images = render(snapshot, every.values, every.seeds, how)
    for name, pixels in zip(
        _names(*sets), progress.track("mixing")(images, len(every)), strict=True
    ):
        write_pngs(folder, f"{name}.png", spec, pixels)
        small.append(as_rgb(pixels, spec.modalities.values()))
    left, top, rest = small[: len(rows)], small[len(rows) :][: len(cols)], small[-len(mixed) :]
    lines = [("", [np.full_like(left[0], 255), *top])]
    for number, (name, image) in enumerate(zip(rows.names, left, strict=True)):
        lines.append((name, [image, *rest[number * len(cols) :][: len(cols)]]))
    (folder / GRID).write_bytes(contact_sheet(lines, heads=["", *map(_short, cols.names)]))


def _names(rows: Latents, cols: Latents, mixed: Latents) -> list[str]:
    """Names of all images."""
    sources = (*(f"row-{name}" for name in rows.names), *(f"col-{name}" for name in cols.names))
    return [*sources, *mixed.names]


def _short(name: str) -> str:
    """The end of a name, as much as fits above an image."""
    return name if len(name) <= MAX_HEAD else f"...{name[3 - MAX_HEAD :]}"
