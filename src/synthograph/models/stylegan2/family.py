"""StyleGAN2 as a family: how the engine, sampling and metrics see it."""

from collections.abc import Iterable

import torch
from torch import nn

from synthograph.core.errors import SettingError
from synthograph.core.names import nearest
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.documents import JsonObject
from synthograph.models import base
from synthograph.models.config import AdamConfig, ModelConfig
from synthograph.models.mapped import MappedFamily, check_names, narrowed
from synthograph.models.spread import check_pictures, kept_distances
from synthograph.models.stylegan2 import convert, presets, transfer
from synthograph.models.stylegan2.config import StyleGAN2Config
from synthograph.models.stylegan2.networks import Discriminator, Generator, check_channels
from synthograph.models.stylegan2.phases import PATH_MEAN, Losses


class StyleGAN2(MappedFamily):
    """StyleGAN2 (Karras et al. 2020) for N modalities."""

    name = "stylegan2"
    about = (
        "StyleGAN2 (2020), which trains at the full size from the first image. The one to take "
        "unless there is a reason: sharp and varied images from a few hundred originals on, by "
        "--cfg tiny on a processor (a server core needs about five minutes at 32x32, eight at "
        "64x64), by --cfg auto on a GPU (days at 256x256). Needs nothing but the images."
    )
    Config = StyleGAN2Config

    def build(
        self, spec: ImageSpec, condition: base.Condition, config: ModelConfig
    ) -> base.Networks:
        """One generator and one discriminator per modality."""
        check_names(spec)
        own = _own(config)
        generator = Generator(spec, condition.width, own)
        discriminators = nn.ModuleDict(
            {name: Discriminator(spec, name, condition.width, own) for name in spec.modalities}
        )
        trained, buffers = {"G": generator, "D": discriminators}, {PATH_MEAN: torch.zeros(())}
        if own.spread_weight:
            buffers |= kept_distances(spec.modalities, condition, spec.grid.doublings)
        return base.Networks(generator, discriminators, buffers, trained)

    def phases(
        self, networks: base.Networks, config: ModelConfig, augment: base.Augment
    ) -> list[base.Phase]:
        """Gmain, Greg, Dmain, Dreg."""
        return Losses(networks, _own(config), augment).phases()

    def optimiser_rates(self, config: ModelConfig) -> dict[str, AdamConfig]:
        """Lazy regularisation: r steps in r + 1, so rate and decays are scaled by r / (r + 1)."""
        own = _own(config)
        intervals = {"G": own.path_interval, "D": own.r1_interval}
        return {key: _lazy(own.optimisers[key], r) for key, r in intervals.items()}

    def preset(self, name: str, spec: ImageSpec, gpus: int) -> JsonObject:
        """See `presets.preset`."""
        return presets.preset(name, spec, gpus)

    def check(self, spec: ImageSpec, config: ModelConfig) -> None:
        """Weights of modalities that there are not, names of modalities that networks cannot hold,
        and channels that cannot be built.
        """
        check_names(spec)
        own = _own(config)
        for setting in ("modality_weights", "modality_r1"):
            for name in getattr(own, setting):
                if name not in spec.modalities:
                    near = nearest(name, spec.modalities)
                    raise SettingError(f"{setting}.{name}", near, unknown=True)
        check_channels(spec, own)
        check_pictures(own.spread_weight, spec.grid.doublings)

    def from_checkpoint(self, content: object) -> base.ImportedModel | None:
        """Networks of a published snapshot."""
        convert.refuse_tensorflow(content)
        return convert.convert(content, self.build) if convert.is_published(content) else None

    def map_weights(
        self, target: base.ModelBundle, source: base.ModelBundle
    ) -> dict[str, base.WeightInit]:
        """See `transfer.map_weights`."""
        return transfer.map_weights(target, source)

    def inherited_settings(
        self, config: ModelConfig, asked: JsonObject | None = None
    ) -> JsonObject:
        """See `transfer.INHERITED`."""
        return config.model_dump(mode="json", include=set(transfer.INHERITED))

    def narrower(self, spec: ImageSpec, config: ModelConfig, factor: int) -> ModelConfig | None:
        """See `narrowed`."""
        return narrowed(spec, config, factor)

    def preset_within(self, name: str, kimg: float) -> str:
        """See `presets.within`."""
        return presets.within(name, kimg)

    def preset_note(self, name: str, spec: ImageSpec) -> str | None:
        """See `presets.preset_note`."""
        return presets.preset_note(name, spec)

    def preset_names(self) -> Iterable[str]:
        """Names of the presets."""
        return presets.PRESETS


def _own(config: ModelConfig) -> StyleGAN2Config:
    assert isinstance(config, StyleGAN2Config), "the registry parses configs by family"
    return config


def _lazy(adam: AdamConfig, interval: int) -> AdamConfig:
    ratio = interval / (interval + 1)
    return adam.model_copy(
        update={
            "lr": adam.lr * ratio,
            "beta1": adam.beta1**ratio if adam.beta1 else 0.0,
            "beta2": adam.beta2**ratio,
        }
    )
