"""Which images to paint first."""

import torch
from jaxtyping import Float
from torch import Tensor

# n image, s style row, w width of a style

ORDER = (
    "the image nearest to the mean style first, then always the one farthest from all before it, "
    "by distance of styles w"
)


def suggested_order(ws: Float[Tensor, "n s w"]) -> list[int]:
    """Places of images in an order whose every beginning is spread over the style space.

    The first is the most typical image, the one nearest to the mean; then always the one whose
    nearest neighbour among those before it is farthest (Gonzalez 1985, at most twice as far from
    covering all as the best choice of so many). The space is w, since distances there follow what
    images show; in z, all pairs of latents are about equally far apart (Karras et al. 2019,
    section 4). Truncation is part of the styles.
    """
    points = ws.double().flatten(1)
    chosen = [int((points - points.mean(0)).square().sum(1).argmin())]
    nearest = torch.full((len(points),), torch.inf, dtype=torch.float64)
    while len(chosen) < len(points):
        last = (points - points[chosen[-1]]).square().sum(1)
        nearest = torch.minimum(nearest, last)
        nearest[chosen] = -1
        chosen.append(int(nearest.argmax()))
    return chosen
