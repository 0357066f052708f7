"""Whether images of the training set lie in the hold-out too, by content.

A threshold set on the hold-out would hide what is sought, so it is set on training images, each
searched for among those of all other groups.
"""

import torch
from scipy.stats import beta

from synthograph.archive.batches import ImageSet
from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams
from synthograph.metrics.audit.calibration import (
    AgreementScale,
    clopper_pearson,
    design_effect,
    threshold_by_tail,
)
from synthograph.metrics.audit.copies import REAL
from synthograph.metrics.audit.identical import contents, identical
from synthograph.metrics.audit.search import Index
from synthograph.metrics.audit.sets import check_sets, drawn, provenance
from synthograph.results.audit import Overlap

RATE = 0.001
"""False alarms: far below the hundredth of duplicates from which an audit cannot decide."""
OVERLAP_ALPHA = 0.01
"""Chance of so many near-duplicates by false alarms alone, below which they are believed."""
PAIRS = 24
MIN_SHOWN = 10
"""Images of more than one colour, of either set."""


def by_chance(count: float, of: float) -> float:
    """Probability of so many false alarms or more (binomial law at `RATE`; the incomplete beta
    function carries it on to numbers of independent images that are not whole).
    """
    return 1.0 if count <= 0 else float(beta.cdf(RATE, count, max(of - count, 0.0) + 1))


def content_overlap(index: Index, holdout: ImageSet, *, seed: int = 0) -> Overlap:
    """Search hold-out images for near-duplicates among training images.

    The threshold is where the tail of the scores of training images, each against all other groups,
    comes to one in a thousand. It is fitted by the median of the highest tenth: a few
    duplicates within the training set raise it, but do not set it, and are counted in a note.
    Images of one colour, such as empty slices, are equal by chance, and left out on both sides.

    Args:
        index: of training images.
        holdout: images that should be of other groups.
        seed: of which training images the threshold is set on, where there are many.

    Raises:
        UserError: different kinds of images, or too few of them that show anything.
    """
    train = index.images
    check_sets(train, holdout)
    ours, theirs = contents(train), contents(holdout)
    chosen = drawn(train.count, REAL, Streams(seed, "audit/overlap/"), "real")
    chosen = chosen[~ours.blank[chosen]]
    every = (~theirs.blank).nonzero()[:, 0]
    for side, shown in ((train, chosen), (holdout, every)):
        if len(shown) < MIN_SHOWN:
            raise UserError(
                f"{side.name}: only {len(shown)} images have more than one colour, at least "
                f"{MIN_SHOWN} are needed: leave empty images out"
            )
    blank = holdout.count - len(every)
    real = index.among_others(chosen)
    held = index.candidates(holdout, every, "hold-out against training images")
    scale = AgreementScale.of(real, index.padded_among_others(chosen))
    known, (scores, nearest) = scale.scores(real)[0], scale.scores(held)
    threshold = threshold_by_tail(known, RATE)
    same = identical(ours, theirs)
    flagged = (scores >= threshold.score) | torch.isin(every, torch.tensor(same, dtype=every.dtype))
    count = int(flagged.sum())
    effect = design_effect(scores, holdout.groups[every])
    images = len(every) / effect
    order = scores.argsort(descending=True, stable=True)[:PAIRS].tolist()
    duplicates = (
        f"{threshold.above} of {threshold.images} training images have a near-duplicate in another "
        "group of the training set: look whether its groups are right"
    )
    left_out = f"{blank} images of {holdout.name} of one colour are equal by chance, and left out"
    noted = threshold.above > max(10 * RATE * threshold.images, 1)
    p = by_chance((count - len(same)) / effect, images - len(same) / effect)
    found = Overlap(
        share=count / len(every),
        interval=clopper_pearson(count / effect, images),
        p=p,
        believed=(count if p < OVERLAP_ALPHA else len(same)) / len(every),
        pairs=tuple(
            (int(every[i]), int(nearest[i]), float(scores[i])) for i in order if flagged[i]
        ),
        identical=same,
        images=len(every),
        threshold=threshold,
        notes=(*([left_out] if blank else ()), *([duplicates] if noted else ())),
        provenance={
            **provenance({"train": train, "holdout": holdout}, seed),
            "design_effect": effect,
        },
    )
    return found.replace(sentence=_in_words(found))


def _in_words(overlap: Overlap) -> str:
    near = "are near-duplicates of training images"
    words = f"overlap: {overlap.share:.1%} of the held-out images {near}"
    if overlap.identical:
        words += f"; {len(overlap.identical)} of them equal one in every pixel"
    if overlap.believed < overlap.share:
        words += f"; the probability of as many by false alarms alone is {overlap.p:.2g}"
    return words
