"""Tables in words, for the page and for the console, and what the tables of classifiers and of
segmenters have in common.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from synthograph.core.interval import Interval
from synthograph.report.words import count, several
from synthograph.results.base import Tree
from synthograph.results.classification import ClassifierEvaluation, ScoreValue
from synthograph.results.segmentation import SegmenterEvaluation


@dataclass(frozen=True)
class TableText:
    """A table in words.

    Attributes:
        title: what it shows.
        head: of the columns; the first one names the row.
        rows: a cell per column.
        notes: what a reader must know of it.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def tree(self) -> Tree:
        """Plain data."""
        return asdict(self)


def three(value: float | None) -> str:
    """A score, with three digits behind the point."""
    return "–" if value is None else f"{value:.3f}"


def score_cell(found: ScoreValue | None) -> str:
    """A score and its interval; a dash where there is none."""
    return "–" if found is None else with_ends(found.value, found.interval)


def with_ends(
    value: float | None, ends: Interval | None, write: Callable[[float | None], str] = three
) -> str:
    """A number and its interval; a dash where there is none."""
    if value is None or ends is None:
        return write(value)
    return f"{write(value)} ({write(ends.low)} to {write(ends.high)})"


def size_cell(found: ScoreValue) -> str:
    """How many images, of how many groups, under the head "images"."""
    return f"{count(found.images)} of {several(found.groups, 'group')}"


def scores_title(found: ClassifierEvaluation | SegmenterEvaluation) -> str:
    """What was scored, on which images."""
    where = f"{found.data}{f':{found.split}' if found.split else ''}"
    size = f"{count(found.images)} images of {several(found.groups, 'group')}"
    return f"Scores of {found.model.file} on {where}, {size}, with 95 % intervals"
