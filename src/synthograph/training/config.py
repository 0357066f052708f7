"""The configuration tree of a run, which `config.json` holds resolved, and the request of `train`.

What a setting means, its range and its default stand here, and so does the option of `train` that
gives it. Nothing here imports torch when it is read.
"""

import enum
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pydantic
from pydantic import Field
from pydantic.fields import FieldInfo

from synthograph.core.addresses import writable_address
from synthograph.core.config import Config, flatten, set_path
from synthograph.core.devices import Precision
from synthograph.core.errors import SettingError, UserError
from synthograph.core.names import nearest
from synthograph.core.request import Flag, Request, Words, marked, spelled
from synthograph.core.spec import Invariances, stated
from synthograph.core.untrusted.documents import JsonObject
from synthograph.features.packaged import RANDOM, TRAINED, default_extractor
from synthograph.models.config import ModelConfig

SCHEMA = 1


@dataclass(frozen=True)
class Option:
    """The option of `train` that gives a setting.

    Attributes:
        name: such as "batch_gpu" for `--batch-gpu`.
        kind: type of what is typed; that of the setting unless given.
        read: what is typed to the setting's value, in plain data.
    """

    name: str
    kind: Any = None
    read: Callable[[Any], Any] = lambda value: value


def _bundle(name: str) -> dict[str, float]:
    """Multipliers of a published bundle: 1 for its operations, 0 for the others."""
    from synthograph.ops.operations import BUNDLES, OPERATIONS  # with torch

    if name not in BUNDLES:
        raise UserError(f"--augpipe {name!r} is unknown: {nearest(name, BUNDLES)}")
    return {operation: float(operation in BUNDLES[name]) for operation in OPERATIONS}


class DataConfig(Config):
    """Which images train."""

    path: Annotated[str, Option("data", Path)] = Field(description="archive to train on")
    split: Annotated[str | None, Option("split")] = Field(
        None, description="split to train on; train where the archive has splits, else all"
    )
    fold: Annotated[int | None, Option("fold")] = Field(None, ge=0, description="fold to leave out")
    subset: Annotated[int | None, Option("subset")] = Field(
        None, ge=1, description="train on so many images, chosen by the seed"
    )
    mirror: Annotated[bool, Option("mirror")] = Field(
        False, description="use every image flipped as well"
    )
    invariances: Annotated[Invariances, Option("invariant", Words, stated)] = Field(
        None,
        description="changes that leave an image's meaning alone: mirror,rotate,colour or none; "
        "as the archive says if not given",
    )
    cond: Annotated[bool, Option("cond")] = Field(False, description="give the networks the labels")


class AugmentMode(enum.StrEnum):
    """Who decides on the strength of the augmentation."""

    ADA = "ada"
    FIXED = "fixed"
    NONE = "none"


class AugmentConfig(Config):
    """Augmentation in front of the discriminators."""

    mode: Annotated[
        AugmentMode, Option("aug", str, lambda name: "none" if name == "noaug" else name)
    ] = Field(AugmentMode.NONE, description="ada, fixed or noaug")
    p: Annotated[float | None, Option("p")] = Field(
        None, ge=0, le=1, description="strength of augmentation: constant if fixed, start if ada"
    )
    target: Annotated[float, Option("target")] = Field(
        0.6, ge=0, le=1, description="share by which real images may be recognised (ada)"
    )
    p_max: float = Field(0.85, gt=0, le=1, description="largest strength (ada)")
    speed_kimg: float = Field(
        500, gt=0, description="thousands of images in which the strength can go from 0 to 1 (ada)"
    )
    pipe: Annotated[dict[str, float], Option("augpipe", str, _bundle)] = Field(
        default_factory=dict,
        description="multiplier of each operation's probability; as an option one of blit, geom, "
        "color, ..., bg, bgc ... bgcfnc",
    )

    @pydantic.field_validator("pipe")
    @classmethod
    def _operations(cls, pipe: dict[str, float]) -> dict[str, float]:
        if not pipe:
            return pipe
        from synthograph.ops.operations import OPERATIONS, STRENGTHS  # with torch

        for name, multiplier in pipe.items():
            if name not in (*OPERATIONS, *STRENGTHS):
                raise ValueError(
                    f"augmentation {name!r} is unknown: {nearest(name, (*OPERATIONS, *STRENGTHS))}"
                )
            if multiplier < 0:
                raise ValueError(f"augmentation {name!r} needs a multiplier of at least 0")
        return pipe

    @pydantic.model_validator(mode="after")
    def _strength(self) -> "AugmentConfig":
        if self.mode is AugmentMode.FIXED and self.p is None:
            raise ValueError("augment.mode fixed needs a strength: --p 0.2, for example")
        if self.mode is AugmentMode.NONE and self.p is not None:
            raise ValueError(f"p = {self.p:g} has no effect without augmentation: add --aug fixed")
        return self


class TrainingConfig(Config):
    """Length, batch, bookkeeping and the average of the weights."""

    kimg: Annotated[float, Option("kimg")] = Field(
        25000, gt=0, le=10_000_000, description="thousands of real images to show"
    )
    batch: Annotated[int, Option("batch")] = Field(
        32, ge=1, le=1 << 20, description="images per step"
    )
    batch_gpu: Annotated[int, Option("batch_gpu")] = Field(
        32, ge=1, description="images computed at once; their gradients add up to a batch"
    )
    tick_kimg: float = Field(4, gt=0, description="thousands of images between status lines")
    snap: Annotated[int, Option("snap")] = Field(50, ge=1, description="ticks between snapshots")
    save_every: Annotated[float, Option("save_every")] = Field(
        10, gt=0, description="minutes between checkpoint states"
    )
    max_hours: Annotated[float | None, Option("max_hours")] = Field(
        None, gt=0, description="stop after so many hours; the run can be resumed"
    )
    freezed: Annotated[int, Option("freezed")] = Field(
        0, ge=0, description="first layers of the discriminators that are not trained (Freeze-D)"
    )
    ema_kimg: float = Field(10, ge=0, description="half-life of the averaged weights")
    ema_ramp: float | None = Field(
        None, gt=0, description="half-life is at most this share of the images seen"
    )

    @pydantic.model_validator(mode="after")
    def _shares_fit(self) -> "TrainingConfig":
        if self.batch % self.batch_gpu:
            sizes = (n for n in range(1, self.batch + 1) if self.batch % n == 0)
            near = min(sizes, key=lambda n: abs(n - self.batch_gpu))
            rule = f"must divide the batch, which is {self.batch}; the nearest that does: {near}"
            raise ValueError(f"batch_gpu {self.batch_gpu} {rule}")
        return self

    @property
    def images(self) -> int:
        """Images to show in all."""
        return round(self.kimg * 1000)


MEASURES = ("frechet", "kernel", "recall", "coverage", "spread", "repetition", "noise_share")
"""Measures by default: the distance that everybody knows, the one that few images do not bias, the
two that notice when images get more alike, and three within each class. One pass over the images,
and one over as many or a thousand of the same latents with fixed noise.
"""


class MetricsConfig(Config):
    """What is measured at every snapshot, by images that were held out."""

    measures: Annotated[
        list[str], Option("metrics", Words, lambda names: [n for n in names if n != "none"])
    ] = Field(
        list(MEASURES),
        description=f"measures of every snapshot, {','.join(MEASURES)} unless given; or none. The "
        "first that compares with held-out images chooses the best snapshot",
    )
    num: Annotated[int | None, Option("metric_num")] = Field(
        None,
        ge=10,
        le=1_000_000,
        description="synthetic images that are measured; as many as held-out ones, from 500 to "
        "2000, unless given",
    )
    features: Annotated[str, Option("features")] = Field(
        default_factory=default_extractor,
        description=f"extractor of measures; {TRAINED} unless given, or {RANDOM} where that is "
        "missing",
    )
    patience: Annotated[int | None, Option("patience")] = Field(
        None, ge=1, description="end after so many snapshots without a better one"
    )


class TrackingConfig(Config):
    """Where a run can be followed besides its directory."""

    trackers: Annotated[
        list[str] | None,
        Option("tracker", Words, lambda names: [n for n in names if n != "none"]),
    ] = Field(
        None,
        description="who follows the run: tensorboard,mlflow,wandb or none; tensorboard, where it "
        "is installed, unless given",
    )
    uri: Annotated[str | None, Option("tracking_uri")] = Field(
        None,
        description="MLflow server or database; MLFLOW_TRACKING_URI, else mlflow.db beside the run",
    )
    experiment: Annotated[str, Option("experiment")] = Field(
        "synthograph", min_length=1, description="experiment of MLflow, project of W&B"
    )
    parent: Annotated[str | None, Option("tracking_parent")] = Field(
        None, min_length=1, description="run of MLflow that this one is a part of; group of W&B"
    )

    @pydantic.field_validator("trackers")
    @classmethod
    def _known(cls, names: list[str] | None) -> list[str] | None:
        if not names:
            return names
        from synthograph.training.trackers import TRACKERS  # which reads this module

        known = [tracker.name for tracker in TRACKERS]
        for name in names:
            if name not in known:
                raise ValueError(f"tracker {name!r} is unknown: {nearest(name, known)}")
        return names

    @pydantic.field_validator("uri")
    @classmethod
    def _safe(cls, uri: str | None) -> str | None:
        return None if uri is None else writable_address(uri)

    def options(self) -> JsonObject:
        """The options of `train` that give these settings; none where nothing was asked for."""
        if self.trackers is None:
            return {}
        given = {"tracking_uri": self.uri, "tracking_parent": self.parent}
        return {
            "tracker": self.trackers or ["none"],
            "experiment": self.experiment,
            **{name: value for name, value in given.items() if value is not None},
        }


class RunConfig(Config):
    """The root."""

    schema_version: int = Field(SCHEMA, ge=SCHEMA, le=SCHEMA, description="version of this tree")
    seed: Annotated[int, Option("seed")] = Field(
        0, ge=0, lt=2**63, description="seed of everything random"
    )
    device: Annotated[str, Option("device")] = Field(
        "auto", description="auto, cpu, cuda or cuda:N"
    )
    precision: Annotated[Precision, Option("precision")] = Field(
        Precision.AUTO, description="arithmetic of the network blocks: auto, fp32 or bf16"
    )
    threads: Annotated[int | None, Option("threads")] = Field(
        None,
        ge=1,
        le=1024,
        description="processor threads of a process; none for what it has, or had when it stopped",
    )
    data: DataConfig
    model: pydantic.SerializeAsAny[ModelConfig]
    augment: AugmentConfig = AugmentConfig()
    training: TrainingConfig = TrainingConfig()
    metrics: MetricsConfig = Field(default_factory=MetricsConfig)
    tracking: TrackingConfig = Field(default_factory=TrackingConfig)

    @pydantic.field_validator("metrics", mode="before")
    @classmethod
    def _plain_list(cls, value: Any) -> Any:  # noqa: ANN401
        # runs of before measures were built: an empty list
        return {"measures": value, "features": RANDOM} if isinstance(value, list) else value

    @pydantic.model_validator(mode="after")
    def _signs_are_there(self) -> "RunConfig":
        if self.augment.mode is AugmentMode.ADA and not self.model.signed_logits:
            raise SettingError(
                "augment.mode",
                "reads the signs of logits, which this loss leaves without a meaning: take fixed "
                "augmentation with a strength (--aug fixed --p 0.2), or another model.loss",
                value=self.augment.mode,
            )
        return self

    @property
    def group(self) -> int:
        """Images that no microbatch and no process may cut; at most a microbatch."""
        return self.group_of(self.training.batch_gpu)

    def group_of(self, microbatch: int) -> int:
        """Images that microbatches may not cut: those that are compared, and those alike."""
        return math.lcm(min(self.model.group_size, microbatch), self.model.images_alike)

    @pydantic.field_validator("model", mode="before")
    @classmethod
    def _by_family(cls, value: Any) -> Any:  # noqa: ANN401
        from synthograph.models.registry import parse_model  # with torch

        return parse_model(value) if isinstance(value, Mapping) else value

    @pydantic.model_validator(mode="after")
    def _groups_fit(self) -> "RunConfig":
        microbatch, alike = self.training.batch_gpu, self.model.images_alike
        if self._fits(microbatch):
            return self
        name, batch = f"model.{self.model.group_setting}", self.training.batch
        group = min(self.model.group_size, microbatch)
        fitting = [n for n in range(group, batch + 1, group) if batch % n == 0 and self._fits(n)]
        near = min(fitting, key=lambda n: abs(n - microbatch), default=None)
        rule = f"is no multiple of {name} {group}"
        if microbatch % alike:
            rule = (
                f"must be a multiple of {alike}, the images of one class in a row that a model of "
                f"the family {self.model.family} needs"
            )
        if near is not None:
            way_out = f"the nearest that is and divides the batch: {near}"
        elif microbatch % alike:
            near = next(n for n in itertools.count(batch) if self._fits(n))
            way_out = f"take {near} for training.batch and training.batch_gpu"
        else:
            way_out = f"{name}={math.gcd(microbatch, group)} divides it"
        raise ValueError(f"training.batch_gpu {microbatch} {rule}; {way_out}")

    def _fits(self, microbatch: int) -> bool:
        return microbatch % self.group_of(microbatch) == 0


def archive_path(config: RunConfig) -> Path:
    """Path of the archive that a run trains on.

    Raises:
        UserError: it is not there any more.
    """
    path = Path(config.data.path)
    if not path.exists():
        way_out = "put it back, or give its new place by --data"
        raise UserError(f"{path}: the archive of this run is not there; {way_out}")
    return path


@dataclass(frozen=True)
class OfModel:
    """The setting of a model that an option of `train` gives; each family that has it declares its
    range and default.

    Attributes:
        name: such as "r1_gamma".
        read: what is typed to the setting's value, in plain data.
    """

    name: str
    read: Callable[[Any], Any] = lambda value: value


MIXING = 0.9
"""Share of images from two latents that `--mixing` stands for (Karras et al. 2019)."""


def _settings(config: type[Config], prefix: str = "") -> Iterator[tuple[str, FieldInfo, Option]]:
    """Dotted path, field and option of every setting that has one; sections come first."""
    fields = config.model_fields.items()
    for name, field in sorted(fields, key=lambda item: marked(item[1], Option) is not None):
        if isinstance(field.annotation, type) and issubclass(field.annotation, Config):
            yield from _settings(field.annotation, f"{prefix}{name}.")
        elif (option := marked(field, Option)) is not None:
            yield f"{prefix}{name}", field, option


def _field(field: FieldInfo, option: Option) -> Any:  # noqa: ANN401 - as pydantic takes them
    """Type and default of an option that is not given; the setting itself has the range."""
    kind: Any = option.kind or field.annotation
    if kind is bool:
        return kind, Field(False, description=field.description)
    if option.kind is not None and not isinstance(option.kind, type):
        return kind, Field((), description=field.description)
    return kind | None, Field(None, description=field.description)


def option_of(path: str) -> str | None:
    """The option of `train` that gives a setting, such as `--batch`; None where it has none."""
    for own, _, option in _settings(RunConfig):
        if own == path:
            return f"--{option.name.replace('_', '-')}"
    for name, field in TrainRequest.model_fields.items():
        of = marked(field, OfModel)
        if of is not None and path == f"model.{of.name}":
            return spelled(name, field)
    return None


if TYPE_CHECKING:
    _Settings = Request
else:
    _Settings = pydantic.create_model(
        "TrainRequest",
        __base__=Request,
        **{option.name: _field(field, option) for _, field, option in _settings(RunConfig)},
    )


class TrainRequest(_Settings):
    """Train a generator on an archive, or continue a run that was stopped."""

    gamma: Annotated[float | None, OfModel("r1_gamma")] = Field(
        None, description="weight of the R1 penalty"
    )
    start_dimension: Annotated[int | None, OfModel("start_dimension")] = Field(
        None, description="longer side of the first images, for models that grow"
    )
    final_dimension: Annotated[int | None, OfModel("final_dimension")] = Field(
        None, description="longer side of the last images, for models that grow"
    )
    progressive_stage: Annotated[int | None, OfModel("progressive_stage")] = Field(
        None, description="images of half a stage, for models that grow"
    )
    mixing: Annotated[bool, OfModel("style_mixing", lambda mixed: MIXING)] = Field(
        False, description=f"make {MIXING:.0%} of the images in training from two latents"
    )
    outdir: Path | None = Field(None, description="folder of run directories, runs unless given")
    cfg: str | None = Field(None, description="preset, auto unless given")
    config: Path | None = Field(None, description="YAML or JSON file with settings of a run")
    from_search: Path | None = Field(
        None, description="folder of a search: train its winner at the full length of its preset"
    )
    settings: Annotated[tuple[str, ...], Flag("--set")] = Field(
        (), description="any setting as a.b=value"
    )
    gpus: int = Field(
        1, ge=1, description="processes that train together, one per GPU (or CPU share)"
    )
    init_from: str | None = Field(
        None,
        description="start with the weights of a snapshot: file, run, https URL, or a name such as "
        "phantom:skin (small images, short trainings) or ffhq256; none for random weights",
    )
    resume: Path | None = Field(None, description="run directory to continue")
    require_exact: bool = Field(False, description="resume only if bit for bit the same")
    dry_run: Annotated[bool, Flag("--dry-run", "-n")] = Field(
        False, description="validate and print the plan, and how long it takes; create nothing"
    )

    def given(self) -> JsonObject:
        """Dotted path of a setting -> the value that its option gives."""
        typed = self.model_dump(mode="json")
        values = {path: typed[option.name] for path, option in OPTIONS.items()}
        return {
            path: OPTIONS[path].read(value)
            for path, value in values.items()
            if value is not None and value is not False and value != []
        }

    def setting_tree(self) -> JsonObject:
        """The settings that options give, as part of the configuration tree."""
        tree: JsonObject = {}
        for path, value in self.given().items():
            tree = set_path(tree, path, value)
        return tree

    def names(self, sets: JsonObject, file: JsonObject) -> dict[str, str]:
        """Names of settings for `core.config.calling`: an option goes before `--set`, and that
        before the file.

        Args:
            sets: tree of the `--set` arguments.
            file: tree of the configuration file.
        """
        names = {path: f"{self.config}: {path}" for path in flatten(file, sections=True)}
        names |= {path: f"--set {path}" for path in flatten(sets, sections=True)}
        return names | {path: self.flags()[OPTIONS[path].name] for path in self.given()}


OPTIONS = {path: option for path, _, option in _settings(RunConfig)} | {
    f"model.{of.name}": Option(name, read=of.read)
    for name, field in TrainRequest.model_fields.items()
    if (of := marked(field, OfModel)) is not None
}
"""Dotted path of a setting -> the option that gives it."""
