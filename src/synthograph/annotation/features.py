"""What a pixel is known by: the generator's feature maps, and the image around it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from synthograph.models.base import NoiseMode
from synthograph.models.styles import StyleFamily

# n image, c channel, h height, w width, s style row, p pixel, f feature


@dataclass(frozen=True)
class FeatureSource:
    """The layers of features that a network gives of its images.

    Attributes:
        kind: family of the generator.
        generator: where it is to run.
        noise: fixed or none, so that features are of the image that people saw.
        patch: side in pixels, odd, of the part of the image around a pixel that is one more layer;
            0 for none.
    """

    kind: StyleFamily
    generator: nn.Module
    noise: NoiseMode
    patch: int = 0

    def draw(self, ws: Float[Tensor, "n s w"]) -> tuple[Float[Tensor, "n o hh ww"], list[Tensor]]:
        """Images, and their layers [n, c, h, w], fp32: the generator's, the coarsest first, then
        patches of the image.
        """
        with torch.no_grad():
            images, maps = self.kind.image_and_features(self.generator, ws, noise=self.noise)
            last = [patches(images, self.patch)] if self.patch else []
        return images, [*maps.values(), *last]


def patches(images: Float[Tensor, "n c h w"], side: int) -> Float[Tensor, "n d h w"]:
    """The square around every pixel as its channels, c * side * side; the image goes on beyond its
    edges as it ends there.
    """
    edge = side // 2
    wide = nn.functional.pad(images, (edge,) * 4, mode="replicate")
    return nn.functional.unfold(wide, side).unflatten(2, images.shape[2:])


def at_pixels(
    layers: Sequence[Float[Tensor, "1 _ _ _"]],
    places: Int64[Tensor, "p 2"],
    size: tuple[int, int],
) -> Float[Tensor, "p f"]:
    """Features of some pixels of an image, all layers beside each other, each interpolated to the
    image's size as `nn.functional.interpolate` does bilinearly, without aligned corners.

    Args:
        layers: of the image.
        places: row and column of every pixel.
        size: height and width of the image.
    """
    device = layers[0].device
    middles = (places.to(device) + 0.5) * 2 / torch.tensor(size, device=device) - 1
    found = [
        nn.functional.grid_sample(
            layer,
            middles.flip(1)[None, None],
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )[0, :, 0]
        for layer in layers
    ]
    return torch.cat(found).T
