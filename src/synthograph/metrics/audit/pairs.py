"""The closest pairs as pictures: what people have to look at before images are shared."""

from collections.abc import Collection, Sequence

import numpy as np
import torch

from synthograph.archive.batches import ImageSet
from synthograph.core.contact_sheets import as_rgb, contact_sheet
from synthograph.results.audit import ClosestPair

MAX_PAIRS = 24


def picture(
    synthetic: ImageSet,
    train: ImageSet,
    pairs: Sequence[ClosestPair],
    names: tuple[Sequence[str], Sequence[str]],
) -> bytes | None:
    """PNG bytes with a row per pair: a synthetic image, and beside it the nearest training image.

    Args:
        synthetic: images of the generator.
        train: training images.
        pairs: closest first; the first `MAX_PAIRS` are shown.
        names: of synthetic and of training images.

    Returns:
        The picture, or None without pairs.
    """
    shown = pairs[:MAX_PAIRS]
    if not shown:
        return None
    left = _pixels(synthetic, {pair.fake for pair in shown})
    right = _pixels(train, {pair.train for pair in shown})
    rows = []
    for pair in shown:
        one, other = names[0][pair.fake], names[1][pair.train]
        title = f"synthetic {one} | training {other} | score {pair.score:.2f}"
        sides = ((synthetic, left[pair.fake]), (train, right[pair.train]))
        rows.append((title, [as_rgb(p, s.spec.modalities.values()) for s, p in sides]))
    return contact_sheet(rows)


def _pixels(images: ImageSet, numbers: Collection[int]) -> dict[int, np.ndarray]:
    """Pixels [c, h, w] of some images of a set, by their number."""
    found = images.at(torch.tensor(sorted(numbers)))
    return {
        number: pixels
        for rows, batch in found
        for number, pixels in zip(rows.tolist(), batch.numpy(), strict=True)
    }
