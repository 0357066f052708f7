"""The configuration tree of a run; `config.json` holds it resolved."""

import enum
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic

from synthograph.core.config import Config, merge
from synthograph.core.devices import Precision
from synthograph.core.errors import SettingError, UserError
from synthograph.core.names import nearest
from synthograph.core.spec import ImageSpec
from synthograph.models.base import ModelConfig
from synthograph.models.registry import DEFAULT_FAMILY, family, parse_model
from synthograph.ops.operations import OPERATIONS, STRENGTHS

SCHEMA = 1


class DataConfig(Config):
    """Which images train."""

    path: str = pydantic.Field(description="the archive")
    split: str | None = pydantic.Field(
        None, description="train where the archive has splits, else all"
    )
    fold: int | None = pydantic.Field(None, ge=0, description="fold that is left out")
    subset: int | None = pydantic.Field(
        None, ge=1, description="number of images, chosen by the seed"
    )
    mirror: bool = pydantic.Field(False, description="use every image flipped as well")
    cond: bool = pydantic.Field(False, description="tell the networks the labels")


class AugmentMode(enum.StrEnum):
    """Who decides on the strength of the augmentation."""

    ADA = "ada"
    FIXED = "fixed"
    NONE = "none"


class AugmentConfig(Config):
    """Augmentation in front of the discriminators."""

    mode: AugmentMode = AugmentMode.NONE
    p: float | None = pydantic.Field(
        None, ge=0, le=1, description="strength: constant if fixed, the start if ada"
    )
    target: float = pydantic.Field(
        0.6, ge=0, le=1, description="share by which real images may be recognised (ada)"
    )
    p_max: float = pydantic.Field(0.85, gt=0, le=1, description="largest strength (ada)")
    speed_kimg: float = pydantic.Field(
        500, gt=0, description="thousands of images in which the strength can go from 0 to 1 (ada)"
    )
    pipe: dict[str, float] = pydantic.Field(
        default_factory=dict, description="operation -> multiplier of its probability"
    )

    @pydantic.field_validator("pipe")
    @classmethod
    def _operations(cls, pipe: dict[str, float]) -> dict[str, float]:
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

    kimg: float = pydantic.Field(
        25000, gt=0, le=10_000_000, description="thousands of real images shown"
    )
    batch: int = pydantic.Field(32, ge=1, le=1 << 20, description="images per step")
    batch_gpu: int = pydantic.Field(
        32, ge=1, description="images computed at once; the rest accumulates"
    )
    tick_kimg: float = pydantic.Field(
        4, gt=0, description="thousands of images between status lines"
    )
    snap: int = pydantic.Field(50, ge=1, description="ticks between snapshots")
    save_every: float = pydantic.Field(10, gt=0, description="minutes between states")
    max_hours: float | None = pydantic.Field(
        None, gt=0, description="stop, resumable, after so long"
    )
    freezed: int = pydantic.Field(
        0, ge=0, description="first layers of the discriminators that are not trained (Freeze-D)"
    )
    ema_kimg: float = pydantic.Field(10, ge=0, description="half-life of the averaged weights")
    ema_ramp: float | None = pydantic.Field(
        None, gt=0, description="half-life is at most this share of the images seen"
    )

    @pydantic.model_validator(mode="after")
    def _shares_fit(self) -> "TrainingConfig":
        if self.batch % self.batch_gpu:
            raise ValueError(
                f"batch_gpu {self.batch_gpu} must divide the batch, which is {self.batch}"
            )
        return self

    @property
    def images(self) -> int:
        """Images to show in all."""
        return round(self.kimg * 1000)


MEASURES = ("frechet", "kernel", "recall", "coverage")
"""What is measured unless told: the distance that everybody knows, the one that few images do not
bias, to check it by, and the two that notice when images get better and more alike. All of them
come from one pass over the images.
"""


class MetricsConfig(Config):
    """What is measured at every snapshot, by images that were held out."""

    measures: list[str] = pydantic.Field(
        list(MEASURES), description="names; the first that compares with held-out images chooses"
    )
    num: int | None = pydantic.Field(
        None,
        ge=10,
        le=1_000_000,
        description="generated images; as many as held-out ones, from 500 to 2000, unless given",
    )
    features: str = pydantic.Field("random-vgg16", description="extractor")
    patience: int | None = pydantic.Field(
        None, ge=1, description="end after so many snapshots without a better one"
    )


class RunConfig(Config):
    """The root."""

    schema_version: int = pydantic.Field(
        SCHEMA, ge=SCHEMA, le=SCHEMA, description="version of this tree"
    )
    seed: int = pydantic.Field(0, ge=0, lt=2**63, description="seed of everything random")
    device: str = pydantic.Field("auto", description="auto, cpu, cuda or cuda:N")
    precision: Precision = pydantic.Field(
        Precision.AUTO, description="arithmetic of the network blocks"
    )
    threads: int | None = pydantic.Field(
        None,
        ge=1,
        le=1024,
        description="of a process; none for what it has, or had when it stopped",
    )
    data: DataConfig
    model: pydantic.SerializeAsAny[ModelConfig]
    augment: AugmentConfig = AugmentConfig()
    training: TrainingConfig = TrainingConfig()
    metrics: MetricsConfig = MetricsConfig()

    @pydantic.field_validator("metrics", mode="before")
    @classmethod
    def _plain_list(cls, value: Any) -> Any:  # noqa: ANN401
        # runs of before measures were built: an empty list
        return {"measures": value} if isinstance(value, list) else value

    @property
    def group(self) -> int:
        """Images that a discriminator judges together, so that no share may part them."""
        return int(getattr(self.model, "mbstd_group", 1))

    @pydantic.field_validator("model", mode="before")
    @classmethod
    def _by_family(cls, value: Any) -> Any:  # noqa: ANN401
        return parse_model(value) if isinstance(value, Mapping) else value

    @pydantic.model_validator(mode="after")
    def _groups_fit(self) -> "RunConfig":
        group, share = self.group, self.training.batch_gpu
        if share % min(group, share):
            raise ValueError(
                f"training.batch_gpu {share} is no multiple of model.mbstd_group {group}, "
                f"the nearest that is: {max(round(share / group), 1) * group}"
            )
        return self


def resolve(
    spec: ImageSpec, preset: str, over: Sequence[Mapping[str, Any]], *, gpus: int = 1
) -> RunConfig:
    """A preset with settings on top, frozen.

    Args:
        spec: the images to train on; presets depend on their size.
        preset: name of a preset of the model's family.
        over: parts of the tree, later ones win.
        gpus: number of GPUs that the preset is scaled for.

    Raises:
        UserError: an unknown preset or setting, a value out of range, or one that these images do
            not allow.
    """
    asked: dict[str, Any] = {}
    for part in over:
        asked = merge(asked, part)
    name = asked.get("model", {}).get("family", DEFAULT_FAMILY)
    tree = family(name).preset(preset, spec, gpus)
    wanted = asked.get("training", {})
    if (
        "batch" in wanted and "batch_gpu" not in wanted
    ):  # a preset's share need not divide another batch
        tree["training"].pop("batch_gpu", None)
        asked = merge(asked, {"training": {"batch_gpu": wanted["batch"]}})
    config = RunConfig.parse(merge(tree, asked))
    check_model(spec, config.model)
    return config


def check_model(spec: ImageSpec, model: ModelConfig) -> None:
    """Refuse settings of a model that do not fit the images, before anything is built.

    Raises:
        SettingError: see `Family.check`.
    """
    try:
        family(model.family).check(spec, model)
    except SettingError as error:
        raise error.under("model") from None


def archive_path(config: RunConfig) -> Path:
    """Path of the archive that a run trains on.

    Raises:
        UserError: it is not there any more.
    """
    path = Path(config.data.path)
    if not path.exists():
        raise UserError(
            f"{path}: the archive of this run is not there; put it back, or tell with --data where "
            "it is now"
        )
    return path
