"""Sets of images that can be measured: integer batches in a fixed order, with what the manifest
says of every image.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from synthograph.archive.cache import Gathered, cache_order, pixel_cache
from synthograph.archive.manifest import FOLD, HOME_GROUP, HOME_NAMESPACE, SPLITS, Row, in_split
from synthograph.archive.reader import MASKS, Archive, open_archive
from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams
from synthograph.core.spec import ImageSpec

BATCH = 256
WHOLE = 0.25
"""Share of an archive that another one has to link to for all of its images to be computed at once,
so that other sets of them need nothing more.
"""


@dataclass(frozen=True)
class Homes:
    """Where the images of a set are in other sets, so that what is computed of single images is
    computed there, once for all sets that they are in.

    Attributes:
        sets: that hold them.
        number: of the set of every image.
        place: of the image in it.
    """

    sets: tuple["ImageSet", ...]
    number: Int64[Tensor, " n"]
    place: Int64[Tensor, " n"]


@dataclass(frozen=True)
class ImageSet:
    """Images in a fixed order, wherever they come from.

    Attributes:
        name: what to call it in messages, such as `cells.zip:test`.
        spec: size, modalities and bits of every image.
        count: number of images.
        batches: every call yields all images anew, uint8 or uint16 [n, channels, h, w], modalities
            one after the other.
        batch: images in every batch but the last.
        groups: number of every image's patient; generated images have one of their own.
        labels: class of every image, or None where images have none.
        columns: further columns of the manifest, text per image.
        key: the same for the same images in the same order, so that what was computed of them can
            be kept; None where nothing tells.
        origin: what a reader must know of where they come from; plain data.
        files: of the images in their archive; none where they are made while they are read.
        section: yields the images of a range that begins and ends where batches do, in the same
            batches; None where only all images can be had.
        homes: where images of several archives are.
        fixed_noise: yields the images of a range as `section` does, of the same latents, all drawn
            with the same noise; None where images are made without noise, or were made before.
    """

    name: str
    spec: ImageSpec
    count: int
    batches: Callable[[], Iterator[Tensor]]
    batch: int
    groups: Int64[Tensor, " n"]
    labels: tuple[str, ...] | None = None
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    key: str | None = None
    origin: Mapping[str, object] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    section: Callable[[range], Iterator[Tensor]] | None = None
    homes: Homes | None = None
    fixed_noise: Callable[[range], Iterator[Tensor]] | None = None

    def within(self, numbers: range) -> Iterator[Tensor]:
        """Batches of a range of the images; only where there is a `section`."""
        assert self.section is not None, f"{self.name} gives all images or none"
        assert not numbers.start % self.batch, f"{numbers} begins within a batch of {self.batch}"
        return self.section(numbers)

    def at(self, rows: Int64[Tensor, " q"]) -> Iterator[tuple[Tensor, Tensor]]:
        """Some of the images, a batch at a time.

        Args:
            rows: their places, sorted, each once.

        Yields:
            Places, and pixels [q, channels, h, w]; both may be empty.
        """
        start = 0
        for batch in self.batches():
            if not len(rows) or start > int(rows[-1]):
                return
            here = rows[(rows >= start) & (rows < start + len(batch))]
            yield here, pixels_at(batch, here - start)
            start += len(batch)

    @property
    def group_count(self) -> int:
        """Number of patients."""
        return len(self.groups.unique())

    def describe(self, *, groups: bool = True) -> str:
        """Name, number of images and, of real ones, of patients."""
        of = f" of {self.group_count} groups" if groups else ""
        return f"{self.name}, {self.count} images{of}"

    def column(self, name: str) -> tuple[str, ...] | None:
        """A column by its name, `label` for the classes; None where the set has none."""
        return self.labels if name == "label" else self.columns.get(name)


def pixels_at(batch: Tensor, rows: Int64[Tensor, " q"]) -> Tensor:
    """Images at some places of a batch; torch cannot index 16-bit rows."""
    return torch.from_numpy(batch.numpy()[rows.numpy()])


def path_and_split(text: str) -> tuple[Path, str | None]:
    """The archive and the split that `PATH:split` names.

    Args:
        text: a path, with `:train`, `:val`, `:test`, a fold such as `:fold2`, or nothing behind it.
            Another word behind the path of something that is there is a split that it lacks.
    """
    path, _, split = text.rpartition(":")
    known = split in SPLITS or re.fullmatch(f"{FOLD}[0-9]{{1,3}}", split)
    lacking = re.fullmatch(r"[^/\\]+", split) and Path(path).exists()
    if path and (known or lacking) and not Path(text).exists():
        return Path(path), split
    return Path(text), None


def archive_images(
    archive: Archive,
    rows: Sequence[Row],
    *,
    name: str | None = None,
    split: str | None = None,
    batch: int = BATCH,
) -> ImageSet:
    """Rows of an archive as a set, from its pixel cache.

    Synthetic images count as groups of their own; real ones belong to their patient. The order
    is a random one that depends on the images' names only, so that consecutive images are not
    alike, as those of one class or patient in a manifest would be.

    Args:
        archive: where the images are.
        rows: which of them.
        name: of the set; by default that of the archive.
        split: which split they are, for the record.
        batch: images at once.
    """
    rows = in_random_order(rows)
    chosen = [archive.images_hash, archive.info.spec.tree(), [row.file for row in rows]]

    def section(numbers: range) -> Iterator[Tensor]:
        pixels, order = pixel_cache(archive), cache_order(archive)
        places = np.array([order[row.file] for row in rows[numbers.start : numbers.stop]])
        for start in range(0, len(places), batch):
            yield torch.from_numpy(np.ascontiguousarray(pixels[places[start : start + batch]]))

    labels = [row.label for row in rows]
    networks = [] if all(row.real for row in rows) else archive.info.networks
    names = dict.fromkeys(column for row in rows for column in row.columns)
    return ImageSet(
        name=name or (archive.path.name if split is None else f"{archive.path.name}:{split}"),
        spec=archive.info.spec,
        count=len(rows),
        batches=lambda: section(range(len(rows))),
        batch=batch,
        groups=group_numbers(rows),
        labels=tuple(label or "" for label in labels) if any(labels) else None,
        columns={column: tuple(row.columns.get(column, "") for row in rows) for column in names},
        key=hashlib.sha256(json.dumps(chosen).encode()).hexdigest(),
        origin={
            "archive": archive.path.name,
            "images_hash": archive.images_hash,
            "manifest_hash": archive.manifest_hash,
            "split": split,
            **({"networks": networks} if networks else {}),
        },
        files=tuple(row.file for row in rows),
        section=section,
        homes=_homes(archive, rows, batch) if archive.sources and rows else None,
    )


def _homes(archive: Archive, rows: Sequence[Row], batch: int) -> Homes:
    """The sets of the archives that images lie in: all images of these, or those that the archive
    has of them where it has few.
    """
    every = [archive.place(row) for row in archive.rows]
    links = [archive.place(row) for row in rows]
    sets: list[ImageSet] = []
    found: dict[tuple[int, str], tuple[int, int]] = {}
    for number in sorted({number for number, _ in links}):
        source = archive.sources[number]
        wanted = {file for home, file in every if home == number}
        chosen = source.rows
        if len(wanted) < WHOLE * len(chosen):
            chosen = [row for row in chosen if row.file in wanted]
        sets.append(archive_images(source, chosen, batch=batch))
        for place, file in enumerate(sets[-1].files):
            found[number, file] = len(sets) - 1, place
    numbers, places = zip(*(found[link] for link in links), strict=True)
    return Homes(tuple(sets), torch.tensor(numbers), torch.tensor(places))


def in_random_order(rows: Sequence[Row]) -> list[Row]:
    """The rows in an order that is the same however the manifest is sorted."""
    by_name = sorted(rows, key=lambda row: row.file)
    order = Streams(0).permutation("archive/batches", 0, len(by_name))
    return [by_name[place] for place in order.tolist()]


def group_numbers(rows: Sequence[Row]) -> Int64[Tensor, " n"]:
    """A number per patient; synthetic rows get one each, since their `group` names the generator
    only.
    """
    numbers: dict[tuple[str, str], int] = {}
    found = []
    for row in rows:
        name = row.group if row.real else row.file
        found.append(numbers.setdefault((row.origin, name), len(numbers)))
    return torch.tensor(found, dtype=torch.int64)


def with_mirrored(images: ImageSet) -> ImageSet:
    """The images followed by their mirror images, as published measures of runs with mirroring have
    them.
    """

    def both() -> Iterator[Tensor]:
        yield from images.batches()
        for batch in images.batches():
            yield torch.from_numpy(np.ascontiguousarray(batch.numpy()[..., ::-1]))

    return replace(
        images,
        name=f"{images.name}, mirrored too",
        count=2 * images.count,
        batches=both,
        groups=torch.cat((images.groups, images.groups)),
        labels=None if images.labels is None else images.labels * 2,
        columns={name: cells * 2 for name, cells in images.columns.items()},
        key=None if images.key is None else f"{images.key}/mirrored",
        origin={**images.origin, "mirrored": True},
        files=(),
        section=None,
        homes=None,
    )


def digest64(data: bytes) -> str:
    """The first 64 bits of a sha256, in hex, as snapshots record groups and images."""
    return hashlib.sha256(data).hexdigest()[:16]


def patient_of(row: Row, namespace: str) -> str:
    """Name of a group that no other group has, of a row in an archive of this namespace."""
    own = row.columns.get(HOME_NAMESPACE)
    return own + row.columns.get(HOME_GROUP, row.group) if own else namespace + row.group


@dataclass(frozen=True)
class ArchiveRows:
    """Rows of an archive, with their images and digests.

    Attributes:
        archive: where the images are.
        rows: which of them, in the order of the manifest.
        split: that they are, or None.
        title: what to call them, where it is not file and split.
    """

    archive: Archive
    rows: Sequence[Row]
    split: str | None = None
    title: str | None = None

    @property
    def name(self) -> str:
        """What to call them in messages, such as `cells.zip:test`."""
        file = self.archive.path.name
        return self.title or (file if self.split is None else f"{file}:{self.split}")

    @property
    def masks(self) -> int:
        """How many of the images have a mask."""
        return sum(f"{MASKS}/{row.file}" in self.archive.files for row in self.rows)

    @cached_property
    def images(self) -> ImageSet:
        """The images."""
        return archive_images(self.archive, self.rows, name=self.name, split=self.split)

    def gather(self, numbers: Int64[Tensor, " q"]) -> Float[Tensor, "q c h w"]:
        """Images by their place in `images`, as many times as asked, values 0 ... 1."""
        pixels = np.ascontiguousarray(self._pixels[self._places[numbers.numpy()]])
        if pixels.dtype != np.uint8:  # torch does little with 16 bits
            pixels = pixels.astype(np.float32)
        return torch.from_numpy(pixels).float().div_(self.archive.info.spec.max_value)

    @cached_property
    def _pixels(self) -> np.ndarray | Gathered:
        return pixel_cache(self.archive)

    @cached_property
    def _places(self) -> np.ndarray:
        """Place of every image in the pixel cache, in the order of `images`."""
        order = cache_order(self.archive)
        return np.array([order[row.file] for row in self.ordered])

    @cached_property
    def ordered(self) -> list[Row]:
        """The rows in the order of `images`."""
        return in_random_order(self.rows)

    @cached_property
    def groups(self) -> dict[str, str]:
        """Digest of every group, as snapshots record those that they were trained on, to its
        name.
        """
        # published archives have no namespace and all call their images alike
        namespace = self.archive.info.namespace or self.archive.images_hash
        return {digest64(patient_of(row, namespace).encode()): row.group for row in self.rows}

    @cached_property
    def digests(self) -> list[str]:
        """Digest of the decoded pixels of every row, in their order."""
        order, pixels = cache_order(self.archive), pixel_cache(self.archive)
        files = (row.file for row in self.rows)
        return [digest64(np.ascontiguousarray(pixels[order[file]]).tobytes()) for file in files]

    @cached_property
    def pixels(self) -> dict[str, str]:
        """Digest of every image's pixels, as snapshots record them, to its file."""
        return dict(zip(self.digests, (row.file for row in self.rows), strict=True))

    def real(self) -> "ArchiveRows":
        """The same rows, checked to be real.

        Raises:
            UserError: one of them is synthetic.
        """
        synthetic = [row.file for row in self.rows if not row.real]
        if synthetic:
            raise UserError(
                f"{self.archive.path}: {synthetic[0]} is synthetic ({len(synthetic)} of "
                f"{len(self.rows)} images): images are judged by real ones only; give an archive "
                "without synthetic rows"
            )
        return self


def rows_of_split(archive: Archive, split: str | None) -> ArchiveRows:
    """The rows of a split, or all of them.

    Raises:
        UserError: there is no image in the split.
    """
    rows = in_split(archive.rows, split)
    if not rows:
        folds = {f"{FOLD}{row.fold}" for row in archive.rows if row.fold is not None}
        there = sorted({row.split for row in archive.rows if row.split} | folds)
        known = ", ".join(f"{archive.path}:{name}" for name in there)
        way = f"there is {known}" if there else "it was never split; run 'synthograph split' first"
        raise UserError(f"{archive.path}: no image is in split {split!r}; {way}")
    return ArchiveRows(archive, rows, split)


def open_rows(
    text: str, usual: str | None = None, opened: Sequence[ArchiveRows] = ()
) -> ArchiveRows:
    """Open what `ARCHIVE:split` names.

    Args:
        text: a path, with a split or nothing behind it.
        usual: split of an archive that has splits, where none is named.
        opened: what was opened before; the same archive is not read again.

    Raises:
        UserError: the archive cannot be read, or there is no image in the split.
    """
    path, split = path_and_split(text)
    known = (each.archive for each in opened if each.archive.path == path)
    archive = next(known, None) or open_archive(path)
    if split is None and any(row.split for row in archive.rows):
        split = usual
    return rows_of_split(archive, split)


def common_split(rows: Sequence[Row]) -> str | None:
    """The split of all rows; None where there are several."""
    splits = {row.split for row in rows}
    return splits.pop() if len(splits) == 1 else None
