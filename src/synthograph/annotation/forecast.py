"""What to expect of masks before one is made."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from synthograph.annotation.training import LeftOut
from synthograph.core.interval import Interval
from synthograph.results.mask_generator import ClassForecast
from synthograph.stats.intervals import LEVEL, quantile

# n image, h height, w width, k class


def expected(
    values: Float64[np.ndarray, " n"], share: float = 0.0
) -> tuple[float | None, Interval | None]:
    """The mean of Dice values of patients, and its interval from Student's t, cut at 0 and 1; None
    where there are too few.

    Args:
        values: of every patient; NaN for none.
        share: patients left out at once divided by those that were learned from. Trainings on
            nearly the same images are alike, so the variance is taken times 1 / n + share instead
            of 1 / n (Nadeau and Bengio 2003, section 3); 0 for patients of one training.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return None, None
    mean = float(known.mean())
    if len(known) < 2:
        return mean, None
    wide = quantile(len(known) - 1) * float(known.std(ddof=1)) * math.sqrt(1 / len(known) + share)
    return mean, Interval(max(0.0, mean - wide), min(1.0, mean + wide), LEVEL)


def forecasts(
    masks: np.ndarray, classes: Sequence[str], found: LeftOut | None
) -> list[ClassForecast]:
    """What is painted of every class, and what to expect of it.

    Args:
        masks: class ids of the painted images [n, h, w].
        classes: names.
        found: what came of images left out; None where none was.
    """
    told = []
    for k, name in enumerate(classes):
        there = masks == k
        mean, ends = (None, None) if found is None else expected(found.best_dice[:, k], found.share)
        told.append(
            ClassForecast(
                of_class=name,
                painted=int(there.any((1, 2)).sum()),
                share=float(there.mean()),
                dice=mean,
                ends=ends,
            )
        )
    return told
