"""Mask generators and their files: safetensors whose header says which network's features they
read, what their classes are, and what they learned from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float, UInt8
from torch import Tensor, nn

from synthograph.annotation.features import FeatureSource
from synthograph.annotation.heads import Head, HeadShape, decide
from synthograph.core.errors import UserError
from synthograph.core.untrusted.tensors import SizeLimit, load_tensors, read_tensors, write_tensors
from synthograph.models.base import NoiseMode
from synthograph.models.registry import style_family
from synthograph.models.snapshot import Snapshot
from synthograph.results.mask_generator import TASK, MaskGeneratorInfo

# n image, s style row, o channel, h height, w width

TOP = 0.1
"""Share of the pixels of an image, those that members disagree on most, that its uncertainty is the
mean of (the published code of Zhang et al. 2021).
"""


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
    """

    info: MaskGeneratorInfo
    head: Head

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
        for probabilities in self.head.probabilities(layers, size):
            mask, divergence = decide(probabilities, vote=vote)
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
    write_tensors(path, generator.head.state_dict(), generator.info.tree())


def load(path: Path) -> MaskGenerator:
    """Read a mask generator, on the CPU; nothing in the file is executed.

    Raises:
        UserError: it cannot be read, is no mask generator, or contradicts itself.
    """
    expected = "a file of 'synthograph annotate train'"
    tensors, document = read_tensors(path, expected)
    if document.get("task") != TASK:
        raise UserError(f"{path}: is no mask generator: give {expected}")
    info = MaskGeneratorInfo.parse(document, str(path))
    if not isinstance(info.head, dict):
        raise UserError(f"{path}: head is no object: give {expected}")
    try:
        shape = HeadShape.parse(info.head)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    with SizeLimit(path):
        head = Head(shape, info.channels, len(info.classes))
    load_tensors(head, tensors, path)
    return MaskGenerator(info, head.eval())
