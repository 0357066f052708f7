"""What families have in common whose generator is a mapping network in front of a synthesis network
(Karras et al. 2019).
"""

import abc

import torch
from jaxtyping import Float
from torch import Tensor, nn

from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.models import base
from synthograph.models.base import NoiseMode
from synthograph.models.config import AdamConfig, ModelConfig
from synthograph.models.stylegan2.mapping import MappingNetwork
from synthograph.models.styles import LatentSpace, StyleFamily

# n image, z latent, c label, s style row, w width of a style, o channels, hh ww size, p pixels


class StyleSynthesis(nn.Module, abc.ABC):
    """Styles to images.

    Attributes:
        num_ws: style rows of an image.
        w_dim: width of a style.
        noise_shapes: height and width of each noise map, the coarsest layer's first.
        block_dtype: precision that the blocks compute in.
    """

    num_ws: int
    w_dim: int
    noise_shapes: tuple[tuple[int, int], ...]
    block_dtype: torch.dtype

    @property
    def noise_pixels(self) -> int:
        """Numbers in all noise maps of an image."""
        return sum(height * width for height, width in self.noise_shapes)

    @abc.abstractmethod
    def drawn(
        self, ws: Float[Tensor, "n s w"], noise_mode: str
    ) -> tuple[Float[Tensor, "n o hh ww"], list[Tensor]]:
        """Images as `forward` gives them, and the features [n, c, h, w] of every level, the
        coarsest first.

        Raises:
            UserError: styles do not fit the network, or there is no such mode.
        """


class StyleGenerator(nn.Module):
    """Latent and label to image: `mapping` then `synthesis`."""

    def __init__(
        self, spec: ImageSpec, label_dim: int, synthesis: StyleSynthesis, mapping: MappingNetwork
    ) -> None:
        super().__init__()
        self.spec, self.label_dim = spec, label_dim
        self.z_dim, self.w_dim, self.num_ws = mapping.z_dim, synthesis.w_dim, synthesis.num_ws
        self.synthesis, self.mapping = synthesis, mapping

    def forward(
        self,
        z: Float[Tensor, "n z"],
        label: Float[Tensor, "n c"] | None = None,
        *,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        noise_mode: str = NoiseMode.RANDOM,
        force_fp32: bool = False,
    ) -> Float[Tensor, "n o hh ww"]:
        """Images for latents; see the mapping's and the synthesis' `forward` for the arguments."""
        ws = self.mapping(
            z, label, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff
        )
        image: Tensor = self.synthesis(ws, noise_mode=noise_mode, force_fp32=force_fp32)
        return image


class LayeredDiscriminator(nn.Module, abc.ABC):
    """A discriminator whose layers can be frozen, and whose blocks compute in `block_dtype`."""

    block_dtype: torch.dtype

    @abc.abstractmethod
    def layers(self) -> list[nn.Module]:
        """The layers in front of the epilogue, from the image inwards, as Freeze-D counts them."""


class MappedFamily(StyleFamily):
    """A family of `StyleGenerator` and, per modality, `LayeredDiscriminator`. Unless it says
    otherwise, it trains at the full size with the learning rates of its configuration.
    """

    def optimiser_rates(self, config: ModelConfig) -> dict[str, AdamConfig]:
        """As configured: no penalty is lazy."""
        return dict(config.optimisers)

    def schedule(self, config: ModelConfig, spec: ImageSpec, images_seen: int) -> base.Stage:
        """Constant: full resolution from the first image."""
        return base.Stage(resolution=max(spec.height, spec.width))

    def latent_space(self, generator: nn.Module) -> LatentSpace:
        """One style row per layer, one noise map per convolution."""
        own = _own(generator)
        return LatentSpace(own.z_dim, own.w_dim, own.num_ws, own.synthesis.noise_shapes)

    def mapping(
        self, generator: nn.Module, z: Float[Tensor, "n z"], label: Float[Tensor, "n c"] | None
    ) -> Float[Tensor, "n s w"]:
        """The style of an image in every row."""
        ws: Tensor = _own(generator).mapping(z, label)
        return ws

    def mean_styles(
        self,
        generator: nn.Module,
        count: int,
        label: Float[Tensor, "n c"] | None,
        center: base.TruncationCenter,
    ) -> Float[Tensor, "n w"]:
        """The mean tracked in training, or that of fixed latents of each class."""
        mapping = _own(generator).mapping
        if center is base.TruncationCenter.CLASS:
            return mapping.class_means(label)
        return mapping.tracked_mean().expand(count, -1)

    def synthesis(
        self,
        generator: nn.Module,
        ws: Float[Tensor, "n s w"],
        *,
        noise: NoiseMode = NoiseMode.CONST,
        maps: Float[Tensor, "n p"] | None = None,
    ) -> Float[Tensor, "n o hh ww"]:
        """Images of styles."""
        image: Tensor = _own(generator).synthesis(ws, noise_mode=noise, noise=maps)
        return image

    def feature_maps(
        self,
        generator: nn.Module,
        ws: Float[Tensor, "n s w"],
        *,
        noise: NoiseMode = NoiseMode.CONST,
    ) -> dict[str, Tensor]:
        """Features behind the last convolution of every resolution."""
        return self.image_and_features(generator, ws, noise=noise)[1]

    def image_and_features(
        self,
        generator: nn.Module,
        ws: Float[Tensor, "n s w"],
        *,
        noise: NoiseMode = NoiseMode.CONST,
    ) -> tuple[Float[Tensor, "n o hh ww"], dict[str, Tensor]]:
        """Both, after one pass."""
        image, found = _own(generator).synthesis.drawn(ws, noise)
        return image, {f"{x.shape[2]}x{x.shape[3]}": x.float() for x in found}

    def set_precision(self, networks: base.Networks, dtype: torch.dtype) -> None:
        """Blocks of synthesis and discriminators; mapping, outputs and epilogue stay fp32."""
        _own(networks.generator).synthesis.block_dtype = dtype
        for discriminator in networks.discriminators.values():
            assert isinstance(discriminator, LayeredDiscriminator), "the family builds its own"
            discriminator.block_dtype = dtype

    def discriminator_layers(self, networks: base.Networks) -> list[list[nn.Module]]:
        """From-image layers and convolutions, shortcuts included, from the image inwards."""
        found: list[list[nn.Module]] = []
        for discriminator in networks.discriminators.values():
            assert isinstance(discriminator, LayeredDiscriminator), "the family builds its own"
            found.append(discriminator.layers())
        return found


def check_names(spec: ImageSpec) -> None:
    """Refuse modalities that are called as something that torch's containers have already.

    Raises:
        UserError: there is one.
    """
    taken = [name for name in spec.modalities if hasattr(nn.ModuleDict(), name)]
    if taken:
        raise UserError(
            f"modality {taken[0]!r}: networks need this name for themselves; give the modality "
            f"another one, such as {taken[0]}_image, and prepare the archive again"
        )


def narrowed(spec: ImageSpec, config: ModelConfig, factor: int) -> ModelConfig | None:
    """A configuration with all its channels divided by `factor`; None where a level would have none
    left.
    """
    found: dict[str, int] = {}
    for name, value in config:
        least = max(spec.height, spec.width) if name.endswith("channel_base") else 1
        if name.endswith(("channel_base", "channel_max")) and value is not None:
            found[name] = value // factor
            if found[name] < least:
                return None
    return config.model_copy(update=found)


def _own(generator: nn.Module) -> StyleGenerator:
    assert isinstance(generator, StyleGenerator), "the family builds its own generator"
    return generator
