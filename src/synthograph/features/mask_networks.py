"""Networks from images to a class for every pixel, and the loss that trains them.

They are MONAI's, for images of any channels and any size: sides are filled up to what the network
halves evenly, and cut again. Images of all modalities go in together.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.features.monai_networks import monai_class

# n image, c channel, k class, h height, w width

MIN_INNER = 2
"""Pixels that the smallest maps keep along each side: one pixel has no spread to normalise by."""
DEPTH = 4
LEAST = 1e-4
"""Standard deviation of a channel that holds next to nothing."""


class MaskNetwork(nn.Module):
    """A network between a standardisation by the training images and a class for every pixel.

    Attributes:
        inner: the network itself.
        multiple: both sides of its images must be multiples of this.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, name: str, channels: int, classes: int, *, width: int, depth: int):
        super().__init__()
        self.multiple = 2**depth
        widths = [width << level for level in range(depth + 1)]
        self.inner = _inner(name, channels, classes, widths)
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("scale", torch.ones(channels, 1, 1))

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """Logits of every class.

        Args:
            images: numbers 0..1.
        """
        height, width = images.shape[2:]
        standard = (images - self.mean) / self.scale
        extra = [self._filled(side) - side for side in (width, height)]
        edges = [end for more in extra for end in (more // 2, more - more // 2)]
        found: Tensor = self.inner(nn.functional.pad(standard, edges, mode="replicate"))
        return found[:, :, edges[2] : edges[2] + height, edges[0] : edges[0] + width]

    def _filled(self, side: int) -> int:
        return max(-(-side // self.multiple), MIN_INNER) * self.multiple

    def standardise(self, mean: Sequence[float], scale: Sequence[float]) -> None:
        """Take mean and standard deviation of every channel of the training images."""
        self.mean.copy_(torch.tensor(mean)[:, None, None])
        self.scale.copy_(torch.tensor(scale).clamp(min=LEAST)[:, None, None])


NETWORKS: dict[str, tuple[str, dict[str, int]]] = {
    "unet": ("UNet", {}),
    "residual-unet": ("UNet", {"num_res_units": 2}),
    "attention-unet": ("AttentionUnet", {}),
}
"""MONAI's class, and what else it is told. Ronneberger et al. 2015; with residual units Kerfoot et
al. 2019, "Left-ventricle quantification using residual U-Net"; with attention gates Oktay et al.
2018.
"""


def _inner(name: str, channels: int, classes: int, widths: list[int]) -> nn.Module:
    if name not in NETWORKS:
        raise UserError(f"network {name!r} is unknown: {nearest(name, NETWORKS)}")
    of_monai, more = NETWORKS[name]
    return monai_class(of_monai, "pip install 'synthograph[segment]'")(
        spatial_dims=2,
        in_channels=channels,
        out_channels=classes,
        channels=widths,
        strides=[2] * (len(widths) - 1),
        **more,
    )


def depth_for(height: int, width: int) -> int:
    """How often images of a size are halved: `DEPTH` times, small ones less often."""
    return max(1, min(DEPTH, (min(height, width) // MIN_INNER).bit_length() - 1))


def mask_loss(
    logits: Float[Tensor, "n k h w"], classes: UInt8[Tensor, "n h w"], ignored: int
) -> Float[Tensor, ""]:
    """Mean cross-entropy of the pixels, plus one minus the mean Dice of the classes.

    Dice is taken over all images of the batch (Milletari et al. 2016, with sums in place of
    squares), of those classes but the background that the batch has. Both are computed in float32.

    Args:
        logits: of every class.
        classes: class numbers, or `ignored`.
        ignored: pixels that count for nothing.
    """
    known = classes != ignored
    target = torch.where(known, classes, 0).long()
    logs = logits.float().log_softmax(1)
    entropy = -logs.gather(1, target[:, None])[:, 0]
    entropy = (entropy * known).sum() / known.sum().clamp(min=1)
    truth = nn.functional.one_hot(target, logits.shape[1]).movedim(3, 1) * known[:, None]
    said = logs.exp() * known[:, None]
    hits, pixels = (truth * said).sum((0, 2, 3))[1:], truth.sum((0, 2, 3))[1:]
    dice = 2 * hits / (pixels + said.sum((0, 2, 3))[1:]).clamp(min=1e-6)
    there = pixels > 0
    return entropy + 1 - (dice * there).sum() / there.sum().clamp(min=1)
