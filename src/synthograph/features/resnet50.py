"""ResNet-50 with weights from three sources: ImageNet labels, SwAV, RadImageNet.

Source: He et al. 2016, "Deep Residual Learning for Image Recognition", with the stride in the 3x3
convolution ("version 1.5", as torchvision and both other sources have it); Caron et al. 2020
(SwAV); Mei et al. 2022 (RadImageNet).
"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from synthograph.core.devices import Precision
from synthograph.core.errors import UserError
from synthograph.features.base import Adapt, Digest, FrozenNorm, NetworkExtractor, WeightFile
from synthograph.features.preprocess import Preprocess, chunk_for

# n image, c channel

SIDE, DIMS = 224, 2048
STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
"""Inner channels, blocks and stride of each stage."""
WIDER = 4
PLACES = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
"""Numbers that the layers get where the network was made a sequence, to their names."""


class Bottleneck(nn.Module):
    """Three convolutions around which the input is added.

    Args:
        inputs: channels in.
        inner: channels of the middle convolution.
        stride: of the middle convolution.
    """

    def __init__(self, inputs: int, inner: int, stride: int) -> None:
        super().__init__()
        outputs = inner * WIDER
        self.conv1 = nn.Conv2d(inputs, inner, 1, bias=False)
        self.bn1 = FrozenNorm(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.bn2 = FrozenNorm(inner)
        self.conv3 = nn.Conv2d(inner, outputs, 1, bias=False)
        self.bn3 = FrozenNorm(outputs)
        if inputs != outputs:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, FrozenNorm(outputs))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """The features."""
        beside = self.downsample(x) if hasattr(self, "downsample") else x
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return torch.relu(self.bn3(self.conv3(x)) + beside)


class ResNet50(nn.Module):
    """Inputs [n, 3, 224, 224] to the 2048 features before the classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = FrozenNorm(64)
        inputs = 64
        for number, (inner, count, stride) in enumerate(STAGES, start=1):
            blocks = []
            for place in range(count):
                blocks.append(Bottleneck(inputs, inner, stride if place == 0 else 1))
                inputs = inner * WIDER
            self.add_module(f"layer{number}", nn.Sequential(*blocks))

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 2048"]:
        """The features."""
        x = max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for number in range(1, len(STAGES) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return x.mean(dim=(2, 3))


def without(*unused: str) -> Adapt:
    """Leaves out tensors whose names begin so, and the prefixes that wrappers add."""

    def adapt(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        plain = {_plain(name): tensor for name, tensor in tensors.items()}
        if len(plain) < len(tensors):
            raise UserError("a tensor is there twice, with and without the prefix of a wrapper")
        return {k: v for k, v in plain.items() if not k.startswith(unused)}

    return adapt


def _plain(name: str) -> str:
    """A tensor's name without `module.` and `backbone.`, and with layers by name."""
    name = name.removeprefix("module.").removeprefix("backbone.")
    first, dot, rest = name.partition(".")
    return f"{PLACES.get(first, first)}{dot}{rest}"


WEIGHTS = (
    WeightFile(
        name="resnet50",
        file="resnet50-0676ba61.pth",
        address="https://download.pytorch.org/models/resnet50-0676ba61.pth",
        licence="BSD-3-Clause (torchvision); ImageNet's own terms may hold for what is learnt "
        "from it",
        size=102_500_000,
        sha256="0676ba61",
        build=ResNet50,
        adapt=without("fc."),
    ),
    WeightFile(
        name="swav",
        file="swav_800ep_pretrain.pth.tar",
        address="https://dl.fbaipublicfiles.com/deepcluster/swav_800ep_pretrain.pth.tar",
        licence="CC BY-NC 4.0: not for commercial use",
        size=113_000_000,
        sha256=None,
        build=ResNet50,
        adapt=without("projection_head.", "prototypes."),
    ),
    WeightFile(
        name="radimagenet",
        file="ResNet50.pt",
        address="https://huggingface.co/Lab-Rasool/RadImageNet/resolve/main/ResNet50.pt",
        licence="MIT as its mirror says; ask the authors of RadImageNet before other than research",
        size=94_300_000,
        sha256="08629f7e7bd3e29b8ee9522ca3f65ce4d010a7ddf74f0ea3c7e3f3d0bbab0734",
        build=ResNet50,
        adapt=without("fc."),
        note="never judge by it alone: it agrees with experts less than general networks do",
    ),
)
SOURCES = {
    "resnet50": "ResNet-50 trained on ImageNet, last pool (He et al. 2016)",
    "swav": "ResNet-50 trained by SwAV, last pool (Caron et al. 2020)",
    "radimagenet": "ResNet-50 trained on RadImageNet, last pool (Mei et al. 2022), with the "
    "normalisation of ImageNet",
}


def maker(name: str) -> Callable[[nn.Module, Digest, torch.device, Precision], NetworkExtractor]:
    """Makes the extractor of that name from its network."""

    def make(
        network: nn.Module, digest: Digest, device: torch.device, precision: Precision
    ) -> NetworkExtractor:
        return NetworkExtractor(
            name=name,
            dims=DIMS,
            digest=digest,
            network=network,
            preprocess=Preprocess(SIDE),
            source=SOURCES[name],
            chunk=chunk_for(SIDE),
            device=device,
            precision=precision,
        )

    return make
