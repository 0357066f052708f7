"""What to expect of masks before one is made."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from synthograph.core.interval import Interval
from synthograph.results.mask_generator import ClassForecast
from synthograph.stats.intervals import LEVEL, quantile

# n image, h height, w width, k class


def expected(values: Float64[np.ndarray, " n"]) -> tuple[float | None, Interval | None]:
    """The mean of Dice values of images left out, and the interval of the mean of new images (from
    Student's t, cut at 0 and 1); None where there are too few.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return None, None
    mean = float(known.mean())
    if len(known) < 2:
        return mean, None
    wide = quantile(len(known) - 1) * float(known.std(ddof=1)) / math.sqrt(len(known))
    return mean, Interval(max(0.0, mean - wide), min(1.0, mean + wide), LEVEL)


def forecasts(
    masks: np.ndarray, classes: Sequence[str], dice: Float64[np.ndarray, "n k"] | None
) -> list[ClassForecast]:
    """What is painted of every class, and what to expect of it.

    Args:
        masks: class ids of the painted images [n, h, w].
        classes: names.
        dice: of images left out; None where none was.
    """
    found = []
    for k, name in enumerate(classes):
        there = masks == k
        mean, ends = (None, None) if dice is None else expected(dice[:, k])
        found.append(
            ClassForecast(
                of_class=name,
                painted=int(there.any((1, 2)).sum()),
                share=float(there.mean()),
                dice=mean,
                ends=ends,
            )
        )
    return found
