"""Operating points of a score: what every threshold gives."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from synthograph.stats.ranks import ranking

MOST = 200
"""Points that are kept; the two ends always are."""


@dataclass(frozen=True)
class OperatingPoints:
    """From the strictest threshold, which finds nothing, to one that finds everything.

    Attributes:
        false_alarms: share of the negative images that are found.
        sensitivity: share of the positive images that are found.
        precision: share of what is found that is positive; 1 where nothing is.
    """

    false_alarms: Float64[Tensor, " t"]
    sensitivity: Float64[Tensor, " t"]
    precision: Float64[Tensor, " t"]


def operating_points(
    scores: Float[Tensor, " n"], positive: Bool[Tensor, " n"]
) -> OperatingPoints | None:
    """All points of a score that should be high for positive images; images of one score enter
    together. None without a pair of images.
    """
    if not positive.any() or positive.all():
        return None
    ranked = ranking(-scores)
    ends = ranked.last.unique()
    hits = positive[ranked.order].double().cumsum(0)[ends]
    found = (ends + 1).double()
    columns = (
        (0.0, (found - hits) / (~positive).sum()),
        (0.0, hits / positive.sum()),
        (1.0, hits / found),
    )
    first = torch.linspace(0, len(ends), min(len(ends) + 1, MOST)).round().long()
    return OperatingPoints(
        *(torch.cat((torch.tensor([start]).double(), values))[first] for start, values in columns)
    )
