"""Inner pictures of frozen networks, through which other networks can learn to see.

A tap is what a network holds between two of its stages: [n, c, h / s, w / s] of [n, 3, h, w].
Gradients flow to the images, never to the weights, so a network is kept as the fewest operations in
the asked precision. On a processor bf16 takes 0.4 of the time of fp32.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.features import efficientnet_lite, random_vgg, vgg16
from synthograph.features.base import WeightDigest, to_device
from synthograph.features.efficientnet_lite import EfficientNetLite
from synthograph.features.networks import NETWORKS
from synthograph.features.preprocess import Preprocess, groups_of_three
from synthograph.features.weights import load
from synthograph.ops.convolution import convolve, filter_channels

# n image, c k channel, u v sides of the network's input

UNTRAINED = "random-efficientnet-lite0"
"""The network of efficientnet-lite0 with random weights, which needs no file."""


class Pictures(nn.Module):
    """Inputs [n, 3, u, v], whose sides are multiples of the strides, to taps.

    Attributes:
        strides: of the taps, the finest first.
        channels: of the taps.
    """

    strides: tuple[int, ...]
    channels: tuple[int, ...]

    def forward(self, x: Float[Tensor, "n 3 u v"], strides: Sequence[int]) -> list[Tensor]:
        """The taps of these strides, the finest first."""
        raise NotImplementedError


class LitePictures(Pictures):
    """Four taps of EfficientNet-Lite, every normalisation folded into the convolution before it."""

    strides = (4, 8, 16, 32)

    def __init__(self, network: EfficientNetLite) -> None:
        super().__init__()
        self.stem = _Folded(network.stem, active=True)
        blocks = [_FrozenBlock(block) for block in network.blocks]
        self.blocks = nn.ModuleList(blocks)
        self.ends = [network.ends[stage - 1] for stage in efficientnet_lite.LEVELS]
        self.channels = tuple(blocks[end - 1].channels for end in self.ends)

    def forward(self, x: Float[Tensor, "n 3 u v"], strides: Sequence[int]) -> list[Tensor]:
        """See `Pictures`; what lies behind the last of them is not computed."""
        wanted = [end for end, s in zip(self.ends, self.strides, strict=True) if s in strides]
        found = []
        x = self.stem(x)
        for number, block in enumerate(self.blocks[: wanted[-1]], 1):
            x = block(x)
            if number in wanted:
                found.append(x)
        return found


class _FrozenBlock(nn.Module):
    """An inverted bottleneck without parameters."""

    def __init__(self, block: efficientnet_lite.Block) -> None:
        super().__init__()
        *inner, last = block.layers
        self.steps = nn.Sequential(*(_Folded(layer, active=True) for layer in inner))
        self.steps.append(_Folded(last, active=False))
        self.around, self.channels = block.around, last[0].out_channels

    def forward(self, x: Tensor) -> Tensor:
        """The features."""
        y: Tensor = self.steps(x)
        return x + y if self.around else y


class _Folded(nn.Module):
    """A convolution, with a derivative by its input only, and ReLU6 where it is active."""

    kernel: Tensor
    bias: Tensor

    def __init__(self, layer: efficientnet_lite.NormalisedLayer, *, active: bool) -> None:
        super().__init__()
        convolution, norm = layer
        kernel, bias = norm.folded(convolution.weight.detach())
        self.register_buffer("kernel", kernel)
        self.register_buffer("bias", bias[:, None, None])
        self.active, self.depthwise = active, convolution.groups > 1
        self.size, self.stride = convolution.kernel_size[0], convolution.stride[0]

    def forward(self, x: Tensor) -> Tensor:
        """Apply it."""
        margin = self.size // 2
        if self.stride > 1:
            x, margin = pad(x, efficientnet_lite.same_margins(x, self.size, self.stride)), 0
        if self.depthwise:
            stride, padding = (self.stride, self.stride), (margin, margin)
            y = filter_channels(x, self.kernel, stride=stride, padding=padding).add_(self.bias)
        else:
            y = convolve(x, self.kernel, self.bias.flatten(), stride=self.stride, padding=margin)
        return efficientnet_lite.relu6(y) if self.active else y


class TrunkPictures(Pictures):
    """The inputs of the last four pools of a VGG16."""

    strides = (2, 4, 8, 16)

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.features = cast(nn.Module, network.features)
        layers = self.features.children()
        convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
        widths = dict.fromkeys(layer.out_channels for layer in convolutions)
        last = convolutions[-1].out_channels
        self.channels = (*[*widths][-3:], last)

    def forward(self, x: Float[Tensor, "n 3 u v"], strides: Sequence[int]) -> list[Tensor]:
        """See `Pictures`."""
        found = vgg16.pool_inputs(self.features, x)[1:]
        return [x for x, s in zip(found, self.strides, strict=True) if s in strides]


@dataclass(frozen=True)
class TapRecipe:
    """How a network becomes one that has taps.

    Attributes:
        draw: the network and which weights it has.
        open: the network to its taps.
        preprocess: how values become inputs; its size is not used.
    """

    draw: Callable[[], tuple[nn.Module, WeightDigest]]
    open: Callable[[nn.Module], Pictures]
    preprocess: Preprocess


def _known(name: str, opened: Callable[[nn.Module], Pictures]) -> TapRecipe:
    recipe = NETWORKS[name]
    return TapRecipe(recipe.draw or (lambda: load(name)), opened, recipe.preprocess)


def _lite(network: nn.Module) -> Pictures:
    return LitePictures(cast(EfficientNetLite, network))


TAPPED: dict[str, TapRecipe] = {
    **{recipe.name: _known(recipe.name, _lite) for recipe in efficientnet_lite.RECIPES},
    UNTRAINED: TapRecipe(
        efficientnet_lite.untrained, _lite, efficientnet_lite.RECIPES[0].preprocess
    ),
    random_vgg.NAME: _known(random_vgg.NAME, TrunkPictures),
    "vgg16": _known("vgg16", TrunkPictures),
}
"""Networks with taps, by name. Another one is an entry here."""


class FrozenTaps:
    """Taps of images.

    Args:
        name: one of `TAPPED`.
        device: where it computes.
        dtype: precision of its operations.

    Attributes:
        sha256: hash of the weights.
        strides: of all its taps.
        channels: of all its taps.

    Raises:
        MissingWeightsError: its weights are not here.
        UserError: there is no such network, or its weights are damaged.
    """

    def __init__(
        self, name: str, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        if name not in TAPPED:
            raise UserError(f"feature network {name!r} has no taps: {nearest(name, TAPPED)}")
        recipe = TAPPED[name]
        network, digest = recipe.draw()
        pictures = recipe.open(network).eval().requires_grad_(False)
        self.name, self.sha256 = name, digest.sha256
        self.strides, self.channels = pictures.strides, pictures.channels
        self._pictures = to_device(pictures.to(dtype), torch.device(device))
        self._preprocess, self._dtype = recipe.preprocess, dtype

    def __call__(
        self, images: Float[Tensor, "n c h w"], size: tuple[int, int], strides: Sequence[int]
    ) -> list[Tensor]:
        """Taps of images in [-1, 1], the finest first.

        Args:
            images: grey ones are repeated to three channels; of more than three the taps of threes
                are averaged, as extractors do.
            size: height and width of the network's input, multiples of these strides.
            strides: which taps.
        """
        if images.shape[2:] != size:
            smaller = images.shape[2] > size[0]
            images = interpolate(images, size, mode="bilinear", antialias=smaller)
        threes = groups_of_three(images)
        mean, deviation = (
            torch.tensor(values, device=images.device).view(-1, 1, 1)
            for values in (self._preprocess.mean, self._preprocess.deviation)
        )
        inputs = (threes.flatten(0, 1) * 127.5 + (127.5 - mean)) / deviation
        inputs = inputs.to(self._dtype).contiguous(memory_format=torch.channels_last)
        pictures: list[Tensor] = self._pictures(inputs, strides)
        if len(threes) == 1:
            return pictures
        return [x.unflatten(0, threes.shape[:2]).mean(0) for x in pictures]
