"""What every backbone of a classifier is."""

from torch import nn


class Body(nn.Module):
    """Normalised inputs [n, c, h, w] to the last maps [n, d, u, v]."""

    dims: int
    """Maps, which are features once averaged."""
