"""Families whose generators have styles: what the latent tools know of a model."""

import abc
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from synthograph.core.seeds import Streams
from synthograph.models.base import Family, NoiseMode, TruncationCenter

# n image, z latent, c label, s style row, w width of a style, o channel, p noise number


@dataclass(frozen=True)
class LatentSpace:
    """The sizes of a generator's latents.

    Attributes:
        z_dim: width of a latent z.
        w_dim: width of a style.
        rows: style rows of an image, the coarsest layer's first.
        noise: height and width of each noise map, the coarsest layer's first; empty without noise.
    """

    z_dim: int
    w_dim: int
    rows: int
    noise: tuple[tuple[int, int], ...]

    @property
    def noise_pixels(self) -> int:
        """Numbers in all noise maps of an image."""
        return sum(height * width for height, width in self.noise)


def truncate(
    ws: Float[Tensor, "n s w"],
    psi: float | Float[Tensor, "n 1 1"],
    mean: Float[Tensor, "n w"],
    cutoff: int | None = None,
) -> Float[Tensor, "n s w"]:
    """Pull the first `cutoff` rows (None: all) to the mean: psi 1 leaves them, 0 is the mean;
    each image may have its own.

    Source: Karras et al. 2019, section 3.3.
    """
    pulled = torch.lerp(mean[:, None].expand_as(ws), ws, psi)
    return pulled if cutoff is None else torch.cat((pulled[:, :cutoff], ws[:, cutoff:]), 1)


class StyleFamily(Family):
    """A family whose generators map latents to styles and render styles as images.

    It is what style mixing, projection and the other latent tools know of a model.
    """

    @abc.abstractmethod
    def latent_space(self, generator: nn.Module) -> LatentSpace:
        """The sizes of its latents."""

    @abc.abstractmethod
    def mapping(
        self, generator: nn.Module, z: Float[Tensor, "n z"], label: Float[Tensor, "n c"] | None
    ) -> Float[Tensor, "n s w"]:
        """Styles of latents, without truncation.

        Raises:
            UserError: latents or labels do not fit the network, or each other.
        """

    @abc.abstractmethod
    def mean_styles(
        self,
        generator: nn.Module,
        count: int,
        label: Float[Tensor, "n c"] | None,
        center: TruncationCenter,
    ) -> Float[Tensor, "n w"]:
        """What truncation pulls each of `count` images to: the mean style of all images, or of the
        image's class.

        Raises:
            UserError: the generator keeps no mean style, or has no classes.
        """

    @abc.abstractmethod
    def synthesis(
        self,
        generator: nn.Module,
        ws: Float[Tensor, "n s w"],
        *,
        noise: NoiseMode = NoiseMode.CONST,
        maps: Float[Tensor, "n p"] | None = None,
    ) -> Float[Tensor, "n o hh ww"]:
        """Images of styles, fp32, nominally in [-1, 1]; gradients flow to styles and maps.

        Args:
            generator: of this family.
            ws: styles, one row per layer.
            noise: where the noise comes from.
            maps: for random noise the noise maps themselves, one behind the other as in
                `LatentSpace.noise`; None draws them from torch's global generator.

        Raises:
            UserError: styles or maps do not fit the network.
        """

    @abc.abstractmethod
    def feature_maps(
        self,
        generator: nn.Module,
        ws: Float[Tensor, "n s w"],
        *,
        noise: NoiseMode = NoiseMode.CONST,
    ) -> dict[str, Tensor]:
        """The generator's features of every resolution, `HEIGHTxWIDTH` -> [n, c, height, width],
        the coarsest first.
        """

    def image_and_features(
        self,
        generator: nn.Module,
        ws: Float[Tensor, "n s w"],
        *,
        noise: NoiseMode = NoiseMode.CONST,
    ) -> tuple[Float[Tensor, "n o hh ww"], dict[str, Tensor]]:
        """Images as `synthesis` gives them, and `feature_maps`; families that have both after one
        pass say so.
        """
        images = self.synthesis(generator, ws, noise=noise)
        return images, self.feature_maps(generator, ws, noise=noise)

    def noise_maps(
        self, generator: nn.Module, seeds: Int64[Tensor, " n"]
    ) -> Float[Tensor, "n p"] | None:
        """Noise maps that are a function of an image's seed; None for a generator without noise."""
        pixels = self.latent_space(generator).noise_pixels
        return Streams(0).normal("sample/noise", seeds, (pixels,)) if pixels else None

    def sample(
        self,
        generator: nn.Module,
        z: Float[Tensor, "n z"],
        label: Tensor | None,
        *,
        truncation: float = 1.0,
        cutoff: int | None = None,
        center: TruncationCenter = TruncationCenter.GLOBAL,
        noise: NoiseMode = NoiseMode.CONST,
        seeds: Int64[Tensor, " n"] | None = None,
    ) -> Tensor:
        """Map, truncate, render."""
        noise, center = NoiseMode(noise), TruncationCenter(center)
        ws = self.mapping(generator, z, label)
        if truncation != 1:
            mean = self.mean_styles(generator, len(ws), label, center)
            ws = truncate(ws, truncation, mean, cutoff)
        maps = None
        if noise is NoiseMode.RANDOM and seeds is not None:
            maps = self.noise_maps(generator, seeds)
        return self.synthesis(generator, ws, noise=noise, maps=maps)
