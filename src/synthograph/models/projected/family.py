"""The projected GAN as a family: how the engine, sampling and metrics see it."""

from collections.abc import Iterable, Mapping

from torch import nn

from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.documents import JsonObject
from synthograph.models import base
from synthograph.models.config import FrozenFeatures, ModelConfig
from synthograph.models.mapped import MappedFamily, check_names
from synthograph.models.projected import presets, transfer
from synthograph.models.projected.config import ProjectedConfig
from synthograph.models.projected.networks import Discriminator
from synthograph.models.projected.phases import Losses
from synthograph.models.stylegan2.config import GeneratorConfig
from synthograph.models.stylegan2.networks import Generator, check_base


class Projected(MappedFamily):
    """Projected GAN (Sauer et al. 2021) with a spread loss, for N modalities."""

    name = "projected"
    about = (
        "Projected GAN (2021): the generator of stylegan2 against small heads on the features of "
        "a network trained on photographs, which needs the extra imagenet. Sharp edges after a "
        "few minutes, by --cfg tiny-projected on a processor (a server core needs about five at "
        "32x32, ten at 64x64), but images vary less: up to 45 minutes, on two sets, recall was at "
        "most 0.8 of that of tiny. Kinds of image that share a class tend to blend, so look at "
        "them."
    )
    Config = ProjectedConfig

    def build(
        self, spec: ImageSpec, condition: base.Condition, config: ModelConfig
    ) -> base.Networks:
        """One generator, and heads per modality."""
        check_names(spec)
        own, classes = _own(config), max(len(condition.classes), 1)
        generator = Generator(spec, condition.width, own)
        discriminators = nn.ModuleDict(
            {name: Discriminator(spec, condition.width, classes, own) for name in spec.modalities}
        )
        trained = {"G": generator, "D": discriminators}
        return base.Networks(generator, discriminators, trained=trained)

    def phases(
        self, networks: base.Networks, config: ModelConfig, augment: base.Augment
    ) -> list[base.Phase]:
        """Gmain, Dmain."""
        return Losses(networks, _own(config), augment).phases()

    def preset(self, name: str, spec: ImageSpec, gpus: int) -> JsonObject:
        """See `presets.preset`."""
        return presets.preset(name, spec, gpus)

    def check(self, spec: ImageSpec, config: ModelConfig) -> None:
        """Names of modalities that networks cannot hold, and levels without channels."""
        check_names(spec)
        check_base(spec, _own(config), "channel_base")

    def map_weights(
        self, target: base.ModelBundle, source: base.ModelBundle
    ) -> dict[str, base.WeightInit]:
        """See `transfer.map_weights`."""
        return transfer.map_weights(target, source)

    def inherited_settings(
        self, config: ModelConfig, asked: JsonObject | None = None
    ) -> JsonObject:
        """What decides on the generator's tensors, and the frozen network; what was found of that
        one says nothing of another that is asked for.
        """
        names = {"features", *GeneratorConfig.model_fields} - {"optimisers"}
        found = config.model_dump(mode="json", include=names)
        old, wanted = _own(config).features.name, (asked or {}).get("features")
        if isinstance(wanted, Mapping) and wanted.get("name", old) != old:
            found["features"] = FrozenFeatures(name=old).model_dump(mode="json")
        return found

    def preset_within(self, name: str, kimg: float) -> str:
        """See `presets.ALIASES`."""
        return presets.ALIASES.get(name, name)

    def preset_names(self) -> Iterable[str]:
        """Names of the presets."""
        return presets.PRESETS


def _own(config: ModelConfig) -> ProjectedConfig:
    assert isinstance(config, ProjectedConfig), "the registry parses configs by family"
    return config
