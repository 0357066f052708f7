"""Numbers per image from which measures are computed: one pass over a set, and kept on disk.

A column is what one extractor, or one pixel statistic, says of every image. All columns of a set
come from one pass over its images, go straight to files, and come back as memory maps, so memory
does not grow with the number of images and the same images are never read twice. Several processes,
on machines that share the folder, may each keep a part of the rows before (`keep_part`); whoever
asks for all rows finds them.
"""

import contextlib
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from synthograph.archive.batches import Homes, ImageSet
from synthograph.archive.cache import Gathered
from synthograph.archive.parts import Part
from synthograph.core.errors import UserError
from synthograph.core.files import atomic_path, disk_errors
from synthograph.core.halves import scratch_folder
from synthograph.core.progress import Track, Tracks, silent
from synthograph.core.spec import ImageSpec
from synthograph.features.base import ClassifyingExtractor, Extractor
from synthograph.metrics.spectrum import rings, spectra
from synthograph.ops.similarity import ms_ssim
from synthograph.stats.sample import Sample

Step = Callable[[Tensor], Tensor]
"""Images [n, channels, h, w] to rows [n, dims]; called batch by batch, in order."""
NO_PAIR = -1.0
"""Similarity of an image that is the first of its pair, or has no partner."""
BLOCK = 512
"""Images whose numbers depend on one another at most, so that sets can be cut between blocks."""


@dataclass(frozen=True)
class Column:
    """Numbers per image."""

    name: str  # for messages
    key: str  # the same for the same numbers of the same images
    dims: int  # numbers per image
    begin: Callable[[int], Step]
    """Makes the step that goes through a set once, from an image on where a block starts."""
    alone: bool = True
    """Whether the numbers of an image depend on it alone, and not on others of its set."""


def extractor_column(extractor: Extractor, spec: ImageSpec, modality: str | None = None) -> Column:
    """Features of whole images, or of one modality's channels; behind them the class probabilities
    of an extractor that gives any.
    """
    part = channels_of(spec, modality)
    classes = extractor.classes if isinstance(extractor, ClassifyingExtractor) else 0

    def step(images: Tensor) -> Tensor:
        cut = images[:, part]
        if isinstance(extractor, ClassifyingExtractor):
            return torch.cat(extractor.features_and_probabilities(cut), dim=1)
        return extractor(cut)

    about = [extractor.describe(), extractor.digest.sha256, part.start, part.stop, classes > 0]
    return Column(extractor.name, digest(about), extractor.dims + classes, lambda _: step)


def spectrum_column(spec: ImageSpec, modality: str | None = None) -> Column:
    """Power in decibels of every ring of frequencies."""
    part = channels_of(spec, modality)

    def step(images: Tensor) -> Tensor:
        return spectra(images[:, part]).to(torch.float32)

    dims = int(rings(spec.height, spec.width).max()) + 1
    return Column("spectrum", digest(["spectrum", 1, part.start, part.stop]), dims, lambda _: step)


def similarity_column(images: ImageSet, modality: str | None = None) -> Column:
    """Structural similarity of every second image to the one before it: in the whole set, and in
    its class. Images of one patient are no pair; then the later one waits for a partner, at most to
    the end of its block.
    """
    part = channels_of(images.spec, modality)
    groups, labels = images.groups.tolist(), images.labels or [""] * images.count
    about = ["similarity", 2, BLOCK, part.start, part.stop, groups, list(labels)]
    begin = partial(_Pairs, part, groups, labels)
    return Column("ms_ssim", digest(about), 2, begin, alone=False)


class _Pairs:
    """The step of `similarity_column`."""

    def __init__(
        self, part: slice, groups: Sequence[int], labels: Sequence[str], start: int
    ) -> None:
        self._part, self._groups, self._labels = part, groups, labels
        self._waiting: dict[str | None, tuple[int, np.ndarray]] = {}
        self._done = start

    def __call__(self, images: Tensor) -> Tensor:
        pixels = images[:, self._part].numpy()
        rows = torch.full((len(pixels), 2), NO_PAIR)
        for place, of_class in ((0, False), (1, True)):
            pairs, found = [], []
            for i, image in enumerate(pixels):
                partner = self._partner(self._done + i, image, of_class)
                if partner is not None:
                    pairs.append((partner, image))
                    found.append(i)
            if found:
                x, y = (torch.from_numpy(np.stack(side)) for side in zip(*pairs, strict=True))
                rows[found, place] = ms_ssim(x, y).to(torch.float32)
        self._done += len(pixels)
        return rows

    def _partner(self, number: int, image: np.ndarray, of_class: bool) -> np.ndarray | None:
        """The earlier image to compare this one with; without one, this one waits for a later."""
        name = self._labels[number] if of_class else None
        waiting = self._waiting.pop(name, None)
        if waiting is not None:
            other, pixels = waiting
            same = other // BLOCK == number // BLOCK
            if same and self._groups[other] != self._groups[number]:
                return pixels
        self._waiting[name] = (number, image.copy())
        return None


def channels_of(spec: ImageSpec, modality: str | None) -> slice:
    """Those of a modality, or all."""
    if modality is None:
        return slice(0, spec.channels)
    widths, place = list(spec.modalities.values()), list(spec.modalities).index(modality)
    return slice(sum(widths[:place]), sum(widths[: place + 1]))


def digest(about: Sequence[Any]) -> str:
    """A key for a column, from plain data."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def rows_of(
    images: ImageSet,
    columns: Sequence[Column],
    *,
    folder: Path,
    track: Track = lambda items, total: items,
) -> list[Float32[Tensor, "_ _"]]:
    """The numbers of every column for every image, as memory maps. Those that are not on disk are
    computed in one pass over the images. Where images lie in several archives, it is a pass over
    those that they lie in, for all sets that they are ever in.

    Args:
        images: the set.
        columns: what to compute.
        folder: where rows of sets with a key are kept; those of others are removed at once.
        track: shows progress, in batches.

    Raises:
        UserError: a number is not finite; the image is named.
        DiskFullError: there is no space for the rows.
    """
    if images.homes is not None and images.key is not None:
        return _from_homes(images, images.homes, columns, folder, track)
    with disk_errors(folder), contextlib.ExitStack() as stack:
        folder.mkdir(parents=True, exist_ok=True)
        place = folder
        if images.key is None:  # rows stay readable while they are mapped
            place = stack.enter_context(scratch_folder(folder))
        missing = [each for each in columns if _kept(images, each, place) is None]
        if missing:
            _compute(images, missing, place, track)
        kept = [_kept(images, column, place) for column in columns]
    if any(rows is None for rows in kept):
        raise UserError(f"{folder}: what was computed cannot be read back; is the disk full?")
    return [rows for rows in kept if rows is not None]


def _from_homes(
    images: ImageSet, homes: Homes, columns: Sequence[Column], folder: Path, track: Track
) -> list[Float32[Tensor, "_ _"]]:
    """Numbers that are kept with the archives that the images lie in, put together; those that
    depend on the set are computed of the set.
    """
    alone = [column for column in columns if column.alone]
    others = [column for column in columns if not column.alone]
    kept = [rows_of(each, alone, folder=folder, track=track) for each in homes.sets]
    number, place = homes.number.numpy(), homes.place.numpy()
    found: dict[Column, Tensor] = {}
    with disk_errors(folder), scratch_folder(folder) as scratch:
        paths = [_path(images, column, scratch) for column in alone]
        with _new_files(paths, alone, images.count) as files:
            for at, file in enumerate(files):
                rows = Gathered([each[at].numpy() for each in kept], number, place)
                for start in range(0, images.count, BLOCK):
                    end = min(start + BLOCK, images.count)
                    file.write(rows[np.arange(start, end)].tobytes())
        for column in alone:
            rows_there = _kept(images, column, scratch)
            assert rows_there is not None, f"{column.name} was written a moment ago"
            found[column] = rows_there
    whole = replace(images, homes=None)
    found |= zip(others, rows_of(whole, others, folder=folder, track=track), strict=True)
    return [found[column] for column in columns]


def features_of(
    images: ImageSet, extractor: Extractor, *, folder: Path, tracks: Tracks = silent
) -> Sample:
    """Features of whole images with their patients; arguments and errors as for `rows_of`."""
    column, track = extractor_column(extractor, images.spec), tracks(f"features of {images.name}")
    (rows,) = rows_of(images, [column], folder=folder, track=track)
    return Sample(rows[:, : extractor.dims], images.groups)


def keep_part(
    images: ImageSet,
    columns: Sequence[Column],
    part: Part,
    *,
    folder: Path,
    track: Track = lambda items, total: items,
) -> int:
    """Compute one part of the rows and keep it, for `rows_of` to take over.

    A part ends where a batch and a block end, so its numbers are those of one process. A set
    without a key, or that gives only all of its images, has no parts. Arguments and errors
    otherwise as for `rows_of`.

    Returns:
        How many images the part has.
    """
    if images.homes is not None:
        alone = [column for column in columns if column.alone]
        for each in images.homes.sets:
            keep_part(each, alone, part, folder=folder, track=track)
        columns = [column for column in columns if not column.alone]
        images = replace(images, homes=None)
    if images.key is None or images.section is None:
        return 0
    numbers = part.numbers(images.count, math.lcm(images.batch, BLOCK))
    missing = [
        column
        for column in columns
        if _kept(images, column, folder) is None and _kept(images, column, folder, numbers) is None
    ]
    if missing and numbers:
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            paths = [_path(images, column, folder, numbers) for column in missing]
            with _new_files(paths, missing, len(numbers)) as files:
                _write(images, numbers, missing, files, track)
    return len(numbers)


@contextlib.contextmanager
def _new_files(
    paths: Iterable[Path], columns: Sequence[Column], count: int
) -> Iterator[Sequence[IO[bytes]]]:
    """Files to be filled with rows, which get their names when they are whole."""
    with contextlib.ExitStack() as stack:
        names = [stack.enter_context(atomic_path(path)) for path in paths]
        with contextlib.ExitStack() as opened:
            files = [opened.enter_context(name.open("wb")) for name in names]
            for column, file in zip(columns, files, strict=True):
                header = {"descr": "<f4", "fortran_order": False, "shape": (count, column.dims)}
                np.lib.format.write_array_header_1_0(file, header)
            yield files


def _path(images: ImageSet, column: Column, folder: Path, numbers: range | None = None) -> Path:
    """File of all rows, or of those of a part."""
    stem = digest([images.key, column.key])[:40]
    if numbers is None:
        return folder / f"{stem}.npy"
    return folder / f"{stem}.{numbers.start}-{numbers.stop}.npy"


def _kept(
    images: ImageSet, column: Column, folder: Path, numbers: range | None = None
) -> Tensor | None:
    """All rows, or those of a part, where a sound file holds them."""
    try:
        # private pages, since torch wants to be able to write
        path = _path(images, column, folder, numbers)
        rows = np.load(path, mmap_mode="c", allow_pickle=False)
    except Exception:  # noqa: BLE001 - whatever is wrong with a cache, it can be made again
        return None
    count = images.count if numbers is None else len(numbers)
    fits = rows.shape == (count, column.dims) and rows.dtype == np.dtype("<f4")
    return torch.from_numpy(rows) if fits else None


Parts = dict[range, Tensor]
"""Numbers of images to their rows."""


def _parts(images: ImageSet, column: Column, folder: Path) -> Parts:
    """Parts that are kept of a column; those that overlap one before them are left out, and those
    that end within a batch, which were made with batches of another size.
    """
    step, end, found = math.lcm(images.batch, BLOCK), 0, Parts()
    names = (path.name for path in folder.glob(f"{_path(images, column, folder).stem}.*-*.npy"))
    ends = r"[0-9a-f]+\.([0-9]{1,12})-([0-9]{1,12})\.npy"
    matches = filter(None, (re.fullmatch(ends, name) for name in names))
    for start, stop in sorted((int(match[1]), int(match[2])) for match in matches):
        rows = _kept(images, column, folder, range(start, stop))
        whole_batches = not start % step and (not stop % step or stop == images.count)
        if rows is not None and whole_batches and end <= start < stop <= images.count:
            found[range(start, stop)] = rows
            end = stop
    return found


def _compute(images: ImageSet, columns: Sequence[Column], folder: Path, track: Track) -> None:
    """Write all rows, from parts where they hold them, and remove the parts."""
    parts = [_parts(images, column, folder) for column in columns]
    ends = (end for each in parts for numbers in each for end in (numbers.start, numbers.stop))
    paths = [_path(images, column, folder) for column in columns]
    with _new_files(paths, columns, images.count) as files:
        for start, stop in pairwise(sorted({0, images.count, *ends})):
            lacking: dict[Column, IO[bytes]] = {}
            for column, file, each in zip(columns, files, parts, strict=True):
                rows = _rows_within(each, start, stop)
                if rows is None:
                    lacking[column] = file
                else:
                    file.write(rows.numpy().tobytes())
            if lacking:
                _write(images, range(start, stop), list(lacking), list(lacking.values()), track)
    for column, each in zip(columns, parts, strict=True):
        for numbers in each:
            _path(images, column, folder, numbers).unlink(missing_ok=True)


def _rows_within(parts: Parts, start: int, stop: int) -> Tensor | None:
    for numbers, rows in parts.items():
        if numbers.start <= start and stop <= numbers.stop:
            return rows[start - numbers.start : stop - numbers.start]
    return None


def _write(
    images: ImageSet,
    numbers: range,
    columns: Sequence[Column],
    files: Sequence[IO[bytes]],
    track: Track,
) -> None:
    """Rows of consecutive images."""
    steps, done = [column.begin(numbers.start) for column in columns], numbers.start
    whole = len(numbers) == images.count
    batches: Iterable[Tensor] = images.batches() if whole else images.within(numbers)
    for batch in track(batches, -(-len(numbers) // images.batch)):
        for column, step, file in zip(columns, steps, files, strict=True):
            rows = step(batch)
            good = rows.isfinite().all(dim=1)
            if not bool(good.all()):
                number = done + int((~good).nonzero()[0, 0])
                raise UserError(
                    f"{images.name}, image {number}: what {column.name} says of it is not a finite "
                    "number; look at the image, and whether the weight file is the right one"
                )
            file.write(rows.to(torch.float32).contiguous().numpy().astype("<f4").tobytes())
        done += len(batch)
    if done != numbers.stop:
        raise UserError(
            f"{images.name}: {done - numbers.start} images came, {len(numbers)} were expected"
        )
