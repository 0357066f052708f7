"""Size, modalities and bit depth of the images of a set, and what leaves their meaning alone."""

import enum
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import pydantic

from synthograph.core.config import Config
from synthograph.core.errors import UserError
from synthograph.core.names import nearest

if TYPE_CHECKING:
    from torch import Tensor

MIN_GRID = 4
MAX_GRID = 16
MAX_SIDE, MAX_PREPARED = 1 << 16, 1 << 14
MASKS = "masks"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


class Invariance(enum.StrEnum):
    """What may be done to images without changing what they mean; archives record it."""

    MIRROR = "mirror"
    ROTATE = "rotate"
    COLOUR = "colour"


def _known(names: list[str] | None) -> list[str] | None:
    for name in names or ():
        if name not in set(Invariance):
            raise ValueError(f"invariance {name!r} is unknown: {nearest(name, Invariance)}")
    return names


Invariances = Annotated[list[str] | None, pydantic.AfterValidator(_known)]
"""Names of `Invariance`, none where nothing leaves the meaning alone; None where nobody said."""


def stated(words: Sequence[str]) -> list[str] | None:
    """Invariances as they are typed: `none` is a statement, no word at all is not."""
    return [word for word in words if word != "none"] if words else None


class Grid(NamedTuple):
    """Coarsest level of a multi-resolution network and the number of doublings up to full size."""

    height: int
    width: int
    doublings: int

    @property
    def sides(self) -> list[int]:
        """Longer side of every level, from the coarsest."""
        return [max(self.height, self.width) << k for k in range(self.doublings + 1)]


class ImageSpec(Config):
    """Height and width in pixels, channels per modality (in order) and bits per channel.

    A batch is one float tensor, NCHW, range [-1, 1], modalities concatenated along the channels. In
    archives a modality has 1 or 3 channels; networks of others may have any number.
    """

    height: int = pydantic.Field(ge=MIN_GRID, le=MAX_SIDE)
    width: int = pydantic.Field(ge=MIN_GRID, le=MAX_SIDE)
    modalities: dict[str, Annotated[int, pydantic.Field(ge=1, le=64)]]
    bits: Literal[8, 16] = 8

    @pydantic.model_validator(mode="after")
    def _has_modalities(self) -> "ImageSpec":
        if not self.modalities:
            raise ValueError("an image needs at least one modality")
        for name in self.modalities:
            # modalities are folders in archives, and specifications come in files of others
            if not _NAME.fullmatch(name) or name == MASKS:
                raise ValueError(
                    f"modality {name!r}: a modality is named by up to 64 letters, digits, - and _, "
                    f"a letter first, and not {MASKS!r}"
                )
        return self

    @property
    def channels(self) -> int:
        """Channels of all modalities together."""
        return sum(self.modalities.values())

    @property
    def max_value(self) -> int:
        """Largest pixel value: 255 or 65535."""
        return 2**self.bits - 1

    @property
    def grid(self) -> Grid:
        """The size as h0 x w0 times 2^k, with the largest k that keeps both h0 and w0 >= 4.

        Raises:
            UserError: as `require_grid`.
        """
        return require_grid(self.height, self.width)

    def split(self, batch: "Tensor") -> "dict[str, Tensor]":
        """Cut a batch [n, channels, h, w] into its modalities; the parts are views."""
        parts = batch.split(list(self.modalities.values()), dim=1)
        return dict(zip(self.modalities, parts, strict=True))

    def describe(self) -> str:
        """One phrase, such as `64x64, vis 3 channels + nir 1 channel, 8 bit`."""
        names = " + ".join(
            f"{name} {n} channel{'s' if n > 1 else ''}" for name, n in self.modalities.items()
        )
        return f"{self.width}x{self.height}, {names}, {self.bits} bit"


def find_grid(height: int, width: int) -> Grid | None:
    """Coarsest grid of an image size, or None where its sides lie outside 4 to 16."""
    doublings = 0
    while height % 2 == 0 and width % 2 == 0 and min(height // 2, width // 2) >= MIN_GRID:
        height, width, doublings = height // 2, width // 2, doublings + 1
    fits = max(height, width) <= MAX_GRID and min(height, width) >= MIN_GRID
    return Grid(height, width, doublings) if fits else None


def require_grid(height: int, width: int, *, fitted: bool = False) -> Grid:
    """The grid of an image size.

    Args:
        height: in pixels.
        width: in pixels.
        fitted: a rule for images of another shape has been chosen.

    Raises:
        UserError: there is none; the nearest size that has one is named.
    """
    found = find_grid(height, width)
    if found is None:
        near_h, near_w = nearest_size(height, width)
        size = f"--size {near_w}" if near_w == near_h else f"--width {near_w} --height {near_h}"
        if near_h * width != near_w * height and not fitted:
            size = f"{size} --transform center-crop"
        raise UserError(
            f"images of {width}x{height} fit no grid: both sides must be the same power of two "
            f"times a number from {MIN_GRID} to {MAX_GRID}; the nearest that fits is "
            f"{near_w}x{near_h}: prepare with {size}"
        )
    return found


def nearest_size(height: int, width: int) -> tuple[int, int]:
    """(height, width) of the nearest image size that has a grid and can be prepared."""
    sizes = [
        (h << k, w << k)
        for k in range(13)
        for h in range(MIN_GRID, MAX_GRID + 1)
        for w in range(MIN_GRID, MAX_GRID + 1)
        if find_grid(h << k, w << k) is not None and max(h << k, w << k) <= MAX_PREPARED
    ]
    return min(sizes, key=lambda s: (abs(s[0] - height) + abs(s[1] - width), -s[0] * s[1]))


def parse_spec(tree: Mapping[str, object], origin: str) -> ImageSpec:
    """`ImageSpec.parse`, whose errors name the file of the specification."""
    try:
        return ImageSpec.parse(tree)
    except UserError as error:
        raise UserError(f"{origin}: {error}") from None
