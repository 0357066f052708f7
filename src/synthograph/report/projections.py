"""How near a generator comes to given images: a table for the page and the console."""

import math
from collections.abc import Callable, Sequence
from statistics import median

from synthograph.report.tables import TableText
from synthograph.report.words import as_sentence, count, several
from synthograph.results.base import Tree
from synthograph.results.projection import Projection, Projections

FEW, FAR = 20, 95
"""Held-out images that a percentile needs, and the percentile beyond which a target is far off."""
SPACES = {
    "w": "one style for all layers (W)",
    "w+": "a style per layer (W+)",
    "pti": "one style (W), and a generator tuned to each target",
}


def table(found: Projections) -> TableText:
    """Medians with quartiles, by split."""
    every, placed = found.projections, found.held_out >= FEW
    rows = []
    for split in dict.fromkeys(each.split for each in every):
        some = found.of_split(split)
        far = sum(each.percentile is not None and each.percentile > FAR for each in some)
        cells = [
            _spread(some, lambda one: math.inf if one.psnr is None else one.psnr, ".1f"),
            _spread(some, lambda one: one.ssim, ".3f"),
            _spread(some, lambda one: one.ms_ssim, ".3f"),
            _spread(some, lambda one: one.distance, ".3f"),
        ]
        rows.append(
            [split or "images", count(len(some)), *cells, *([count(far)] if placed else [])]
        )
    features = found.distance_name.removesuffix("-distance")
    head = ["", "targets", "PSNR (dB)", "SSIM", "MS-SSIM", f"distance by {features}"]
    notes = ["medians, with quartiles in brackets"]
    if placed:
        head.append("far off")
        notes.append(
            f"far off: further than {FAR} % of {several(found.held_out, 'held-out image')}"
        )
    return TableText(f"How near {found.network} comes to given images", head, rows, notes)


def _spread(
    some: Sequence[Projection], value: Callable[[Projection], float | None], digits: str
) -> str:
    values = [each for each in map(value, some) if each is not None]
    middle = format(median(values), digits)
    if len(values) < 2:
        return middle
    low, high = (_quantile(sorted(values), share) for share in (0.25, 0.75))
    return f"{middle} ({low:{digits}} to {high:{digits}})"


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which a share of the values lies, between two of them in proportion; values
    may be infinite, which those of `statistics` may not.
    """
    place, part = divmod(share * (len(ordered) - 1), 1)
    low = ordered[int(place)]
    return (1 - part) * low + part * ordered[int(place) + 1] if part else low


def projections_tree(found: Projections) -> Tree:
    """Projections for the page."""
    return {
        "network": found.network,
        "space": SPACES[found.method.space],
        "tables": [table(found).tree()],
        "notes": list(map(as_sentence, found.notes)),
    }
