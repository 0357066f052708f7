"""Hyper-parameters of StyleGAN2."""

import enum
from typing import Annotated, ClassVar, Literal

import pydantic

from synthograph.models.config import MAX_WIDTH, AdamConfig, ModelConfig, SpreadConfig

MAX_BASE = 1 << 20
"""Largest `channel_base`, 32 times the published one: 1024 channels at a side of 1024."""


class Architecture(enum.StrEnum):
    """How the resolutions of a network are joined."""

    SKIP = "skip"
    ORIG = "orig"
    RESNET = "resnet"


class GeneratorConfig(ModelConfig):
    """What a generator of StyleGAN2 is built from, and how its styles are drawn in training."""

    channel_base: int = pydantic.Field(
        16384, ge=16, le=MAX_BASE, description="channels at a level are this // longer side"
    )
    channel_max: int = pydantic.Field(
        512, ge=1, le=MAX_WIDTH, description="most channels at any level"
    )
    w_dim: int = pydantic.Field(512, ge=1, le=MAX_WIDTH, description="width of the style")
    mapping_layers: int = pydantic.Field(2, ge=1, le=16, description="layers from latent to style")
    mapping_width: int | None = pydantic.Field(
        None, ge=1, le=MAX_WIDTH, description="width of the layers between, w_dim unless given"
    )
    mapping_rate: float = pydantic.Field(
        0.01, gt=0, le=1, description="learning-rate multiplier of the mapping layers"
    )
    embedding_width: int | None = pydantic.Field(
        None, ge=1, le=MAX_WIDTH, description="width of the label's embedding, w_dim unless given"
    )
    generator_architecture: Architecture = pydantic.Field(
        Architecture.SKIP, description="how the generator joins its resolutions"
    )
    noise: bool = pydantic.Field(
        True, description="noise inputs at every pixel; without, images follow from latents alone"
    )
    clamp: float | None = pydantic.Field(
        256.0, gt=0, description="limit of the absolute layer output"
    )
    style_mixing: float = pydantic.Field(
        0.9, ge=0, le=1, description="share of images made from two latents"
    )
    w_avg_decay: float | None = pydantic.Field(
        0.995,
        ge=0,
        le=1,
        description="decay of the mean style; none keeps no mean that truncation could pull to",
    )

    @property
    def has_noise(self) -> bool:
        """Whether it was built with noise inputs."""
        return self.noise


class StyleGAN2Config(SpreadConfig, GeneratorConfig):
    """Networks, loss weights and optimisers."""

    family: Literal["stylegan2"] = pydantic.Field("stylegan2", description="kind of model")
    discriminator_architecture: Architecture = pydantic.Field(
        Architecture.RESNET, description="how the discriminators join their resolutions"
    )
    discriminator_channel_base: int | None = pydantic.Field(
        None, ge=16, le=MAX_BASE, description="as channel_base, where the discriminator differs"
    )
    discriminator_channel_max: int | None = pydantic.Field(
        None, ge=1, le=MAX_WIDTH, description="as channel_max, where the discriminator differs"
    )
    discriminator_clamp: float | Literal["same"] | None = pydantic.Field(
        "same", description="as clamp, where the discriminator differs"
    )
    label_width: int | None = pydantic.Field(
        None,
        ge=1,
        le=MAX_WIDTH,
        description="width of the projected label, the coarsest level's channels unless given",
    )
    label_layers: int = pydantic.Field(
        8, ge=1, le=16, description="layers from label to projection"
    )
    label_mapping_width: int | None = pydantic.Field(
        None,
        ge=1,
        le=MAX_WIDTH,
        description="width of the layers between, label_width unless given",
    )
    label_embedding_width: int | None = pydantic.Field(
        None,
        ge=1,
        le=MAX_WIDTH,
        description="width of the label's embedding, label_width unless given",
    )
    mbstd_group: int = pydantic.Field(4, ge=1, description="images in a minibatch-std group")
    mbstd_channels: int = pydantic.Field(
        1, ge=0, le=MAX_WIDTH, description="maps that the minibatch-std layer adds, 0 for none"
    )
    r1_gamma: float = pydantic.Field(1.0, ge=0, description="weight of the R1 penalty")
    r1_interval: int = pydantic.Field(
        16,
        ge=1,
        description="steps between R1 penalties; D's Adam is corrected for it, also without them",
    )
    path_weight: float = pydantic.Field(
        2.0, ge=0, description="weight of the path-length penalty, 0 for none"
    )
    path_interval: int = pydantic.Field(
        4,
        ge=1,
        description="steps between path-length penalties; G's Adam is corrected for it, also "
        "without them",
    )
    path_decay: float = pydantic.Field(0.01, gt=0, le=1, description="rate of the mean path length")
    penalty_precision: Literal["blocks", "fp32"] = pydantic.Field(
        "blocks", description="arithmetic inside penalties: that of the blocks, or fp32"
    )
    modality_weights: dict[str, float] = pydantic.Field(
        default_factory=dict,
        description="weight of a modality in the generator loss, 1 unless given",
    )
    modality_r1: dict[str, Annotated[float, pydantic.Field(ge=0)]] = pydantic.Field(
        default_factory=dict,
        description="factor of the R1 penalty of a modality's discriminator, 1 unless given",
    )
    optimisers: dict[str, AdamConfig] = pydantic.Field(
        {"G": AdamConfig(), "D": AdamConfig()},
        description="Adam per key (G, D), before the correction for lazy regularisation",
    )

    group_setting: ClassVar[str] = "mbstd_group"

    @property
    def group_size(self) -> int:
        """Images that share a minibatch standard deviation."""
        return self.mbstd_group

    @property
    def half_penalties(self) -> bool:
        """Unless they are asked for in fp32, or have no weight."""
        return self.penalty_precision == "blocks" and bool(self.r1_gamma or self.path_weight)
