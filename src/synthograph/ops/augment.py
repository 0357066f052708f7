"""The augmentation pipeline of StyleGAN2-ADA, for any number of modalities.

Every operation acts on an image with probability (its multiplier) x p. All geometry is one affine
map per image, shared by its modalities; all colour operations of a modality are one matrix. Source:
Karras et al. 2020, "Training generative adversarial networks with limited data", appendix B.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from synthograph.ops.draws import Draws, FixedDraws, GlobalDraws
from synthograph.ops.operations import (
    OPERATIONS,
    STEPS,
    STRENGTHS,
    AugmentOperation,
    ColourOperation,
    GeometricOperation,
    ImageOperation,
    Kind,
    OperationDraws,
    Size,
)
from synthograph.ops.warp import warp


class AugmentPipe(nn.Module):
    """The pipeline.

    Args:
        modalities: name -> channels of the images, in order; None takes all channels as one
            modality. Colour operations act on modalities of 1 or 3 channels only.
        imgfilter_bands: multiplier of the gate of every octave, coarsest first.
        settings: multiplier of an operation's probability by its name (0 is off, the default), and
            strengths such as `scale_std`.

    Attributes:
        p: overall probability, a buffer, 1 at first.
        multipliers: operation -> multiplier.

    Raises:
        TypeError: a setting that is neither an operation nor a strength.
    """

    p: Tensor

    def __init__(
        self,
        *,
        modalities: Mapping[str, int] | None = None,
        imgfilter_bands: Sequence[float] = (1, 1, 1, 1),
        **settings: float,
    ) -> None:
        super().__init__()
        unknown = set(settings).difference(OPERATIONS, STRENGTHS)
        if unknown:
            raise TypeError(f"AugmentPipe knows no setting {sorted(unknown)[0]!r}")
        self.modalities = modalities
        self.multipliers = {name: float(settings.get(name, 0)) for name in OPERATIONS}
        self.strengths = {name: float(settings.get(name, v)) for name, v in STRENGTHS.items()}
        self.bands = tuple(imgfilter_bands)
        self.register_buffer("p", torch.ones(()))

    def forward(
        self,
        images: Float[Tensor, "n c h w"],
        *,
        debug_percentile: float | None = None,
        draws: Draws | None = None,
    ) -> Float[Tensor, "n c h w"]:
        """Augment images.

        Args:
            images: in [-1, 1], modalities concatenated along the channels.
            debug_percentile: in [0, 1]; switches every operation on and fixes every draw there.
            draws: where random numbers come from; None for torch's global generators.
        """
        if draws is None:
            fixed = debug_percentile is not None
            draws = FixedDraws(images, debug_percentile) if fixed else GlobalDraws(images)  # type: ignore[arg-type]
        inverse = self.inverse(draws, (images.shape[2], images.shape[3]))
        if inverse is not None:
            images = warp(images, inverse.to(images.dtype))
        images = self._colours(images, draws)
        for operation in self._on(ImageOperation):
            images = operation.apply(images, self._draws_of(operation, draws))
        return images

    def inverse(self, draws: Draws, size: Size) -> Float[Tensor, "n 3 3"] | None:
        """The affine map of all geometric operations together, from result to input, in pixels from
        the centre; None where no such operation is on.
        """
        matrix: Tensor | None = None
        for operation in self._on(GeometricOperation):
            undo = operation.inverse(self._draws_of(operation, draws), size)
            matrix = undo if matrix is None else matrix @ undo
        return matrix

    def _on(self, kind: type[Kind]) -> list[Kind]:
        """Operations of a kind that are on, in the order in which they act."""
        steps = (step for step in STEPS if isinstance(step, kind))
        return [step for step in steps if self.multipliers[step.name]]

    def _draws_of(
        self, operation: AugmentOperation, draws: Draws, modality: str = ""
    ) -> OperationDraws:
        return OperationDraws(
            draws,
            f"{operation.name}{modality}",
            self.multipliers[operation.name] * self.p.cpu(),
            self.strengths.get(operation.strength_setting, 0.0),
            self.bands,
        )

    def _colours(self, images: Tensor, draws: Draws) -> Tensor:
        if not self._on(ColourOperation):
            return images
        modalities = self.modalities or {"": images.shape[1]}
        parts = images.split(list(modalities.values()), dim=1)
        changed = [
            self._colour(part, name, draws) for name, part in zip(modalities, parts, strict=True)
        ]
        return torch.cat(changed, dim=1) if len(changed) > 1 else changed[0]

    def _colour(self, part: Tensor, modality: str, draws: Draws) -> Tensor:
        """One matrix per image for one modality."""
        channels = part.shape[1]
        steps = [step for step in self._on(ColourOperation) if step.grey or channels == 3]
        if channels not in (1, 3) or not steps:
            return part
        matrix = torch.eye(4)
        for place, step in enumerate(steps):
            change = step.matrix(self._draws_of(step, draws, modality))
            matrix = change @ matrix if place else change
        matrix, flat = matrix.to(part), part.flatten(2)
        if channels == 3:
            flat = matrix[:, :3, :3] @ flat + matrix[:, :3, 3:]
        else:  # grey stands for three equal channels, of which the mean is taken
            row = matrix[:, :3].mean(1, keepdim=True)
            flat = flat * row[:, :, :3].sum(2, keepdim=True) + row[:, :, 3:]
        return flat.reshape(part.shape)
