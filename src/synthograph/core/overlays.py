"""Pictures of masks: areas of a class are tinted and outlined in its colour."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

COLOURS = (
    *((0, 158, 115), (230, 159, 0), (86, 180, 233), (213, 94, 0)),
    *((204, 121, 167), (240, 228, 66), (0, 114, 178)),
)
"""Of classes 1, 2, ... and so on anew: told apart by colour-blind people (Okabe and Ito 2008)."""
GREY = (128, 128, 128)
TINT = 0.3


def overlay(
    image: UInt8[np.ndarray, "h w 3"],
    classes: UInt8[np.ndarray, "h w"],
    *,
    ignored: int | None = None,
    factor: int = 1,
    colours: Sequence[tuple[int, int, int]] = (),
) -> UInt8[np.ndarray, "h_out w_out 3"]:
    """An image with the areas of a mask.

    Args:
        image: 8-bit RGB.
        classes: class of every pixel; 0 is left as it is.
        ignored: pixels of this number are grey.
        factor: by which the picture is enlarged, so that outlines stay thin.
        colours: of the classes, from 0 on; `COLOURS` if not given.
    """
    large, numbers = enlarged(image, factor), enlarged(classes[:, :, None], factor)[:, :, 0]
    table = np.array([(0, 0, 0), *(COLOURS[k % len(COLOURS)] for k in range(255))], np.float64)
    if colours:
        table[: len(colours)] = colours
    if ignored is not None:
        table[ignored] = GREY
    inside = numbers > 0
    painted = table[numbers]
    edge = np.zeros_like(inside)
    edge[:, 1:] |= numbers[:, 1:] != numbers[:, :-1]
    edge[1:] |= numbers[1:] != numbers[:-1]
    edge[:, :-1] |= numbers[:, 1:] != numbers[:, :-1]
    edge[:-1] |= numbers[1:] != numbers[:-1]
    share = (inside * np.where(edge, 1.0, TINT))[:, :, None]
    return np.rint(large * (1 - share) + painted * share).astype(np.uint8)


def legend(classes: Sequence[str]) -> list[tuple[str, tuple[int, int, int]]]:
    """Name and colour of every class but the first, which is left as it is."""
    return [(name, COLOURS[k % len(COLOURS)]) for k, name in enumerate(classes[1:])]


def enlarged(image: UInt8[np.ndarray, "h w c"], factor: int) -> UInt8[np.ndarray, "h_out w_out c"]:
    """The image with every pixel as a block of so many by so many."""
    return image.repeat(factor, 0).repeat(factor, 1)
