"""How similar synthetic images are to each other: multi-scale structural similarity of pairs.

Source: Wang, Simoncelli and Bovik 2003, "Multi-scale structural similarity for image quality
assessment" (window of 11 pixels, five scales and their weights); as a measure of diversity: Odena,
Olah and Shlens 2017. Near 1: all images look the same.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from synthograph.core.spec import ImageSpec
from synthograph.metrics.measure import Measure, Source
from synthograph.ops.similarity import WINDOW
from synthograph.results.evaluation import Floor, Value
from synthograph.stats.intervals import interval, means, plan
from synthograph.stats.sample import Sample

# n image, c channel


def mean_similarity(similar: Float[Tensor, " n"], *, seed: int = 0) -> Value:
    """Mean similarity of pairs of synthetic images, with an interval. No image is in two pairs, so
    the pairs are independent.

    Args:
        similar: of every image to its partner, see `columns.similarity_column`; negative for an
            image that has none, or is the first of its pair.
        seed: which pairs share a block.
    """
    found = similar[similar >= 0]
    if not len(found):
        reason = "no two images to compare" if len(similar) else "no synthetic images"
        return Value(name="ms_ssim", value=None, n_fake=len(similar), notes=(reason,))
    cut = plan(torch.arange(len(found)), pairs=0, seed=seed)
    return Value(
        name="ms_ssim",
        value=float(found.to(torch.float64).mean()),
        interval=interval(means(found, cut), cut, low=0.0),
        n_fake=len(similar),
        notes=() if cut.reason is None else (cut.reason,),
        counts={"pairs": len(found)},
    )


def _estimate(real: Sample, fake: Sample, seed: int) -> dict[str, Value]:
    found = mean_similarity(fake.values[:, 0], seed=seed)
    if bool((real.values[:, 0] >= 0).any()):
        found = found.replace(n_real=len(real)).noted("real vs real: pairs of real images")
    return {"ms_ssim": found}


def _floor(real: Sample, fake: Sample, seed: int) -> Floor | None:
    """The similarity of pairs of real images."""
    own, other = (mean_similarity(each.values[:, 0], seed=seed) for each in (real, fake))
    if own.value is None:
        return None
    pairs = (own.counts["pairs"], other.counts.get("pairs", 0))
    return Floor(
        value=own.value, low=own.value, high=own.value, same_n=other.value, n=pairs, splits=1
    )


def _refusal(spec: ImageSpec) -> str | None:
    if min(spec.height, spec.width) >= WINDOW:
        return None
    return f"images of {spec.width}x{spec.height} are smaller than its window of {WINDOW}"


MS_SSIM = Measure("ms_ssim", Source.SIMILARITIES, _estimate, own_floor=_floor, refusal=_refusal)
