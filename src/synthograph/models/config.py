"""What every family's configuration has; can be read without torch."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pydantic

from synthograph.core.config import Config, merge

MAX_WIDTH = 8192
"""Largest width of a layer, 16 times the published ones: square layers of it just fit a GPU."""
PAIR = 2
"""Images of one class in a row that the spread loss compares."""


class AdamConfig(Config):
    """One Adam optimiser."""

    lr: float = pydantic.Field(0.0025, gt=0, description="learning rate")
    beta1: float = pydantic.Field(0.0, ge=0, lt=1, description="decay of the gradient's mean")
    beta2: float = pydantic.Field(0.99, ge=0, lt=1, description="decay of the squared gradient")
    eps: float = pydantic.Field(1e-8, gt=0, description="added to the denominator")


class FrozenFeatures(Config):
    """A frozen network through which discriminators see images."""

    name: str = pydantic.Field("efficientnet-lite0", description="feature network")
    strides: list[int] | None = pydantic.Field(
        None,
        min_length=1,
        description="which of its pictures, by how many pixels of the input a place of them has; "
        "all unless given",
    )
    channels: list[int] | None = pydantic.Field(
        None, min_length=1, description="channels of these pictures; found when a run begins"
    )
    sha256: str | None = pydantic.Field(
        None, description="hash of its weights; found when a run begins"
    )


class ModelConfig(Config):
    """What every family's configuration has."""

    family: str = pydantic.Field(description="kind of model")
    z_dim: int = pydantic.Field(512, ge=1, le=MAX_WIDTH, description="width of the latent")
    optimisers: dict[str, AdamConfig] = pydantic.Field(
        description="Adam per key, before the correction for lazy regularisation"
    )

    @pydantic.field_validator("optimisers", mode="before")
    @classmethod
    def _others_stay(cls, value: Any) -> Any:  # noqa: ANN401
        """A setting of one optimiser leaves the others, and its own others, as they are."""
        own = cls.model_fields["optimisers"].default
        if not (isinstance(value, Mapping) and isinstance(own, Mapping)):
            return value
        return merge({key: adam.model_dump() for key, adam in own.items()}, value)

    group_setting: ClassVar[str] = ""
    """Name of the setting that `group_size` returns, for messages."""

    @property
    def group_size(self) -> int:
        """Images that a discriminator compares with each other: no microbatch and no rank may cut
        such a group.
        """
        return 1

    @property
    def half_penalties(self) -> bool:
        """Whether there are penalties on gradients in the precision of the blocks: in bf16 they
        overflow first.
        """
        return True

    @property
    def signed_logits(self) -> bool:
        """Whether logits above 0 stand for real images, which adaptive augmentation reads."""
        return True

    @property
    def images_alike(self) -> int:
        """Images in a row that have to be of one class, real and synthetic alike."""
        return 1

    @property
    def frozen_features(self) -> FrozenFeatures | None:
        """The frozen network that training hands to the family; None where it needs none."""
        return None

    def with_features(self, found: FrozenFeatures) -> "ModelConfig":
        """The same with what was found of that network."""
        raise NotImplementedError

    @property
    def has_noise(self) -> bool:
        """Whether images take noise of their own, beside the latent."""
        return False


class SpreadConfig(ModelConfig):
    """What a family has that may keep pairs of a class apart (`models.spread`)."""

    spread_weight: float = pydantic.Field(
        0.0, ge=0, description="weight of the spread loss, 0 for none; batches are of pairs with it"
    )
    spread_decay: float = pydantic.Field(
        0.95, ge=0, lt=1, description="decay of the mean distance of real pairs, per step"
    )

    @property
    def images_alike(self) -> int:
        """Two with the spread loss, which compares pairs of one class."""
        return PAIR if self.spread_weight else 1
