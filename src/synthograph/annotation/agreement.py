"""How far two paintings of the same images agree."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8

from synthograph.results.annotations import ClassAgreement
from synthograph.stats.masks import IGNORED, compare_masks, mask_scores
from synthograph.stats.paired import score_interval

MEAN = ""


def agreement(
    first: UInt8[np.ndarray, "n h w"],
    second: UInt8[np.ndarray, "n h w"],
    classes: Sequence[str],
    seed: int,
) -> list[ClassAgreement]:
    """Dice of two paintings, each class and first the mean over those that occur.

    Pixels that one of both says nothing of count in neither. An image with a class in one painting
    only has Dice 0 there. Every image is a group of its own.

    Args:
        first: class ids of one painting, or `IGNORED`.
        second: of the other.
        classes: names, the background first.
        seed: of the intervals.
    """
    unknown = (first == IGNORED) | (second == IGNORED)
    found = compare_masks(
        np.where(unknown, IGNORED, first).astype(np.uint8),
        np.where(unknown, 0, second).astype(np.uint8),
        len(classes),
        groups=torch.arange(len(first)),
        distances=False,
    )
    rows = []
    there = found.occurring
    for name, numbers in [(MEAN, there), *((classes[k], [k]) for k in there)]:
        one, other = (pixels[:, numbers] > 0 for pixels in (found.truth, found.predicted))
        value, ends = None, None
        if numbers:
            score = next(s for s in mask_scores(numbers, found.diagonal) if s.name == "dice")
            value, ends = score_interval(score, found, seed=seed)
        rows.append(
            ClassAgreement(
                of_class=name,
                dice=value,
                interval=ends,
                images=int((one | other).any(1).sum()),
                missing=int((one ^ other).any(1).sum()),
            )
        )
    return rows
