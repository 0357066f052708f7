"""Whether images of the training set lie in the hold-out too, by content.

A threshold set on the hold-out would hide what is sought, so it is set on training images, each
searched for among those of all other groups.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from scipy.stats import beta

import synthograph
from synthograph.archive.batches import ImageSet
from synthograph.core.seeds import Streams
from synthograph.metrics.audit.calibration import (
    AgreementScale,
    Threshold,
    clopper_pearson,
    design_effect,
)
from synthograph.metrics.audit.copies import REAL, Searched, check_sets, drawn
from synthograph.metrics.audit.identical import identical
from synthograph.metrics.audit.search import Index
from synthograph.metrics.evaluate import Tracks, silent

RATE = 0.001
"""False alarms: far below the hundredth of duplicates from which an audit cannot decide."""
OVERLAP_ALPHA = 0.01
"""Chance of so many near-duplicates by false alarms alone, below which they are believed."""
PAIRS = 24


@dataclass(frozen=True)
class Overlap:
    """Near-duplicates between training set and hold-out.

    Attributes:
        share: of hold-out images that have a near-duplicate among the training images, or equal one
            in every pixel.
        interval: exact 95 % interval, for as many independent images as the groups stand for.
        p: chance of so many near-duplicates, those that are equal apart, by false alarms alone.
        pairs: hold-out image, training image and score, the closest first, at most 24.
        identical: hold-out images that equal a training image in every pixel.
        images: hold-out images searched for.
        threshold: score from which images count as near-duplicates.
        notes: what a reader must know.
        provenance: what the numbers rest on.
    """

    share: float
    interval: tuple[float, float]
    p: float
    pairs: tuple[tuple[int, int, float], ...]
    identical: tuple[int, ...]
    images: int
    threshold: Threshold
    notes: tuple[str, ...]
    provenance: dict[str, Any]

    @property
    def believed(self) -> float:
        """The share, or only that of equal images where false alarms may explain the others."""
        return self.share if self.p < OVERLAP_ALPHA else len(self.identical) / self.images

    def json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "share": self.share,
            "interval": list(self.interval),
            "p": self.p,
            "believed": self.believed,
            "pairs": [list(pair) for pair in self.pairs],
            "identical": list(self.identical),
            "images": self.images,
            "threshold": self.threshold.json(),
            "notes": list(self.notes),
            "provenance": self.provenance,
        }


def by_chance(count: float, of: float) -> float:
    """Probability of so many false alarms or more (binomial law at `RATE`; the incomplete beta
    function carries it on to numbers of independent images that are not whole).
    """
    return 1.0 if count <= 0 else float(beta.cdf(RATE, count, max(of - count, 0.0) + 1))


def content_overlap(
    train: ImageSet, holdout: ImageSet, *, folder: Path, seed: int = 0, tracks: Tracks = silent
) -> Overlap:
    """Search hold-out images for near-duplicates among training images.

    The threshold is where the tail of the scores of training images, each against all other groups,
    comes to one in a thousand. It is fitted by the median of the highest tenth: a few
    duplicates within the training set raise it, but do not set it, and are counted in a note.

    Args:
        train: training images.
        holdout: images that should be of other groups.
        folder: for a nameless file of the training images.
        seed: of which training images the threshold is set on, where there are many.
        tracks: shows progress.

    Raises:
        UserError: different kinds of images, or too few of them.
    """
    check_sets(train, holdout)
    streams, searched = Streams(seed, "audit/overlap/"), Searched(Index(train, folder), tracks)
    chosen = drawn(train.count, REAL, streams, "real")
    real = searched.rows(train, chosen, "training images against other groups", own=True)
    held = searched.rows(holdout, torch.arange(holdout.count), "hold-out against training images")
    scale = AgreementScale.of(real)
    known, (scores, nearest) = scale.scores(real)[0], scale.scores(held)
    threshold = Threshold.by_tail(known, RATE)
    same = identical(train, holdout)
    flagged = scores >= threshold.score
    flagged[list(same)] = True
    count = int(flagged.sum())
    effect = design_effect(scores, holdout.groups)
    images = holdout.count / effect
    order = scores.argsort(descending=True, stable=True)[:PAIRS].tolist()
    notes = []
    if threshold.above > 10 * RATE * threshold.count and threshold.above > 1:
        notes.append(
            f"{threshold.above} of {threshold.count} training images have a near-duplicate in "
            "another group of the training set: look whether its groups are right"
        )
    return Overlap(
        share=count / holdout.count,
        interval=clopper_pearson(count / effect, images),
        p=by_chance((count - len(same)) / effect, images - len(same) / effect),
        pairs=tuple((i, int(nearest[i]), float(scores[i])) for i in order if flagged[i]),
        identical=same,
        images=holdout.count,
        threshold=threshold,
        notes=tuple(notes),
        provenance={
            role: {"name": s.name, "images": s.count, "groups": s.group_count, **s.origin}
            for role, s in {"train": train, "holdout": holdout}.items()
        }
        | {"design_effect": effect, "seed": seed, "version": synthograph.__version__},
    )
