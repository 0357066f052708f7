"""StyleGAN with progressive growing as a family: how the engine, sampling and metrics see it."""

from collections.abc import Iterable

from torch import Tensor, nn

from synthograph.core.errors import SettingError
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.documents import JsonObject
from synthograph.models import base
from synthograph.models.config import ModelConfig
from synthograph.models.mapped import MappedFamily, check_names, narrowed
from synthograph.models.spread import check_pictures, kept_distances
from synthograph.models.stylegan1 import presets, transfer
from synthograph.models.stylegan1.config import (
    Loss,
    StyleGAN1Config,
    trained_levels,
    value_at,
)
from synthograph.models.stylegan1.networks import Discriminator, EndedGrowth, Generator
from synthograph.models.stylegan1.phases import Losses


class StyleGAN1(MappedFamily):
    """StyleGAN (Karras et al. 2019), grown from small images to large ones."""

    name = "stylegan1"
    about = (
        "StyleGAN (2019), grown from small images to large ones. For comparisons with work that "
        "used it, as the knee project did (--cfg progressive, a GPU and days at 256x256); as "
        "published its images are less varied than those of stylegan2 (recall 0.27 to 0.37 "
        "against 0.49). --cfg tiny-progressive has settings of our own, with which they vary (a "
        "server core needs about five minutes at 32x32, six at 64x64). Needs nothing but the "
        "images. No command takes it unasked but a search that compares families."
    )
    Config = StyleGAN1Config

    def build(
        self, spec: ImageSpec, condition: base.Condition, config: ModelConfig
    ) -> base.Networks:
        """One generator and one discriminator per modality, with the layers of all stages."""
        check_names(spec)
        own = _own(config)
        generator = Generator(spec, condition.width, own)
        discriminators = nn.ModuleDict(
            {name: Discriminator(spec, name, condition, own) for name in spec.modalities}
        )
        buffers: dict[str, Tensor] = {}
        if own.spread_weight:
            finest = trained_levels(spec, own)[-1]
            buffers = kept_distances(spec.modalities, condition, finest)
        trained = {"G": generator, "D": discriminators}
        return base.Networks(generator, discriminators, buffers, trained)

    def phases(
        self, networks: base.Networks, config: ModelConfig, augment: base.Augment
    ) -> list[base.Phase]:
        """Gmain, Dmain."""
        return Losses(networks, _own(config), augment).phases()

    def schedule(self, config: ModelConfig, spec: ImageSpec, images_seen: int) -> base.Stage:
        """Each level has a stage of twice `progressive_stage` images, the last one all others. In
        the first half a new level is faded in, but for the first one.
        """
        own = _own(config)
        levels, half = trained_levels(spec, own), own.progressive_stage
        number = min(images_seen // (2 * half), len(levels) - 1)
        into = images_seen - 2 * half * number
        side = spec.grid.sides[levels[number]]
        return base.Stage(
            resolution=side,
            batch_scale=value_at(side, own.batch_scale),
            rate_scale=dict.fromkeys(own.optimisers, value_at(side, own.rate_scale)),
            fade=min((into + 1) / half, 1.0) if number else 1.0,
            optimiser_run=number,
        )

    def stage_starts(self, config: ModelConfig, spec: ImageSpec) -> list[int]:
        """A stage per level."""
        own = _own(config)
        return [2 * own.progressive_stage * k for k in range(len(trained_levels(spec, own)))]

    def preset(self, name: str, spec: ImageSpec, gpus: int) -> JsonObject:
        """See `presets.preset`."""
        return presets.preset(name, spec)

    def check(self, spec: ImageSpec, config: ModelConfig) -> None:
        """Stages of sizes that there are not, names of modalities that networks cannot hold, levels
        without channels, and a spread loss without features.
        """
        check_names(spec)
        own = _own(config)
        finest = trained_levels(spec, own)[-1]
        side = spec.grid.sides[finest]
        if own.channel_base < side:
            rule = f"must be at least {side}, the last longer side, or that level has no channels"
            raise SettingError("channel_base", rule, value=str(own.channel_base))
        check_pictures(own.spread_weight, finest)

    def portable(self, generator: nn.Module) -> nn.Module:
        """A copy that stays as far grown as it is."""
        copied = super().portable(generator)
        assert isinstance(copied, Generator), "the family builds its own generator"
        copied.synthesis.growth = EndedGrowth(*copied.synthesis.growth.get())
        return copied

    def map_weights(
        self, target: base.ModelBundle, source: base.ModelBundle
    ) -> dict[str, base.WeightInit]:
        """See `transfer.map_weights`."""
        return transfer.map_weights(target, source)

    def inherited_settings(
        self, config: ModelConfig, asked: JsonObject | None = None
    ) -> JsonObject:
        """See `transfer.INHERITED`; R1, which a preset may have set, belongs to one loss alone, and
        another loss than asked says nothing of it.
        """
        found = config.model_dump(mode="json", include=set(transfer.INHERITED))
        settled = "loss" in (asked or {}) or _own(config).loss is Loss.LOGISTIC
        return found if settled else {**found, "r1_gamma": None}

    def narrower(self, spec: ImageSpec, config: ModelConfig, factor: int) -> ModelConfig | None:
        """See `narrowed`."""
        return narrowed(spec, config, factor)

    def preset_within(self, name: str, kimg: float) -> str:
        """See `presets.ALIASES`."""
        return presets.ALIASES.get(name, name)

    def preset_names(self) -> Iterable[str]:
        """Names of the presets."""
        return presets.PRESETS


def _own(config: ModelConfig) -> StyleGAN1Config:
    assert isinstance(config, StyleGAN1Config), "the registry parses configs by family"
    return config
