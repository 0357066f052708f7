"""What a training of a classifier or segmenter records of its settings and its validations, and
which validation chose.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import pydantic

from synthograph.results.base import Count, Many, Plain, Prose, Schema
from synthograph.results.environment import Environment

LOWER = frozenset({"brier"})
"""Scores of which less is better: what chooses is their negative."""


class Validation(Schema):
    """One validation of a training.

    Attributes:
        step: after how many steps.
        value: what chooses, larger is better; None where it had none.
        loss: on the validation images; None where it was not measured or is not finite.
        training: mean loss of the steps since the validation before; None in older segmenters, as
            is `rate`.
        rate: learning rate of the last step.
    """

    step: Count
    value: float | None
    loss: float | None = None
    training: float | None = None
    rate: float | None = None

    @property
    def rank(self) -> tuple[float, float]:
        """Larger is better."""
        return (
            -math.inf if self.value is None else self.value,
            -math.inf if self.loss is None else -self.loss,
        )


def better(history: Sequence[Validation]) -> int:
    """Place of the best validation; of equals the first."""
    return max(range(len(history)), key=lambda place: (history[place].rank, -place))


class Fit(Schema):
    """How a classifier or segmenter was trained.

    Attributes:
        settings: by name, such as `optimiser` and `rate`; `transforms` has probability and strength
            of each augmentation.
        start: where its first weights came from, in words.
        environments: where it was trained, in turn; none in older files.
    """

    settings: dict[str, Plain]
    start: Prose
    environments: Many[Environment] = ()


class ValidationHistory(Schema):
    """All validations of a training, one at least.

    Attributes:
        score: name of what chose, such as `auroc`.
        tried: the validations, in their order.
    """

    score: str
    tried: Annotated[Many[Validation], pydantic.Field(min_length=1)]

    @property
    def scores(self) -> list[float | None]:
        """The values as the score itself has them."""
        sign = -1 if self.score in LOWER else 1
        return [None if each.value is None else sign * each.value for each in self.tried]

    @property
    def chosen(self) -> Validation:
        """The one that chose the weights."""
        return self.tried[better(self.tried)]
