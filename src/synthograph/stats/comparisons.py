"""Multiple comparisons: several tests of one question."""

import math
from collections.abc import Sequence


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Adjust p values for their number: one false alarm among all of them is then as rare as each p
    says. Tests without a p stay without one.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    order = sorted((p, place) for place, p in enumerate(ps) if p is not None and math.isfinite(p))
    found: list[float | None] = [None] * len(ps)
    largest = 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - rank)))
        found[place] = largest
    return found
