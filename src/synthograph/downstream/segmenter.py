"""Segmenters: networks of `features/mask_networks.py` that were trained, and their files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pydantic
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.core.untrusted.tensors import SizeLimit, load_tensors, write_tensors
from synthograph.downstream.trained import TrainedInfo, read_trained
from synthograph.features.mask_networks import MaskNetwork

# n image, c channel, h height, w width


class SegmenterInfo(TrainedInfo):
    """What the header of a segmenter's file holds beside what all have.

    Attributes:
        network: its name in `features.mask_networks.NETWORKS`; `width` channels after the first
            layer, twice as many after each of `depth` halvings.
        values: mask value of every class; the first is the background.
        counts: real and synthetic training images.
        shares: of the pixels of the training masks that each class has.
    """

    noun = "segmenter"
    task: Literal["segment"] = "segment"
    network: str
    width: int = pydantic.Field(ge=1, le=512)
    depth: int = pydantic.Field(ge=1, le=8)
    values: list[Annotated[int, pydantic.Field(ge=0, le=255)]]
    counts: dict[str, int]
    shares: list[float]


@dataclass(frozen=True)
class Segmenter:
    """A trained segmenter."""

    info: SegmenterInfo
    network: MaskNetwork

    def predict(self, images: Float[Tensor, "n c h w"]) -> UInt8[Tensor, "n h w"]:
        """The most probable class of every pixel.

        Args:
            images: numbers 0..1, modalities one after the other.
        """
        device = self.network.mean.device
        with torch.inference_mode():
            return self.network(images.to(device)).argmax(1).to(torch.uint8).cpu()


def save(path: Path, segmenter: Segmenter) -> None:
    """Write a segmenter atomically."""
    write_tensors(path, segmenter.network.state_dict(), segmenter.info.tree())


def load(path: Path, device: torch.device) -> Segmenter:
    """Read a segmenter; nothing in the file is executed.

    Raises:
        UserError: it cannot be read, is no segmenter, or contradicts itself.
    """
    info, tensors = read_trained(path, SegmenterInfo)
    if len(info.values) != len(info.classes):
        raise UserError(
            f"{path}: is a damaged segmenter ({len(info.classes)} classes, {len(info.values)} "
            "mask values)"
        )
    with SizeLimit(path):
        network = build(info)
    load_tensors(network, tensors, path)
    return Segmenter(info, network.to(device).eval())


def build(info: SegmenterInfo) -> MaskNetwork:
    """The network that a header describes, with random weights."""
    return MaskNetwork(
        info.network, info.spec.channels, len(info.classes), width=info.width, depth=info.depth
    )
