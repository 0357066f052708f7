"""One training of a study: mix, train, later predict. A cell is a folder with the archive that it
trained on, the classifier, and what it predicted; each can be opened by the ordinary commands.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthograph.core.errors import UserError
from synthograph.core.files import remove, sha256_file
from synthograph.core.progress import Silent
from synthograph.core.untrusted.tensors import read_document
from synthograph.results.environment import Environment
from synthograph.stats.scores import Threshold
from synthograph.workflows import mix
from synthograph.workflows.downstream_requests import FitOptions, MixRequest
from synthograph.workflows.study_jobs import JobRecord
from synthograph.workflows.study_settings import Condition, MixRule, StudySettings
from synthograph.workflows.study_task import StudyTask
from synthograph.workflows.tables import number

MIXTURE, TEST = "mixture", "test.csv"
TRAINED, TESTED = "trained.json", "tested.json"


def percent(ratio: float) -> str:
    """Images to add per hundred real ones, as `mix` is asked for them."""
    return f"{100 * ratio:g}"


@dataclass(frozen=True)
class Cell:
    """What is trained on what.

    Attributes:
        ratio: synthetic images per real one; None where none are counted.
        fold, draw, seed: their numbers.
    """

    condition: Condition
    ratio: float | None
    fold: int
    draw: int
    seed: int

    @property
    def name(self) -> str:
        """Name of its folder."""
        ratio = "" if self.ratio is None else f"-{self.ratio:g}"
        return f"{self.condition}{ratio}-fold{self.fold}-draw{self.draw}-seed{self.seed}"

    @property
    def title(self) -> str:
        """What people call it."""
        ratio = "" if self.ratio is None else f" {self.ratio:g}"
        return f"{self.condition}{ratio}, fold {self.fold}, draw {self.draw}, seed {self.seed}"


class CellRecord(JobRecord):
    """A cell that was trained.

    Attributes:
        commands: what was run, as it can be typed.
        validation: scores on the validation images, which chose the classifier.
        threshold: what decides between classes, chosen there.
        sha256: of the classifier.
        environments: where it was trained; none in older records.
    """

    commands: list[str]
    validation: dict[str, float]
    threshold: Threshold | None = None
    sha256: str
    environments: list[Environment] = []


class TestRecord(JobRecord):
    """A cell that predicted test images.

    Attributes:
        tables: set to the file of its predictions in the cell's folder; the fold's own images are
            called as `TEST`.
    """

    tables: dict[str, str]


@dataclass(frozen=True)
class Training:
    """Mixes and trains a cell.

    Attributes:
        task: of the study.
        cell: which.
        archive: of the fold.
        folder: of the cell.
        sets: synthetic images of its fold and draw.
        images: real training images of the fold, from which the steps of every arm follow.
        device: where to compute.
    """

    task: StudyTask[Any]
    cell: Cell
    archive: Path
    folder: Path
    sets: tuple[Path, ...]
    images: int
    device: str

    @property
    def settings(self) -> StudySettings:
        """Of the study."""
        return self.task.settings

    def run(self) -> CellRecord:
        """Mix, train, and keep the scores on validation images."""
        commands, data, out = [], self.archive, self.folder / self.task.file
        mixing = self.mixing()
        if mixing is not None:
            data = mixing.place("dest")
            commands.append(mixing.own_line())
            if not data.exists():
                mix.run(mixing, progress=Silent())
        request = self.training(data, out)
        remove(out)
        made = self.task.train(request)
        measure = self.settings.measure
        return CellRecord(
            commands=[*commands, request.own_line()],
            validation={name: value for name, value in made.validation.items() if value == value},
            threshold=made.threshold,
            sha256=sha256_file(out),
            environments=read_document(out)["environments"],
            said=f"{measure} {number(made.validation[measure])} on validation images",
        )

    def mixing(self) -> MixRequest | None:
        """How its training images are mixed; None where they are the fold's own."""
        asked = self._amounts()
        if asked is None:
            return None
        sets = self.sets if self.cell.condition.synthetic else ()
        seed = self.settings.seed + self.cell.draw
        tree = {"real": self.archive, "dest": self.folder / MIXTURE, "synthetic": sets}
        return MixRequest.parse({**tree, **asked, "seed": seed, "link": True})

    def _amounts(self) -> Mapping[str, object] | None:
        condition, ratio = self.cell.condition, self.cell.ratio
        if ratio is not None:
            rules: Mapping[MixRule, Mapping[str, object]] = {
                MixRule.ADD: {"add_percent": (percent(ratio),)},
                MixRule.TOP_UP: {"top_up": ratio},
                MixRule.REPLACE: {"replace": (f"{ratio:g}",)},
            }
            control = "none" if condition is Condition.MIXED else condition.value
            return {**rules[self.settings.rule], "control": control}
        if condition is Condition.SYNTHETIC:
            return {"only_synthetic": ("all",)}
        if condition is Condition.AUGMENTED:
            return {"only_real": True, "control": "augmentation"}
        return None

    def training(self, data: Path, out: Path) -> FitOptions:
        """How it is trained."""
        asked = {
            "patience": 0,  # every arm takes all of its steps
            **self.settings.options,
            "data": data,
            "out": out,
            "measure": self.settings.measure,
            "device": self.device,
            # the same in every arm, so that they differ by their images alone
            "seed": self.settings.seed
            + 100_000 * self.cell.fold
            + 1000 * self.cell.draw
            + self.cell.seed,
        }
        request = self.task.request(asked, self.cell.condition)
        if request.steps is not None:
            return request
        # every arm takes as many steps as the fold's real images alone would
        steps = request.fit_settings(images=self.images, rate=1.0)["steps"]
        return request.model_copy(update={"steps": steps})


def predict(
    task: StudyTask[Any], folder: Path, sets: Mapping[str, str], sha256: str, device: str
) -> TestRecord:
    """Predict test images with a cell's classifier.

    Args:
        task: of the study.
        folder: of the cell.
        sets: name to `ARCHIVE:split` of what is predicted.
        sha256: of the classifier, as it was frozen.
        device: where to compute.

    Raises:
        UserError: the classifier is not the one that was frozen.
    """
    model = folder / task.file
    if sha256_file(model) != sha256:
        raise UserError(
            f"{model}: is not the {model.stem} that was frozen before the first look at test "
            "images: remove the study's folder to begin anew"
        )
    tables = {}
    for place, (name, data) in enumerate(sets.items()):
        out = folder / (TEST if name == TEST else f"external-{place}.csv")
        remove(out)
        task.test(model, data, out, device)
        tables[name] = out.name
    return TestRecord(
        tables=tables,
        said=f"predicted {len(tables)} set{'s' * (len(tables) != 1)} of test images",
    )
