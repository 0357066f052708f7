"""Whether a generator reaches its training images better than others: memorisation by recovery."""

import enum
from typing import Annotated, Literal

from synthograph.results.audit import Attack, SetSize
from synthograph.results.base import (
    Document,
    FileName,
    Many,
    Plain,
    Private,
    Prose,
    Schema,
    Share,
)
from synthograph.results.pairs import Histogram, Spread
from synthograph.results.provenance import Provenance

RULE = (
    "signs of memorisation: the generator reaches training images more closely than held-out ones, "
    "by pixels, and exchanging whole groups at random gives as large an advantage in at most 5 % "
    "of the tries"
)


class RecoveryAnswer(enum.StrEnum):
    """What the comparison concludes."""

    SIGNS = "signs of memorisation"
    OPEN = "neither shown nor unlikely"
    NOT_SHOWN = "no memorisation shown"
    UNDECIDABLE = "undecidable"


class RecoveredSet(Schema):
    """How closely the generator reaches the images of a set.

    Attributes:
        role: `train`, `held-out` or `own`: images of the generator itself, whose latents exist.
        file: of the projections.
        pixel: root mean square difference of pixels, 0 for equal images, 1 for black and white.
        perceptual: distance by what `project` was told to take; None where it has none.
        cosine: 1 - cosine of features; None where none were computed.
        as_close_as_own: share of the images that are reached as closely as nine of ten images of
            the generator itself; None where none of these were projected.
        histogram: of the pixel differences; all sets have the same edges.
    """

    role: str
    file: FileName
    size: SetSize
    pixel: Spread
    perceptual: Spread | None
    cosine: Spread | None
    as_close_as_own: Share | None
    histogram: Histogram


class Recovered(Schema):
    """An image and how closely the generator reaches it; see `RecoveredSet`."""

    role: str
    image: Annotated[str, Private] = ""
    group: Annotated[str, Private] = ""
    label: str = ""
    pixel: float
    perceptual: float | None
    cosine: float | None


class Authenticity(Document):
    """What `authenticity` writes.

    Attributes:
        network: file name of the generator.
        answer: decided by the pixels of projections to W.
        sentence: the answer in words, with its numbers.
        advantage: the test: its `auc` is the share of pairs of a training and a held-out image in
            which the generator reaches the training image better, 0.5 without memorisation; None
            where it is undecidable.
        sets: training images, held-out ones and, where given, the generator's own.
        recoverable: share of its own images that the search reaches with a PSNR above 30 dB; None
            where none were projected.
        pairs: every image.
        limits: what the comparison cannot tell.
    """

    kind: Literal["authenticity"] = "authenticity"
    network: FileName
    answer: RecoveryAnswer
    rule: Prose = RULE
    sentence: Prose
    advantage: Attack | None
    sets: Many[RecoveredSet]
    recoverable: Share | None
    pairs: Annotated[Many[Recovered], Private] = ()
    settings: dict[str, Plain] = {}
    limits: Many[Prose] = ()
    notes: Many[Prose] = ()
    provenance: Provenance = Provenance()

    def of(self, role: str) -> RecoveredSet | None:
        """A set by its role."""
        return next((each for each in self.sets if each.role == role), None)
