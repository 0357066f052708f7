"""Pixel classifiers on feature layers: an ensemble of members that is computed as one network.

The first linear map of every member acts on each layer at its own size, and what it gives is
enlarged and summed. Bilinear enlarging is linear, too, so this equals a classifier on all layers
enlarged and put together, without that array (Zhang et al. 2021 hold it: 10 GB for eight images of
256x256).
"""

import math
from collections.abc import Iterator, Sequence
from typing import Annotated

import torch
from jaxtyping import Float, UInt8
from pydantic import Field, field_validator
from torch import Tensor, nn

from synthograph.core.config import Config

# n image, c channel, h height, w width, m member, k class, p pixel, f feature, d hidden unit

AT_ONCE = 1 << 24
"""Numbers of hidden units of full-size pixels that are computed at once."""


class HeadShape(Config):
    """What an ensemble is.

    Attributes:
        members: classifiers.
        widths: hidden units behind the first and each further linear map; none: one linear map
            (Xu and Zheng 2021, "Linear semantics in generative adversarial networks").
        normalised: hidden units are brought to mean 0 and deviation 1 over pixels, as published.
        patch: see `FeatureSource`.
        vote: the class that most members name wins, as published; else the largest mean
            probability.
    """

    members: int = Field(10, ge=1, le=100)
    widths: list[Annotated[int, Field(ge=1, le=1024)]] = Field([], max_length=4)
    normalised: bool = False
    patch: int = Field(7, ge=0, le=33)
    vote: bool = False

    @field_validator("patch")
    @classmethod
    def _odd(cls, patch: int) -> int:
        if patch and patch % 2 == 0:
            raise ValueError(f"patch {patch} has no pixel in its middle: an odd number")
        return patch


class Head(nn.Module):
    """An ensemble."""

    mean: Tensor
    scale: Tensor

    def __init__(self, shape: HeadShape, channels: Sequence[int], classes: int) -> None:
        super().__init__()
        self.shape, self.channels, self.classes = shape, tuple(channels), classes
        features, members = sum(channels), shape.members
        sizes = [*shape.widths, classes]
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.first = nn.Parameter(torch.zeros(members, features, sizes[0]))
        self.later = nn.ParameterList(
            nn.Parameter(torch.zeros(members, *pair))
            for pair in zip(sizes[:-1], sizes[1:], strict=True)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(members, d)) for d in sizes)
        self.norms = nn.ModuleList(
            nn.BatchNorm1d(members * d) for d in shape.widths if shape.normalised
        )

    def begin(self, generator: torch.Generator) -> None:
        """Random weights: of the first map small ones, as features are many; then as for rectified
        units (He et al. 2015). With normalised units all have the published deviation, 0.02.
        """
        for weights in (self.first, *self.later):
            fan = 2 / weights.shape[1]
            deviation = 0.02 if self.shape.normalised or weights is self.first else math.sqrt(fan)
            with torch.no_grad():
                weights.copy_(torch.randn(weights.shape, generator=generator) * deviation)

    def forward(self, pixels: Float[Tensor, "p f"]) -> Float[Tensor, "m p k"]:
        """Logits of pixels by every member."""
        standard = (pixels - self.mean) / self.scale
        # one product for all members, which would each take a copy of the pixels
        hidden = (standard @ self.first.movedim(0, 1).flatten(1)).view(
            len(pixels), self.shape.members, -1
        )
        return self._tail(hidden.movedim(1, 0) + self.biases[0][:, None], slice(None))

    def _tail(self, x: Float[Tensor, "m p d"], some: slice) -> Float[Tensor, "m p k"]:
        """From the first map to the logits, for some of the members."""
        for place, weights in enumerate(self.later):
            x = x.relu()
            if self.norms:
                x = self._normalised(x, place, some)
            x = torch.baddbmm(self.biases[place + 1][some, None], x, weights[some])
        return x

    def _normalised(
        self, x: Float[Tensor, "m p d"], place: int, some: slice
    ) -> Float[Tensor, "m p d"]:
        norm = self.norms[place]
        assert isinstance(norm, nn.BatchNorm1d), "norms hold nothing else"
        members, pixels, width = x.shape
        if norm.training:
            flat = norm(x.movedim(0, 1).reshape(pixels, members * width))
            return flat.view(pixels, members, width).movedim(1, 0)
        assert norm.running_mean is not None and norm.running_var is not None, "they are tracked"
        kept = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
        mean, variance, gain, bias = (t.view(-1, 1, width)[some] for t in kept)
        return (x - mean) * (variance + norm.eps).rsqrt() * gain + bias

    def probabilities(
        self, layers: Sequence[Float[Tensor, "n _ _ _"]], size: tuple[int, int]
    ) -> Iterator[Float[Tensor, "m k h w"]]:
        """Probabilities of the classes by every member, image by image."""
        height, width = size
        parts = self._parts(height * width)
        for number in range(len(layers[0])):
            own = [layer[number][None] for layer in layers]
            with torch.no_grad():
                yield torch.cat([self._of_image(own, size, members) for members in parts])

    def _parts(self, pixels: int) -> list[range]:
        """Members that are computed at once, for images of so many pixels."""
        every, units = range(self.shape.members), pixels * self.first.shape[2]
        each = max(1, AT_ONCE // units)
        return [every[start : start + each] for start in range(0, len(every), each)]

    def _of_image(
        self, layers: Sequence[Float[Tensor, "1 _ _ _"]], size: tuple[int, int], members: range
    ) -> Float[Tensor, "m k h w"]:
        """Probabilities by some members."""
        some = slice(members.start, members.stop)
        total: Tensor | None = None
        for part in self._projected(layers, some):
            large = part
            if part.shape[2:] != size:
                large = nn.functional.interpolate(part, size, mode="bilinear", align_corners=False)
            total = large if total is None else total.add_(large)
        assert total is not None, "there is a layer"
        hidden = total.view(len(members), -1, size[0] * size[1]).movedim(1, 2)
        logits = self._tail(hidden + self.biases[0][some, None], some)
        return logits.softmax(2).movedim(2, 1).unflatten(2, size)

    def _projected(self, layers: Sequence[Tensor], some: slice) -> Iterator[Tensor]:
        """The first map of some members, of every layer at its own size: [1, m * d, h, w]."""
        weights = (self.first[some] / self.scale[:, None]).movedim(2, 1).flatten(0, 1)
        shift: Tensor | None = -weights @ self.mean
        for layer, part in zip(layers, weights.split(self.channels, dim=1), strict=True):
            yield nn.functional.conv2d(layer, part[:, :, None, None], shift)
            shift = None


def decide(
    probabilities: Float[Tensor, "m k h w"],
    *,
    vote: bool,
    network: Float[Tensor, "k h w"] | None = None,
) -> tuple[UInt8[Tensor, "h w"], Float[Tensor, "h w"]]:
    """The class of every pixel, and how much the members disagree on it.

    Args:
        probabilities: by every member of a head.
        vote: see `HeadShape`.
        network: probabilities by an image network, a member that counts as much as all others.

    Returns:
        Class numbers, and the Jensen-Shannon divergence of the members: entropy of the mean minus
        mean of the entropies, in nats, from 0 to the logarithm of the number of classes (Zhang et
        al. 2021, section 3.3). Of classes with equally many votes the more probable one wins.
    """
    mean, entropy = probabilities.mean(0), _entropy(probabilities, 1).mean(0)
    if network is not None:
        mean, entropy = (mean + network) / 2, (entropy + _entropy(network, 0)) / 2
    scores = mean
    if vote:
        named = probabilities.argmax(1)
        votes = nn.functional.one_hot(named, mean.shape[0]).sum(0).movedim(2, 0)
        if network is not None:
            own = nn.functional.one_hot(network.argmax(0), mean.shape[0]).movedim(2, 0)
            votes = votes + len(probabilities) * own
        scores = votes + mean / 2
    divergence = _entropy(mean, 0) - entropy
    return scores.argmax(0).to(torch.uint8), divergence.clamp(min=0)


def _entropy(probabilities: Tensor, dim: int) -> Tensor:
    return torch.special.entr(probabilities).sum(dim)
