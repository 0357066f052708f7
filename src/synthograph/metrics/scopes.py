"""The parts of a set that are measured: all images, a class, a level of a column, a modality."""

from collections.abc import Collection, Iterator, Sequence

import torch
from jaxtyping import Int64
from torch import Tensor

from synthograph.archive.batches import ImageSet
from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.results.evaluation import LABEL, Scope, ScopeShare

MAX_LEVELS = 50


def rows_in(scope: Scope, images: ImageSet) -> Int64[Tensor, " k"] | None:
    """Numbers of the images of a part; None where the set lacks the column."""
    if scope.column is None:
        return torch.arange(images.count)
    cells = images.column(scope.column)
    if cells is None:
        return None
    return torch.tensor([i for i, cell in enumerate(cells) if cell == scope.level]).long()


def scopes(real: ImageSet, fake: ImageSet, by: Sequence[str]) -> Iterator[Scope]:
    """All parts to measure: everything, classes, modalities, and levels of further columns.

    Args:
        real: its levels count, and those of synthetic images besides. Its classes are left out
            where they are too many and `by` does not ask for them.
        fake: synthetic images.
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
            yield from (Scope(column=column, level=level) for level in levels)
    if len(real.spec.modalities) > 1:
        yield from (Scope(modality=name) for name in real.spec.modalities)


def too_many(levels: Collection[str]) -> bool:
    """Whether a column has more values than can be measured one by one."""
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


def shares(
    parts: Sequence[Scope], real: ImageSet, fake: ImageSet, train: ImageSet | None
) -> list[ScopeShare]:
    """Sizes of the parts that are levels of a column, in every set."""
    found = []
    for scope in parts:
        if scope.column is None:
            continue
        rows = (None if each is None else rows_in(scope, each) for each in (real, fake, train))
        n, m, t = (None if each is None else len(each) for each in rows)
        ratio = None
        if m is not None and t and train is not None:
            ratio = (m / fake.count) / (t / train.count)
        found.append(
            ScopeShare(
                column=scope.column,
                level=scope.level,
                n_real=n or 0,
                n_generated=m,
                n_train=t,
                share_generated_over_share_train=ratio,
            )
        )
    return found
