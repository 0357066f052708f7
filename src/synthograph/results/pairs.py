"""Cosine distances of pairs of vectors: images and the partners that a generator found for them."""

from typing import Annotated, Literal

from synthograph.results.base import Count, Document, Many, Private, Prose, Schema, Share


class Spread(Schema):
    """Numbers in short; the deviation of one number is 0."""

    count: Count
    mean: float
    deviation: float
    min: float
    q1: float
    median: float
    q3: float
    max: float


class Pair(Schema):
    """An image and how far it is from its partner."""

    image: Annotated[str, Private] = ""
    label: str = ""
    distance: float


class Histogram(Schema):
    """How many numbers lie between two edges."""

    counts: Many[Count]
    edges: Many[float]


class PairDistances(Document):
    """What `embeddings` writes of given pairs.

    Attributes:
        distance: how it is measured, 0..2.
        pairing: how it was found out which two are a pair.
        summaries: of all pairs, of every class and every split, and of the distances of images to
            their nearest other image.
        share_nearer_than_other_images: share of the images whose partner is nearer than every
            other image; None for a single pair.
        histogram: of all pairs.
    """

    kind: Literal["pairs"] = "pairs"
    distance: str = "1 - cosine"
    pairing: str
    summaries: dict[str, Spread]
    share_nearer_than_other_images: Share | None
    histogram: Histogram
    pairs: Many[Pair] = ()
    notes: Many[Prose] = ()
