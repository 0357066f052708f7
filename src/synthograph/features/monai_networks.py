"""Networks of MONAI, an optional package whose import takes seconds."""

import importlib.util
from collections.abc import Callable

from torch import nn

from synthograph.core.errors import UserError


def monai_is_here() -> bool:
    """Whether it is installed."""
    return importlib.util.find_spec("monai") is not None


def monai_class(name: str, remedy: str) -> Callable[..., nn.Module]:
    """A class of its networks.

    Raises:
        UserError: MONAI is not installed; the remedy is said.
    """
    try:
        from monai.networks import nets
    except ImportError:
        raise UserError(f"{name} comes with MONAI, which is not installed: {remedy}") from None
    made: Callable[..., nn.Module] = getattr(nets, name)
    return made
