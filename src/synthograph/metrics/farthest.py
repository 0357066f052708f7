"""The synthetic images that lie farthest from the real ones: the worst ones, for people to see."""

from collections.abc import Iterator

from synthograph.archive.batches import ImageSet
from synthograph.metrics.scopes import MAX_LEVELS, rows_in
from synthograph.results.evaluation import LABEL, Farthest, Scope
from synthograph.stats.nearest import centre_of, nearest_squared
from synthograph.stats.sample import Sample

MOST = 12
"""Images that are named of every class."""


def farthest(
    real: ImageSet, fake: ImageSet, rows: tuple[Sample, Sample], extractor: str
) -> Iterator[Farthest]:
    """For every class the synthetic images that lie farthest from their nearest real image of that
    class, the farthest first.

    Args:
        real: the reference.
        fake: synthetic images; nothing is found where they have no files.
        rows: features of both.
        extractor: whose features they are.

    Yields:
        Nothing for a class without real images, and for classes after the first 50.
    """
    if not fake.files:
        return
    reference, values = (each.values for each in rows)
    centre = centre_of(reference)
    parts = [Scope()]
    if real.labels is not None and fake.labels is not None:
        parts = [Scope(column=LABEL, level=label) for label in sorted({*fake.labels})]
    for part in parts[:MAX_LEVELS]:
        ours, theirs = (rows_in(part, images) for images in (fake, real))
        if ours is not None and theirs is not None and len(theirs):
            squared = nearest_squared(values[ours], reference[theirs], centre)[:, 0]
            order = squared.argsort(descending=True, stable=True)[:MOST]
            yield Farthest(
                extractor=extractor,
                label=part.level,
                files=tuple(fake.files[place] for place in ours[order].tolist()),
                distances=tuple(squared[order].sqrt().tolist()),
            )
