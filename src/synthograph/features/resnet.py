"""Residual networks of any depth and width, built from the shapes of their convolutions.

Source: He et al. 2016, "Deep Residual Learning for Image Recognition"; blocks of three convolutions
have their stride in the middle one ("version 1.5"), as torchvision, timm and MONAI have it; grouped
middle convolutions are those of Xie et al. 2017 (ResNeXt). Names of tensors are torchvision's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from synthograph.core.errors import UserError
from synthograph.features.base import FeatureNetwork, FrozenNorm

# n image, c channel, d feature

PLACES = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
"""Numbers that the layers get where the network was made a sequence, to their names."""


@dataclass(frozen=True)
class Convolution:
    """Channels in and out of a convolution, and its kernel."""

    inputs: int
    outputs: int
    size: int
    groups: int = 1
    bias: bool = False
    """Whether it adds one, as MONAI's shortcuts do."""

    def build(self, stride: int = 1) -> nn.Conv2d:
        """The layer, padded so that stride 1 keeps the size."""
        return nn.Conv2d(
            self.inputs,
            self.outputs,
            self.size,
            stride,
            padding=self.size // 2,
            groups=self.groups,
            bias=self.bias,
        )


@dataclass(frozen=True)
class BlockPlan:
    """Shape of a block: two convolutions (basic) or three (bottleneck)."""

    convolutions: tuple[Convolution, ...]
    shortcut: Convolution | None
    """What the input passes on its way around; None where it stays as it is."""


@dataclass(frozen=True)
class ResNetShape:
    """Shape of a network: a first convolution, then stages of blocks, all but the first of which
    begin with stride 2.
    """

    stem: Convolution
    stages: tuple[tuple[BlockPlan, ...], ...]
    stem_stride: int = 2
    stem_pool: bool = True
    """Whether a 3x3 maximum of stride 2 follows the stem."""

    @property
    def dims(self) -> int:
        """Features per image."""
        return self.stages[-1][-1].convolutions[-1].outputs

    def __str__(self) -> str:
        counts = "+".join(str(len(stage)) for stage in self.stages)
        inner = len(self.stages[0][0].convolutions)
        pool = ", pool" if self.stem_pool else ""
        size = self.stem.size
        return (
            f"ResNet, {counts} blocks of {inner} convolutions, stem {size}x{size} with stride "
            f"{self.stem_stride}{pool}"
        )


class ResidualBlock(nn.Module):
    """Two or three convolutions around which the input is added."""

    def __init__(self, plan: BlockPlan, stride: int) -> None:
        super().__init__()
        self.count = len(plan.convolutions)
        strided = self.count - 2  # the first of two, the second of three
        for place, shape in enumerate(plan.convolutions):
            layer = shape.build(stride if place == strided else 1)
            self.add_module(f"conv{place + 1}", layer)
            self.add_module(f"bn{place + 1}", FrozenNorm(shape.outputs))
        self.downsample = (
            nn.Sequential(plan.shortcut.build(stride), FrozenNorm(plan.shortcut.outputs))
            if plan.shortcut
            else nn.Identity()
        )

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """The features."""
        beside: Tensor = self.downsample(x)
        for place in range(1, self.count + 1):
            x = self.get_submodule(f"bn{place}")(self.get_submodule(f"conv{place}")(x))
            if place < self.count:
                x = torch.relu(x)
        return torch.relu(x + beside)


class ResNet(FeatureNetwork):
    """Inputs to the features before the classes: the mean over the last stage's picture."""

    def __init__(self, plan: ResNetShape) -> None:
        super().__init__()
        self.pool, self.dims = plan.stem_pool, plan.dims
        self.conv1 = plan.stem.build(plan.stem_stride)
        self.bn1 = FrozenNorm(plan.stem.outputs)
        self.stages = [f"layer{number}" for number in range(1, len(plan.stages) + 1)]
        for name, blocks in zip(self.stages, plan.stages, strict=True):
            first = 1 if name == self.stages[0] else 2
            made = (ResidualBlock(b, first if place == 0 else 1) for place, b in enumerate(blocks))
            self.add_module(name, nn.Sequential(*made))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """The features."""
        x = torch.relu(self.bn1(self.conv1(x)))
        if self.pool:
            x = max_pool2d(x, 3, 2, 1)
        for name in self.stages:
            x = self.get_submodule(name)(x)
        return x.mean(dim=(2, 3))


def plain_names(tensors: Mapping[str, Tensor], source: Path) -> dict[str, Tensor]:
    """Tensors under the names of their network, without the prefixes that wrappers add.

    Raises:
        UserError: two get the same name.
    """
    plain = {_plain(name): tensor for name, tensor in tensors.items()}
    if len(plain) < len(tensors):
        raise UserError(
            f"{source}: a tensor is there twice, with and without the prefix of a wrapper"
        )
    return plain


def _plain(name: str) -> str:
    """A tensor's name without `module.` and `backbone.`, and with layers by name."""
    name = name.removeprefix("module.").removeprefix("backbone.")
    first, dot, rest = name.partition(".")
    return f"{PLACES.get(first, first)}{dot}{rest}"
