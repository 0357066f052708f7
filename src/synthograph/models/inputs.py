"""Refuses what does not fit a network, with the way out, before torch meets it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from synthograph.core.errors import UserError


def require_shape(given: object, shape: Sequence[int], name: str, way_out: str = "") -> Tensor:
    """A tensor of real numbers, some of that shape.

    Args:
        given: whatever a caller gave.
        shape: of one, without the leading n.
        name: of the argument.
        way_out: Python that makes what is needed of what was given, where it is known.

    Raises:
        UserError: it is something else.
    """
    needed = f"{name}: this network needs a tensor of shape [{', '.join(['n', *map(str, shape)])}]"
    if not isinstance(given, Tensor):
        got = "none" if given is None else f"a {type(given).__name__}"
        if hasattr(given, "__array__") or isinstance(given, list | tuple):
            way_out = f"torch.as_tensor({name})"
    elif given.is_complex() or given.dtype is torch.bool:
        got, way_out = f"{given.dtype}", f"{name}.real.float()"
    elif not given.dim() or list(given.shape[1:]) != list(shape):
        got = f"{list(given.shape)}"
        if list(given.shape) == list(shape):
            way_out = f"{name}[None]"
    else:
        return given
    raise UserError(f"{needed}, got {got}" + (f"; try {way_out}" if way_out else ""))


def require_label(given: object, width: int) -> Tensor:
    """Labels [n, width] of a conditional network: one-hot classes, or vectors.

    Raises:
        UserError: it is something else.
    """
    way_out = f"torch.eye({width})[[0]] for the first class" if given is None else ""
    if isinstance(given, Tensor) and given.dim() == 1 and given.dtype is torch.int64:
        way_out = f"torch.nn.functional.one_hot(label, {width})"
    return require_shape(given, [width], "label", way_out)


def require_styles(given: object, rows: int, width: int) -> Tensor:
    """Styles [n, rows, width].

    Raises:
        UserError: it is something else.
    """
    one_row = isinstance(given, Tensor) and given.dim() == 2 and given.shape[1] == width
    way_out = f"ws[:, None].expand(-1, {rows}, -1) for equal rows" if one_row else ""
    return require_shape(given, [rows, width], "ws", way_out)


def require_image(given: object, shape: Sequence[int]) -> Tensor:
    """Images [n, *shape] of floating-point numbers.

    Raises:
        UserError: it is something else.
    """
    image = require_shape(given, shape, "image")
    if not image.is_floating_point():
        raise UserError(f"image: needs values in [-1, 1], got {image.dtype}; try image / 127.5 - 1")
    return image


def require_same_count(z: Tensor, label: Tensor) -> None:
    """As many labels as latents.

    Raises:
        UserError: there are not.
    """
    if z.shape[0] != label.shape[0]:
        way_out = f"; try label.expand({len(z)}, -1)" if len(label) == 1 else ""
        raise UserError(f"label: {len(z)} latents need {len(z)} rows, got {len(label)}{way_out}")
