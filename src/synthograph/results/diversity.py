"""When synthetic images of a class count as repeating themselves: one rule for training, which then
prefers another snapshot, and for reports.
"""

from synthograph.core.interval import Interval

SPREAD, REPETITION = "spread", "repetition"
WITHIN_CLASSES = (SPREAD, REPETITION)
"""Measures that are taken within each class."""
LEAST_SPREAD = 0.5
MOST_REPEATED = 0.9
"""A class repeats itself where the whole interval of its spread lies below the first, or that of
its repetition above the second. Between halves of real cells and brain slices no interval ever lay
there. Networks of 20,000 to 60,000 images, whose images lack detail, have spreads of 0.7 to 1.0;
a truncation psi of 0.3, and one image in place of a class, lie below (docs/results/families.md).
"""


def repeats(measure: str, ends: Interval | None) -> bool:
    """Whether a measure of a class says that its images repeat themselves; never without an
    interval, so never of a few images.
    """
    if ends is None:
        return False
    if measure == SPREAD:
        return ends.high < LEAST_SPREAD
    return measure == REPETITION and ends.low > MOST_REPEATED
