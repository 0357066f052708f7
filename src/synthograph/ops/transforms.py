"""Homogeneous matrices, one per image, for geometry in the plane and for colours in RGB."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

LUMA = (1 / math.sqrt(3), 1 / math.sqrt(3), 1 / math.sqrt(3))


def identity(like: Float[Tensor, " n"], size: int) -> Float[Tensor, "n s s"]:
    """One identity matrix per element of `like`."""
    return torch.eye(size).to(like).repeat(len(like), 1, 1)


def translation(x: Float[Tensor, " n"], y: Float[Tensor, " n"]) -> Float[Tensor, "n 3 3"]:
    """Shift in the plane."""
    matrix = identity(x, 3)
    matrix[:, 0, 2], matrix[:, 1, 2] = x, y
    return matrix


def scaling(x: Float[Tensor, " n"], y: Float[Tensor, " n"]) -> Float[Tensor, "n 3 3"]:
    """Scale along the axes of the plane."""
    matrix = identity(x, 3)
    matrix[:, 0, 0], matrix[:, 1, 1] = x, y
    return matrix


def rotation(angle: Float[Tensor, " n"]) -> Float[Tensor, "n 3 3"]:
    """Rotation of the plane, radians."""
    matrix = identity(angle, 3)
    cos, sin = angle.cos(), angle.sin()
    matrix[:, 0, 0], matrix[:, 0, 1] = cos, -sin
    matrix[:, 1, 0], matrix[:, 1, 1] = sin, cos
    return matrix


def colour_shift(amount: Float[Tensor, " n"]) -> Float[Tensor, "n 4 4"]:
    """Add to all channels."""
    matrix = identity(amount, 4)
    matrix[:, :3, 3] = amount[:, None]
    return matrix


def colour_scale(factor: Float[Tensor, " n"]) -> Float[Tensor, "n 4 4"]:
    """Multiply all channels."""
    matrix = identity(factor, 4)
    matrix[:, range(3), range(3)] = factor[:, None]
    return matrix


def _luma_projection(like: Tensor) -> Float[Tensor, "4 4"]:
    axis = like.new_tensor([*LUMA, 0.0])
    return torch.outer(axis, axis)


def luma_flip(flipped: Float[Tensor, " n"]) -> Float[Tensor, "n 4 4"]:
    """Householder reflection that turns the grey axis round where `flipped` is 1, else nothing."""
    return identity(flipped, 4) - 2 * _luma_projection(flipped) * flipped[:, None, None]


def saturation(factor: Float[Tensor, " n"]) -> Float[Tensor, "n 4 4"]:
    """Multiply what is perpendicular to the grey axis."""
    grey = _luma_projection(factor)
    matrix = grey + (identity(factor, 4) - grey) * factor[:, None, None]
    matrix[:, 3, 3] = 1
    return matrix


def hue_rotation(angle: Float[Tensor, " n"]) -> Float[Tensor, "n 4 4"]:
    """Rotate colours round the grey axis, radians (Rodrigues' formula)."""
    x, y, z = LUMA
    cross = angle.new_tensor([[0, -z, y, 0], [z, 0, -x, 0], [-y, x, 0, 0], [0, 0, 0, 0]])
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    matrix = identity(angle, 4) * cos + cross * sin + _luma_projection(angle) * (1 - cos)
    matrix[:, 3, 3] = 1
    return matrix
