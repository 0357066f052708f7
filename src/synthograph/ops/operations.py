"""The operations of the augmentation pipeline, each declared once, in the order in which they act.

A new operation is a function and one entry in `STEPS`: settings, bundles, the invariance that
images must have, random numbers and the audit's search for leaked augmentations follow from it.
Source: Karras et al. 2020, "Training generative adversarial networks with limited data",
appendix B.
"""

import enum
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import pad

from synthograph.core.seeds import Streams
from synthograph.core.spec import Invariance as Invariance
from synthograph.ops import transforms
from synthograph.ops.convolution import filter_channels
from synthograph.ops.draws import Draws
from synthograph.ops.wavelets import octave_bank

EXPECTED_POWER = (10 / 13, 1 / 13, 1 / 13, 1 / 13)
"""Share of the four octaves in the power of natural images."""

# n image, c channel, h height, w width


class Bundle(enum.StrEnum):
    """Published names of sets of operations; `bgcfnc` are all, in this order."""

    BLIT = "blit"
    GEOM = "geom"
    COLOR = "color"
    FILTER = "filter"
    NOISE = "noise"
    CUTOUT = "cutout"


@dataclass(frozen=True)
class OperationDraws:
    """The random numbers of one operation for one batch.

    Attributes:
        draws: where they come from.
        name: of the operation and, for colours, the modality: every name has its own numbers.
        probability: that it acts on an image.
        strength: the operation's own.
        bands: multiplier of the probability of every octave, for the filter.
    """

    draws: Draws
    name: str
    probability: Float[Tensor, ""]
    strength: float
    bands: Sequence[float]

    def gate(self) -> Float[Tensor, " n"]:
        """1 where the operation acts, else 0."""
        return self.draws.gate(self.name, self.probability)

    def normal(self) -> Float[Tensor, " n"]:
        """Normal numbers of that strength; 0 where the operation does not act."""
        return self.draws.normal(self.name, 1)[:, 0] * self.strength * self.gate()

    def factor(self) -> Float[Tensor, " n"]:
        """2 to the power of `normal`."""
        return torch.exp2(self.normal())

    def choice(self, count: int) -> Float[Tensor, " n"]:
        """Whole numbers below `count`; 0 where the operation does not act."""
        return (self.draws.uniform(self.name, 1)[:, 0] * count).floor() * self.gate()

    def angle(self) -> Float[Tensor, " n"]:
        """Radians within +-pi times the strength; 0 where the operation does not act."""
        return self._spread_angle(self.name) * self.gate()

    def half_angle(self, when: str) -> Float[Tensor, " n"]:
        """`angle` for one of two rotations, each with 1 - sqrt(1 - p), so that p is of either."""
        probability = 1 - (1 - self.probability.clamp(0, 1)).sqrt()
        name = f"{self.name}/{when}"
        return self._spread_angle(name) * self.draws.gate(name, probability)

    def _spread_angle(self, name: str) -> Tensor:
        return (2 * self.draws.uniform(name, 1)[:, 0] - 1) * (math.pi * self.strength)


Exact = Callable[[Float[Tensor, "n c h w"], Int64[Tensor, " n"], Streams], Float[Tensor, "n c h w"]]
"""Images with values in [0, 1], their numbers, random streams -> the images, each changed."""


@dataclass(frozen=True, kw_only=True)
class AugmentOperation:
    """What all operations declare; `name` is the setting that multiplies its probability.

    Attributes:
        bundle: the smallest published set that it belongs to; None for one of our own.
        needs: invariance that images must have for it to leave their meaning alone.
        unasked: whether it is used where nobody said what images have.
        strength: end of the name of its other setting, and that one's default.
        leak: how the audit names the trace it leaves in synthetic images, and the function that
            applies it to real ones.
    """

    name: str
    bundle: Bundle | None = None
    needs: Invariance | None = None
    unasked: bool = False
    strength: tuple[str, float] | None = None
    leak: tuple[str, Exact] | None = None

    @property
    def strength_setting(self) -> str:
        """Name of the setting of its strength; it has one if `strength` is given."""
        return f"{self.name}_{self.strength[0]}" if self.strength else ""


Size = tuple[int, int]
"""Height and width of images, in pixels."""


@dataclass(frozen=True, kw_only=True)
class GeometricOperation(AugmentOperation):
    """An affine map of the plane, shared by all modalities of an image; `inverse` is from the
    result to the input, in pixels from the centre.
    """

    inverse: Callable[[OperationDraws, Size], Float[Tensor, "n 3 3"]]


@dataclass(frozen=True, kw_only=True)
class ColourOperation(AugmentOperation):
    """An affine map of colours; every modality draws for itself.

    Attributes:
        matrix: homogeneous, on red, green and blue in [-1, 1].
        grey: whether it also acts on images of one channel.
    """

    matrix: Callable[[OperationDraws], Float[Tensor, "n 4 4"]]
    needs: Invariance | None = Invariance.COLOUR
    bundle: Bundle | None = Bundle.COLOR
    grey: bool = True


@dataclass(frozen=True, kw_only=True)
class ImageOperation(AugmentOperation):
    """Any other function of images in [-1, 1], which keeps their shape."""

    apply: Callable[[Float[Tensor, "n c h w"], OperationDraws], Float[Tensor, "n c h w"]]


Kind = TypeVar("Kind", bound=AugmentOperation)


def _flip(own: OperationDraws, size: Size) -> Tensor:
    flipped = own.choice(2)
    return transforms.scaling(1 - 2 * flipped, torch.ones_like(flipped))


def _whole_shift(own: OperationDraws, size: Size) -> Tensor:
    drawn = (own.draws.uniform(own.name, 2) * 2 - 1) * own.strength * own.gate()[:, None]
    return transforms.translation(
        -(drawn[:, 0] * size[1]).round(), -(drawn[:, 1] * size[0]).round()
    )


def _scale(own: OperationDraws, size: Size) -> Tensor:
    factor = own.factor()
    return transforms.scaling(1 / factor, 1 / factor)


def _rotation(when: str) -> GeometricOperation:
    """One of the two rotations, `before` or `after` the stretch."""
    return GeometricOperation(
        name="rotate",
        bundle=Bundle.GEOM,
        needs=Invariance.ROTATE,
        strength=("max", 1.0),
        inverse=lambda own, _: transforms.rotation(own.half_angle(when)),
    )


def _stretch(own: OperationDraws, size: Size) -> Tensor:
    factor = own.factor()
    return transforms.scaling(1 / factor, factor)


def _shift(own: OperationDraws, size: Size) -> Tensor:
    drawn = own.draws.normal(own.name, 2) * own.strength * own.gate()[:, None]
    return transforms.translation(-drawn[:, 0] * size[1], -drawn[:, 1] * size[0])


def _filter(images: Tensor, own: OperationDraws) -> Tensor:
    """Amplify octaves, keeping the expected power (appendix B, image-space filtering)."""
    n, channels, height, width = images.shape
    power = torch.tensor(EXPECTED_POWER)
    gains = torch.ones(n, len(EXPECTED_POWER))
    for band, multiplier in enumerate(own.bands):
        name = f"{own.name}{band}"
        drawn = torch.exp2(own.draws.normal(name, 1)[:, 0] * own.strength)
        acts = own.draws.gate(name, own.probability * multiplier)
        one = torch.ones_like(gains)
        one[:, band] = torch.where((acts > 0) & (multiplier > 0), drawn, 1.0)
        gains = gains * one * (power * one.square()).sum(1, keepdim=True).rsqrt()
    taps = (gains @ octave_bank().to(gains)).to(images)
    kernels = taps.repeat_interleave(channels, dim=0)[:, None]
    flat = _mirrored(images.reshape(1, n * channels, height, width), taps.shape[1] // 2)
    flat = filter_channels(flat, kernels[:, :, None, :])
    return filter_channels(flat, kernels[:, :, :, None]).reshape(images.shape)


def _mirrored(images: Tensor, margin: int) -> Tensor:
    """Mirror images outwards by `margin` pixels, in steps where they are smaller than that."""
    while margin:
        step = min(margin, min(images.shape[2:]) - 1)
        images, margin = pad(images, (step, step, step, step), mode="reflect"), margin - step
    return images


def _noise(images: Tensor, own: OperationDraws) -> Tensor:
    sigma = own.draws.half_normal(own.name) * own.strength * own.gate()
    drawn = own.draws.pixels(f"{own.name}/pixels", tuple(images.shape[1:]))
    return images + (drawn * sigma.to(drawn.device)[:, None, None, None]).to(images.dtype)


def _cutout(images: Tensor, own: OperationDraws) -> Tensor:
    """Set a rectangle to zero."""
    height, width = images.shape[2:]
    size = own.gate() * own.strength
    centre = own.draws.uniform(own.name, 2)
    x, y = (torch.arange(width) + 0.5) / width, (torch.arange(height) + 0.5) / height
    keep_x = ((x[None] - centre[:, :1]).abs() >= size[:, None] / 2).to(images.device)
    keep_y = ((y[None] - centre[:, 1:]).abs() >= size[:, None] / 2).to(images.device)
    return images * (keep_x[:, None, None, :] | keep_y[:, None, :, None])


def hflip(images: Tensor, numbers: Tensor, streams: Streams) -> Tensor:
    """Every image mirrored left to right."""
    return images.flip(3)


def vflip(images: Tensor, numbers: Tensor, streams: Streams) -> Tensor:
    """Every image upside down."""
    return images.flip(2)


def rot90(images: Tensor, numbers: Tensor, streams: Streams) -> Tensor:
    """Every image turned by one to three quarters, or by half where it is not square."""
    quarters = streams.integers("turned", numbers, 3) + 1
    if images.shape[2] != images.shape[3]:
        return images.flip(2, 3)
    return torch.stack([x.rot90(int(k), (1, 2)) for x, k in zip(images, quarters, strict=True)])


def _brighter(images: Tensor, numbers: Tensor, streams: Streams) -> Tensor:
    return images + 0.2 * streams.normal("brightness", numbers, (1, 1, 1))


def _contrast(images: Tensor, numbers: Tensor, streams: Streams) -> Tensor:
    return (images - 0.5) * (0.5 * streams.normal("contrast", numbers, (1, 1, 1))).exp2() + 0.5


def _hue(images: Tensor, numbers: Tensor, streams: Streams) -> Tensor:
    angle = (streams.uniform("hue", numbers, (1,))[:, 0] * 2 - 1) * math.pi
    return torch.einsum("nij,njhw->nihw", transforms.hue_rotation(angle)[:, :3, :3], images)


def _saturation(images: Tensor, numbers: Tensor, streams: Streams) -> Tensor:
    grey = images.mean(1, keepdim=True)
    return grey + (images - grey) * streams.normal("saturation", numbers, (1, 1, 1)).exp2()


STEPS: tuple[AugmentOperation, ...] = (
    GeometricOperation(
        name="xflip",
        bundle=Bundle.BLIT,
        needs=Invariance.MIRROR,
        inverse=_flip,
        leak=("mirrored", hflip),
    ),
    GeometricOperation(
        name="rotate90",
        bundle=Bundle.BLIT,
        needs=Invariance.ROTATE,
        inverse=lambda own, _: transforms.rotation(own.choice(4) * (math.pi / 2)),
        leak=("turned", rot90),
    ),
    GeometricOperation(
        name="xint", bundle=Bundle.BLIT, unasked=True, strength=("max", 0.125), inverse=_whole_shift
    ),
    GeometricOperation(
        name="scale", bundle=Bundle.GEOM, unasked=True, strength=("std", 0.2), inverse=_scale
    ),
    _rotation("before"),
    GeometricOperation(name="aniso", bundle=Bundle.GEOM, strength=("std", 0.2), inverse=_stretch),
    _rotation("after"),
    GeometricOperation(
        name="xfrac", bundle=Bundle.GEOM, unasked=True, strength=("std", 0.125), inverse=_shift
    ),
    ColourOperation(
        name="brightness",
        unasked=True,
        strength=("std", 0.2),
        matrix=lambda own: transforms.colour_shift(own.normal()),
        leak=("brightness", _brighter),
    ),
    ColourOperation(
        name="contrast",
        strength=("std", 0.5),
        matrix=lambda own: transforms.colour_scale(own.factor()),
        leak=("contrast", _contrast),
    ),
    ColourOperation(name="lumaflip", matrix=lambda own: transforms.luma_flip(own.choice(2))),
    ColourOperation(
        name="hue",
        strength=("max", 1.0),
        matrix=lambda own: transforms.hue_rotation(own.angle()),
        grey=False,
        leak=("hue", _hue),
    ),
    ColourOperation(
        name="saturation",
        strength=("std", 1.0),
        matrix=lambda own: transforms.saturation(own.factor()),
        grey=False,
        leak=("saturation", _saturation),
    ),
    ImageOperation(name="imgfilter", bundle=Bundle.FILTER, strength=("std", 1.0), apply=_filter),
    ImageOperation(name="noise", bundle=Bundle.NOISE, strength=("std", 0.1), apply=_noise),
    ImageOperation(name="cutout", bundle=Bundle.CUTOUT, strength=("size", 0.5), apply=_cutout),
)
"""All operations in the order in which they act; rotation acts twice, around the stretch."""

OPERATIONS = {step.name: step for step in STEPS}
STRENGTHS = {s.strength_setting: s.strength[1] for s in OPERATIONS.values() if s.strength}


def _names(*bundles: Bundle) -> tuple[str, ...]:
    return tuple(name for name, each in OPERATIONS.items() if each.bundle in bundles)


BUNDLES = {bundle.value: _names(bundle) for bundle in Bundle} | {
    "bgcfnc"[:count]: _names(*list(Bundle)[:count]) for count in range(2, len(Bundle) + 1)
}
"""The published names of sets of operations."""


def allowed(
    operations: Sequence[str], invariances: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """Operations that leave the meaning of such images alone, and those that do not.

    Args:
        operations: their names.
        invariances: what the images have; None where nobody said.
    """
    kept = [name for name in operations if _allows(invariances, OPERATIONS[name])]
    return kept, [name for name in operations if name not in kept]


def _allows(invariances: Sequence[str] | None, operation: AugmentOperation) -> bool:
    if invariances is None:
        return operation.unasked
    return operation.needs is None or operation.needs in invariances
