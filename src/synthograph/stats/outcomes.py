"""What was found on test images, in one form for class predictions and for masks, so that intervals
(`paired.score_interval`) and comparisons (`paired.compare`) stand once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

# n image, e weighting


Own = TypeVar("Own")


@runtime_checkable
class Outcome(Protocol):
    """What one training of every fold made of the test images.

    Attributes:
        groups: patient of every image, any integers. Only equality counts.
        folds: which training an image was predicted by.
    """

    @property
    def groups(self) -> Int64[Tensor, " n"]: ...  # noqa: D102 - above
    @property
    def folds(self) -> Int64[Tensor, " n"]: ...  # noqa: D102 - above

    def __len__(self) -> int: ...

    def fewest_groups(self, classes: Sequence[int] | None = None) -> int:
        """Groups of the class that has fewest: they limit what can be known. Of all classes there
        are, or of those that a score is about; without any, all groups.
        """

    def about(self, classes: Sequence[int] | None) -> Bool[Tensor, " n"]:
        """On which images a score of these classes rests."""

    def subset(self: Own, rows: Int64[Tensor, " m"] | Bool[Tensor, " n"]) -> Own:
        """What was found at `rows`."""

    def by_group(self: Own) -> Own:
        """The same with the images of a group as one."""

    def same_images(self: Own, other: Own) -> bool:
        """Whether the other one is about the same images in the same order and folds."""

    def mixed(self: Own, other: Own, rows: Bool[Tensor, " n"]) -> Own:
        """The same, with what the other one found at `rows`."""


O = TypeVar("O", bound=Outcome)  # noqa: E741 - an outcome


def joined(parts: Sequence[O]) -> O:
    """Outcomes as one: every tensor with those of all parts, one after the other."""
    first: Any = parts[0]
    columns = {name: [getattr(part, name) for part in parts] for name in vars(first)}
    whole = {n: torch.cat(each) for n, each in columns.items() if isinstance(each[0], Tensor)}
    return replace(first, **whole)


@dataclass(frozen=True)
class Score(Generic[O]):
    """A score: its name in files, its title, which values are better, and how it is computed for
    any number of weightings of the images.
    """

    name: str
    title: str
    compute: Callable[[O, Float64[Tensor, "e n"]], Float64[Tensor, " e"]]
    higher_is_better: bool = True
    top: float = 1.0
    """Largest possible value; the smallest is 0."""
    share: bool = True
    """Whether it is a share of images: then its variance is at least that of so many images."""
    classes: tuple[int, ...] | None = None
    """Numbers of the classes that it is about; None of all, each of which counts, however rare it
    is; empty where images count alike, whatever their class.
    """
    each: Callable[[O, Float64[Tensor, "e n"]], Float64[Tensor, "e k"]] | None = None
    """Shares of the images of each class, if their mean is the score."""

    def value(self, outcome: O) -> float:
        """The score with every image counted once; NaN where it has no value."""
        return float(self.compute(outcome, torch.ones(1, len(outcome)).double())[0])
