"""Scores of all images, of groups and of the values of columns, for classifiers and segmenters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic

import torch

from synthograph.archive.batches import ArchiveRows
from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.metrics.scopes import MAX_LEVELS, too_many
from synthograph.results.classification import ScoreValue, Unit
from synthograph.stats.outcomes import O, Score
from synthograph.stats.paired import score_interval

SPLIT = "split"
"""The part of the archive, which is no further column."""


@dataclass(frozen=True)
class ScoredPart(Generic[O]):
    """A part of the test images that has scores of its own.

    Attributes:
        outcome: what was found on it.
        unit: what is scored.
        column: that tells the part from others, empty for all images; `level` is its value.
    """

    outcome: O
    unit: Unit = "image"
    column: str = ""
    level: str = ""


def parts_of(outcome: O, images: ArchiveRows, by: Sequence[str]) -> Iterator[ScoredPart[O]]:
    """All images, all groups where they are fewer, and the values of every column.

    Args:
        outcome: what was found on the images, in the order of `images.images`.
        images: where the columns are.
        by: columns, checked by `levels_of`.
    """
    yield ScoredPart(outcome)
    by_group = outcome.by_group()
    if len(by_group) < len(outcome):
        yield ScoredPart(by_group, "group")
    for column in by:
        cells = cells_of(images, column)
        for level in levels_of(images, column):
            here = torch.tensor([cell == level for cell in cells])
            yield ScoredPart(outcome.subset(here), "image", column, level)


def scored(score: Score[O], part: ScoredPart[O], seed: int) -> ScoreValue:
    """A score of a part with its interval over groups."""
    value, ends = score_interval(score, part.outcome, seed=seed)
    return ScoreValue(
        score=score.name,
        column=part.column,
        level=part.level,
        unit=part.unit,
        value=value if value == value else None,
        interval=ends,
        images=len(part.outcome),
        groups=len(part.outcome.groups.unique()),
    )


def cells_of(images: ArchiveRows, column: str) -> tuple[str, ...]:
    """A column of the images in the order of `images.images`, empty where there is none."""
    if column == SPLIT:
        return tuple(row.split or "" for row in images.ordered)
    return images.images.column(column) or ()


def levels_of(images: ArchiveRows, column: str) -> list[str]:
    """Values of a column that scores are asked by.

    Raises:
        UserError: the images lack it, or it has too many.
    """
    cells = cells_of(images, column)
    if not any(cells):
        known = sorted({name for row in images.rows for name in row.columns})
        raise UserError(
            f"--by {column}: {images.name} has no such column: {nearest(column, known)}"
        )
    levels = sorted(set(cells))
    if too_many(levels):
        raise UserError(
            f"--by {column}: has {len(levels)} values, at most {MAX_LEVELS} are scored one by one"
        )
    return levels
