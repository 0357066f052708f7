"""Transforms of training images: each is one object in one list, can be switched on and off, and is
used only where it leaves the meaning of the images alone.

Two lines in a classifier's loss, and in a segmenter's:

    images = transforms(train.gather(batch.numbers), batch.indices)

    images, masks = transforms.with_masks(images, masks, batch.indices, ignored=255)

Random numbers are keyed by the seed and by how many images were shown before each, so a training
that goes on repeats them. Evaluation and prediction use none of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from jaxtyping import Float, Int64, Integer
from torch import Tensor

from synthograph.core.seeds import Streams
from synthograph.core.spec import ImageSpec, Invariance
from synthograph.ops import appearance
from synthograph.ops.augment import AugmentPipe
from synthograph.ops.draws import Draws, StreamDraws
from synthograph.ops.operations import OPERATIONS, GeometricOperation, OperationDraws, Size
from synthograph.ops.transforms import rotation, scaling, translation
from synthograph.ops.warp import about_centre, warp

# n image, c channel, h height, w width


@dataclass(frozen=True, kw_only=True)
class Transform:
    """What all transforms declare.

    Attributes:
        name: by which it is switched.
        does: to an image, in words.
        needs: invariance that images must have for it to leave their meaning alone.
        unasked: whether it is used where nobody said what images have.
        usual: whether it is used by default.
        probability: that it acts on an image.
        strength: what it means is its own.
        channels: that a modality must have; None for any number.
        revision: raised where it comes to do something else, so that no training goes on with it.
    """

    name: str
    does: str
    needs: Invariance | None = None
    unasked: bool = True
    usual: bool = False
    probability: float = 0.5
    strength: float = 0.0
    channels: int | None = None
    revision: int = 0

    def allowed(self, invariances: Sequence[str] | None) -> bool:
        """Whether it leaves the meaning of such images alone; None where nobody said."""
        if invariances is None:
            return self.unasked
        return self.needs is None or self.needs in invariances

    def fits(self, spec: ImageSpec) -> bool:
        """Whether it can do anything to such images."""
        return self.channels is None or self.channels in spec.modalities.values()

    def draws(self, draws: Draws, modality: str = "") -> OperationDraws:
        """Its own random numbers."""
        probability = torch.tensor(self.probability)
        return OperationDraws(draws, f"{self.name}{modality}", probability, self.strength, ())


@dataclass(frozen=True, kw_only=True)
class Move(Transform):
    """Pixels change places and keep their values, in images and masks alike."""

    move: Callable[[Tensor, OperationDraws], Tensor]
    unasked: bool = False


@dataclass(frozen=True, kw_only=True)
class Affine(Transform):
    """An affine map, from the result to the input, in pixels from the centre; all of them together
    are one map, so that images are resampled once.
    """

    inverse: Callable[[OperationDraws, Size], Float[Tensor, "n 3 3"]]


@dataclass(frozen=True, kw_only=True)
class Colour(Transform):
    """An operation of the pipeline that training generators uses; `name` is the operation's."""

    needs: Invariance | None = Invariance.COLOUR
    unasked: bool = False


@dataclass(frozen=True, kw_only=True)
class Look(Transform):
    """Any other change of values in [0, 1], a modality at a time."""

    apply: Callable[[Float[Tensor, "n c h w"], OperationDraws], Float[Tensor, "n c h w"]]


@dataclass(frozen=True, kw_only=True)
class Style(Transform):
    """A change by other images, all modalities at once."""

    apply: Callable[[Tensor, Tensor, OperationDraws], Float[Tensor, "n c h w"]]


Kind = TypeVar("Kind", bound=Transform)


def _mirror(images: Tensor, own: OperationDraws) -> Tensor:
    chosen = own.gate().bool().to(images.device)[:, None, None, None]
    return torch.where(chosen, images.flip(3), images)


def _quarter(images: Tensor, own: OperationDraws) -> Tensor:
    """Quarter turns; half turns of images that are not square."""
    quarters = (own.draws.uniform(own.name, 1)[:, 0] * 4).floor().to(images.device)
    square = images.shape[2] == images.shape[3]
    turned = images
    for k in (1, 2, 3) if square else (2,):
        chosen = (quarters == k if square else quarters >= k)[:, None, None, None]
        turned = torch.where(chosen, images.rot90(k, (2, 3)), turned)
    return turned


def _crop(own: OperationDraws, size: Size) -> Tensor:
    """A part of the image, enlarged; `strength` is the most that each side may lose."""
    drawn = own.draws.uniform(own.name, 3)
    lost = drawn[:, 0] * own.strength * own.gate()
    room = lost[:, None] * (drawn[:, 1:] - 0.5)
    moved = translation(room[:, 0] * size[1], room[:, 1] * size[0])
    return moved @ scaling(1 - lost, 1 - lost)


def _operation(name: str) -> Callable[[OperationDraws, Size], Tensor]:
    """The map of a geometric operation of the pipeline."""
    found = OPERATIONS[name]
    assert isinstance(found, GeometricOperation), f"{name} is no map"
    return found.inverse


def _turn(own: OperationDraws, size: Size) -> Tensor:
    return rotation(own.angle())


def _fourier(images: Tensor, styles: Tensor, own: OperationDraws) -> Tensor:
    share = own.draws.uniform(own.name, 1)[:, 0] * own.strength
    return appearance.transfer_style(images, styles, torch.where(own.gate() > 0, share, -1.0))


def _stain(images: Tensor, own: OperationDraws) -> Tensor:
    acts = own.gate()[:, None] * own.strength
    factors, offsets = (
        (2 * own.draws.uniform(f"{own.name}/{what}", 3) - 1) * acts for what in ("scale", "shift")
    )
    return appearance.vary_stains(images, 1 + factors, offsets)


def _clahe(images: Tensor, own: OperationDraws) -> Tensor:
    chosen = own.gate().bool().to(images.device)
    changed = images.clone()
    changed[chosen] = appearance.equalise(images[chosen], own.strength)
    return changed


def _blur(images: Tensor, own: OperationDraws) -> Tensor:
    most = max(1.0, own.strength * max(images.shape[2:]))
    return appearance.blur(images, own.draws.uniform(own.name, 1)[:, 0] * most * own.gate())


def _noise(images: Tensor, own: OperationDraws) -> Tensor:
    sigma = (own.draws.half_normal(own.name) * own.strength * own.gate()).to(images)
    drawn = own.draws.pixels(f"{own.name}/pixels", tuple(images.shape[1:])).to(images)
    return images + drawn * sigma[:, None, None, None]


TRANSFORMS: tuple[Transform, ...] = (
    Move(
        name="mirror", does="left becomes right", needs=Invariance.MIRROR, usual=True, move=_mirror
    ),
    Move(
        name="quarter",
        does="quarter turns; half turns of images that are not square",
        needs=Invariance.ROTATE,
        usual=True,
        move=_quarter,
    ),
    Affine(
        name="turn",
        does="any angle; mirrored beyond the edge",
        needs=Invariance.ROTATE,
        unasked=False,
        usual=True,
        strength=1.0,
        revision=1,
        inverse=_turn,
    ),
    Affine(
        name="scale",
        does="smaller or larger, by 15 % (standard deviation)",
        strength=0.2,
        inverse=_operation("scale"),
    ),
    Affine(
        name="crop",
        does="a part of at least 80 % of each side, enlarged",
        usual=True,
        strength=0.2,
        inverse=_crop,
    ),
    Affine(
        name="shift",
        does="by 5 % of each side (standard deviation)",
        strength=0.05,
        inverse=_operation("xfrac"),
    ),
    Affine(
        name="stretch",
        does="wider or higher, by 10 % (standard deviation)",
        unasked=False,
        strength=0.14,
        inverse=_operation("aniso"),
    ),
    Style(
        name="fourier",
        does="low frequencies of another image (Yang and Soatto 2020)",
        needs=Invariance.COLOUR,
        unasked=False,
        strength=0.03,
        apply=_fourier,
    ),
    Look(
        name="stain",
        does="amounts of haematoxylin, eosin and DAB (Ruifrok and Johnston 2001)",
        needs=Invariance.COLOUR,
        unasked=False,
        strength=0.1,
        channels=3,
        apply=_stain,
    ),
    Look(
        name="clahe",
        does="local contrast, limited (Zuiderveld 1994)",
        needs=Invariance.COLOUR,
        unasked=False,
        strength=2.0,
        apply=_clahe,
    ),
    Colour(
        name="brightness",
        does="5 % of the range (standard deviation)",
        unasked=True,
        usual=True,
        strength=0.1,
    ),
    Colour(name="contrast", does="by 15 % (standard deviation)", usual=True, strength=0.2),
    Colour(
        name="saturation", does="by 23 % (standard deviation)", usual=True, strength=0.3, channels=3
    ),
    Colour(name="hue", does="up to 9 degrees", usual=True, strength=0.05, channels=3),
    Look(
        name="blur",
        does="Gaussian, up to a pixel, or a hundredth of the longer side",
        strength=0.01,
        apply=_blur,
    ),
    Look(name="noise", does="2 % of the range (standard deviation)", strength=0.02, apply=_noise),
)
"""All transforms, in the order in which they act."""

BY_NAME = {each.name: each for each in TRANSFORMS}


@dataclass(frozen=True)
class Transforms:
    """Chosen transforms of the images of a training.

    Attributes:
        used: those that act.
        modalities: name -> channels of the images, in order.
        seed: of the training.
        styles: images of the same modalities and size for `fourier`; without them the other
            images of the batch.
    """

    used: tuple[Transform, ...]
    modalities: Mapping[str, int]
    seed: int
    styles: Float[Tensor, "m c h w"] | None = None
    _expected: dict[str, None] = field(default_factory=dict, repr=False, compare=False)

    def __call__(
        self, images: Float[Tensor, "n c h w"], indices: Int64[Tensor, " n"]
    ) -> Float[Tensor, "n c h w"]:
        """Transform images.

        Args:
            images: values in [0, 1], modalities one after the other.
            indices: how many images were shown before each, on the host.

        Returns:
            Images of the same size and range, on the same device.
        """
        if not self.used:
            return images
        draws = self._draws(indices, images.device)
        with torch.autocast(images.device.type, enabled=False):  # eight bits are not enough here
            for each in self._of(Move):
                images = each.move(images, each.draws(draws))
            inverse = self._inverse(draws, (images.shape[2], images.shape[3]))
            if inverse is not None:
                images = warp(images, about_centre(inverse)).clamp(0, 1)
            return self._look(images, draws)

    def with_masks(
        self,
        images: Float[Tensor, "n c h w"],
        masks: Integer[Tensor, "n h w"],
        indices: Int64[Tensor, " n"],
        ignored: int,
    ) -> tuple[Float[Tensor, "n c h w"], Integer[Tensor, "n h w"]]:
        """Transform images and move masks by the same geometry.

        Args:
            images: as of a call.
            masks: class of every pixel, on any device; nearest neighbours are taken.
            indices: as of a call.
            ignored: what masks hold where nothing is.
        """
        draws = self._draws(indices, masks.device)  # keyed: the same as of the images
        moved = masks[:, None]
        for each in self._of(Move):
            moved = each.move(moved, each.draws(draws))
        inverse = self._inverse(draws, (masks.shape[1], masks.shape[2]))
        masks = moved[:, 0] if inverse is None else move_masks(moved[:, 0], inverse, ignored)
        return self(images, indices), masks

    def _draws(self, indices: Tensor, device: torch.device) -> StreamDraws:
        streams = Streams(self.seed).under("transforms")
        return StreamDraws(streams, indices, device, self._expected)

    def describe(self) -> dict[str, object]:
        """What was done, for the header of a file."""
        return {each.name: [each.probability, each.strength] for each in self.used}

    @property
    def key(self) -> str:
        """The same where the same is done, for the key of a training."""
        changed = {each.name: each.revision for each in self.used if each.revision}
        return f"{self.describe()}{changed or ''}"

    def _of(self, kind: type[Kind]) -> list[Kind]:
        return [each for each in self.used if isinstance(each, kind)]

    def _inverse(self, draws: Draws, size: Size) -> Float[Tensor, "n 3 3"] | None:
        """All maps together."""
        matrix: Tensor | None = None
        for each in self._of(Affine):
            undo = each.inverse(each.draws(draws), size)
            matrix = undo if matrix is None else matrix @ undo
        return matrix

    def _look(self, images: Tensor, draws: Draws) -> Tensor:
        """All changes of values."""
        for style in self._of(Style):
            own = style.draws(draws)
            images = style.apply(images, self._styles_for(images, own), own)
        for look in self._of(Look):
            parts = images.split(list(self.modalities.values()), dim=1)
            images = torch.cat(
                [
                    look.apply(part, look.draws(draws, name)).clamp(0, 1)
                    if look.channels in (None, part.shape[1])
                    else part
                    for name, part in zip(self.modalities, parts, strict=True)
                ],
                dim=1,
            )
        if self._of(Colour):
            images = (self._pipe()(images * 2 - 1, draws=draws).clamp(-1, 1) + 1) / 2
        return images

    def _styles_for(self, images: Tensor, own: OperationDraws) -> Tensor:
        """An image of another for each."""
        drawn = own.draws.uniform(f"{own.name}/from", 1)[:, 0]
        if self.styles is not None:
            return self.styles[(drawn * len(self.styles)).long()].to(images)
        steps = (drawn * (len(images) - 1)).long() + 1
        return images[((torch.arange(len(images)) + steps) % len(images)).to(images.device)]

    def _pipe(self) -> AugmentPipe:
        settings = {each.name: each.probability for each in self._of(Colour)}
        settings |= {OPERATIONS[e.name].strength_setting: e.strength for e in self._of(Colour)}
        return AugmentPipe(modalities=self.modalities, **settings)  # type: ignore[arg-type]


def move_masks(
    masks: Integer[Tensor, "n h w"], inverse: Float[Tensor, "n 3 3"], ignored: int
) -> Integer[Tensor, "n h w"]:
    """The nearest pixel's class for every pixel; `ignored` where it lies outside.

    Args:
        masks: class of every pixel.
        inverse: as `ops.warp.warp` takes it.
        ignored: a value of masks.
    """
    height, width = masks.shape[1:]
    y = torch.arange(height, device=masks.device) - (height - 1) / 2
    x = torch.arange(width, device=masks.device) - (width - 1) / 2
    one = torch.ones(height, width, device=masks.device)
    places = torch.stack((*torch.meshgrid(x, y, indexing="xy"), one), -1)
    moved = torch.einsum("nij,hwj->nhwi", inverse[:, :2].to(masks.device).double(), places.double())
    # half a pixel goes one way everywhere; `round` would go to and fro
    column = (moved[..., 0] + width / 2).floor().long()
    row = (moved[..., 1] + height / 2).floor().long()
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    flat = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).flatten(1)
    found = masks.flatten(1).gather(1, flat).reshape(masks.shape)
    return torch.where(inside, found, torch.full_like(found, ignored))
