"""How fast a film goes on between two key images: the part of the time that has passed to the part
of the way that is behind, both in [0, 1].

Source of the curves: Penner 2002, "Programming Macromedia Flash MX", chapter 7; the names are those
of published interpolation scripts.
"""

from collections.abc import Callable
from enum import StrEnum

import torch
from jaxtyping import Float64
from torch import Tensor

Curve = Callable[[Float64[Tensor, " f"]], Float64[Tensor, " f"]]


class Easing(StrEnum):
    """Names of the curves."""

    LINEAR = "linear"
    QUADRATIC = "easeInOutQuad"
    BOUNCE = "bounceEaseOut"
    CIRCULAR = "circularEaseOut"
    CIRCULAR_AGAIN = "circularEaseOut2"

    def __call__(self, time: Float64[Tensor, " f"]) -> Float64[Tensor, " f"]:
        """Part of the way at a part of the time."""
        return _CURVES[self](time)


def linear(time: Float64[Tensor, " f"]) -> Float64[Tensor, " f"]:
    """Even."""
    return time


def quadratic(time: Float64[Tensor, " f"]) -> Float64[Tensor, " f"]:
    """Gathers speed, and loses it in the second half."""
    return torch.where(time < 0.5, 2 * time**2, 1 - 2 * (1 - time) ** 2)


def circular(time: Float64[Tensor, " f"]) -> Float64[Tensor, " f"]:
    """A quarter of a circle: fast, then ever slower."""
    return (time * (2 - time)).sqrt()


_BOUNCES = ((6 / 11, 0.75), (9 / 11, 15 / 16), (10.5 / 11, 63 / 64))
"""Middles of the bounces, and where they lift off to."""


def bounce(time: Float64[Tensor, " f"]) -> Float64[Tensor, " f"]:
    """Falls onto the goal and bounces three times, ever lower: four parabolas."""
    steep = (11 / 4) ** 2
    way = steep * time**2
    for (middle, depth), begin in zip(_BOUNCES, (4 / 11, 8 / 11, 10 / 11), strict=True):
        way = torch.where(time >= begin, steep * (time - middle) ** 2 + depth, way)
    return way


_CURVES: dict[Easing, Curve] = {
    Easing.LINEAR: linear,
    Easing.QUADRATIC: quadratic,
    Easing.BOUNCE: bounce,
    Easing.CIRCULAR: circular,
    Easing.CIRCULAR_AGAIN: circular,  # no other curve is known by this name
}
