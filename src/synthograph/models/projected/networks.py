"""Discriminators that see an image through a frozen network.

Source: Sauer et al. 2021, "Projected GANs Converge Faster": random projections of four feature maps
(sections 3.1 and 3.2), one small discriminator on each. Spectral normalisation: Miyato et al. 2018;
projection of the class: Miyato and Koyama 2018.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import batch_norm, interpolate, normalize

from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.models.mapped import LayeredDiscriminator
from synthograph.models.projected.config import ProjectedConfig
from synthograph.ops.convolution import convolve

# n image, c k channels, l tap, u v h w sides, y class

SMALLEST_SIDE = 32
"""Of what the frozen network sees, unless another one is asked for."""
COARSE = 16
"""Stride from which on pictures are mixed to twice the channels."""
MAP_SIDE = 4
"""A head halves its picture down to this side."""


def input_size(spec: ImageSpec, config: ProjectedConfig) -> tuple[int, int]:
    """Height and width of what the frozen network sees: each a multiple of its last stride."""
    longer = max(spec.height, spec.width)
    side, step = config.feature_side or max(longer, SMALLEST_SIDE), max(strides_of(config))
    sides = (
        max(math.ceil(side * each / longer / step), 1) * step for each in (spec.height, spec.width)
    )
    height, width = sides
    return height, width


def strides_of(config: ProjectedConfig) -> list[int]:
    """Strides of the pictures, the finest first."""
    assert config.features.strides, "training completes the configuration"
    return config.features.strides


class NormalisedConv(nn.Module):
    """Convolution whose kernel is divided by its largest singular value.

    That value comes from vectors that `iterate` brings up to date, once per step and not per
    microbatch (Miyato et al. 2018, algorithm 1).
    """

    left: Tensor
    right: Tensor

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, bias: bool = False
    ) -> None:
        super().__init__()
        weight = torch.randn(outputs, inputs, kernel, kernel) / math.sqrt(inputs * kernel**2)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.stride, self.padding = stride, (kernel - 1) // 2
        self.register_buffer("left", normalize(torch.randn(outputs), dim=0))
        self.register_buffer("right", torch.zeros(inputs * kernel**2))
        for _ in range(10):
            self.iterate()

    @torch.no_grad()
    def iterate(self) -> None:
        """One step of the power iteration."""
        matrix = self.weight.flatten(1)
        self.right.copy_(normalize(matrix.T @ self.left, dim=0))
        self.left.copy_(normalize(matrix @ self.right, dim=0))

    def forward(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o u v"]:
        """Apply it in the precision of `x`."""
        largest = torch.dot(self.left, self.weight.flatten(1) @ self.right)
        weight = (self.weight / largest).to(x.dtype)
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return convolve(x, weight, bias, stride=self.stride, padding=self.padding)


class GroupedNorm(nn.Module):
    """Batch normalisation by the images of a group, which no microbatch cuts."""

    def __init__(self, channels: int, group: int) -> None:
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(torch.ones(channels)),
            nn.Parameter(torch.zeros(channels)),
        )
        self.group = group

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Groups of consecutive images, each by its own mean and deviation.

        Raises:
            UserError: there is one number of a channel only.
        """
        if len(x) * x.shape[2] * x.shape[3] == 1:
            raise UserError(
                "one image at once cannot be normalised: --batch and --batch-gpu must be 2 or more"
            )
        parts = x.split(min(self.group, len(x)))
        done = [batch_norm(p, None, None, self.weight, self.bias, training=True) for p in parts]
        return done[0] if len(done) == 1 else torch.cat(done)


class Head(nn.Module):
    """A picture of the features to a map of logits.

    A picture that is no larger than the map needs no halving. Without a hidden layer its head is
    linear, so it sees no more of a class than the mean of its features.
    """

    def __init__(
        self, channels: int, size: tuple[int, int], label_dim: int, config: ProjectedConfig
    ) -> None:
        super().__init__()
        halvings = max((min(size) // MAP_SIDE).bit_length() - 1, 0)
        layers: list[nn.Module] = []
        for place in range(max(halvings, config.head_layers)):
            kernel, stride = (4, 2) if place < halvings else (3, 1)
            layers += [
                NormalisedConv(channels, config.head_channels, kernel, stride=stride),
                GroupedNorm(config.head_channels, config.norm_group),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            channels = config.head_channels
        self.layers = nn.Sequential(*layers)
        width = config.label_width if label_dim else 0
        self.out = NormalisedConv(channels, 1 + width, 3, bias=True)
        self.embed = nn.Linear(label_dim, width, bias=False) if label_dim else None

    def forward(
        self, x: Float[Tensor, "n c h w"], label: Float[Tensor, "n y"] | None
    ) -> Float[Tensor, "n p"]:
        """Logits of the places of the map."""
        found = self.out(self.layers(x)).float().flatten(2)
        logits = found[:, 0]
        if self.embed is None:
            return logits
        condition = self.embed(label) / math.sqrt(self.embed.out_features)
        return logits + (found[:, 1:] * condition[:, :, None]).sum(1)


class Discriminator(LayeredDiscriminator):
    """Taps of one modality to logits: random mixing that stays as it was drawn, and a head on every
    mixed picture.

    Attributes:
        scale: brings every mixed picture to unit variance; 0 until real images were seen.
        spread: running mean distance of pairs of real images, [classes, taps]; 0 at first.
    """

    scale: Float[Tensor, " l"]
    spread: Float[Tensor, "y l"]

    def __init__(
        self, spec: ImageSpec, label_dim: int, classes: int, config: ProjectedConfig
    ) -> None:
        super().__init__()
        strides = strides_of(config)
        assert config.features.channels, "training completes the configuration"
        widths = [config.mixed_channels * (2 if s >= COARSE else 1) for s in strides]
        for place, (inputs, width) in enumerate(zip(config.features.channels, widths, strict=True)):
            self.register_buffer(f"mix{place}", _drawn(width, inputs, 1))
            if place:
                self.register_buffer(f"join{place}", _drawn(widths[place - 1], width, 3))
        height, width = input_size(spec, config)
        sizes = [(height // s, width // s) for s in strides]
        self.heads = nn.ModuleList(
            Head(c, size, label_dim, config) for c, size in zip(widths, sizes, strict=True)
        )
        self.register_buffer("scale", torch.zeros(len(strides)))
        self.register_buffer("spread", torch.zeros(classes, len(strides)))
        self.block_dtype = torch.float32

    def mixed(self, taps: Sequence[Tensor]) -> list[Tensor]:
        """Random mixtures of the channels and, from coarse to fine, of the pictures."""
        found: list[Tensor] = []
        below: Tensor | None = None
        for place in reversed(range(len(taps))):
            x = convolve(taps[place], self.get_buffer(f"mix{place}").to(taps[place].dtype))
            if below is not None:
                joined = interpolate(below, x.shape[2:], mode="bilinear")
                x = (x + joined) * math.sqrt(0.5)
            found.append(x)
            if place:
                kernel = self.get_buffer(f"join{place}").to(x.dtype)
                below = convolve(x, kernel, padding=1)
        scale = torch.where(self.scale == 0, 1.0, self.scale)
        return [x * s.to(x.dtype) for x, s in zip(reversed(found), scale, strict=True)]

    def forward(self, mixed: Sequence[Tensor], label: Tensor | None) -> list[Tensor]:
        """Logits of every head; positive means that the image looks real."""
        label = None if label is None or not label.shape[1] else label
        return [
            head(x.to(self.block_dtype), label) for head, x in zip(self.heads, mixed, strict=True)
        ]

    def layers(self) -> list[nn.Module]:
        """None: what the heads see through is frozen already."""
        return []

    def iterate(self) -> None:
        """Bring spectral norms up to date, once per step."""
        for module in self.modules():
            if isinstance(module, NormalisedConv):
                module.iterate()


def _drawn(outputs: int, inputs: int, kernel: int) -> Float[Tensor, "o i k k"]:
    """A random kernel that keeps the variance."""
    return torch.randn(outputs, inputs, kernel, kernel) / math.sqrt(inputs * kernel**2)
