"""The Inception network of December 2015 that Frechet inception distance and inception score mean.

Source: Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision", and what
is documented of the published graph beside that paper: average pools leave out the padding, the
last block pools by maximum, there are 1,008 classes, the input is (pixel - 128) / 128 after
TensorFlow-1 resizing to 299 x 299, and the inception score leaves out the bias of the classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d, relu

from synthograph.features.base import (
    FeatureNetwork,
    FrozenNorm,
    NetworkExtractor,
    NetworkRecipe,
    WeightFile,
)
from synthograph.features.preprocess import Preprocess, Resize

# n image, c channel, k class

SIDE, DIMS, CLASSES = 299, 2048, 1008
EPS = 1e-3

Layer = tuple[str, int, int | tuple[int, int]]
"""Name, channels and kernel of a convolution."""
Step = str | Layer | tuple[Layer, Layer]
"""A pool, a convolution, or two convolutions side by side."""


POOLS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda x: avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    "max": lambda x: max_pool2d(x, 3, 1, 1),
    "halve": lambda x: max_pool2d(x, 3, 2),
}


def _a(pooled: int) -> list[list[Step]]:
    return [
        [("branch1x1", 64, 1)],
        [("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)],
        [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)],
        ["mean", ("branch_pool", pooled, 1)],
    ]


def _b() -> list[list[Step]]:
    return [
        [("branch3x3/2", 384, 3)],
        [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3/2", 96, 3)],
        ["halve"],
    ]


def _c(inner: int) -> list[list[Step]]:
    wide, tall = (1, 7), (7, 1)
    return [
        [("branch1x1", 192, 1)],
        [("branch7x7_1", inner, 1), ("branch7x7_2", inner, wide), ("branch7x7_3", 192, tall)],
        [
            ("branch7x7dbl_1", inner, 1),
            ("branch7x7dbl_2", inner, tall),
            ("branch7x7dbl_3", inner, wide),
            ("branch7x7dbl_4", inner, tall),
            ("branch7x7dbl_5", 192, wide),
        ],
        ["mean", ("branch_pool", 192, 1)],
    ]


def _d() -> list[list[Step]]:
    return [
        [("branch3x3_1", 192, 1), ("branch3x3_2/2", 320, 3)],
        [
            ("branch7x7x3_1", 192, 1),
            ("branch7x7x3_2", 192, (1, 7)),
            ("branch7x7x3_3", 192, (7, 1)),
            ("branch7x7x3_4/2", 192, 3),
        ],
        ["halve"],
    ]


def _e(pool: str) -> list[list[Step]]:
    wide, tall = (1, 3), (3, 1)
    return [
        [("branch1x1", 320, 1)],
        [("branch3x3_1", 384, 1), (("branch3x3_2a", 384, wide), ("branch3x3_2b", 384, tall))],
        [
            ("branch3x3dbl_1", 448, 1),
            ("branch3x3dbl_2", 384, 3),
            (("branch3x3dbl_3a", 384, wide), ("branch3x3dbl_3b", 384, tall)),
        ],
        [pool, ("branch_pool", 192, 1)],
    ]


class Unit(nn.Module):
    """Convolution, stored normalisation, ReLU; kernel and padding are both sides', or each's."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = FrozenNorm(outputs, EPS)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """The features."""
        return relu(self.bn(self.conv(x)), inplace=True)


class Mixed(nn.Module):
    """Branches side by side, whose channels are joined.

    Args:
        inputs: channels in.
        branches: what each does in turn; a name that ends in /2 halves the size without padding.
    """

    def __init__(self, inputs: int, branches: Sequence[Sequence[Step]]) -> None:
        super().__init__()
        self.branches = branches
        self.outputs = sum(self._build(inputs, branch) for branch in branches)

    def _build(self, inputs: int, branch: Sequence[Step]) -> int:
        """Make a branch's convolutions and tell how many channels it ends in."""
        for step in branch:
            if isinstance(step, str):
                continue
            layers = step if isinstance(step[0], tuple) else (step,)
            for name, channels, kernel in layers:
                halves = name.endswith("/2")
                sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
                padding = (0, 0) if halves else (sides[0] // 2, sides[1] // 2)
                unit = Unit(inputs, channels, sides, 2 if halves else 1, padding)
                self.add_module(name.removesuffix("/2"), unit)
            inputs = sum(layer[1] for layer in layers)
        return inputs

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """The joined channels."""
        return torch.cat([self._follow(x, branch) for branch in self.branches], dim=1)

    def _follow(self, x: Tensor, branch: Sequence[Step]) -> Tensor:
        for step in branch:
            if isinstance(step, str):
                x = POOLS[step](x)
            elif isinstance(step[0], tuple):
                x = torch.cat([self._unit(layer, x) for layer in step], dim=1)
            else:
                x = self._unit(step, x)
        return x

    def _unit(self, layer: Layer, x: Tensor) -> Tensor:
        result: Tensor = self.get_submodule(layer[0].removesuffix("/2"))(x)
        return result


BLOCKS = {
    "Mixed_5b": _a(32),
    "Mixed_5c": _a(64),
    "Mixed_5d": _a(64),
    "Mixed_6a": _b(),
    "Mixed_6b": _c(128),
    "Mixed_6c": _c(160),
    "Mixed_6d": _c(160),
    "Mixed_6e": _c(192),
    "Mixed_7a": _d(),
    "Mixed_7b": _e("mean"),
    "Mixed_7c": _e("max"),
}


class Inception(FeatureNetwork):
    """Inputs [n, 3, 299, 299] to the 2048 pooled features, and on to classes."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Unit(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Unit(32, 32, 3)
        self.Conv2d_2b_3x3 = Unit(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Unit(64, 80, 1)
        self.Conv2d_4a_3x3 = Unit(80, 192, 3)
        channels = 192
        for name, branches in BLOCKS.items():
            block = Mixed(channels, branches)
            channels = block.outputs
            self.add_module(name, block)
        self.dims = channels
        self.fc = nn.Linear(channels, CLASSES)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 2048"]:
        """Features of the last pool."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(POOLS["halve"](x)))
        x = POOLS["halve"](x)
        for name in BLOCKS:
            x = self.get_submodule(name)(x)
        return x.mean(dim=(2, 3))

    def probabilities(self, features: Float[Tensor, "n 2048"]) -> Float[Tensor, "n 1008"]:
        """Of the classes, without the output bias, as the inception score takes them."""
        return torch.softmax(features.float() @ self.fc.weight.float().T, dim=1)


@dataclass(frozen=True, eq=False)
class InceptionExtractor(NetworkExtractor):
    """The 2015 network with its two outputs."""

    network: Inception
    classifies: ClassVar[bool] = True

    @property
    def classes(self) -> int:
        """Probabilities per image."""
        return self.network.fc.out_features

    def features_and_probabilities(
        self, images: Tensor
    ) -> tuple[Float32[Tensor, "n 2048"], Float32[Tensor, "n 1008"]]:
        """Features and probabilities in one pass.

        Raises:
            UserError: as for features.
        """
        joined = self.through(self._joined, images, DIMS + CLASSES)
        return joined[:, :DIMS], joined[:, DIMS:]

    def _joined(self, x: Tensor) -> Tensor:
        features = self.network(x)
        return torch.cat((features.float(), self.network.probabilities(features)), dim=1)


WEIGHTS = WeightFile(
    name="inception",
    file="pt_inception-2015-12-05-6726825d.pth",
    address="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    "pt_inception-2015-12-05-6726825d.pth",
    licence="Apache-2.0",
    size=95_628_359,
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    build=Inception,
    note="torch-fidelity's weights-inception-2015-12-05-6726825d.pth is the same file; the "
    "TorchScript file inception-2015-12-05.pt is a program and is not read",
)

RECIPE = NetworkRecipe(
    name="inception",
    preprocess=Preprocess(SIDE, Resize.TENSORFLOW1, (128.0,) * 3, (128.0,) * 3),
    source="Inception of December 2015, last pool (Heusel et al. 2017)",
    weights=WEIGHTS,
    extractor=InceptionExtractor,
)
