"""A film of a training: the grids of synthetic images in a run directory, one after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from synthograph.archive.png import png_size
from synthograph.core.animations import check_animation, open_animation
from synthograph.core.contact_sheets import INK, LINE, MARGIN, PAPER
from synthograph.core.errors import StoppedError, UserError
from synthograph.core.files import disk_errors
from synthograph.core.outputs import is_run, no_run
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.signals import StopRequest
from synthograph.report.pictures import read_picture
from synthograph.report.runs import grids
from synthograph.workflows.export_requests import FilmRequest

FIRST = "fakes-init.png"
"""The grid that a run draws before it trains."""
HEADER = 64
"""Bytes of a PNG in which its size stands."""
STRIP = LINE + MARGIN
"""Pixels below a grid, for its words."""


@dataclass(frozen=True)
class Grid:
    """A grid of synthetic images, and the words below it."""

    path: Path
    words: str


@dataclass(frozen=True, repr=False)
class FilmResult(Result):
    """A film that was written.

    Attributes:
        out: the file or folder.
        words: of the first and of the last frame, and of those between.
        size: width and height of a frame, in pixels.
        grid: width and height of the grids.
    """

    out: Path
    words: Sequence[str]
    size: tuple[int, int]
    grid: tuple[int, int]

    def lines(self) -> Iterator[str]:
        """What is where."""
        shrunk = self.size[0] < self.grid[0]
        smaller = f", from grids of {self.grid[0]}x{self.grid[1]}" if shrunk else ""
        yield (
            f"{self.out}: {len(self.words)} frames of {self.size[0]}x{self.size[1]} pixels{smaller}"
        )
        yield f"from {self.words[0]} to {self.words[-1]}"


def run(request: FilmRequest, *, progress: Progress) -> FilmResult:
    """Write the film; one grid is in memory at a time, besides what the kind of file holds.

    Raises:
        UserError: the folder is no run directory or holds no grids, they differ in size, or the
            film cannot be written.
        StoppedError: a signal came.
    """
    shown = _shown(request)
    width, height = _size(shown)
    wide = min(width, request.width or width)
    high = max(1, round(height * wide / width))
    size = (wide, high + STRIP)
    check_animation(request.out, len(shown), size[::-1], fps=request.fps)
    with (
        StopRequest("the grid at work is finished") as stop,
        open_animation(request.out, frames=len(shown), fps=request.fps) as film,
    ):
        for grid in progress.track("grids")(shown, len(shown)):
            if stop.requested:
                raise StoppedError(
                    f"stopped on request ({stop.reason}); nothing is written, the same command "
                    "starts again"
                )
            film.add(_frame(grid, (width, height), size))
    return FilmResult(request.out, [each.words for each in shown], size, (width, height))


def _shown(request: FilmRequest) -> list[Grid]:
    """The grids that are asked for, the last one always among them.

    Raises:
        UserError: there is no run, or none of its grids.
    """
    folder = request.run
    with disk_errors(folder):
        if not folder.is_dir() or not is_run(folder):
            raise UserError(f"{folder}: {no_run(folder)}")
        found = [Grid(each.path, f"kimg {each.kimg:g}") for each in grids(folder)]
        if (folder / FIRST).is_file():
            found.insert(0, Grid(folder / FIRST, "before training"))
    if not found:
        raise UserError(
            f"{folder}: holds no grid of synthetic images (fakes-*.png), which 'synthograph train' "
            "draws at every snapshot"
        )
    return found[::-1][:: request.every][::-1]


def _size(shown: Sequence[Grid]) -> tuple[int, int]:
    """Width and height of all grids.

    Raises:
        UserError: two differ.
    """
    sizes = [_size_of(each.path) for each in shown]
    for each, size in zip(shown, sizes, strict=True):
        if size != sizes[-1]:
            raise UserError(
                f"{each.path}: has {size[0]}x{size[1]} pixels, {shown[-1].path.name} has "
                f"{sizes[-1][0]}x{sizes[-1][1]}: a film has frames of one size; move the grids of "
                "the other size out of the folder"
            )
    return sizes[-1]


def _size_of(path: Path) -> tuple[int, int]:
    with disk_errors(path), path.open("rb") as file:
        return png_size(file.read(HEADER), str(path))


def _frame(grid: Grid, full: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """A grid of `full` width and height as a frame of `size`, with its words below.

    Raises:
        UserError: it is broken, or another one than when the film began.
    """
    picture = read_picture(grid.path).convert("RGB")
    if picture.size != full:
        raise UserError(f"{grid.path}: was changed meanwhile; run the command again")
    inside = (size[0], size[1] - STRIP)
    if picture.size != inside:
        picture = picture.resize(inside, Image.Resampling.LANCZOS)
    frame = Image.new("RGB", size, PAPER)
    frame.paste(picture)
    font = ImageFont.load_default(size=12)
    ImageDraw.Draw(frame).text((MARGIN, inside[1]), grid.words, fill=INK, font=font)
    return np.asarray(frame)
