"""What a study file holds: everything that is fixed before the first test image is looked at.

    data: bccd.zip
    conditions: [real, duplicates, mixed]
    ratios: [0.5, 1]
    generator: {preset: tiny, kimg: 40}
    primary: {measure: balanced_accuracy, margin: 0.02}

Paths are relative to the file. Every key but `data` has a default.
"""

import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args

import pydantic
from pydantic import Field

from synthograph.archive.batches import path_and_split
from synthograph.core.config import Config, merge, read_tree
from synthograph.core.errors import SettingError, UserError
from synthograph.core.names import nearest
from synthograph.core.untrusted.documents import JsonObject
from synthograph.downstream.start import IMAGENET
from synthograph.models.published import AFRESH, PHANTOMS
from synthograph.results.study import ArmKind
from synthograph.stats.scores import AUROC, AVERAGE_PRECISION
from synthograph.workflows.annotate_requests import FARTHEST
from synthograph.workflows.downstream_requests import (
    ClassifyTrainRequest,
    FitOptions,
    SegmentTrainRequest,
)

C = TypeVar("C", bound=Config)
CHOSEN = "chosen"
SPLIT, EXTERNAL = FOLDS = ("split", "external")
"""What may stand in place of a number of folds."""
MAX_FOLDS = 100
OWN: Mapping[str, str] = {
    **dict.fromkeys(("data", "out", "device", "dry_run"), "leave it out"),
    **dict.fromkeys(("curves", "tracker", "tracking_uri", "experiment"), "leave it out"),
    "measure": "give primary.measure instead",
    "balance": "give balance of the study instead",
    "seed": "give seed of the study instead",
    "style": "leave it out; images of an archive that lends its style count as seen, and test none",
}
"""Fields of a training that the study itself decides -> the way out."""
NETWORK_SEEDS, PROBE_SEEDS = 3, 1


class Condition(enum.StrEnum):
    """Which images an arm trains on."""

    REAL = "real"
    BALANCED = "balanced"
    AUGMENTED = "augmentation"
    DUPLICATES = "duplicates"
    MIXED = "mixed"
    SYNTHETIC = "synthetic"
    SHUFFLED = "shuffled"

    @property
    def kind(self) -> ArmKind:
        """What results call it."""
        return ArmKind[self.name]

    @property
    def synthetic(self) -> bool:
        """Whether synthetic images are among them."""
        return self in (Condition.MIXED, Condition.SYNTHETIC, Condition.SHUFFLED)

    @property
    def counted(self) -> bool:
        """Whether as many images join as the chosen ratio says."""
        return self in (Condition.MIXED, Condition.DUPLICATES, Condition.SHUFFLED)


CONDITIONS = (Condition.REAL, Condition.DUPLICATES, Condition.MIXED, Condition.SHUFFLED)
"""Of a study file that names none."""


class TaskName(enum.StrEnum):
    """What is trained."""

    CLASSIFY = "classify"
    SEGMENT = "segment"


@dataclass(frozen=True)
class TaskRules:
    """What a study file may say of a task.

    Attributes:
        options: key that holds options of its training.
        request: what these are of.
        measures: names of scores, the first by default.
        masks: whether it is of masks, which synthetic images need, too; then a score may be of one
            class, as `dice:NAME`.
    """

    options: str
    request: type[FitOptions]
    measures: tuple[str, ...]
    masks: bool = False

    def training(self, options: JsonObject) -> FitOptions:
        """A training with these options.

        Raises:
            SettingError: one is unknown or breaks a rule.
        """
        files = {"data": Path("a"), "out": Path("b.safetensors")}
        return self.request.parse({**options, **files})

    def refusal(self, measure: str) -> str | None:
        """What is wrong with the name of a score; the class in it is looked up later."""
        name = measure.partition(":")[0] if self.masks else measure
        known = (*self.measures, *(f"{each}:NAME" for each in self.measures * self.masks))
        return None if name in self.measures else f"{measure!r}: {nearest(measure, known)}"


_MEASURES = get_args(ClassifyTrainRequest.model_fields["measure"].annotation)
TASKS: Mapping[TaskName, TaskRules] = {
    TaskName.CLASSIFY: TaskRules("classifier", ClassifyTrainRequest, _MEASURES),
    TaskName.SEGMENT: TaskRules("segmenter", SegmentTrainRequest, ("dice", "iou"), masks=True),
}


class MixRule(enum.StrEnum):
    """What a ratio means."""

    ADD = "add"
    TOP_UP = "top_up"
    REPLACE = "replace"


class Primary(Config):
    """The one comparison that the study is about."""

    condition: Condition | None = Field(
        Condition.MIXED,
        description="that is compared with the best other arm without synthetic images; without "
        "mixed among conditions none by default, then values and all differences are reported",
    )
    ratio: float | str = Field(
        CHOSEN, description="of ratios: one of them, or chosen on validation images"
    )
    measure: str | None = Field(
        None,
        description="score that is compared, and that chooses on validation images; auroc, or dice "
        "of masks, if not given",
    )
    margin: float | None = Field(
        0.01, gt=0, lt=1, description="largest loss that does not matter; null for none"
    )


class MaskSettings(Config):
    """How synthetic images get masks: real training images of the fold that have masks are
    projected, as `annotate from-real` does, and a mask generator learns from those that agree.
    """

    num: int = Field(32, ge=1, description="real training images that are projected")
    steps: int = Field(300, ge=1, le=100_000, description="steps of a projection")
    space: Literal["w", "w+"] = Field("w+", description="w+ (nearer to the image) or w")
    max_move: int = Field(
        1, ge=1, le=FARTHEST, description="pixels of tolerance, as of annotate from-real"
    )
    least: int = Field(
        8, ge=1, description="where fewer agree, max_move grows, up to 16, until so many do"
    )
    preset: Literal["default", "linear", "published"] = Field(
        "default", description="of annotate train"
    )
    keep: float = Field(
        1.0, gt=0, le=1, description="share that is kept; the least certain masks are withheld"
    )


class GeneratorSettings(Config):
    """Where synthetic images come from: trained here, snapshots, or sets of others."""

    preset: str = Field("tiny", description="preset of training; tiny is for processors")
    kimg: float | None = Field(None, gt=0, description="thousands of images; the preset's")
    settings: list[str] = Field([], description="further settings of training as a.b=value")
    init_from: str = Field(
        AFRESH, description="weights to start with: phantom:skin or phantom:knee, else random ones"
    )
    trunc: float = Field(1.0, ge=0, description="truncation psi; 1 is full diversity")
    snapshots: list[Path] = Field(
        [], description="trained before; each serves the folds whose images it did not see"
    )
    sets: list[Path] = Field([], description="sets of synthetic images, made by any program")
    trained_on: Path | None = Field(
        None, description="table with a column group: what the generators of sets were trained on"
    )
    masks: MaskSettings = MaskSettings()

    @pydantic.model_validator(mode="after")
    def _one_way(self) -> "GeneratorSettings":
        if self.snapshots and self.sets:
            raise ValueError("snapshots and sets exclude each other: give one of them")
        if self.trained_on and not self.sets:
            raise ValueError("trained_on speaks of sets: name them as generator.sets")
        if self.init_from != AFRESH and not self.trains:
            raise ValueError("init_from is about training, snapshots and sets were made before")
        if self.init_from not in (AFRESH, *PHANTOMS):
            raise ValueError(
                f"init_from {self.init_from!r}: take {', '.join(PHANTOMS)} or {AFRESH}; other "
                "networks may have seen patients of the study"
            )
        return self

    @property
    def trains(self) -> bool:
        """Whether the study trains generators itself."""
        return not (self.snapshots or self.sets)


class StudySettings(Config):
    """A study file."""

    data: Path = Field(description="archive of real images, with labels and groups")
    task: TaskName = Field(TaskName.CLASSIFY, description="what is trained: classify or segment")
    name: str = Field("", description="of the study; that of its file unless given")
    unit: str = Field("patient", min_length=1, description="what one group is: slide, smear, ...")
    notes: list[str] = Field([], description="what every table must say beside")
    conditions: list[Condition] = Field(
        list(CONDITIONS),
        min_length=1,
        description="real, balanced, augmentation, duplicates, mixed, synthetic, shuffled",
    )
    ratios: list[Annotated[float, Field(gt=0, le=1000)]] = Field(
        [0.5, 1.0], min_length=1, description="synthetic images per real one of a class"
    )
    rule: MixRule = Field(
        MixRule.ADD,
        description="add: so many per real image; top_up: up to the largest class, times the "
        "ratio; replace: a share of the real ones",
    )
    train_per_class: int | None = Field(
        None, ge=2, description="real training images of a class at most; all unless given"
    )
    folds: int | str = Field(
        5, description="number of folds; split: the archive's own; external: no test images inside"
    )
    validation: float = Field(
        0.2, gt=0, lt=0.5, description="share of a fold's other images that choose"
    )
    seeds: int | None = Field(
        None, ge=1, le=100, description="classifiers that are averaged; 1 probe, 3 networks"
    )
    draws: int = Field(2, ge=1, le=20, description="generators per fold, by seed")
    external: list[str] = Field([], description="archives of other sites, ARCHIVE or ARCHIVE:split")
    primary: Primary = Primary()
    generator: GeneratorSettings = GeneratorSettings()
    balance: Literal["none", "weights"] = Field(
        "weights", description="of every arm: weights lets every class count the same"
    )
    classifier: JsonObject = Field({}, description="options of classify train, such as backbone")
    segmenter: JsonObject = Field({}, description="options of segment train, such as width")
    expected: float = Field(
        0.85,
        gt=0,
        lt=1,
        description="value of the measure that --plan reckons with; of the Brier score the share "
        "that is right",
    )
    spread: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="standard deviation of the measure from group to group, for --plan; else that "
        "of shares, and a third of it for masks",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="of folds, mixtures, generators, bootstrap")

    @pydantic.model_validator(mode="before")
    @classmethod
    def _without_mixture(cls, given: object) -> object:
        """A study without a mixture is about synthetic images alone, or names no condition."""
        if not isinstance(given, Mapping):
            return given
        conditions, primary = given.get("conditions"), given.get("primary", {})
        if not isinstance(conditions, list) or not isinstance(primary, Mapping):
            return given
        if Condition.MIXED in conditions:
            return given
        wanted = Condition.SYNTHETIC if Condition.SYNTHETIC in conditions else None
        return {**given, "primary": {"condition": wanted, **primary}}

    @pydantic.model_validator(mode="after")
    def _conditions(self) -> "StudySettings":
        wanted = self.primary.condition
        if wanted is not None and wanted not in self.conditions:
            raise ValueError(f"primary.condition: {wanted} is none of conditions: add it there")
        if wanted is None and self.synthetic:
            raise ValueError(
                "primary.condition: a study of synthetic images is about one of them: name it"
            )
        if wanted in (Condition.REAL, Condition.SHUFFLED):
            raise ValueError(f"primary.condition: others are compared with {wanted}: name another")
        if Condition.REAL not in self.conditions:
            raise ValueError("conditions: real is missing, there is nothing to compare with")
        if len(set(self.conditions)) < len(self.conditions):
            raise ValueError("conditions: one is named twice")
        if Condition.SHUFFLED in self.conditions and Condition.MIXED not in self.conditions:
            raise ValueError(
                "conditions: shuffled takes as many images as mixed does: add mixed to them"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> "StudySettings":
        ratio = self.primary.ratio
        training = TASKS[self.task].training(self.options)
        if Condition.AUGMENTED in self.conditions and training.transforms == ("none",):
            raise ValueError(
                f"{TASKS[self.task].options}: transforms: none leaves nothing for the condition "
                "augmentation: leave one of them out"
            )
        if ratio != CHOSEN and ratio not in self.ratios:
            raise ValueError(f"primary.ratio: {ratio} is neither {CHOSEN} nor one of ratios")
        if self.rule is MixRule.REPLACE and max(self.ratios) > 1:
            raise ValueError("ratios: a share that is replaced is at most 1")
        if (
            self.rule is MixRule.REPLACE
            and Condition.DUPLICATES in self.conditions
            and max(self.ratios) == 1
        ):
            raise ValueError(
                "ratios: where all real images are replaced, none is left that the condition "
                "duplicates could repeat: leave ratio 1 or that condition out"
            )
        if self.folds == EXTERNAL and not self.external:
            raise ValueError("folds: external needs archives to test on: name them as external")
        names = [Path(path_and_split(text)[0]).name for text in self.external]
        if len(set(names)) < len(names):
            raise ValueError("external: two archives are called alike: rename one of them")
        return self

    @pydantic.model_validator(mode="after")
    def _of_task(self) -> "StudySettings":
        rules = TASKS[self.task]
        refused = self.primary.measure and rules.refusal(self.primary.measure)
        if refused:
            raise ValueError(f"primary.measure of task {self.task}: {refused}")
        if self.spread is not None and self.measure in (AUROC.name, AVERAGE_PRECISION.name):
            raise ValueError(f"spread: {self.measure} is of all groups together: leave it out")
        for task, other in TASKS.items():
            if task is not self.task and getattr(self, other.options):
                raise ValueError(f"{other.options}: is of task {task}: use {rules.options}")
        generator = self.generator
        if generator.masks != MaskSettings() and (generator.sets or not rules.masks):
            why = "sets have masks already" if rules.masks else f"task {self.task} has none"
            raise ValueError(f"generator.masks: {why}: leave it out")
        return self

    @pydantic.field_validator("folds")
    @classmethod
    def _number(cls, given: int | str) -> int | str:
        if given not in FOLDS and not (isinstance(given, int) and 2 <= given <= MAX_FOLDS):
            raise ValueError(f"must be a number from 2 to {MAX_FOLDS}, {' or '.join(FOLDS)}")
        return given

    @pydantic.field_validator("classifier", "segmenter")
    @classmethod
    def _options(cls, given: JsonObject, about: pydantic.ValidationInfo) -> JsonObject:
        own = next((name for name in OWN if name in given), None)
        if own is not None:
            raise ValueError(f"{own} is decided by the study: {OWN[own]}")
        rules = next(each for each in TASKS.values() if each.options == about.field_name)
        rules.training(given)
        return given

    @property
    def synthetic(self) -> list[Condition]:
        """Conditions with synthetic images; none where real images alone are studied."""
        return [each for each in self.conditions if each.synthetic]

    @property
    def leading(self) -> Condition | None:
        """The condition among whose ratios one is chosen; other ones take as many images."""
        leads = (Condition.MIXED, Condition.DUPLICATES)
        return next((each for each in leads if each in self.conditions), None)

    @property
    def count(self) -> int:
        """Number of folds."""
        return self.folds if isinstance(self.folds, int) else 1

    @property
    def options(self) -> JsonObject:
        """Options of the training."""
        found: JsonObject = getattr(self, TASKS[self.task].options)
        return found

    @property
    def measure(self) -> str:
        """The score that is compared, and that chooses."""
        return self.primary.measure or TASKS[self.task].measures[0]

    @property
    def probe(self) -> bool:
        """Whether classifiers are probes, which have no random part."""
        return self.task is TaskName.CLASSIFY and bool(self.classifier.get("probe", True))

    @property
    def classifier_seeds(self) -> int:
        """Classifiers that are averaged."""
        return self.seeds or (PROBE_SEEDS if self.probe else NETWORK_SEEDS)

    @property
    def balanced(self) -> str:
        """How the arm is balanced that is so by name."""
        return "weights" if self.probe else "sampling"

    @property
    def labels(self) -> bool:
        """Whether the study makes the masks of synthetic images itself."""
        return TASKS[self.task].masks and bool(self.synthetic) and not self.generator.sets

    def located(self, folder: Path) -> "StudySettings":
        """The same with paths that do not depend on the working folder."""

        def place(path: Path) -> Path:
            return (folder / path).resolve()

        generator = self.generator.model_copy(
            update={
                "snapshots": [place(path) for path in self.generator.snapshots],
                "sets": [place(path) for path in self.generator.sets],
                "trained_on": self.generator.trained_on and place(self.generator.trained_on),
            }
        )
        external = [str(folder.resolve() / text) for text in self.external]
        changes: dict[str, object] = {
            "data": place(self.data),
            "external": external,
            "generator": generator,
        }
        weights = self.options.get("weights")
        if weights is not None:
            file = place(Path(str(weights)))
            if file.exists() or weights != IMAGENET:
                return self.with_weights(file).model_copy(update=changes)
        return self.model_copy(update=changes)

    def with_weights(self, file: Path) -> "StudySettings":
        """The same with a file of first weights."""
        options = {**self.options, "weights": str(file)}
        return self.model_copy(update={TASKS[self.task].options: options})


def read_study(path: Path, trained_on: Path | None = None) -> StudySettings:
    """The settings of a study file, with absolute paths.

    Args:
        path: YAML or JSON.
        trained_on: what `--trained-on` names; goes before `generator.trained_on`.

    Raises:
        UserError: it cannot be read, or a key is unknown or breaks a rule.
    """
    tree = read_tree(path)
    if trained_on is not None:
        tree = merge(tree, {"generator": {"trained_on": str(trained_on.resolve())}})
    try:
        settings = StudySettings.parse(tree)
    except SettingError as error:
        raise UserError(f"{path}: {error}") from None
    return settings.model_copy(update={"name": settings.name or path.stem}).located(path.parent)


def read_frozen(kind: type[C], path: Path) -> C:
    """What was fixed when the work of a folder began.

    Raises:
        UserError: the file is damaged; nothing else says what the rest of the folder belongs to.
    """
    try:
        return kind.parse(read_tree(path))
    except UserError as error:
        raise UserError(
            f"{error}. The file {path} says what this folder was begun with: put it back from a "
            "copy, or begin in another folder by --outdir"
        ) from None


def digest(content: object) -> str:
    """Hex sha256 of plain data."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
