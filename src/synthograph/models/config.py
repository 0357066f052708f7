"""What every family's configuration has; can be read without torch."""

from typing import ClassVar

import pydantic

from synthograph.core.config import Config

MAX_WIDTH = 8192
"""Largest width of a layer, 16 times the published ones: square layers of it just fit a GPU."""


class AdamConfig(Config):
    """One Adam optimiser."""

    lr: float = pydantic.Field(0.0025, gt=0, description="learning rate")
    beta1: float = pydantic.Field(0.0, ge=0, lt=1, description="decay of the gradient's mean")
    beta2: float = pydantic.Field(0.99, ge=0, lt=1, description="decay of the squared gradient")
    eps: float = pydantic.Field(1e-8, gt=0, description="added to the denominator")


class ModelConfig(Config):
    """What every family's configuration has."""

    family: str = pydantic.Field(description="kind of model")
    z_dim: int = pydantic.Field(512, ge=1, le=MAX_WIDTH, description="width of the latent")
    optimisers: dict[str, AdamConfig] = pydantic.Field(
        description="Adam per key, before the correction for lazy regularisation"
    )

    group_setting: ClassVar[str] = ""
    """Name of the setting that `group_size` returns, for messages."""

    @property
    def group_size(self) -> int:
        """Images that a discriminator compares with each other: no microbatch and no rank may cut
        such a group.
        """
        return 1

    @property
    def signed_logits(self) -> bool:
        """Whether logits above 0 stand for real images, which adaptive augmentation reads."""
        return True

    @property
    def has_noise(self) -> bool:
        """Whether images take noise of their own, beside the latent."""
        return False
