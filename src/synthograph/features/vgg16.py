"""VGG16, for precision and recall (second fully connected layer) and as trunk of LPIPS.

Source: Simonyan and Zisserman 2015, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", configuration D; Kynkaanniemi et al. 2019 for the layer of precision and recall.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from synthograph.features.base import FeatureNetwork, NetworkRecipe, WeightFile
from synthograph.features.preprocess import Preprocess

# n image, d feature

SIDE, DIMS = 224, 4096
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and convolutions between two pools."""
TAPPED = tuple(channels for channels, _ in BLOCKS)
MIN_SIDE = 16


def trunk(*, bias: bool = True, share: int = 1) -> nn.Sequential:
    """The convolutions under the names of torchvision: every layer counts, ReLU and pool too.

    Args:
        bias: whether they have one.
        share: what the published channels are divided by.
    """
    layers: list[nn.Module] = []
    channels = 3
    for wide, count in BLOCKS:
        for _ in range(count):
            convolution = nn.Conv2d(channels, wide // share, 3, padding=1, bias=bias)
            layers += [convolution, nn.ReLU(inplace=True)]
            channels = wide // share
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def pool_inputs(layers: nn.Module, x: Float[Tensor, "n 3 h w"]) -> list[Tensor]:
    """The inputs of the five pools of a `trunk`; sides of `x` are at least `MIN_SIDE`."""
    found = []
    for layer in layers.children():
        if isinstance(layer, nn.MaxPool2d):
            found.append(x)
            if len(found) == len(BLOCKS):
                break
        x = layer(x)
    return found


class VGG16(FeatureNetwork):
    """Inputs [n, 3, 224, 224] to the second fully connected layer, after its ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.dims = DIMS
        self.features = trunk()
        last = BLOCKS[-1][0] * (SIDE // 32) ** 2
        self.classifier = nn.ModuleDict({"0": nn.Linear(last, DIMS), "3": nn.Linear(DIMS, DIMS)})

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """The features."""
        x = self.features(x).flatten(1)
        for layer in self.classifier.values():
            x = torch.relu(layer(x))
        return x


WEIGHTS = WeightFile(
    name="vgg16",
    file="vgg16-397923af.pth",
    address="https://download.pytorch.org/models/vgg16-397923af.pth",
    licence="BSD-3-Clause (torchvision); ImageNet's own terms may hold for what is learnt from it",
    size=553_000_000,
    sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    build=VGG16,
    unused=("classifier.6.",),
)

RECIPE = NetworkRecipe(
    name="vgg16",
    preprocess=Preprocess(SIDE),
    source="VGG16, second fully connected layer after ReLU (Kynkaanniemi et al. 2019), with the "
    "weights of torchvision",
    weights=WEIGHTS,
)
