"""Integer images to a network's input: window, channels, resizing, mean and deviation.

Every rule is also available in words, which results record.
"""

import enum
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8, UInt16
from torch import Tensor
from torch.nn.functional import interpolate

from synthograph.core.errors import UserError

# n image, c channel, u v sides of the network's input, g group of channels

WINDOW = "16-bit values times 255/65535: the full range, whatever the image holds"
CHANNELS = (
    "grey is repeated to 3 channels; of 2 channels the third is their mean; more than 3 are taken "
    "in threes, in their order, and the features of the threes are averaged"
)
SINGLES = "the network sees every channel by itself; the features of the channels are averaged"
IMAGENET_MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
IMAGENET_DEVIATION = (0.229 * 255, 0.224 * 255, 0.225 * 255)

Images = UInt8[Tensor, "n c h w"] | UInt16[Tensor, "n c h w"]


class Resize(enum.Enum):
    """How images are resized to the network's size; the value is the rule in words."""

    ANTIALIASED = "bilinear with antialiasing, half-pixel centres"
    TENSORFLOW1 = (
        "bilinear as TensorFlow 1: no antialiasing, pixel i lies at i * old / new, edges repeated"
    )
    PILLOW = (
        "bicubic as Pillow: antialiasing, half-pixel centres, cut to 0 ... 255 after each of the "
        "two directions, and rounded there where images have 8 bits"
    )


@dataclass(frozen=True)
class Preprocess:
    """Converts integer images to a network's input.

    Attributes:
        size: side of the square input.
        resize: the rule; images of that size stay as they are under every rule.
        mean: subtracted from values that are 0 ... 255, per channel of the network.
        deviation: what they are divided by then.
    """

    size: int
    resize: Resize = Resize.ANTIALIASED
    mean: tuple[float, ...] = IMAGENET_MEAN
    deviation: tuple[float, ...] = IMAGENET_DEVIATION

    @property
    def channels(self) -> int:
        """Channels of the network's input."""
        return len(self.mean)

    def takes(self, channels: int) -> bool:
        """Whether images of so many channels are accepted."""
        return self.channels in (1, 3, channels)

    def __call__(self, images: Images, device: torch.device) -> Float[Tensor, "g n c2 u v"]:
        """Inputs of the network.

        Args:
            images: uint8 or uint16 of any size and number of channels.
            device: where to compute.

        Returns:
            One set of inputs per group of channels; one group for up to 3 channels.

        Raises:
            UserError: the network takes neither 1 nor 3 channels, and not as many as there are.
        """
        x = self._grouped(full_window(images.to(device)))
        count, n = x.shape[:2]
        x = resized(x.flatten(0, 1), self.size, self.resize, whole=images.dtype == torch.uint8)
        mean, deviation = (
            torch.tensor(values, device=device).view(-1, 1, 1)
            for values in (self.mean, self.deviation)
        )
        return ((x - mean) / deviation).unflatten(0, (count, n))

    def _grouped(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "g n c2 h w"]:
        """Channels as the network wants them."""
        if self.channels == 3:
            return groups_of_three(x)
        if self.channels == 1:
            return x.transpose(0, 1).unsqueeze(2)
        if not self.takes(x.shape[1]):
            raise UserError(
                f"images have {x.shape[1]} channels, the network takes {self.channels}: give it "
                "images of those, or take another extractor"
            )
        return x.unsqueeze(0)

    def _rule(self) -> str:
        """What `_grouped` does, in words."""
        if self.channels == 3:
            return CHANNELS
        return SINGLES if self.channels == 1 else f"all {self.channels}, in their order"

    def describe(self) -> dict[str, object]:
        """The rules as plain data."""
        return {
            "input_size": self.size,
            "resizing": self.resize.value,
            "channels": self._rule(),
            "window": WINDOW,
            "mean": list(self.mean),
            "deviation": list(self.deviation),
        }


def check_images(images: Tensor) -> None:
    """Refuse anything but a batch of integer images.

    Raises:
        UserError: another shape or number type.
    """
    if images.ndim != 4 or 0 in images.shape[1:]:
        raise UserError(f"images must be [n, channels, h, w], got {tuple(images.shape)}")
    if images.dtype not in (torch.uint8, torch.uint16):
        raise UserError(f"images must be uint8 or uint16, got {images.dtype}")


def full_window(images: Images) -> Float[Tensor, "n c h w"]:
    """Values 0 ... 255 as fractional numbers: 8-bit as they are, 16-bit by `WINDOW`."""
    values = images.to(torch.float32)
    return values if images.dtype == torch.uint8 else values * (255 / 65535)


def groups_of_three(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "g n 3 h w"]:
    """Channels as the network wants them, by the rule `CHANNELS`."""
    return torch.stack([_three(group) for group in x.split(3, dim=1)])


def _three(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 h w"]:
    channels = x.shape[1]
    if channels == 1:
        return x.expand(-1, 3, -1, -1)
    return x if channels == 3 else torch.cat((x, x.mean(dim=1, keepdim=True)), dim=1)


def resized(
    x: Float[Tensor, "n c h w"], size: int, rule: Resize, *, whole: bool = False
) -> Float[Tensor, "n c u v"]:
    """Images of `size` x `size`; the aspect ratio is not kept, as in the published measures.

    Args:
        x: values 0 ... 255.
        size: side to resize to.
        rule: how.
        whole: whether the values come from 8-bit images, which Pillow keeps whole.
    """
    if x.shape[2:] == (size, size):
        return x
    if not x.shape[0]:
        return x.new_zeros((0, x.shape[1], size, size))
    if rule is Resize.TENSORFLOW1:
        return _between(_between(x, size, 3), size, 2)
    if rule is Resize.PILLOW:
        for sides in ((x.shape[2], size), (size, size)):
            x = interpolate(x, sides, mode="bicubic", antialias=True, align_corners=False)
            x = x.clamp(0, 255).round() if whole else x.clamp(0, 255)
        return x
    return interpolate(x, (size, size), mode="bilinear", antialias=True, align_corners=False)


def _between(x: Float[Tensor, "n c h w"], size: int, axis: int) -> Float[Tensor, "n c u v"]:
    """Linear interpolation along one axis in the convention of TensorFlow 1.

    Source: resize_bilinear of TensorFlow 1 with align_corners=False; the positions are i * old/new,
    without the half-pixel shift of later versions.
    """
    old = x.shape[axis]
    places = torch.arange(size, dtype=torch.float32) * torch.tensor(old / size)  # as there
    low = places.floor().to(torch.int64)
    high = (low + 1).clamp(max=old - 1)
    shape = [1] * x.ndim
    shape[axis] = size
    part = (places - low).to(x.dtype).view(shape).to(x.device)
    below = x.index_select(axis, low.to(x.device))
    return below + (x.index_select(axis, high.to(x.device)) - below) * part


def chunk_for(size: int) -> int:
    """Images that go through a network at once: about a million input pixels."""
    return max(1, math.ceil((1 << 18) / size**2))
