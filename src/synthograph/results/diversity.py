"""When synthetic images of a class count as too much alike: they repeat themselves, or vary by
noise. One rule for training, which then prefers another snapshot, and for reports.
"""

from synthograph.core.interval import Interval

SPREAD, REPETITION, NOISE_SHARE = "spread", "repetition", "noise_share"
REPEATING = (SPREAD, REPETITION)
WITHIN_CLASSES = (*REPEATING, NOISE_SHARE)
"""Measures that are taken within each class."""
LEAST_SPREAD = 0.7
MOST_REPEATED = 0.1
"""A class repeats itself where the whole interval of its spread lies below the first, or that of
its repetition above the second. No halves of real cells and brain slices did, nor networks after
20,000 to 60,000 images, although their images lack detail. A truncation psi of 0.3 does by its
spread, and a third of a class that is one image by its repetition (docs/results/diversity.md).
"""

MOST_NOISE = 0.3
"""Varied by noise is a class where the whole interval of its noise share lies above this: drawn
with the same noise, two of its images lie at most 0.84 times as far apart
(docs/results/diversity.md has shares of trained networks).
"""


def too_alike(measure: str, ends: Interval | None) -> bool:
    """Whether a measure of a class says that its images are too much alike; never without an
    interval, so never of a few images.
    """
    if ends is None:
        return False
    if measure == SPREAD:
        return ends.high < LEAST_SPREAD
    if measure == NOISE_SHARE:
        return ends.low > MOST_NOISE
    return measure == REPETITION and ends.low > MOST_REPEATED
