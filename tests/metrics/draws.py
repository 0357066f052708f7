"""Gaussian features with and without patients that resemble themselves."""

import math

import torch

from synthograph.stats.sample import Sample


def gaussian(
    seed: int,
    groups: int,
    features: int,
    *,
    per: int = 1,
    likeness: float = 0.0,
    shift: float = 0.0,
    scale: float = 1.0,
) -> Sample:
    """`per` images of each group; `likeness` is the share of variance between groups."""
    generator = torch.Generator().manual_seed(seed)
    between = torch.randn(groups, 1, features, generator=generator)
    own = torch.randn(groups, per, features, generator=generator)
    values = math.sqrt(likeness) * between + math.sqrt(1 - likeness) * own
    values = values.reshape(groups * per, features) * scale
    values[:, 0] += shift
    return Sample(values, torch.arange(groups).repeat_interleave(per))
