"""What a study does differently by its task: what trains a cell and what tests it, how predictions
are kept and read, and which score there is. All else of a study is the same for any task.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic

from jaxtyping import Int64
from torch import Tensor

from synthograph.archive.batches import ArchiveRows
from synthograph.archive.manifest import Row
from synthograph.archive.reader import Archive
from synthograph.core.untrusted.documents import JsonObject
from synthograph.stats.outcomes import O, Score
from synthograph.stats.scores import Threshold
from synthograph.workflows.downstream_requests import FitOptions
from synthograph.workflows.study_folds import Fold
from synthograph.workflows.study_settings import Condition, StudySettings


@dataclass(frozen=True)
class Trained:
    """What a training says of itself.

    Attributes:
        validation: scores on the validation images, which chose it; the study's among them.
        threshold: what decides between classes, chosen there.
    """

    validation: Mapping[str, float]
    threshold: Threshold | None = None


@dataclass(frozen=True)
class StudyTask(ABC, Generic[O]):
    """A task of a study.

    Attributes:
        settings: of the study.
        classes: what is told apart.
        score: that is compared, and that chooses.
    """

    file: ClassVar[str]
    """Name of what a cell trains."""
    settings: StudySettings
    classes: tuple[str, ...]
    score: Score[O]

    @property
    @abstractmethod
    def left_out(self) -> Mapping[Condition, str]:
        """Conditions that would repeat another one, and why."""

    @property
    def mask_classes(self) -> Sequence[str]:
        """Classes of masks with their values, as options name them; none where there are none."""
        return ()

    @abstractmethod
    def check_fold(self, fold: Fold) -> None:
        """Refuse a fold of which a part lacks a class.

        Raises:
            UserError: it does.
        """

    @abstractmethod
    def check_external(self, images: ArchiveRows) -> None:
        """Refuse external images that cannot be scored.

        Raises:
            UserError: they have no truth, or other classes.
        """

    @abstractmethod
    def check_set(self, made: Archive) -> None:
        """Refuse a set of synthetic images that cannot train.

        Raises:
            UserError: it cannot.
        """

    @abstractmethod
    def request(self, asked: JsonObject, condition: Condition) -> FitOptions:
        """A training by the ordinary command.

        Args:
            asked: what is the same for any task.
            condition: of the cell.
        """

    @abstractmethod
    def check_training(self, request: FitOptions, fold: Fold) -> None:
        """Refuse what cannot be trained here.

        Raises:
            UserError: it cannot.
        """

    @abstractmethod
    def seconds(self, request: FitOptions, fold: Fold) -> float:
        """How long a training takes at most."""

    @property
    @abstractmethod
    def spread(self) -> float | None:
        """Standard deviation of the measure from group to group, as planning takes it; None where
        the measure is of all groups together.
        """

    @abstractmethod
    def fewest_groups(self, rows: Sequence[Row]) -> int:
        """Groups of test images of the class that fewest have, as far as the measure is of it."""

    @abstractmethod
    def expected_error(self, rows: Sequence[Row]) -> float:
        """Expected standard error of a difference on test images, for given trainings."""

    @abstractmethod
    def train(self, request: FitOptions) -> Trained:
        """Train."""

    @abstractmethod
    def test(self, model: Path, data: str, out: Path, device: str) -> None:
        """Predict the images of `ARCHIVE:split`, and write a table that `read` takes."""

    @abstractmethod
    def read(
        self,
        path: Path,
        rows: Sequence[Row],
        groups: Int64[Tensor, " n"],
        threshold: Threshold | None,
    ) -> O:
        """What a cell found, in the order of the rows; all of fold 0.

        Raises:
            ValueError: the table is not of these images.
        """

    @abstractmethod
    def mean(self, seeds: Sequence[O]) -> O:
        """The mean of several trainings on the same images."""

    @abstractmethod
    def table(self, outcome: O, rows: Sequence[Row]) -> list[list[object]]:
        """The same as a table with its header."""
