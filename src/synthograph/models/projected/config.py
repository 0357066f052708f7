"""Hyper-parameters of the projected family."""

from typing import ClassVar, Literal

import pydantic

from synthograph.models.config import MAX_WIDTH, PAIR, AdamConfig, FrozenFeatures
from synthograph.models.stylegan2.config import GeneratorConfig


class ProjectedConfig(GeneratorConfig):
    """Networks, loss weights and optimisers."""

    family: Literal["projected"] = pydantic.Field("projected", description="kind of model")
    features: FrozenFeatures = pydantic.Field(
        FrozenFeatures(), description="frozen network that the discriminators see through"
    )
    feature_side: int | None = pydantic.Field(
        None,
        ge=16,
        le=4096,
        description="longer side of what that network sees; the images' own, at least 32, unless "
        "given",
    )
    mixed_channels: int = pydantic.Field(
        64,
        ge=1,
        le=MAX_WIDTH,
        description="channels that fine pictures are mixed to; coarse ones get twice as many",
    )
    head_channels: int = pydantic.Field(
        128, ge=1, le=MAX_WIDTH, description="channels of the heads"
    )
    head_layers: int = pydantic.Field(
        0, ge=0, le=8, description="hidden layers of a head at least; a halving is one"
    )
    label_width: int = pydantic.Field(
        32, ge=1, le=MAX_WIDTH, description="width of the projected label"
    )
    norm_group: int = pydantic.Field(
        32, ge=2, multiple_of=PAIR, description="images that share a batch normalisation"
    )
    pairs: bool = pydantic.Field(
        True, description="batches of pairs of one class, which the spread loss needs"
    )
    shared_draw: bool = pydantic.Field(
        True, description="both images of a pair are augmented alike"
    )
    spread_weight: float = pydantic.Field(
        5.0, ge=0, description="weight of the spread loss, 0 for none"
    )
    spread_decay: float = pydantic.Field(
        0.95, ge=0, lt=1, description="decay of the mean distance of real pairs, per step"
    )
    optimisers: dict[str, AdamConfig] = pydantic.Field(
        {"G": AdamConfig(), "D": AdamConfig(lr=0.0002)}, description="Adam per key (G, D)"
    )

    group_setting: ClassVar[str] = "norm_group"

    @pydantic.model_validator(mode="after")
    def _spread_needs_pairs(self) -> "ProjectedConfig":
        if self.spread_weight and not self.pairs:
            raise ValueError("spread_weight needs pairs: set pairs=true, or spread_weight=0")
        return self

    @property
    def group_size(self) -> int:
        """Images that share a batch normalisation."""
        return self.norm_group

    @property
    def half_penalties(self) -> bool:
        """There are none."""
        return False

    @property
    def images_alike(self) -> int:
        """Two, where batches are made of pairs."""
        return PAIR if self.pairs else 1

    @property
    def frozen_features(self) -> FrozenFeatures:
        """What the discriminators see through."""
        return self.features

    def with_features(self, found: FrozenFeatures) -> "ProjectedConfig":
        """The same with what was found of the network."""
        return self.model_copy(update={"features": found})
