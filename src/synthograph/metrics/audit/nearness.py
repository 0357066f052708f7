"""How near real images lie to synthetic ones: the scores of membership inference.

Two scores, both after Chen et al. 2020 ("GAN-Leaks", section 4.1, black-box attack) in the space of
features:

- `nearest`: minus the distance to the nearest synthetic image;
- `neighbourhood`: minus the mean distance to the `NEIGHBOURS` nearest ones, a k-nearest-neighbour
  score of how dense synthetic images are there.
"""

from dataclasses import dataclass

from jaxtyping import Float32
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.stats.nearest import centre_of, nearest_squared
from synthograph.stats.sample import Sample, check

# n real image, m synthetic image, d feature

NEIGHBOURS = 10


@dataclass(frozen=True)
class Nearness:
    """Both scores of every real image; higher is nearer."""

    nearest: Float32[Tensor, " n"]
    neighbourhood: Float32[Tensor, " n"]


def nearness(real: Sample, synthetic: Sample) -> Nearness:
    """How near every real image lies to a set of synthetic images, by features.

    Raises:
        UserError: no synthetic images, other features, or features that are not finite.
    """
    if real.features != synthetic.features or not len(synthetic):
        raise UserError(
            f"real images have {real.features} features, {len(synthetic)} synthetic ones have "
            f"{synthetic.features}: there must be some, from the same extractor"
        )
    check(real, "real")
    check(synthetic, "synthetic")
    k = min(NEIGHBOURS, len(synthetic))
    near = nearest_squared(real.values, synthetic.values, centre_of(synthetic.values), k=k).sqrt()
    return Nearness(-near[:, 0], -near.mean(1))
