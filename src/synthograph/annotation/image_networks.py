"""A small network that sees whole images, as one more opinion on their masks.

Heads know of a pixel what the generator knows there, and hardly see beyond it. A network that
learns from the painted images alone, moved and changed in many ways, errs elsewhere. So the mean of
both is better than either (docs/results/masks.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from pydantic import Field
from torch import Tensor

from synthograph.annotation.training import folds
from synthograph.core.config import Config
from synthograph.core.devices import is_gpu
from synthograph.core.progress import Track
from synthograph.core.seeds import Streams, stream_key
from synthograph.features.mask_networks import MaskNetwork, depth_for, mask_loss
from synthograph.ops.image_transforms import Transforms
from synthograph.stats.masks import IGNORED

# n image, c channel, h height, w width, k class

WINDOW = 128
"""Longest side of what is learned from at once; a part of larger images, at random."""
AT_ONCE = 1 << 13
"""Pixels that are learned from at once."""


class ImageNetworkShape(Config):
    """What an image network is.

    Attributes:
        channels: of the images.
        network: see `features.mask_networks`; `width` channels at first, `depth` halvings.
    """

    channels: int = Field(ge=1, le=4096)
    network: str = "unet"
    width: int = Field(16, ge=1, le=512)
    depth: int = Field(ge=1, le=8)

    def build(self, classes: int) -> MaskNetwork:
        """The network with random weights.

        Raises:
            UserError: its name is unknown, or MONAI is not there.
        """
        return MaskNetwork(self.network, self.channels, classes, width=self.width, depth=self.depth)


class ImageNetworkConfig(Config):
    """How an image network is trained.

    Attributes:
        steps: each on `batch` images, or fewer large ones; `more` for every image.
        rate: of AdamW; falls to 0 along a half cosine.
        decay: of its weights.
    """

    steps: int = Field(400, ge=1)
    more: int = Field(10, ge=0)
    batch: int = Field(8, ge=1)
    rate: float = Field(5e-3, gt=0)
    decay: float = Field(0.01, ge=0)


@dataclass(frozen=True)
class PaintedImages:
    """What is learned from.

    Attributes:
        images: values in [0, 1].
        masks: class ids, or `IGNORED`.
        classes: how many.
        transforms: of images and masks.
        groups: patient of every image, by 0, 1, 2 ...; empty where each is of its own.
    """

    images: Float[Tensor, "n c h w"]
    masks: UInt8[Tensor, "n h w"]
    classes: int
    transforms: Transforms
    groups: Sequence[int] = ()

    @property
    def shape(self) -> ImageNetworkShape:
        """What fits images of this size."""
        _, channels, height, width = self.images.shape
        return ImageNetworkShape(channels=channels, depth=depth_for(height, width))


def unit_range(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """What a generator draws, about -1..1, as image networks see it: 0..1."""
    return ((images.float() + 1) / 2).clamp(0, 1)


def fit_network(
    config: ImageNetworkConfig, painted: PaintedImages, chosen: Sequence[int], seed: int
) -> MaskNetwork:
    """Train a network on some of the images, by their numbers."""
    images, masks = painted.images[list(chosen)], painted.masks[list(chosen)]
    device, streams = images.device, Streams(seed).under("annotate/network")
    with torch.random.fork_rng(devices=[device] if is_gpu(device) else []):
        torch.manual_seed(stream_key(seed, "annotate/network")[0])
        network = painted.shape.build(painted.classes)
    deviation, mean = torch.std_mean(images, (0, 2, 3))
    network.standardise(mean.tolist(), deviation.tolist())
    network.to(device)
    area = min(images.shape[2], WINDOW) * min(images.shape[3], WINDOW)
    batch = max(1, min(config.batch, AT_ONCE // area))
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=config.rate, weight_decay=config.decay, fused=True
    )
    steps = config.steps + config.more * len(chosen)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        indices = torch.arange(step * batch, (step + 1) * batch)
        rows = streams.order("order", indices, len(chosen)).to(device)
        shown, truth = painted.transforms.with_masks(images[rows], masks[rows], indices, IGNORED)
        window = _window(shown.shape[2:], streams.uniform("window", indices[:1], (2,))[0])
        loss = mask_loss(network(shown[:, :, *window]), truth[:, *window], IGNORED)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        falling.step()
    return network.eval()


def _window(size: Sequence[int], place: Float[Tensor, "2"]) -> tuple[slice, slice]:
    """A part of images of a size, where two numbers in [0, 1) say."""
    rows, columns = (
        slice(start := int(at * (max(side - WINDOW, 0) + 1)), start + min(side, WINDOW))
        for side, at in zip(size, place.tolist(), strict=True)
    )
    return rows, columns


def chances(network: MaskNetwork, image: Float[Tensor, "c h w"]) -> Float[Tensor, "k h w"]:
    """Probabilities of the classes of every pixel of an image, values in [0, 1].

    Images go one by one: what becomes of one depends on no other, nor does the memory it takes.
    """
    with torch.no_grad():
        return network(image[None])[0].softmax(0)


def leave_out_network(
    config: ImageNetworkConfig,
    painted: PaintedImages,
    seed: int,
    track: Track = lambda items, total: items,
) -> list[Float[Tensor, "k h w"]]:
    """Probabilities of every image, of two patients or more, by a network that never saw its
    patient, in half precision on the host, as there may be many.
    """
    count = len(painted.images)
    found: dict[int, Tensor] = {}
    parts = folds(painted.groups or range(count))
    for fold in track(parts, len(parts)):
        rest = [number for number in range(count) if number not in fold]
        network = fit_network(config, painted, rest, seed)
        found |= {number: chances(network, painted.images[number]).half().cpu() for number in fold}
    return [found[number] for number in range(count)]
