"""Mask generators and their files: safetensors whose header says which network's features they
read, what their classes are, and what they learned from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from jaxtyping import Float, UInt8
from pydantic import JsonValue
from torch import Tensor, nn

from synthograph.annotation.features import FeatureSource
from synthograph.annotation.heads import Head, HeadShape, decide
from synthograph.annotation.image_networks import ImageNetworkShape, chances, unit_range
from synthograph.core.config import Config
from synthograph.core.errors import UserError
from synthograph.core.untrusted.tensors import (
    SizeLimit,
    load_tensors,
    read_tensors,
    select,
    write_tensors,
)
from synthograph.features.mask_networks import MaskNetwork
from synthograph.models.base import NoiseMode
from synthograph.models.registry import style_family
from synthograph.models.snapshot import Snapshot
from synthograph.results.mask_generator import TASK, MaskGeneratorInfo

# n image, s style row, o channel, h height, w width

TOP = 0.1
"""Share of the pixels of an image, those that members disagree on most, that its uncertainty is the
mean of (the published code of Zhang et al. 2021).
"""
EXPECTED = "a file of 'synthograph annotate train'"
NETWORK = "network/"
"""How names of tensors of an image network begin."""
Shape = TypeVar("Shape", bound=Config)


@dataclass(frozen=True)
class Labelled:
    """The mask of an image.

    Attributes:
        mask: class numbers.
        divergence: of the members, per pixel; see `heads.decide`.
    """

    mask: UInt8[Tensor, "h w"]
    divergence: Float[Tensor, "h w"]

    @property
    def uncertainty(self) -> float:
        """Mean divergence of the least certain pixels."""
        values = self.divergence.flatten()
        return float(values.topk(max(1, round(TOP * len(values)))).values.double().mean())


@dataclass(frozen=True)
class MaskGenerator:
    """A trained mask generator.

    Attributes:
        info: the header of its file.
        head: the ensemble.
        network: the image network, if one takes part.
    """

    info: MaskGeneratorInfo
    head: Head
    network: MaskNetwork | None = None

    def to(self, device: str) -> None:
        """Move it."""
        self.head.to(device)
        if self.network is not None:
            self.network.to(device)

    def source(self, snapshot: Snapshot, generator: nn.Module) -> FeatureSource:
        """Where its features come from.

        Args:
            snapshot: the network.
            generator: of the network, on the device and in the precision that it draws with.

        Raises:
            UserError: it was made for another network, or for images of another size.
        """
        info, spec = self.info, snapshot.info.spec
        if info.network_sha256 not in {snapshot.sha256, snapshot.info.converted_from}:
            raise UserError(
                f"the mask generator reads features of the network {info.network} "
                f"({info.network_sha256:.16}), and {snapshot.path} is {snapshot.sha256:.16}: give "
                "--network the one that it was trained on"
            )
        if (info.height, info.width) != (spec.height, spec.width):
            raise UserError(
                f"the mask generator's file is damaged: its masks are {info.width}x{info.height} "
                f"pixels, the images {spec.width}x{spec.height}; train it anew"
            )
        if self.network is not None and len(self.network.mean) != spec.channels:
            raise UserError(
                "the mask generator's file is damaged: its image network takes "
                f"{len(self.network.mean)} channels, the images have {spec.channels}; train it anew"
            )
        kind, noise = style_family(snapshot.info.family), NoiseMode(info.drawing.noise)
        return FeatureSource(kind, generator, noise, self.head.shape.patch)

    def label(
        self, source: FeatureSource, ws: Float[Tensor, "n s w"]
    ) -> tuple[Float[Tensor, "n o hh ww"], list[Labelled]]:
        """Images of styles, and their masks.

        Args:
            source: of its own network.
            ws: of a few images, on the device of head and generator.

        Raises:
            UserError: the network has other layers than the file says.
        """
        images, layers = source.draw(ws)
        refuse_layers(layers, self.head.channels)
        size, vote, found = (self.info.height, self.info.width), self.head.shape.vote, []
        shown = unit_range(images)
        for image, own in zip(shown, self.head.probabilities(layers, size), strict=True):
            network = None if self.network is None else chances(self.network, image)
            mask, divergence = decide(own, vote=vote, network=network)
            found.append(Labelled(mask.cpu(), divergence.cpu()))
        return images, found


def refuse_layers(layers: Sequence[Tensor], channels: Sequence[int]) -> None:
    """Refuse layers of other channels.

    Raises:
        UserError: they are.
    """
    found = [layer.shape[1] for layer in layers]
    if found != list(channels):
        raise UserError(
            f"the mask generator's file is damaged: it names layers of {list(channels)} channels, "
            f"the network has {found}: train it anew with 'synthograph annotate train'"
        )


def save(path: Path, generator: MaskGenerator) -> None:
    """Write a mask generator atomically."""
    tensors = generator.head.state_dict()
    if generator.network is not None:
        tensors |= {f"{NETWORK}{n}": t for n, t in generator.network.state_dict().items()}
    write_tensors(path, tensors, generator.info.tree())


def load(path: Path) -> MaskGenerator:
    """Read a mask generator, on the CPU; nothing in the file is executed.

    Raises:
        UserError: it cannot be read, is no mask generator, or contradicts itself.
    """
    tensors, document = read_tensors(path, EXPECTED)
    if document.get("task") != TASK:
        raise UserError(f"{path}: is no mask generator: give {EXPECTED}")
    info = MaskGeneratorInfo.parse(document, str(path))
    shape, classes, network = _shape(HeadShape, info.head, "head", path), len(info.classes), None
    with SizeLimit(path):
        head = Head(shape, info.channels, classes)
        if info.image_network is not None:
            network = _shape(ImageNetworkShape, info.image_network, "image_network", path).build(
                classes
            )
    if network is not None:
        load_tensors(network.eval(), select(tensors, NETWORK), path)
        tensors = {n: t for n, t in tensors.items() if not n.startswith(NETWORK)}
    load_tensors(head, tensors, path)
    return MaskGenerator(info, head.eval(), network)


def _shape(kind: type[Shape], document: JsonValue, name: str, path: Path) -> Shape:
    """A shape as a file states it.

    Raises:
        UserError: it is none.
    """
    if not isinstance(document, dict):
        raise UserError(f"{path}: {name} is no object: give {EXPECTED}")
    try:
        return kind.parse(document)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
