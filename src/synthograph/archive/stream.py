"""Endless shuffled training batches straight from the pixel cache, without loader processes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from synthograph.archive.batches import rows_of_split
from synthograph.archive.cache import cache_order, pixel_cache
from synthograph.archive.manifest import Row
from synthograph.archive.reader import Archive
from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams


@dataclass(frozen=True)
class RowSelection:
    """Which rows of an archive train: a split without a fold, or a random subset of it."""

    split: str | None = None
    fold: int | None = None
    subset: int | None = None


def select_rows(archive: Archive, selection: RowSelection, seed: int) -> list[Row]:
    """The rows that a selection means.

    Args:
        archive: the archive.
        selection: split None means `train` where the archive has splits, else all rows. `fold` k
            leaves fold k out.
        seed: decides the subset.

    Raises:
        UserError: there is no such split or fold, or the subset is larger than what there is.
    """
    split = selection.split
    if split is None and any(row.split for row in archive.rows):
        split = "train"
    rows = list(rows_of_split(archive, split).rows)
    if selection.fold is not None:
        folds = sorted({row.fold for row in rows if row.fold is not None})
        if selection.fold not in folds:
            there = f"folds {folds[0]} to {folds[-1]}" if folds else "no fold"
            raise UserError(
                f"{archive.path}: fold {selection.fold} is not there, the archive has {there}; "
                "make folds with 'synthograph split --folds K --force'"
            )
        rows = [row for row in rows if row.fold != selection.fold]
    if selection.subset is None:
        return rows
    if not 1 <= selection.subset <= len(rows):
        raise UserError(f"--subset {selection.subset}: choose from 1 to {len(rows)} images")
    chosen = Streams(seed).permutation("subset", 0, len(rows))[: selection.subset]
    return [rows[i] for i in sorted(chosen.tolist())]


class TrainingStream:
    """Images and labels by global image index.

    Image number i of training is place i mod n of a permutation keyed by (seed, i div n), so the
    stream has no state.

    Args:
        archive: where the images are.
        rows: which of them train.
        streams: random streams of the run.
        mirror: also use every image flipped left to right, as a second set of n images.
        conditional: deliver labels; without, label tensors have width 0.
        alike: images in a row that are of one class, where labels are classes; a pass then repeats
            images of a class whose number `alike` does not divide.

    Attributes:
        classes: what the places of a label mean; none without labels, or where they are vectors.
        max_value: largest pixel value of the archive.

    Raises:
        UserError: labels are missing.
    """

    def __init__(
        self,
        archive: Archive,
        rows: Sequence[Row],
        streams: Streams,
        *,
        mirror: bool = False,
        conditional: bool = False,
        alike: int = 1,
    ) -> None:
        order = cache_order(archive)
        self._pixels = pixel_cache(archive)
        self._places = torch.tensor([order[row.file] for row in rows])
        self._labels = label_matrix(archive, rows) if conditional else torch.zeros(len(rows), 0)
        vectors = any(row.vector() for row in rows)
        self.classes = tuple(archive.info.classes) if conditional and not vectors else ()
        self._streams, self._mirror = streams, mirror
        self.max_value = archive.info.spec.max_value
        self._alike, self._sets = alike, dict[int, Tensor]()
        kinds = (
            self._labels.argmax(1) if self.classes else torch.zeros(len(rows), dtype=torch.int64)
        )
        numbers = torch.arange(len(self))
        self._kinds = [numbers[kinds[numbers % len(rows)] == kind] for kind in kinds.unique()]

    def __len__(self) -> int:
        """Images in one pass, mirrored ones included."""
        return len(self._places) * (2 if self._mirror else 1)

    @property
    def label_width(self) -> int:
        """Width of the label vector; 0 without labels."""
        return self._labels.shape[1]

    def batch(
        self, first: int, count: int, device: torch.device | str = "cpu"
    ) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n k"]]:
        """Images first ... first+count-1 of training, in [-1, 1], and their labels, on a device."""
        indices = torch.arange(first, first + count)
        if self._alike == 1:
            return self.gather(self._streams.order("data", indices, len(self)), device)
        rows, places = indices // self._alike, indices % self._alike
        sets = sum(-(-len(kind) // self._alike) for kind in self._kinds)
        numbers = torch.empty_like(indices)
        for epoch in (rows // sets).unique().tolist():
            chosen = rows // sets == epoch
            if epoch not in self._sets:  # the pass before may be in the same batch
                before = {n: each for n, each in self._sets.items() if n == epoch - 1}
                self._sets = before | {epoch: self._alike_sets(epoch)}
            numbers[chosen] = self._sets[epoch][rows[chosen] % sets, places[chosen]]
        return self.gather(numbers, device)

    def _alike_sets(self, epoch: int) -> Int64[Tensor, "sets alike"]:
        """The numbers of a pass, in rows of one class: every class is shuffled and cut into rows,
        whose last one is filled up from its first; then the rows are shuffled.
        """
        rows = []
        for place, kind in enumerate(self._kinds):
            order = kind[self._streams.permutation(f"data/{place}", epoch, len(kind))]
            count = -(-len(kind) // self._alike)
            rows.append(order.repeat(self._alike)[: count * self._alike].view(count, -1))
        sets = torch.cat(rows)
        return sets[self._streams.permutation("data/sets", epoch, len(sets))]

    def gather(
        self, numbers: Int64[Tensor, " n"], device: torch.device | str = "cpu"
    ) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n k"]]:
        """Images by their number in the pass; numbers from n on are mirrored."""
        rows = numbers % len(self._places)
        pixels = self._pixels[self._places[rows].numpy()]
        flipped = (numbers >= len(self._places)).numpy()
        if flipped.any():  # while pixels are bytes, of which there is less to move
            pixels[flipped] = pixels[flipped][..., ::-1]
        if pixels.dtype != np.uint8:  # torch does little with 16 bits
            pixels = pixels.astype(np.float32)
        images = torch.from_numpy(pixels).to(device).float()
        images.div_(self.max_value / 2).sub_(1)  # as published; a product rounds twice
        return images, self.labels(numbers).to(device)

    def labels(self, numbers: Int64[Tensor, " n"]) -> Float[Tensor, "n k"]:
        """Labels by number in the pass."""
        return self._labels[numbers % len(self._places)]

    def draw_labels(self, indices: Int64[Tensor, " n"]) -> Float[Tensor, "n k"]:
        """Labels for generated images, drawn from those of the training images."""
        indices = indices - indices % self._alike
        return self._labels[self._streams.integers("labels", indices, len(self._places))]


def label_matrix(archive: Archive, rows: Sequence[Row]) -> Float[Tensor, "n k"]:
    """Labels as one matrix: one-hot classes, or the vectors of the columns y.0, y.1, ...

    Raises:
        UserError: a row has no label, or vectors differ in length.
    """
    vectors = [row.vector() for row in rows]
    if any(vectors):
        width = Counter(map(len, vectors)).most_common(1)[0][0] or max(map(len, vectors))
        for row, vector in zip(rows, vectors, strict=True):
            if len(vector) != width:
                raise UserError(
                    f"{archive.path}: the label vector of {row.file} has {len(vector)} values, "
                    f"others have {width}"
                )
        return torch.tensor(vectors, dtype=torch.float32)
    missing = [row for row in rows if row.label is None]
    if missing:
        raise UserError(
            f"{archive.path}: {missing[0].file} has no label ({len(missing)} of {len(rows)} "
            "images): conditional training needs one for every image; give labels to 'prepare' or "
            "leave --cond out"
        )
    index = archive.info.label_index
    indices = torch.tensor([index[row.label] for row in rows if row.label is not None])
    absent = [name for name, i in index.items() if not (indices == i).any()]
    if absent:
        raise UserError(
            f"{archive.path}: no training image is of class {absent[0]!r}; conditional training "
            f"needs some: split anew, or prepare without that class"
        )
    return torch.eye(len(index))[indices]
