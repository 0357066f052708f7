"""What a source passes to the archive: one item per image, decoded later by a worker."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from PIL.Image import Image

Origin = Literal["real", "synthetic"]
SPLITS = ("train", "val", "test")
Pixels = np.ndarray | Image
"""Pixels [h, w, channels], uint8 or uint16, channels 1 or 3; or a Pillow image of mode L or RGB,
which Pillow cuts and resizes without two copies of it all. Readers also return grey values of other
types [h, w, 1], which `in_bits` refuses unless a window was applied before.
"""


def array_of(pixels: Pixels) -> np.ndarray:
    """Pixels [h, w, channels]."""
    if isinstance(pixels, np.ndarray):
        return pixels
    array = np.asarray(pixels)
    return array if array.ndim == 3 else array[:, :, None]


def in_bits(pixels: Pixels) -> Pixels:
    """Pixels of 8 or 16 bits; whole numbers that fit become 16-bit ones.

    Raises:
        UnreadableError: values that 16 bits do not hold, or colours of more than 8 bits.
    """
    if not isinstance(pixels, np.ndarray) or pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return _no_deep_colour(pixels)
    values = pixels[np.isfinite(pixels)]
    if not values.size:
        raise UnreadableError("no pixel has a finite value")
    low, high = values.min(), values.max()
    wanted = f"{low:g},{high if high > low else low + 1:g}"
    way = f"say which value becomes black and which white, such as --window {wanted}"
    if pixels.dtype.kind == "f":
        raise UnreadableError(
            f"floating-point pixels, here from {low:g} to {high:g}, have no fixed range; {way}"
        )
    if low < 0 or high > 0xFFFF:
        raise UnreadableError(
            f"grey values run from {low} to {high}, 16 bits hold 0 to 65535; {way}"
        )
    return _no_deep_colour(pixels.astype(np.uint16))


def _no_deep_colour(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        raise UnreadableError(
            "16-bit colour would lose half of its bits: --channels red,green,blue keeps all as "
            "three grey modalities, --window 0,65535 spreads these values over 8 bits"
        )
    return pixels


def bits_of(pixels: Pixels) -> int:
    """Bits per sample."""
    return 8 * pixels.dtype.itemsize if isinstance(pixels, np.ndarray) else 8


def size_of(pixels: Pixels) -> tuple[int, int]:
    """Height and width."""
    if isinstance(pixels, np.ndarray):
        return pixels.shape[0], pixels.shape[1]
    return pixels.height, pixels.width


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """A decoded image."""

    modalities: Mapping[str, Pixels]
    mask: np.ndarray | None = None
    """Class ids [h, w], uint8."""
    notes: tuple[str, ...] = ()
    """Conversions that were applied, each a short phrase that is counted and reported."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Further manifest columns that decoding found."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return size_of(next(iter(self.modalities.values())))


@dataclass(frozen=True, slots=True)
class SourceItem:
    """One image of a source.

    Attributes:
        name: unique name within the source, used in messages.
        decode: picklable callable that returns the picture; it raises `UnreadableError` where it
            cannot.
        label: class name, or None.
        group: patient, slide or photograph that the image belongs to, or None.
        columns: further manifest columns.
        origin: real or synthetic.
        split: train, val or test where somebody has split the source already, else None.
        fold: see `Row`.
        most: a name, and how many of the items that have it are taken, the first that are not
            unwanted; None where all are.
        alias: what an archive says in place of the name; None where the name may stand there.
    """

    name: str
    decode: Callable[[], DecodedImage]
    label: str | None = None
    group: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    origin: Origin = "real"
    split: str | None = None
    fold: int | None = None
    most: tuple[str, int] | None = None
    alias: str | None = None

    @property
    def stored_name(self) -> str:
        """What stands in the manifest column `source_file`."""
        return self.alias or self.name


class UnreadableError(Exception):
    """A source file cannot be read as an image; the message is the reason without the name."""


class UnwantedError(UnreadableError):
    """An image is sound and does not meet what is wanted; the message is the reason, the same for
    all such images.
    """
