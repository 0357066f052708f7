"""Nearest neighbours by exact distances, a block of rows at a time.

Products are in float64, so that a copy of an image has distance 0 everywhere and a tie stays a tie;
distances are kept in float32.
"""

import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor

from synthograph.stats.sample import CHUNK, chunks

# n m row, d feature, k neighbour

SAME = 1e-13
"""Squared distances below this share of the squared lengths are rounding of equal images."""


def squared_distances(
    x: Float64[Tensor, "n d"], y: Float64[Tensor, "m d"]
) -> Float32[Tensor, "n m"]:
    """Squared distances of all pairs of rows; exactly 0 for equal rows.

    Both should be centred at the same point, which keeps the lengths short.
    """
    lengths = x.square().sum(1)[:, None] + y.square().sum(1)[None]
    squared = torch.addmm(lengths, x, y.T, alpha=-2)
    return squared.masked_fill_(squared <= SAME * lengths, 0).to(torch.float32)


def centre_of(values: Float[Tensor, "n d"]) -> Float64[Tensor, " d"]:
    """Mean of the rows in float64, a block of rows at a time."""
    total = torch.zeros(values.shape[1], dtype=torch.float64)
    for chunk in chunks(values):
        total += chunk.sum(0)
    return total / len(values)


def nearest_squared(
    values: Float[Tensor, "n d"],
    others: Float[Tensor, "m d"],
    centre: Float64[Tensor, " d"],
    *,
    k: int = 1,
    same: bool = False,
) -> Float32[Tensor, "n k"]:
    """Squared distances to the k nearest of other rows, nearest first.

    Args:
        values: features of images.
        others: features of those that are searched.
        centre: a point amid them, such as `centre_of(others)`; it does not change distances.
        k: how many.
        same: whether `others` are the images themselves, none of which is its own neighbour.

    Returns:
        Infinite where there are fewer than k others.
    """
    parts = [torch.zeros(0, k)]
    for start, x in enumerate(chunks(values, CHUNK)):
        x, best = x - centre, torch.full((len(x), k), torch.inf)
        for other, y in enumerate(chunks(others, CHUNK)):
            squared = squared_distances(x, y - centre)
            if same and start == other:
                squared.fill_diagonal_(torch.inf)
            keep_nearest(best, squared)
        parts.append(best)
    return torch.cat(parts)


def keep_nearest(best: Float32[Tensor, "n k"], squared: Float32[Tensor, "n m"]) -> None:
    """Keep the k smallest of what was there and what is new, in place, smallest first."""
    both = torch.cat((best, squared), dim=1)
    best.copy_(both.topk(best.shape[1], largest=False).values)
