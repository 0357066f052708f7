"""Numbers per image that measures are made of, computed in one pass over a set and kept.

A column is what one extractor, or one pixel statistic, says of every image. All columns of a set
come from one pass over its images, go straight to files, and come back as memory maps, so memory
does not grow with the number of images and the same images are never read twice.
"""

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from synthograph.archive.batches import ImageSet
from synthograph.core.errors import UserError
from synthograph.core.files import atomic_path, disk_errors
from synthograph.core.progress import Track
from synthograph.core.spec import ImageSpec
from synthograph.features.base import Extractor
from synthograph.features.inception import InceptionExtractor
from synthograph.metrics.spectrum import rings, spectra
from synthograph.metrics.ssim import ms_ssim

Step = Callable[[Tensor], Tensor]
"""Images [n, channels, h, w] to rows [n, dims]; called batch by batch, in order."""
NO_PAIR = -1.0
"""Similarity of an image that is the first of its pair, or has no partner."""


@dataclass(frozen=True)
class Column:
    """Numbers per image.

    Attributes:
        name: for messages.
        key: the same for the same numbers of the same images.
        dims: numbers per image.
        begin: makes the step that goes through a set once.
    """

    name: str
    key: str
    dims: int
    begin: Callable[[], Step]


def extractor_column(extractor: Extractor, spec: ImageSpec, modality: str | None = None) -> Column:
    """Features of whole images, or of one modality's channels; with `inception` its class
    probabilities behind them.
    """
    part = _channels(spec, modality)
    both = isinstance(extractor, InceptionExtractor)

    def step(images: Tensor) -> Tensor:
        cut = images[:, part]
        if isinstance(extractor, InceptionExtractor):
            return torch.cat(extractor.both(cut), dim=1)
        return extractor(cut)

    about = [extractor.describe(), extractor.digest.sha256, part.start, part.stop, both]
    return Column(extractor.name, _digest(about), dims_of(extractor), lambda: step)


def dims_of(extractor: Extractor) -> int:
    """Numbers per image, class probabilities included."""
    if isinstance(extractor, InceptionExtractor):
        return extractor.dims + extractor.network.fc.out_features
    return extractor.dims


def spectrum_column(spec: ImageSpec, modality: str | None = None) -> Column:
    """Power in decibels of every ring of frequencies."""
    part = _channels(spec, modality)

    def step(images: Tensor) -> Tensor:
        return spectra([images[:, part]]).to(torch.float32)

    dims = int(rings(spec.height, spec.width).max()) + 1
    return Column("spectrum", _digest(["spectrum", 1, part.start, part.stop]), dims, lambda: step)


def similarity_column(images: ImageSet, modality: str | None = None) -> Column:
    """Structural similarity of every second image to the one before it: of the whole set, and of
    its class. Images of one patient are no pair; then the later one waits for a partner.
    """
    part = _channels(images.spec, modality)
    groups, labels = images.groups.tolist(), images.labels or [""] * images.count
    about = ["similarity", 1, part.start, part.stop, groups, list(labels)]
    return Column("ms_ssim", _digest(about), 2, lambda: _Pairs(part, groups, labels))


class _Pairs:
    """The step of `similarity_column`."""

    def __init__(self, part: slice, groups: Sequence[int], labels: Sequence[str]) -> None:
        self._part, self._groups, self._labels = part, groups, labels
        self._waiting: dict[str | None, tuple[int, np.ndarray]] = {}
        self._done = 0

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
        """The image that waits for this one; else this one waits."""
        name = self._labels[number] if of_class else None
        waiting = self._waiting.pop(name, None)
        if waiting is not None and self._groups[waiting[0]] != self._groups[number]:
            return waiting[1]
        self._waiting[name] = (number, image.copy())
        return None


def _channels(spec: ImageSpec, modality: str | None) -> slice:
    if modality is None:
        return slice(0, spec.channels)
    start = 0
    for name, channels in spec.modalities.items():
        if name == modality:
            return slice(start, start + channels)
        start += channels
    raise AssertionError(f"modality {modality!r} is none of the specification's")


def _digest(about: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def rows_of(
    images: ImageSet,
    columns: Sequence[Column],
    *,
    folder: Path,
    track: Track = lambda items, total: items,
) -> list[Float32[Tensor, "_ _"]]:
    """What every column says of every image, as memory maps; what is not kept yet is computed in
    one pass over the images.

    Args:
        images: the set.
        columns: what to compute.
        folder: where rows of sets with a key are kept; others lie in nameless temporary files.
        track: shows progress, in batches.

    Raises:
        UserError: a number is not finite; the image is named.
        DiskFullError: there is no space for the rows.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    kept = [_kept(images, column, folder) for column in columns]
    missing = [i for i, rows in enumerate(kept) if rows is None]
    if missing:
        chosen = [columns[i] for i in missing]
        for i, rows in zip(missing, _compute(images, chosen, folder, track), strict=True):
            kept[i] = rows
    return [rows for rows in kept if rows is not None]


def _path(images: ImageSet, column: Column, folder: Path) -> Path:
    return folder / f"{_digest([images.key, column.key])[:40]}.npy"


def _kept(images: ImageSet, column: Column, folder: Path) -> Tensor | None:
    if images.key is None:
        return None
    try:
        # private pages, since torch wants to be able to write
        rows = np.load(_path(images, column, folder), mmap_mode="c", allow_pickle=False)
    except Exception:  # noqa: BLE001 - whatever is wrong with a cache, it can be made again
        return None
    fits = rows.shape == (images.count, column.dims) and rows.dtype == np.dtype("<f4")
    return torch.from_numpy(rows) if fits else None


def _compute(
    images: ImageSet, columns: Sequence[Column], folder: Path, track: Track
) -> list[Tensor]:
    if images.key is None:
        with contextlib.ExitStack() as opened, disk_errors(folder):
            files = [opened.enter_context(tempfile.TemporaryFile(dir=folder)) for _ in columns]
            _write(images, columns, files, track)
            pairs = zip(files, columns, strict=True)
            return [_mapped(file, images, column) for file, column in pairs]
    with contextlib.ExitStack() as stack:
        names = [
            stack.enter_context(atomic_path(_path(images, column, folder))) for column in columns
        ]
        with contextlib.ExitStack() as opened:
            _write(
                images, columns, [opened.enter_context(name.open("wb")) for name in names], track
            )
    found = [_kept(images, column, folder) for column in columns]
    if any(rows is None for rows in found):
        raise UserError(f"{folder}: what was computed cannot be read back; is the disk full?")
    return [rows for rows in found if rows is not None]


def _mapped(file: IO[bytes], images: ImageSet, column: Column) -> Tensor:
    file.flush()
    file.seek(0)
    np.lib.format.read_magic(file)
    np.lib.format.read_array_header_1_0(file)
    shape = (images.count, column.dims)
    return torch.from_numpy(np.memmap(file, "<f4", mode="c", offset=file.tell(), shape=shape))


def _write(
    images: ImageSet, columns: Sequence[Column], files: Sequence[IO[bytes]], track: Track
) -> None:
    for column, file in zip(columns, files, strict=True):
        shape = (images.count, column.dims)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
    steps, done = [column.begin() for column in columns], 0
    for batch in track(images.batches(), -(-images.count // images.batch)):
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
    if done != images.count:
        raise UserError(f"{images.name}: {done} images came, {images.count} were expected")
