"""How near real images lie to synthetic ones: what membership inference goes by.

Two scores, both after Chen et al. 2020 ("GAN-Leaks", section 4.1, black-box attack) in the space of
features:

- `nearest`: minus the distance to the nearest synthetic image;
- `neighbourhood`: minus the mean distance to the `NEIGHBOURS` nearest ones, a k-nearest-neighbour
  score of how dense synthetic images are there.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.metrics.manifold import centre_of, squared_distances
from synthograph.stats.sample import CHUNK, Sample, check

# n real image, m synthetic image, d feature

NEIGHBOURS = 10


@dataclass(frozen=True)
class Nearness:
    """How near real images lie to synthetic ones; higher is nearer.

    Attributes:
        nearest: minus the distance to the nearest synthetic image.
        neighbourhood: minus the mean distance to the `NEIGHBOURS` nearest ones.
    """

    nearest: Float32[Tensor, " n"]
    neighbourhood: Float32[Tensor, " n"]


def nearness(real: Sample, fake: Sample) -> Nearness:
    """How near every real image lies to a set of synthetic images.

    Args:
        real: features of real images.
        fake: features of synthetic images, from the same extractor.

    Raises:
        UserError: no synthetic images, other features, or features that are not finite.
    """
    if real.features != fake.features or not len(fake):
        raise UserError(
            f"real images have {real.features} features, {len(fake)} synthetic ones have "
            f"{fake.features}: there must be some, from the same extractor"
        )
    check(real, "real")
    check(fake, "synthetic")
    centre, k = centre_of(fake), min(NEIGHBOURS, len(fake))
    parts = []
    for start in range(0, len(real), CHUNK):
        x = real.values[start : start + CHUNK].to(torch.float64) - centre
        best = torch.full((len(x), k), torch.inf)
        for other in range(0, len(fake), CHUNK):
            y = fake.values[other : other + CHUNK].to(torch.float64) - centre
            both = torch.cat((best, squared_distances(x, y)), dim=1)
            best = both.topk(k, largest=False).values
        parts.append(best.clamp(min=0).sqrt())
    near = torch.cat(parts)
    return Nearness(-near.amin(1), -near.mean(1))
