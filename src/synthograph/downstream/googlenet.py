"""GoogLeNet, for weights that were published with torchvision.

Source: Szegedy et al. 2015, "Going deeper with convolutions", table 1, with batch normalisation
(Ioffe and Szegedy 2015) and without the auxiliary classifiers. The published weights have 3x3
kernels where the paper has 5x5; so has this network. Names of tensors are torchvision's.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from synthograph.downstream.body import Body

# n image, c channel, d feature, h w height and width, u v sides of the last maps

STAGES = (
    {
        "3a": (192, 64, 96, 128, 16, 32, 32),
        "3b": (256, 128, 128, 192, 32, 96, 64),
    },
    {
        "4a": (480, 192, 96, 208, 16, 48, 64),
        "4b": (512, 160, 112, 224, 24, 64, 64),
        "4c": (512, 128, 128, 256, 24, 64, 64),
        "4d": (512, 112, 144, 288, 32, 64, 64),
        "4e": (528, 256, 160, 320, 32, 128, 128),
    },
    {
        "5a": (832, 256, 160, 320, 32, 128, 128),
        "5b": (832, 384, 192, 384, 48, 128, 128),
    },
)
"""Table 1: channels of the input; of the 1x1 convolution; of the 3x3 one, reduced and full; of the
5x5 one, likewise; of the projection behind the pooling.
"""
EPSILON = 1e-3


class Convolution(nn.Module):
    """A convolution that keeps height and width at stride 1, normalised, then ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=EPSILON)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d u v"]:
        """Maps, 0 or above."""
        return torch.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four branches over the same maps, one above the other in the channels (figure 2b)."""

    def __init__(
        self, inputs: int, one: int, to_three: int, three: int, to_five: int, five: int, pooled: int
    ) -> None:
        super().__init__()
        self.branch1 = Convolution(inputs, one, 1)
        self.branch2 = nn.Sequential(
            Convolution(inputs, to_three, 1), Convolution(to_three, three, 3)
        )
        self.branch3 = nn.Sequential(Convolution(inputs, to_five, 1), Convolution(to_five, five, 3))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), Convolution(inputs, pooled, 1))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h w"]:
        """Maps of the same height and width."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class GoogLeNetBody(Body):
    """GoogLeNet without its last layer."""

    dims = 1024

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Convolution(channels, 64, 7, 2)
        self.conv2 = Convolution(64, 64, 1)
        self.conv3 = Convolution(64, 192, 3)
        for stage in STAGES:
            for name, widths in stage.items():
                self.add_module(f"inception{name}", Inception(*widths))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 1024 u v"]:
        """Maps whose sides are 1/32 of the image's."""
        x = max_pool2d(self.conv1(x), 3, 2, ceil_mode=True)
        x = max_pool2d(self.conv3(self.conv2(x)), 3, 2, ceil_mode=True)
        for stage, kernel in zip(STAGES, (3, 2, None), strict=True):
            for name in stage:
                x = self.get_submodule(f"inception{name}")(x)
            if kernel is not None:
                x = max_pool2d(x, kernel, 2, ceil_mode=True)
        return x
