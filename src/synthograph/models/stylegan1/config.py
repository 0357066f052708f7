"""Hyper-parameters of StyleGAN with progressive growing, and the stages that follow from them."""

import enum
from collections.abc import Mapping
from typing import ClassVar, Literal, TypeVar

import pydantic

from synthograph.core.errors import SettingError
from synthograph.core.spec import ImageSpec
from synthograph.models.config import MAX_WIDTH, AdamConfig, SpreadConfig

MAX_BASE = 1 << 20
"""Largest `channel_base`, 64 times the published one."""
R1_GAMMA = 10.0
"""Published weight of R1 beside the logistic loss (Karras et al. 2019, appendix C)."""

Value = TypeVar("Value")
Sides = dict[pydantic.PositiveInt, Value]


class Loss(enum.StrEnum):
    """What the networks play for."""

    WGAN_GP = "wgan-gp"
    LOGISTIC = "logistic"


def _completed(given: object, table: Mapping[int, object]) -> object:
    if not (isinstance(given, Mapping) and given):
        return given
    own, given = ({str(side): value for side, value in each.items()} for each in (table, given))
    return given if next(iter(own)) in given else {**own, **given}


class StyleGAN1Config(SpreadConfig):
    """Networks, loss, stages and optimisers."""

    family: Literal["stylegan1"] = pydantic.Field("stylegan1", description="kind of model")
    channel_base: int = pydantic.Field(
        16384, ge=16, le=MAX_BASE, description="channels at a level are this // longer side"
    )
    channel_max: int = pydantic.Field(
        512, ge=1, le=MAX_WIDTH, description="most channels at any level"
    )
    w_dim: int = pydantic.Field(512, ge=1, le=MAX_WIDTH, description="width of the style")
    mapping_layers: int = pydantic.Field(8, ge=1, le=16, description="layers from latent to style")
    mapping_rate: float = pydantic.Field(
        0.01, gt=0, le=1, description="learning-rate multiplier of the mapping layers"
    )
    mbstd_group: int = pydantic.Field(4, ge=1, description="images in a minibatch-std group")
    start_dimension: int | None = pydantic.Field(
        None, ge=4, description="longer side of the first stage's images; the coarsest if not given"
    )
    final_dimension: int | None = pydantic.Field(
        None, ge=4, description="longer side of the last stage's images; the full one if not given"
    )
    progressive_stage: int = pydantic.Field(
        40_000,
        ge=1,
        description="images of half a stage: in the first half the new layers are faded in",
    )
    batch_scale: Sides[pydantic.PositiveInt] = pydantic.Field(
        {4: 16, 8: 8, 16: 4, 32: 2, 64: 1},
        min_length=1,
        description="longer side -> images of a step there, in multiples of the batch",
    )
    rate_scale: Sides[pydantic.PositiveFloat] = pydantic.Field(
        {4: 1.0, 128: 1.5, 256: 2.0, 512: 3.0},
        min_length=1,
        description="longer side -> factor of the learning rates there",
    )
    loss: Loss = pydantic.Field(
        Loss.WGAN_GP, description="Wasserstein loss with gradient penalty, or logistic with R1"
    )
    gradient_penalty: float = pydantic.Field(
        10.0, ge=0, description="weight of the gradient penalty (wgan-gp)"
    )
    drift: float = pydantic.Field(
        0.001, ge=0, description="weight of the squared score of real images (wgan-gp)"
    )
    r1_gamma: float | None = pydantic.Field(
        None, ge=0, description=f"weight of the R1 penalty (logistic), {R1_GAMMA:g} unless given"
    )
    style_mixing: float = pydantic.Field(
        0.9, ge=0, le=1, description="share of images made from two latents"
    )
    w_avg_decay: float = pydantic.Field(0.995, ge=0, le=1, description="decay of the mean style")
    optimisers: dict[str, AdamConfig] = pydantic.Field(
        {"G": AdamConfig(lr=0.001), "D": AdamConfig(lr=0.001)},
        description="Adam per key (G, D); it starts anew with each stage",
    )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _other_sides_stay(cls, tree: object) -> object:
        """A table without the smallest side is a part of one, which leaves the rest as it is."""
        if not isinstance(tree, Mapping):
            return tree
        tables = {name: cls.model_fields[name].default for name in ("batch_scale", "rate_scale")}
        whole = {n: _completed(tree[n], table) for n, table in tables.items() if n in tree}
        return {**tree, **whole}

    group_setting: ClassVar[str] = "mbstd_group"

    @pydantic.model_validator(mode="after")
    def _penalty_fits(self) -> "StyleGAN1Config":
        if self.loss is Loss.WGAN_GP and self.r1_gamma is not None:
            raise SettingError(
                "r1_gamma",
                "has no effect with the loss wgan-gp: make it null and set model.gradient_penalty, "
                "or take model.loss=logistic",
                value=f"{self.r1_gamma:g}",
            )
        return self

    @property
    def group_size(self) -> int:
        """Images that share a minibatch standard deviation."""
        return self.mbstd_group

    @property
    def half_penalties(self) -> bool:
        """Unless the one of the loss has no weight."""
        return bool(self.gradient_penalty if self.loss is Loss.WGAN_GP else self.r1_gamma != 0)

    @property
    def has_noise(self) -> bool:
        """Always."""
        return True

    @property
    def signed_logits(self) -> bool:
        """A Wasserstein critic's scores have no zero of their own."""
        return self.loss is Loss.LOGISTIC


def trained_levels(spec: ImageSpec, config: StyleGAN1Config) -> range:
    """The levels that have a stage, as places in `Grid.sides`.

    Raises:
        SettingError: there is no level of that size, or the last stage comes before the first.
    """
    sides, places = spec.grid.sides, []
    for name, default in (("start_dimension", sides[0]), ("final_dimension", sides[-1])):
        side = getattr(config, name) or default
        if side not in sides:
            known = ", ".join(map(str, sides))
            rule = f"must be one of {known}, the longer sides that these images are made in"
            raise SettingError(name, rule, value=str(side))
        places.append(sides.index(side))
    first, last = places
    if last < first:
        rule = f"must be at least start_dimension, which is {sides[first]}"
        raise SettingError("final_dimension", rule, value=str(sides[last]))
    return range(first, last + 1)


def value_at(side: int, table: Mapping[int, Value]) -> Value:
    """The entry of the largest side that is not above this one; the first where all are."""
    return table[max((s for s in table if s <= side), default=min(table))]
