"""Copies of images under known transforms, planted to measure how many of them a search finds."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as nnf
from jaxtyping import Float, Int64
from torch import Tensor

from synthograph.core.seeds import Streams
from synthograph.metrics.audit.matcher import Pose, blur, warped

# n image, c channel, h height, w width

Images = Float[Tensor, "n c h w"]
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
    side = CROP[0] + (CROP[1] - CROP[0]) * drawn[:, 0]
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
    contrast = CONTRAST[0] + (CONTRAST[1] - CONTRAST[0]) * drawn[:, 0]
    added = (drawn[:, 1] * 2 - 1) * BRIGHTNESS
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (images - mean) * contrast.view(-1, 1, 1, 1) + mean + added.view(-1, 1, 1, 1)


def blend(images: Images, numbers: Tensor, streams: Streams, others: Images) -> Images:
    """Seven parts of the copy and three of another image."""
    return BLEND * images + (1 - BLEND) * others


IDENTITY = "identity"
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
}


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
