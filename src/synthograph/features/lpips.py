"""Perceptual distance between two images: weighted differences of a network's inner features.

Source: Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
version 0.1 of its weights on VGG16. Without these weights the same form with the network of
`features/efficientnet_lite.py`, or with the random one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from synthograph.core.devices import Precision
from synthograph.core.errors import UserError
from synthograph.core.untrusted.documents import JsonObject
from synthograph.features import efficientnet_lite, random_vgg
from synthograph.features.base import WeightDigest, WeightFile, to_device
from synthograph.features.efficientnet_lite import LEVELS, EfficientNetLite
from synthograph.features.packaged import TRAINED
from synthograph.features.preprocess import (
    CHANNELS,
    WINDOW,
    check_images,
    chunk_for,
    full_window,
    groups_of_three,
)
from synthograph.features.vgg16 import MIN_SIDE, TAPPED, pool_inputs

# n image, c channel, g group of channels

MEAN = tuple(127.5 * (1 + shift) for shift in (-0.030, -0.088, -0.188))
DEVIATION = tuple(127.5 * scale for scale in (0.458, 0.448, 0.450))
"""Of values 0 ... 255; the paper's constants are for values -1 ... 1."""
EPS = 1e-10


class Weighting(nn.Module):
    """Learnt weights of the channels of each tapped layer, under the published names."""

    def __init__(self) -> None:
        super().__init__()
        for number, channels in enumerate(TAPPED):
            layer = nn.ModuleDict({"1": nn.Conv2d(channels, 1, 1, bias=False)})
            self.add_module(f"lin{number}", nn.ModuleDict({"model": layer}))


WEIGHTS = WeightFile(
    name="lpips",
    file="vgg.pth",
    address="https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/"
    "v0.1/vgg.pth",
    licence="BSD-2-Clause",
    size=7_289,
    sha256="a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
    build=Weighting,
    note="needs the weights of vgg16 too",
)


@dataclass(frozen=True, eq=False)
class PerceptualDistance:
    """A distance of image pairs.

    Attributes:
        layers: the network.
        weights: one per channel of each tapped layer, or one for all.
        digests: of the weights, by the name of their file.
        mean: subtracted from values 0 ... 255, per channel.
        deviation: what they are divided by then.
        indicative: whether its numbers compare only with themselves.
        precision: fp32, or bf16 in convolutions.
        taps: the network and its inputs [n, 3, h, w] to the features of the tapped layers.
    """

    name: str
    layers: nn.Module
    weights: list[Tensor]
    digests: Mapping[str, WeightDigest]
    mean: tuple[float, ...] = MEAN
    deviation: tuple[float, ...] = DEVIATION
    indicative: bool = False
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: Precision = Precision.FP32
    taps: Callable[[nn.Module, Tensor], Sequence[Tensor]] = pool_inputs

    def __call__(self, first: Tensor, second: Tensor) -> Float32[Tensor, " n"]:
        """Distances of the pairs, on the CPU.

        Args:
            first: [n, channels, h, w], uint8, uint16, or fractional numbers on the scale 0 ... 255,
                which path length needs: its steps are smaller than those of integers.
            second: as `first`, of the same shape.

        Raises:
            UserError: shapes differ, or sides are below 16 pixels.
        """
        _check(first, second)
        found = torch.empty(len(first), dtype=torch.float32)
        chunk = chunk_for(max(first.shape[2:]))
        with torch.inference_mode():
            for start in range(0, len(first), chunk):
                pair = [self.maps(x[start : start + chunk]) for x in (first, second)]
                found[start : start + chunk] = self.between(*pair).cpu()
        return found

    def maps(self, images: Tensor) -> list[Tensor]:
        """What images are compared by: the features of each tapped layer, [g, n, c, u, v] with the
        groups of channels first, of every place scaled to length 1. Gradients flow to fractional
        images.

        Args:
            images: as for `__call__`; at least 16 pixels a side.
        """
        inputs = self._inputs(images)
        flat = inputs.flatten(0, 1).to(memory_format=torch.channels_last)
        low = self.precision is Precision.BF16
        with torch.autocast(self.device.type, torch.bfloat16, enabled=low):
            found = self.taps(self.layers, flat)
        return [_unit(each).unflatten(0, inputs.shape[:2]) for each in found]

    def between(self, first: Sequence[Tensor], second: Sequence[Tensor]) -> Float[Tensor, " n"]:
        """Distances of images by their `maps`: sums over layers of the weighted squared
        differences, averaged over places and groups of channels.
        """
        total = torch.zeros(first[0].shape[:2], device=self.device)
        for one, other, weight in zip(first, second, self.weights, strict=True):
            difference = (one - other).square()
            total = total + (difference * weight.view(-1, 1, 1)).sum(dim=2).mean(dim=(2, 3))
        return total.mean(dim=0)

    def _inputs(self, x: Tensor) -> Float[Tensor, "g n 3 h w"]:
        x = x.to(self.device)
        values = x.float() if x.is_floating_point() else full_window(x)
        mean, deviation = (
            torch.tensor(v, device=self.device).view(3, 1, 1) for v in (self.mean, self.deviation)
        )
        return (groups_of_three(values) - mean) / deviation

    def describe(self) -> JsonObject:
        """What results record of the distance; plain data."""
        return {
            "distance": self.name,
            "indicative": self.indicative,
            "weights": {name: digest.document() for name, digest in self.digests.items()},
            "resizing": "none",
            "channels": CHANNELS.replace("features", "distances"),
            "window": WINDOW,
            "precision": self.precision.value,
        }


def _unit(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Features of every place scaled to length 1."""
    x = x.float()
    # unlike the root of a sum, the norm has a gradient where all features are zero
    return x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + EPS)


def _check(first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape or first.dtype != second.dtype:
        raise UserError(
            f"a distance needs pairs of one kind, got {tuple(first.shape)} of {first.dtype} and "
            f"{tuple(second.shape)} of {second.dtype}"
        )
    if not first.is_floating_point():
        check_images(first)
    if first.ndim != 4 or min(first.shape[2:]) < MIN_SIDE:
        raise UserError(
            f"perceptual distance needs [n, channels, h, w] with sides of at least {MIN_SIDE} "
            f"pixels, got {tuple(first.shape)}"
        )


def make_random(device: torch.device, precision: Precision) -> PerceptualDistance:
    """The distance `random-vgg16-distance`: every channel weighs 1, on random convolutions."""
    network, digest = random_vgg.own_network()
    return PerceptualDistance(
        name=f"{random_vgg.NAME}-distance",
        layers=to_device(network.features, device),
        weights=[torch.ones(channels // random_vgg.SHARE, device=device) for channels in TAPPED],
        digests={random_vgg.NAME: digest},
        mean=random_vgg.MEAN,
        deviation=random_vgg.DEVIATION,
        indicative=True,
        device=device,
        precision=precision,
    )


def make_lite(
    network: nn.Module, digest: WeightDigest, device: torch.device, precision: Precision
) -> PerceptualDistance:
    """The distance `efficientnet-lite0-distance`: four inner pictures of the network, from fine to
    coarse, of which every channel weighs the same.
    """
    return PerceptualDistance(
        name=f"{TRAINED}-distance",
        layers=to_device(network.requires_grad_(False), device),
        weights=[torch.tensor([1 / len(LEVELS)], device=device)] * len(LEVELS),
        digests={TRAINED: digest},
        mean=efficientnet_lite.MEAN,
        deviation=efficientnet_lite.DEVIATION,
        device=device,
        precision=precision,
        taps=lambda network, x: cast(EfficientNetLite, network).levels(x),
    )
