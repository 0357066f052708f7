"""The augmentation pipeline of StyleGAN2-ADA, for any number of modalities.

Every operation acts on an image with probability (its multiplier) x p. All geometry is one affine
map per image, shared by its modalities; all colour operations of a modality are one matrix. Source:
Karras et al. 2020, "Training generative adversarial networks with limited data", appendix B.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from synthograph.ops import transforms
from synthograph.ops.convolution import filter_channels
from synthograph.ops.warp import warp
from synthograph.ops.wavelets import octave_bank

BLIT = ("xflip", "rotate90", "xint")
GEOM = ("scale", "rotate", "aniso", "xfrac")
COLOUR = ("brightness", "contrast", "lumaflip", "hue", "saturation")
OPERATIONS = (*BLIT, *GEOM, *COLOUR, "imgfilter", "noise", "cutout")
STRENGTHS = {
    "xint_max": 0.125,
    "scale_std": 0.2,
    "rotate_max": 1.0,
    "aniso_std": 0.2,
    "xfrac_std": 0.125,
    "brightness_std": 0.2,
    "contrast_std": 0.5,
    "hue_max": 1.0,
    "saturation_std": 1.0,
    "imgfilter_std": 1.0,
    "noise_std": 0.1,
    "cutout_size": 0.5,
}
BANDS = 4
EXPECTED_POWER = (10 / 13, 1 / 13, 1 / 13, 1 / 13)
"""Share of the four octaves in the power of natural images."""

_GROUPS = {
    "b": BLIT,
    "g": GEOM,
    "c": COLOUR,
    "f": ("imgfilter",),
    "n": ("noise",),
}
BUNDLES: dict[str, tuple[str, ...]] = {
    "blit": BLIT,
    "geom": GEOM,
    "color": COLOUR,
    "filter": ("imgfilter",),
    "noise": ("noise",),
    "cutout": ("cutout",),
    "bg": (*BLIT, *GEOM),
    "bgc": (*BLIT, *GEOM, *COLOUR),
    "bgcf": (*BLIT, *GEOM, *COLOUR, "imgfilter"),
    "bgcfn": (*BLIT, *GEOM, *COLOUR, "imgfilter", "noise"),
    "bgcfnc": OPERATIONS,
}
"""The published names of sets of operations."""

NEEDS: dict[str, str] = {
    "xflip": "mirror",
    "rotate90": "rotate",
    "rotate": "rotate",
    **dict.fromkeys(COLOUR, "colour"),
}
"""Operation to the invariance that the images must have for it to leave their meaning alone."""


@runtime_checkable
class Draws(Protocol):
    """Where random numbers come from: one row per image.

    All but `pixels` are on the host, where the maps that they make are put together: work too small
    for a GPU, which never has to be waited for.
    """

    def uniform(self, name: str, count: int) -> Float[Tensor, "n k"]:
        """Numbers in [0, 1)."""

    def normal(self, name: str, count: int) -> Float[Tensor, "n k"]:
        """Standard normal numbers."""

    def gate(self, name: str, probability: Tensor) -> Float[Tensor, " n"]:
        """1 where an operation acts on an image, else 0; independent of its values."""

    def pixels(self, name: str, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers for every pixel, [n, *shape]."""


class GlobalDraws:
    """Numbers from torch's global generators."""

    def __init__(self, images: Tensor) -> None:
        self._images = images

    def uniform(self, name: str, count: int) -> Tensor:
        """See `Draws`."""
        return torch.rand(len(self._images), count)

    def normal(self, name: str, count: int) -> Tensor:
        """See `Draws`."""
        return torch.randn(len(self._images), count)

    def gate(self, name: str, probability: Tensor) -> Tensor:
        """See `Draws`."""
        return (self.uniform(name, 1)[:, 0] < probability).float()

    def pixels(self, name: str, shape: Sequence[int]) -> Tensor:
        """See `Draws`."""
        return torch.randn(len(self._images), *shape, device=self._images.device)


class FixedDraws(GlobalDraws):
    """Every draw at one percentile and every operation on, for inspection.

    Normal draws become erfinv(2 p - 1), as published, without the factor sqrt(2) of the quantile.
    """

    def __init__(self, images: Tensor, percentile: float) -> None:
        super().__init__(images)
        self.percentile = percentile

    def uniform(self, name: str, count: int) -> Tensor:
        """See `Draws`."""
        return torch.full((len(self._images), count), self.percentile, dtype=self._images.dtype)

    def normal(self, name: str, count: int) -> Tensor:
        """See `Draws`."""
        return torch.erfinv(2 * self.uniform(name, count) - 1)

    def gate(self, name: str, probability: Tensor) -> Tensor:
        """See `Draws`."""
        return torch.ones(len(self._images), dtype=self._images.dtype)


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
        geometry = Geometry(self, draws, (images.shape[2], images.shape[3])).inverse(len(images))
        if geometry is not None:
            images = warp(images, geometry.to(images.dtype))
        images = self._colours(images, draws)
        if self.multipliers["imgfilter"]:
            images = self._filter(images, draws)
        if self.multipliers["noise"]:
            images = self._noise(images, draws)
        return self._cutout(images, draws) if self.multipliers["cutout"] else images

    def probability(self, name: str) -> Float[Tensor, ""]:
        """Of an operation, on the host."""
        return self.multipliers[name] * self.p.cpu()

    def gate(self, name: str, draws: Draws, scope: str = "") -> Float[Tensor, " n"]:
        """1 where the operation acts on an image; every scope draws for itself."""
        return draws.gate(f"{name}{scope}", self.probability(name))

    def _colours(self, images: Tensor, draws: Draws) -> Tensor:
        if not any(self.multipliers[name] for name in COLOUR):
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
        if channels not in (1, 3):
            return part
        matrix = self._colour_matrix(len(part), channels, modality, draws).to(part)
        flat = part.flatten(2)
        if channels == 3:
            flat = matrix[:, :3, :3] @ flat + matrix[:, :3, 3:]
        else:  # grey stands for three equal channels, of which the mean is taken
            row = matrix[:, :3].mean(1, keepdim=True)
            flat = flat * row[:, :, :3].sum(2, keepdim=True) + row[:, :, 3:]
        return flat.reshape(part.shape)

    def _colour_matrix(self, n: int, channels: int, modality: str, draws: Draws) -> Tensor:
        steps: dict[str, Callable[[str], Tensor]] = {
            "brightness": lambda s: transforms.colour_shift(self._normal("brightness", s, draws)),
            "contrast": lambda s: transforms.colour_scale(self._log("contrast", s, draws)),
            "lumaflip": lambda s: transforms.luma_flip(self._choice("lumaflip", s, 2, draws)),
            "hue": lambda s: transforms.hue_rotation(self._angle("hue", s, draws)),
            "saturation": lambda s: transforms.saturation(self._log("saturation", s, draws)),
        }
        matrix: Tensor | None = None
        for name, step in steps.items():
            if self.multipliers[name] and not (channels == 1 and name in ("hue", "saturation")):
                change = step(modality)
                matrix = change if matrix is None else change @ matrix
        return torch.eye(4).repeat(n, 1, 1) if matrix is None else matrix

    def _normal(self, name: str, scope: str, draws: Draws) -> Tensor:
        drawn = draws.normal(f"{name}{scope}", 1)[:, 0] * self.strengths[f"{name}_std"]
        return drawn * self.gate(name, draws, scope)

    def _log(self, name: str, scope: str, draws: Draws) -> Tensor:
        return torch.exp2(self._normal(name, scope, draws))

    def _choice(self, name: str, scope: str, count: int, draws: Draws) -> Tensor:
        drawn = (draws.uniform(f"{name}{scope}", 1)[:, 0] * count).floor()
        return drawn * self.gate(name, draws, scope)

    def _angle(self, name: str, scope: str, draws: Draws) -> Tensor:
        reach = math.pi * self.strengths[f"{name}_max"]
        drawn = (2 * draws.uniform(f"{name}{scope}", 1)[:, 0] - 1) * reach
        return drawn * self.gate(name, draws, scope)

    def _filter(self, images: Tensor, draws: Draws) -> Tensor:
        """Amplify octaves, keeping the expected power (appendix B, image-space filtering)."""
        n, channels, height, width = images.shape
        power = torch.tensor(EXPECTED_POWER)
        gains = torch.ones(n, BANDS)
        for band, multiplier in enumerate(self.bands):
            name = f"imgfilter{band}"
            drawn = torch.exp2(draws.normal(name, 1)[:, 0] * self.strengths["imgfilter_std"])
            acts = draws.gate(name, self.probability("imgfilter") * multiplier)
            one = torch.ones_like(gains)
            one[:, band] = torch.where((acts > 0) & (multiplier > 0), drawn, 1.0)
            gains = gains * one * (power * one.square()).sum(1, keepdim=True).rsqrt()
        taps = (gains @ octave_bank().to(gains)).to(images)
        margin = taps.shape[1] // 2
        kernels = taps.repeat_interleave(channels, dim=0)[:, None]
        flat = images.reshape(1, n * channels, height, width)
        flat = _mirrored(flat, margin)
        flat = filter_channels(flat, kernels[:, :, None, :])
        return filter_channels(flat, kernels[:, :, :, None]).reshape(images.shape)

    def _noise(self, images: Tensor, draws: Draws) -> Tensor:
        strength = self.strengths["noise_std"]
        if isinstance(draws, FixedDraws):
            sigma = torch.erfinv(draws.uniform("noise", 1)[:, 0]) * strength
        else:
            sigma = draws.normal("noise", 1)[:, 0].abs() * strength
        sigma = sigma * self.gate("noise", draws)
        drawn = draws.pixels("noise/pixels", tuple(images.shape[1:]))
        return images + (drawn * sigma.to(drawn.device)[:, None, None, None]).to(images.dtype)

    def _cutout(self, images: Tensor, draws: Draws) -> Tensor:
        """Set a rectangle to zero."""
        height, width = images.shape[2:]
        size = self.gate("cutout", draws) * self.strengths["cutout_size"]
        centre = draws.uniform("cutout", 2)
        x, y = (torch.arange(width) + 0.5) / width, (torch.arange(height) + 0.5) / height
        keep_x = ((x[None] - centre[:, :1]).abs() >= size[:, None] / 2).to(images.device)
        keep_y = ((y[None] - centre[:, 1:]).abs() >= size[:, None] / 2).to(images.device)
        return images * (keep_x[:, None, None, :] | keep_y[:, None, :, None])


class Geometry:
    """The affine map of all geometric operations together.

    Args:
        pipe: multipliers, strengths and p.
        draws: random numbers.
        size: height and width of the images.
    """

    def __init__(self, pipe: AugmentPipe, draws: Draws, size: tuple[int, int]) -> None:
        self.pipe, self.draws, self.size = pipe, draws, size

    def inverse(self, count: int) -> Float[Tensor, "n 3 3"] | None:
        """From result to input, in pixels from the centre; None where no operation is on."""
        steps: list[tuple[str, Callable[[], Tensor]]] = [
            ("xflip", self._flip),
            ("rotate90", self._quarter_turn),
            ("xint", self._whole_shift),
            ("scale", self._scale),
            ("rotate", lambda: self._rotate("before")),
            ("aniso", self._stretch),
            ("rotate", lambda: self._rotate("after")),
            ("xfrac", self._shift),
        ]
        matrix: Tensor | None = None
        for name, step in steps:
            if self.pipe.multipliers[name]:
                undo = step()
                matrix = undo if matrix is None else matrix @ undo
        return matrix

    def _flip(self) -> Tensor:
        flipped = self.pipe._choice("xflip", "", 2, self.draws)
        return transforms.scaling(1 - 2 * flipped, torch.ones_like(flipped))

    def _quarter_turn(self) -> Tensor:
        turns = self.pipe._choice("rotate90", "", 4, self.draws)
        return transforms.rotation(turns * (math.pi / 2))

    def _whole_shift(self) -> Tensor:
        reach = self.pipe.strengths["xint_max"]
        drawn = (self.draws.uniform("xint", 2) * 2 - 1) * reach
        drawn = drawn * self.pipe.gate("xint", self.draws)[:, None]
        height, width = self.size
        return transforms.translation(
            -(drawn[:, 0] * width).round(), -(drawn[:, 1] * height).round()
        )

    def _scale(self) -> Tensor:
        factor = self.pipe._log("scale", "", self.draws)
        return transforms.scaling(1 / factor, 1 / factor)

    def _rotate(self, when: str) -> Tensor:
        """Before and after the stretch, each with 1 - sqrt(1 - p), so that p is of either."""
        if when == "after" and isinstance(self.draws, FixedDraws):
            return transforms.rotation(self.draws.uniform("rotate", 1)[:, 0] * 0)
        probability = 1 - (1 - self.pipe.probability("rotate").clamp(0, 1)).sqrt()
        reach = math.pi * self.pipe.strengths["rotate_max"]
        angle = (2 * self.draws.uniform(f"rotate/{when}", 1)[:, 0] - 1) * reach
        return transforms.rotation(angle * self.draws.gate(f"rotate/{when}", probability))

    def _stretch(self) -> Tensor:
        factor = self.pipe._log("aniso", "", self.draws)
        return transforms.scaling(1 / factor, factor)

    def _shift(self) -> Tensor:
        drawn = self.draws.normal("xfrac", 2) * self.pipe.strengths["xfrac_std"]
        drawn = drawn * self.pipe.gate("xfrac", self.draws)[:, None]
        height, width = self.size
        return transforms.translation(-drawn[:, 0] * width, -drawn[:, 1] * height)


def _mirrored(images: Tensor, margin: int) -> Tensor:
    """Mirror images outwards by `margin` pixels, in steps where they are smaller than that."""
    while margin:
        step = min(margin, min(images.shape[2:]) - 1)
        images, margin = pad(images, (step, step, step, step), mode="reflect"), margin - step
    return images


def allowed(operations: Sequence[str], invariances: Sequence[str]) -> tuple[list[str], list[str]]:
    """Operations that leave the meaning of such images alone, and those that do not."""
    kept = [name for name in operations if NEEDS.get(name, "") in ("", *invariances)]
    return kept, [name for name in operations if name not in kept]
