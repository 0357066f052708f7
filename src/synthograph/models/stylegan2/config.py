"""Hyper-parameters of StyleGAN2."""

import enum
from typing import Literal

import pydantic

from synthograph.models.base import AdamConfig, ModelConfig


class Architecture(enum.StrEnum):
    """How the resolutions of a network are joined."""

    SKIP = "skip"
    ORIG = "orig"
    RESNET = "resnet"


class NoiseMode(enum.StrEnum):
    """Where the per-pixel noise of the synthesis comes from."""

    CONST = "const"
    RANDOM = "random"
    NONE = "none"


class StyleGAN2Config(ModelConfig):
    """Networks, loss weights and optimisers."""

    family: Literal["stylegan2"] = "stylegan2"
    channel_base: int = pydantic.Field(
        16384, ge=16, description="channels at a level are this // longer side"
    )
    channel_max: int = pydantic.Field(512, ge=1, description="most channels at any level")
    w_dim: int = pydantic.Field(512, ge=1, description="width of the style")
    mapping_layers: int = pydantic.Field(2, ge=1, le=16, description="layers from latent to style")
    generator_architecture: Architecture = Architecture.SKIP
    discriminator_architecture: Architecture = Architecture.RESNET
    mbstd_group: int = pydantic.Field(4, ge=1, description="images in a minibatch-std group")
    clamp: float | None = pydantic.Field(
        256.0, gt=0, description="limit of the absolute layer output"
    )
    r1_gamma: float = pydantic.Field(1.0, ge=0, description="weight of the R1 penalty")
    r1_interval: int = pydantic.Field(16, ge=1, description="steps between R1 penalties")
    path_weight: float = pydantic.Field(
        2.0, ge=0, description="weight of the path-length penalty, 0 for none"
    )
    path_interval: int = pydantic.Field(4, ge=1, description="steps between path-length penalties")
    path_decay: float = pydantic.Field(0.01, gt=0, le=1, description="rate of the mean path length")
    style_mixing: float = pydantic.Field(
        0.9, ge=0, le=1, description="share of images made from two latents"
    )
    w_avg_decay: float = pydantic.Field(0.995, ge=0, lt=1, description="decay of the mean style")
    modality_weights: dict[str, float] = pydantic.Field(
        default_factory=dict, description="weight of a modality in the generator loss, 1 unless given"
    )
    optimisers: dict[str, AdamConfig] = {"G": AdamConfig(), "D": AdamConfig()}
