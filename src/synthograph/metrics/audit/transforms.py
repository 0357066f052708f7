"""Copies of images under known transforms, planted to measure how many of them a search finds."""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as nnf
from jaxtyping import Float, Int64
from torch import Tensor

from synthograph.core.seeds import Streams
from synthograph.metrics.audit.matcher import LUMA, Pose, blur, warped
from synthograph.metrics.defects import jpeg_of

# n image, c channel, h height, w width

Images = Float[Tensor, "n c h w"]
Number = TypeVar("Number", float, Tensor)
Planter = Callable[[Images, Int64[Tensor, " n"], Streams, Images], Images]
"""Images in [0, 1], their numbers (which key the draws), the draws, other images -> copies."""

ANGLE = 20.0
"""Degrees of a rotation at most."""
CROP = (0.8, 0.95)
"""Side of a cut-out, as a share of the image's."""
ELASTIC = 0.02
"""Deviation of an elastic shift, as a share of the longest side."""
BLUR = (0.01, 0.03)
"""Deviation of a blur, as a share of the longest side."""
CONTRAST, BRIGHTNESS = (0.7, 1.3), 0.15
BLEND = 0.7
"""Share of the copy in a blend with another image."""
QUALITY = (30, 95)
"""Of JPEG; half of the copies with 4:2:0, half with 4:4:4."""
NOISE = (0.01, 0.05)
"""Deviation of noise, as a share of the range of values."""
GAMMA = 0.7
"""Doublings or halvings of the exponent of brightness, at most."""
LEVELS = (6, 16)
"""Values that a posterised channel can have."""
SMALLER = (0.4, 0.75)
"""Side of an image that is resized down and up again, as a share."""
PADDED = (0.7, 0.95)
"""Side of what a border leaves of an image, as a share."""
BAR, FRAME = (0.02, 0.16), (0.0, 0.1)
"""Heights of the title bar of a screenshot and widths of its frame, as shares of a side."""


def _between(ends: tuple[float, float], drawn: Number) -> Number:
    """Uniform numbers in [0, 1), moved to between two ends."""
    return ends[0] + (ends[1] - ends[0]) * drawn


def identity(images: Images, numbers: Tensor, streams: Streams, others: Images) -> Images:
    """The image itself."""
    return images


def flip(images: Images, numbers: Tensor, streams: Streams, others: Images) -> Images:
    """Mirrored, left to right or top to bottom."""
    upright = streams.integers("flip", numbers, 2).view(-1, 1, 1, 1) == 1
    return torch.where(upright, images.flip(2), images.flip(3))


def turn(images: Images, numbers: Tensor, streams: Streams, others: Images) -> Images:
    """One, two or three quarter turns; images that are not square are turned by half."""
    if images.shape[2] != images.shape[3]:
        return images.flip(2, 3)
    quarters = streams.integers("turn", numbers, 3) + 1
    return torch.stack(
        [each.rot90(int(k), (1, 2)) for each, k in zip(images, quarters, strict=True)]
    )


def rotate(images: Images, numbers: Tensor, streams: Streams, others: Images) -> Images:
    """Rotated by up to 20 degrees either way; corners repeat the border."""
    angle = (streams.uniform("rotate", numbers, (1,))[:, 0] * 2 - 1) * math.radians(ANGLE)
    cos, sin = angle.cos(), angle.sin()
    matrix = torch.stack((cos, -sin, sin, cos), dim=1).view(-1, 2, 2)
    return warped(images, Pose(matrix, torch.zeros(len(images), 2)), "border")[0]


def crop(images: Images, numbers: Tensor, streams: Streams, others: Images) -> Images:
    """A cut-out of 0.8 to 0.95 of the sides, anywhere, enlarged to the size of the image."""
    drawn = streams.uniform("crop", numbers, (3,))
    side = _between(CROP, drawn[:, 0])
    longest = max(images.shape[2:])
    extent = torch.tensor([images.shape[3] / longest, images.shape[2] / longest])
    matrix = side[:, None, None] * torch.eye(2)
    shift = (drawn[:, 1:] * 2 - 1) * (1 - side[:, None]) * extent
    return warped(images, Pose(matrix, shift), "border")[0]


def elastic(images: Images, numbers: Tensor, streams: Streams, others: Images) -> Images:
    """Shifted by a smooth random field."""
    n, _, h, w = images.shape
    field = streams.normal("elastic", numbers, (2, 4, 4)) * ELASTIC * 2
    field = nnf.interpolate(field, size=(h, w), mode="bicubic", align_corners=True)
    y = (torch.arange(h) * 2 + 1) / h - 1
    x = (torch.arange(w) * 2 + 1) / w - 1
    places = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1)
    longest = max(h, w)
    shifts = field.permute(0, 2, 3, 1) * torch.tensor([longest / w, longest / h])
    return nnf.grid_sample(
        images, places + shifts, mode="bilinear", padding_mode="border", align_corners=False
    )


def blurred(images: Images, numbers: Tensor, streams: Streams, others: Images) -> Images:
    """Out of focus; half of the images more, half less."""
    known = torch.ones_like(images[:1, :1])
    sigmas = [share * max(images.shape[2:]) for share in BLUR]
    little, much = (blur(images, sigma) / blur(known, sigma) for sigma in sigmas)
    more = streams.integers("blur", numbers, 2).view(-1, 1, 1, 1) == 1
    return torch.where(more, much, little)


def intensity(images: Images, numbers: Tensor, streams: Streams, others: Images) -> Images:
    """Other contrast and brightness, the same for all channels."""
    drawn = streams.uniform("intensity", numbers, (2,))
    contrast = _between(CONTRAST, drawn[:, 0])
    added = (drawn[:, 1] * 2 - 1) * BRIGHTNESS
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (images - mean) * contrast.view(-1, 1, 1, 1) + mean + added.view(-1, 1, 1, 1)


def blend(images: Images, numbers: Tensor, streams: Streams, others: Images) -> Images:
    """Seven parts of the copy and three of another image."""
    return BLEND * images + (1 - BLEND) * others


def jpeg(images: Images, numbers: Tensor, streams: Streams, others: Images) -> Images:
    """Compressed as JPEG of quality 30 to 95, 4:2:0 or 4:4:4; channels beyond colours as grey."""
    drawn = streams.uniform("jpeg", numbers, (2,))
    qualities = QUALITY[0] + ((QUALITY[1] - QUALITY[0]) * drawn[:, 0]).round()
    settings = zip(qualities.tolist(), (drawn[:, 1] < 0.5).tolist(), strict=True)
    return torch.stack(
        [
            compressed(image, int(quality), halved=halved)
            for image, (quality, halved) in zip(images, settings, strict=True)
        ]
    )


def compressed(image: Float[Tensor, "c h w"], quality: int, *, halved: bool) -> Tensor:
    """An image as JPEG; `halved`: colours at half the resolution (4:2:0)."""
    values = (image * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    parts = [values[:3], *values[3:, None]] if len(values) >= 3 else values[:, None]
    found = [jpeg_of(part, quality, subsampling=2 * halved) for part in parts]
    return torch.from_numpy(np.concatenate(found)).to(torch.float32) / 255


def grey(images: Images, numbers: Tensor, streams: Streams, others: Images) -> Images:
    """Without colour."""
    weights = torch.tensor(LUMA).view(1, 3, 1, 1)
    plain = (images[:, :3] * weights).sum(1, keepdim=True).expand(-1, 3, -1, -1)
    return torch.cat((plain, images[:, 3:]), dim=1)


def noise(images: Images, numbers: Tensor, streams: Streams, others: Images) -> Images:
    """With normal noise."""
    drawn = streams.uniform("noise", numbers, (1, 1, 1))
    added = streams.normal("noise/values", numbers, tuple(images.shape[1:]))
    return images + _between(NOISE, drawn) * added


def gamma(images: Images, numbers: Tensor, streams: Streams, others: Images) -> Images:
    """Brightness by a power."""
    drawn = streams.uniform("gamma", numbers, (1, 1, 1)) * 2 - 1
    return images.clamp(0, 1) ** torch.exp2(GAMMA * drawn)


def posterise(images: Images, numbers: Tensor, streams: Streams, others: Images) -> Images:
    """With few values per channel."""
    span = LEVELS[1] - LEVELS[0] + 1
    steps = streams.integers("posterise", numbers, span).view(-1, 1, 1, 1) + LEVELS[0] - 1
    return (images * steps).round() / steps


def resize(images: Images, numbers: Tensor, streams: Streams, others: Images) -> Images:
    """Resized down and up again."""
    shares = _between(SMALLER, streams.uniform("resize", numbers, (1,))[:, 0])
    sides, copies = images.shape[2:], []
    for image, share in zip(images, shares.tolist(), strict=True):
        small = _fitted(image, [max(2, round(side * share)) for side in sides])
        copies.append(_fitted(small, sides))
    return torch.stack(copies)


def _fitted(image: Float[Tensor, "c _ _"], size: Sequence[int]) -> Float[Tensor, "c h w"]:
    return nnf.interpolate(
        image[None], size=tuple(size), mode="bicubic", antialias=True, align_corners=False
    )[0].clamp(0, 1)


def pad(images: Images, numbers: Tensor, streams: Streams, others: Images) -> Images:
    """Smaller, anywhere on black, grey or white."""
    drawn = streams.uniform("pad", numbers, (4,)).tolist()
    copies = []
    for image, (share, place, other, shade) in zip(images, drawn, strict=True):
        side = _between(PADDED, share)
        ground = torch.full_like(image, math.floor(3 * shade) / 2)
        h, w = image.shape[1:]
        size = (round(h * side), round(w * side))
        corner = (round((h - size[0]) * place), round((w - size[1]) * other))
        copies.append(_placed(image, ground, corner, size))
    return torch.stack(copies)


def screenshot(images: Images, numbers: Tensor, streams: Streams, others: Images) -> Images:
    """Below a coloured title bar, in a frame of another shade with four widths."""
    drawn = streams.uniform("screenshot", numbers, (4,)).tolist()
    shades = streams.uniform("screenshot/shades", numbers, (images.shape[1] + 1,))
    copies = []
    for image, (bar, left, right, below), shade in zip(images, drawn, shades, strict=True):
        h, w = image.shape[1:]
        top = max(1, round(h * _between(BAR, bar)))
        ends = [round(n * FRAME[1] * by) for n, by in ((w, left), (w, right), (h, below))]
        ground = torch.full_like(image, float(shade[-1]))
        ground[:, :top] = shade[:-1, None, None]
        copies.append(
            _placed(image, ground, (top, ends[0]), (h - top - ends[2], w - ends[0] - ends[1]))
        )
    return torch.stack(copies)


def _placed(
    image: Float[Tensor, "c h w"],
    ground: Float[Tensor, "c h w"],
    corner: tuple[int, int],
    size: tuple[int, int],
) -> Float[Tensor, "c h w"]:
    """An image resized and laid on a ground."""
    (top, left), (h, w) = corner, size
    ground[:, top : top + h, left : left + w] = _fitted(image, size)
    return ground


IDENTITY = "identity"
GREY = "grey"
TRANSFORMS: dict[str, Planter] = {
    IDENTITY: identity,
    "flip": flip,
    "turn": turn,
    "rotate": rotate,
    "crop": crop,
    "elastic": elastic,
    "blur": blurred,
    "intensity": intensity,
    "blend": blend,
    "jpeg": jpeg,
    GREY: grey,
    "noise": noise,
    "gamma": gamma,
    "posterise": posterise,
    "resize": resize,
    "pad": pad,
    "screenshot": screenshot,
}


def plantable(channels: int) -> list[str]:
    """The transforms that change images of so many channels."""
    return [name for name in TRANSFORMS if name != GREY or channels >= 3]


def plant(
    name: str, pixels: Tensor, numbers: Int64[Tensor, " n"], streams: Streams, others: Tensor
) -> Tensor:
    """Copies of integer images under a transform, as integers of the same kind.

    Args:
        name: of the transform, a key of `TRANSFORMS`.
        pixels: uint8 or uint16 [n, c, h, w].
        numbers: of the images; a number always gets the same draw.
        streams: of the draws.
        others: images of the same kind to blend with.
    """
    largest = 255 if pixels.dtype == torch.uint8 else 65535
    images, more = (each.to(torch.float32) / largest for each in (pixels, others))
    copies = TRANSFORMS[name](images, numbers, streams, more)
    return (copies * largest).round().clamp(0, largest).to(torch.int32).to(pixels.dtype)
