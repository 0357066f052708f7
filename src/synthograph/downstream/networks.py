"""Backbones of classifiers by name, and the network that is trained: images in [0, 1] to logits.

`small` and `googlenet` are our own; `lite0` ... `lite2` begin with weights of ImageNet from the
extra; residual, dense and efficient networks are MONAI's; any convolutional network of timm can be
named where timm is installed. All take any number of channels (see `adapted`).
"""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.core.spec import ImageSpec
from synthograph.downstream.body import Body
from synthograph.downstream.foreign_weights import COLOURS, Names, dense_names, efficient_names
from synthograph.downstream.googlenet import GoogLeNetBody
from synthograph.features.base import FrozenNorm
from synthograph.features.efficientnet_lite import SIZES, EfficientNetLite
from synthograph.features.monai_networks import monai_class
from synthograph.features.packaged import trained_is_here
from synthograph.ops.convolution import compute_two_columns

# n image, c channel, d feature, k class, u v sides of the last maps

LITE_MEAN, LITE_DEVIATION = (127 / 255,) * COLOURS, (128 / 255,) * COLOURS
HALF = (0.5,) * COLOURS
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Backbone:
    """A network by name.

    Attributes:
        name: as users write it.
        make: the body for so many channels.
        least: shorter side that images are enlarged to, where they are smaller.
        most: shorter side that they are reduced to, where they are larger.
        weights: of an extractor (`features/weights.py`) that it begins with, if any.
        mean: of the colours, values 0 ... 1, that published weights expect subtracted, before a
            division by `deviation`.
        names: of tensors, here or in files of others, to names that are the same in both.
        smallest: shorter side that its layers need.
        address: of weights that were trained on ImageNet, where it needs a file of others for them;
            their name holds how their sha256 begins.
    """

    name: str
    make: Callable[[int], Body]
    least: int
    most: int
    weights: str | None = None
    mean: tuple[float, ...] = IMAGENET_MEAN
    deviation: tuple[float, ...] = IMAGENET_DEVIATION
    names: Names = list
    address: str | None = None
    smallest: int = 16

    @property
    def spread(self) -> float:
        """Deviation of photographs once they are normalised: less than 1 for -1 ... 1."""
        return sum(IMAGENET_DEVIATION) / sum(self.deviation)

    def size(self, spec: ImageSpec, side: int | None = None) -> tuple[int, int]:
        """Height and width that the network sees; the aspect ratio is kept.

        Args:
            spec: of the images.
            side: what the shorter side becomes; by default its own, within `least` and `most`.

        Raises:
            UserError: layers that halve the image would leave nothing of so small a one.
        """
        if side is not None and side < self.smallest:
            raise UserError(f"--side {side}: {self.name} needs at least {self.smallest}")
        shorter = min(spec.height, spec.width)
        factor = (side or min(max(shorter, self.least), self.most)) / shorter
        return round(spec.height * factor), round(spec.width * factor)


class ImageFeatures(nn.Module):
    """A backbone behind the size and range that it wants: images [n, c, h, w] in [0, 1], of any
    size, to features [n, d].

    Args:
        body: the backbone.
        size: height and width that images are brought to.
        mean: of every channel, subtracted first; `deviation` divides then.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        body: Body,
        *,
        size: tuple[int, int],
        mean: Sequence[float],
        deviation: Sequence[float],
    ) -> None:
        super().__init__()
        compute_two_columns(body)
        self.body, self.size, self.dims = body, size, body.dims
        for name, values in (("mean", mean), ("deviation", deviation)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(-1, 1, 1))

    def maps(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d u v"]:
        """The last maps, whose means are the features: where saliency is read."""
        if tuple(images.shape[2:]) != self.size:
            images = interpolate(
                images, self.size, mode="bilinear", antialias=True, align_corners=False
            )
        inputs = (images - self.mean) / self.deviation
        maps: Tensor = self.body(inputs.contiguous(memory_format=torch.channels_last))
        return maps

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Means over the last maps, float32."""
        return self.maps(images).float().mean(dim=(2, 3))


class ImageNetwork(nn.Module):
    """What is trained: features and a linear layer."""

    def __init__(self, features: ImageFeatures, classes: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.features, self.dropout = features, nn.Dropout(dropout)
        self.head = nn.Linear(features.dims, classes)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Logits, float32."""
        logits: Tensor = self.head(self.dropout(self.features(images)))
        return logits.float()


def adapted(
    kernels: Float[Tensor, "o 3 h w"], modalities: Mapping[str, int]
) -> Float[Tensor, "o c h w"]:
    """Kernels of a first convolution over red, green and blue for other channels: what answers to
    an image whose channels all hold the same grey is what was answered to that grey in colour. A
    modality of 3 channels gets the kernels as they are, any other their mean times 3 / channels;
    all are divided by the number of modalities.
    """
    grey = kernels.sum(1, keepdim=True)
    parts = [
        kernels if count == COLOURS else grey.expand(-1, count, -1, -1) / count
        for count in modalities.values()
    ]
    return torch.cat(parts, dim=1) / len(modalities)


def of_channels(colours: Sequence[float], modalities: Mapping[str, int]) -> list[float]:
    """Numbers for colours as numbers for channels: their mean where a modality has other ones."""
    mean = sum(colours) / len(colours)
    return [
        value
        for count in modalities.values()
        for value in (colours if count == COLOURS else [mean] * count)
    ]


def first_convolution(body: nn.Module) -> str:
    """Name of the tensor of the kernels that see the image."""
    return next(f"{n}.weight" for n, m in body.named_modules() if isinstance(m, nn.Conv2d))


class SmallBody(Body):
    """Nine convolutions that train from random numbers in minutes on a processor."""

    dims = 256

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers, inputs = [_convolution(channels, 32)], 32
        for outputs in (32, 64, 128, self.dims):
            layers += [_convolution(inputs, outputs, 2), _convolution(outputs, outputs)]
            inputs = outputs
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 256 u v"]:
        """Maps whose sides are 1/16 of the image's."""
        maps: Tensor = self.layers(x)
        return maps


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class LiteBody(Body):
    """EfficientNet-Lite without its last layer. Normalisation keeps the statistics of ImageNet, so
    that a batch may be small; its scales and offsets are trained.
    """

    def __init__(self, name: str, channels: int) -> None:
        super().__init__()
        self.net = EfficientNetLite(SIZES[name])
        self.dims = self.net.dims
        self.net._fc = nn.Identity()  # type: ignore[assignment]
        if channels != COLOURS:
            stem = self.net._conv_stem
            self.net._conv_stem = nn.Conv2d(channels, stem.out_channels, 3, 2, bias=False)
        for module in self.net.modules():
            if isinstance(module, FrozenNorm):
                module.train_scales()

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d u v"]:
        """Maps whose sides are 1/32 of the image's."""
        return self.net.maps(x)


class ResNetBody(Body):
    """A residual network of MONAI with the first stride and the shortcuts of torchvision's."""

    def __init__(self, block: str, layers: Sequence[int], channels: int) -> None:
        super().__init__()
        net: Any = _monai("ResNet")(
            block,
            list(layers),
            [64, 128, 256, 512],
            spatial_dims=2,
            n_input_channels=channels,
            conv1_t_stride=2,
            feed_forward=False,
            bias_downsample=False,
        )
        self.net, self.dims = net, net.in_planes

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d u v"]:
        """Maps whose sides are 1/32 of the image's."""
        net = self.net
        x = max_pool2d(net.act(net.bn1(net.conv1(x))), 3, 2, 1)
        maps: Tensor = net.layer4(net.layer3(net.layer2(net.layer1(x))))
        return maps


class DenseNetBody(Body):
    """A dense network of MONAI."""

    def __init__(self, name: str, channels: int) -> None:
        super().__init__()
        net: Any = _monai(name)(spatial_dims=2, in_channels=channels, out_channels=2)
        self.dims = net.class_layers.out.in_features
        self.features: nn.Module = net.features

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d u v"]:
        """Maps whose sides are 1/32 of the image's."""
        return torch.relu(self.features(x))


class EfficientNetBody(Body):
    """EfficientNet-B0 ... B7 of MONAI."""

    def __init__(self, name: str, channels: int) -> None:
        super().__init__()
        net: Any = _monai("EfficientNetBN")(
            name,
            pretrained=False,
            spatial_dims=2,
            in_channels=channels,
            num_classes=2,
            norm=("batch", {"eps": 1e-3, "momentum": 0.1}),  # 0.01 lags behind short trainings
        )
        self.dims = net._fc.in_features
        net._fc = nn.Identity()
        self.net: Any = net

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d u v"]:
        """Maps whose sides are 1/32 of the image's."""
        net = self.net
        x = net._swish(net._bn0(net._conv_stem(net._conv_stem_padding(x))))
        x = net._conv_head(net._conv_head_padding(net._blocks(x)))
        maps: Tensor = net._swish(net._bn1(x))
        return maps


class TimmBody(Body):
    """A convolutional network of timm."""

    def __init__(self, name: str, channels: int) -> None:
        super().__init__()
        import timm

        self.net: Any = timm.create_model(
            name, pretrained=False, in_chans=channels, num_classes=0, global_pool=""
        )
        self.dims = self.net.num_features

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d u v"]:
        """The last maps."""
        try:
            maps: Tensor = self.net(x)
        except AssertionError as error:  # of networks for images of one size
            raise UserError(f"{self._refused()} ({error})") from None
        if maps.ndim != 4 or maps.shape[1] != self.dims:
            raise UserError(self._refused())
        return maps

    def _refused(self) -> str:
        return (
            f"{type(self.net).__name__} of timm ends in no maps [n, {self.dims}, h, w] of images "
            "of any size: choose a convolutional network, such as resnet18"
        )


def _monai(name: str) -> Callable[..., nn.Module]:
    return monai_class(
        name, "pip install 'synthograph[classify]' (small, lite0 and googlenet need it not)"
    )


_RESNETS = {
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet34": ("basic", (3, 4, 6, 3)),
    "resnet50": ("bottleneck", (3, 4, 6, 3)),
    "resnet101": ("bottleneck", (3, 4, 23, 3)),
}
_TORCHVISION = "https://download.pytorch.org/models"
_MELAS = "https://github.com/lukemelas/EfficientNet-PyTorch/releases/download/1.0"
PUBLISHED = {
    **{
        name.partition("-")[0]: f"{_TORCHVISION}/{name}.pth"
        for name in (
            *("resnet18-f37072fd", "resnet34-b627a593", "resnet50-0676ba61", "resnet101-63fe2227"),
            *("densenet121-a639ec97", "densenet169-b2777c0a", "densenet201-c1103571"),
            "googlenet-1312f4f7",
        )
    },
    **{
        name.rpartition("-")[0]: f"{_MELAS}/{name}.pth"
        for name in (
            *("efficientnet-b0-355c32eb", "efficientnet-b1-f1951068", "efficientnet-b2-8bb594d6"),
            *("efficientnet-b3-5fb5a3c3", "efficientnet-b4-6ed6700e", "efficientnet-b5-b6417697"),
            *("efficientnet-b6-c76e70fd", "efficientnet-b7-dcc49843"),
        )
    },
}
"""Name -> address of weights that were trained on ImageNet: of torchvision (BSD-3-Clause) and of
Luke Melas-Kyriazi (Apache-2.0). ImageNet's own terms may hold for what is learnt from it.
"""
_SIDES_OF_B = (224, 240, 260, 300, 380, 456, 528, 600)
LITES = {f"lite{n}": f"efficientnet-lite{n}" for n in range(3)}
SMALL = "small"


def _known() -> dict[str, Backbone]:
    made = [Backbone(SMALL, SmallBody, 16, 512)]
    for name, of in LITES.items():
        made.append(
            Backbone(
                name,
                partial(LiteBody, of),
                least=128,
                most=SIZES[of].side,
                weights=of,
                mean=LITE_MEAN,
                deviation=LITE_DEVIATION,
                names=efficient_names,
            )
        )
    made.append(Backbone("googlenet", GoogLeNetBody, 96, 512, mean=HALF, deviation=HALF))
    for name, (block, layers) in _RESNETS.items():
        made.append(Backbone(name, partial(ResNetBody, block, layers), 96, 512))
    for depth in (121, 169, 201, 264):
        dense = partial(DenseNetBody, f"DenseNet{depth}")
        made.append(Backbone(f"densenet{depth}", dense, 96, 512, names=dense_names, smallest=32))
    for number, side in enumerate(_SIDES_OF_B):
        name = f"efficientnet-b{number}"
        efficient = partial(EfficientNetBody, name)
        made.append(Backbone(name, efficient, 96, side, names=efficient_names, smallest=32))
    return {each.name: replace(each, address=PUBLISHED.get(each.name)) for each in made}


BACKBONES = _known()
"""Those that need no timm, by name."""


def default_backbone() -> str:
    """The one with ImageNet weights where they are installed, else the one that needs none."""
    return "lite0" if trained_is_here() else SMALL


def backbone(name: str) -> Backbone:
    """The backbone of that name.

    Raises:
        UserError: there is none.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    if importlib.util.find_spec("timm") is not None:
        try:
            import timm
        except (ImportError, RuntimeError) as error:  # of a torchvision that does not fit
            raise UserError(f"--backbone {name}: timm cannot be imported ({error})") from None
        if name in timm.list_models():
            return Backbone(name, partial(TimmBody, name), 96, 512)
    raise UserError(
        f"--backbone {name}: {nearest(name, BACKBONES)} (also names of timm, where it is "
        "installed, and names of evaluate --features with --probe)"
    )
