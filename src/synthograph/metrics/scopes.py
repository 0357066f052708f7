"""Which images a number is about: all of them, one class, one level of a column, one modality."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from synthograph.archive.batches import ImageSet
from synthograph.core.errors import UserError
from synthograph.core.names import nearest

LABEL = "label"
MAX_LEVELS = 50
NOTHING = "(none)"


@dataclass(frozen=True)
class Scope:
    """A part of the images; all of them where nothing is given.

    Attributes:
        column: of the manifest, `label` for the classes.
        level: one of its values.
        modality: whose channels alone count.
    """

    column: str | None = None
    level: str | None = None
    modality: str | None = None

    def __str__(self) -> str:
        if self.modality is not None:
            return f"modality {self.modality}"
        if self.column is None:
            return "all"
        return f"{'class' if self.column == LABEL else self.column} {self.level or NOTHING}"

    def json(self) -> dict[str, Any]:
        """Plain data."""
        return {"column": self.column, "level": self.level, "modality": self.modality}

    def rows(self, images: ImageSet) -> Int64[Tensor, " k"] | None:
        """Numbers of the images in it; None where the set lacks the column."""
        if self.column is None:
            return torch.arange(images.count)
        cells = images.column(self.column)
        if cells is None:
            return None
        return torch.tensor([i for i, cell in enumerate(cells) if cell == self.level]).long()


def scopes(real: ImageSet, fake: ImageSet, by: Sequence[str]) -> Iterator[Scope]:
    """All parts to measure: everything, classes, modalities, and levels of further columns.

    Args:
        real: its levels count, and those of generated images besides. Its classes are left out
            where they are too many and `by` does not ask for them.
        fake: generated images.
        by: further columns.

    Raises:
        UserError: a column is not there, or has too many levels.
    """
    yield Scope()
    asked = LABEL in by or (real.labels is not None and not too_many(set(real.labels)))
    columns = [LABEL] * asked + [name for name in by if name != LABEL]
    for column in columns:
        levels = levels_of(column, real, fake)
        if len(levels) > 1 or column != LABEL:
            yield from (Scope(column, level) for level in levels)
    if len(real.spec.modalities) > 1:
        yield from (Scope(modality=name) for name in real.spec.modalities)


def too_many(levels: Collection[str]) -> bool:
    """Whether a column has more values than are measured one by one."""
    return len(levels) > MAX_LEVELS


def levels_of(column: str, real: ImageSet, fake: ImageSet) -> list[str]:
    """Values of a column, in sorted order.

    Raises:
        UserError: the real images lack the column, or it has too many values.
    """
    cells = real.column(column)
    if cells is None:
        known = [*([LABEL] if real.labels is not None else []), *real.columns]
        raise UserError(f"--by {column}: {real.name} has no such column: {nearest(column, known)}")
    levels = sorted({*cells, *(fake.column(column) or ())})
    if too_many(levels):
        raise UserError(
            f"--by {column}: has {len(levels)} values, at most {MAX_LEVELS} are compared: give a "
            "column of few values, such as a site or a side"
        )
    return levels


@dataclass(frozen=True)
class Share:
    """How large a part is in every set; None where a set lacks the column.

    Attributes:
        scope: the part.
        real: images of the reference.
        fake: generated images.
        train: training images.
        ratio: share in generated over share in training images: below 1 the part shrinks.
    """

    scope: Scope
    real: int
    fake: int | None
    train: int | None
    ratio: float | None

    def json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            **self.scope.json(),
            "n_real": self.real,
            "n_generated": self.fake,
            "n_train": self.train,
            "share_generated_over_share_train": self.ratio,
        }


def shares(
    parts: Sequence[Scope], real: ImageSet, fake: ImageSet, train: ImageSet | None
) -> list[Share]:
    """Sizes of all parts that levels of a column make."""
    found = []
    for scope in parts:
        if scope.column is None:
            continue
        sets = (real, fake, train)
        n, m, t = (None if each is None else _count(scope, each) for each in sets)
        ratio = None
        if m is not None and t and train is not None:
            ratio = (m / fake.count) / (t / train.count)
        found.append(Share(scope, n or 0, m, t, ratio))
    return found


def _count(scope: Scope, images: ImageSet) -> int | None:
    cells = images.column(scope.column or "")
    return None if cells is None else Counter(cells)[scope.level or ""]
