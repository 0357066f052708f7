"""How far images are from the images that they are to become: by pixels at several scales and by
the inner features of a network, with gradients.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

from synthograph.core.spec import ImageSpec
from synthograph.features.lpips import PerceptualDistance
from synthograph.ops.pixels import reduced

# n image, c channel, g group of channels

LONGEST = 256
"""Pixels to which the longer side of larger images is reduced before features see them, as
published."""
UNIT = 4
"""Images whose features are computed at once: more are no faster on a processor, and in multiples
of this the features of an image have the same bits whatever others are beside it.
"""
SMALLEST = 8
"""Pixels of the shorter side below which images are not halved any more."""


@dataclass(frozen=True)
class Goal:
    """What is computed once of target images: per modality their scales and their features."""

    scales: Sequence[Sequence[Tensor]]
    maps: Sequence[Sequence[Tensor]]


@dataclass(frozen=True)
class TargetDistance:
    """The distance that a projection makes small: for each modality the squared difference of
    pixels, mean over the scales, and the perceptual distance; then the mean over modalities.

    Attributes:
        spec: of the images.
        perceptual: of one modality.
        by_features: whether it counts; else pixels alone do.
    """

    spec: ImageSpec
    perceptual: PerceptualDistance
    by_features: bool = True

    @property
    def name(self) -> str:
        """What is made small, in words."""
        return f"pixels and {self.perceptual.name}" if self.by_features else "pixels"

    def prepare(self, targets: Float[Tensor, "n c h w"]) -> Goal:
        """What to compare images with, from targets in [-1, 1]."""
        with torch.no_grad():
            parts = list(self._modalities(targets))
            maps = [self._maps(p) for p in parts] if self.by_features else []
            return Goal([list(scales(p)) for p in parts], maps)

    def __call__(self, images: Float[Tensor, "n c h w"], goal: Goal) -> Float[Tensor, " n"]:
        """The distance of each image in [-1, 1] to its target."""
        found = []
        for number, part in enumerate(self._modalities(images)):
            pairs = zip(scales(part), goal.scales[number], strict=True)
            apart = [(a - b).square().mean((1, 2, 3)) for a, b in pairs]
            found.append(torch.stack(apart).mean(0))
            if self.by_features:
                found.append(self.perceptual.between(self._maps(part), goal.maps[number]))
        return torch.stack(found).sum(0) / len(self.spec.modalities)

    def perceived(
        self, images: Float[Tensor, "n c h w"], targets: Float[Tensor, "n c h w"]
    ) -> Float[Tensor, " n"]:
        """The perceptual distance alone, mean over modalities; no gradients."""
        with torch.no_grad():
            pairs = zip(self._modalities(images), self._modalities(targets), strict=True)
            found = [self.perceptual.between(*map(self._maps, pair)) for pair in pairs]
            return torch.stack(found).mean(0)

    def _modalities(self, images: Tensor) -> Iterator[Float[Tensor, "n c h w"]]:
        yield from self.spec.split(images).values()

    def _maps(self, images: Float[Tensor, "n c h w"]) -> list[Tensor]:
        small = reduced(images, LONGEST)
        parts = [self.perceptual.maps((part + 1) * 127.5) for part in small.split(UNIT)]
        return [torch.cat(layer, dim=1) for layer in zip(*parts, strict=True)]


def scales(images: Float[Tensor, "n c h w"]) -> Iterator[Float[Tensor, "n c u v"]]:
    """The images, then halved again and again while the shorter side stays at `SMALLEST` pixels."""
    yield images
    while min(images.shape[2:]) >= 2 * SMALLEST:
        images = avg_pool2d(images, 2)
        yield images
