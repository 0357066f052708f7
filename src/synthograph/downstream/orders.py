"""Which training images the steps of a supervised training show."""

from collections.abc import Callable

import torch
from jaxtyping import Int64
from torch import Tensor

from synthograph.core.seeds import Streams

# n image

Order = Callable[[Int64[Tensor, " n"]], Int64[Tensor, " n"]]
"""How many images were shown before to numbers of images."""


def shuffled(count: int, seed: int) -> Order:
    """Endless passes over the images, each in an order of its own."""
    streams = Streams(seed)
    return lambda indices: streams.order("fit/order", indices, count)


def balanced(labels: Int64[Tensor, " n"], seed: int) -> Order:
    """Classes take turns, so that every step holds equally many images of each; within a class
    endless passes.

    Args:
        labels: class of every training image, each class at least once.
        seed: of the passes.
    """
    streams = Streams(seed)
    members = [(labels == label).nonzero()[:, 0] for label in labels.unique()]

    def order(indices: Int64[Tensor, " n"]) -> Int64[Tensor, " n"]:
        found = torch.empty_like(indices)
        for place, rows in enumerate(members):
            own = indices % len(members) == place
            turns = indices[own] // len(members)
            found[own] = rows[streams.order(f"fit/class{place}", turns, len(rows))]
        return found

    return order
