"""The closest pairs as pictures: what people have to look at before images are shared."""

from collections.abc import Sequence

from synthograph.archive.batches import ImageSet
from synthograph.core.contact_sheets import contact_sheet
from synthograph.metrics.sprites import pictures
from synthograph.results.audit import ClosestPair

MAX_PAIRS = 24


def picture(
    synthetic: ImageSet,
    train: ImageSet,
    pairs: Sequence[ClosestPair],
    names: tuple[Sequence[str], Sequence[str]],
) -> bytes | None:
    """PNG bytes with a row for each of the first `MAX_PAIRS`: a synthetic image, and beside it the
    nearest training image, with their names; None without pairs.
    """
    shown = pairs[:MAX_PAIRS]
    if not shown:
        return None
    left = dict(pictures(synthetic, (pair.fake for pair in shown)))
    right = dict(pictures(train, (pair.train for pair in shown)))
    rows = []
    for pair in shown:
        one, other = names[0][pair.fake], names[1][pair.train]
        title = f"synthetic {one} | training {other} | score {pair.score:.2f}"
        rows.append((title, [left[pair.fake], right[pair.train]]))
    return contact_sheet(rows)
