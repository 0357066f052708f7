"""A control of the search for copies: the same search among images that the generator never saw.

Thresholds come from real images. Synthetic images may be plainer than these, and then look copied
from any image with the same outline, whether the generator saw it or not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from synthograph.archive.batches import ImageSet
from synthograph.metrics.audit.calibration import AgreementScale, Independent, excess
from synthograph.metrics.audit.search import Index
from synthograph.results.audit import Control, Flagged

LEVEL = 0.01
"""Chance below which the threshold does not hold for such images, and below which they are copies
all the same.
"""
HIGHEST = 3
"""Held-out groups with the highest scores that training images are compared with, in turn: one of
them may be a training group under another name.
"""


def look_among_unseen(
    index: Index,
    holdout: ImageSet,
    synthetic: ImageSet,
    *,
    seen: tuple[Float[Tensor, " n"], Int64[Tensor, " n"]],
    scale: AgreementScale,
    convicting: Sequence[tuple[Flagged, Independent]],
) -> Control | None:
    """Search synthetic images for copies of held-out images, at the thresholds that convict a set.

    If more images are flagged than chance gives, a threshold does not hold for such images. Then
    only those count that are more alike to a training image than any is to a held-out one, or than
    any but those of the most alike group, or two: if groups of both sets could have been exchanged,
    few of the training set would have the highest scores (negative hypergeometric law). There
    groups count, since one plain image may be like many.

    Args:
        index: of training images.
        holdout: real images of other groups.
        synthetic: images of the generator.
        seen: score of every synthetic image, and the training image that it comes from.
        scale: from evidence to scores.
        convicting: thresholds that convict the set, each with the independent real images above it
            and in all.

    Returns:
        The control at the first threshold that still convicts the set, or at the last one; None
        where no threshold does.
    """
    if not convicting:
        return None
    among = Index(holdout, index.folder, index.tracks)
    every = torch.arange(synthetic.count)
    unseen = among.candidates(synthetic, every, "synthetic against hold-out images")
    ours = _Likeness.of(*seen, index.images)
    theirs = _Likeness.of(*scale.scores(unseen), holdout)
    controls = [_compared(ours, theirs, decided, real) for decided, real in convicting]
    return next((each for each in controls if not each.explains), controls[-1])


@dataclass(frozen=True)
class _Likeness:
    """How alike synthetic images are to those of a set: the score of every image, the highest one
    of every group that is nearest to any, in falling order, and how many groups there are.
    """

    scores: Float[Tensor, " n"]
    highest: Float[Tensor, " g"]
    groups: int

    @classmethod
    def of(
        cls, scores: Float[Tensor, " n"], nearest: Int64[Tensor, " n"], images: ImageSet
    ) -> "_Likeness":
        known, group = images.groups[nearest].unique(return_inverse=True)
        highest = torch.full((len(known),), -torch.inf, dtype=scores.dtype)
        highest = highest.scatter_reduce(0, group, scores, "amax").sort(descending=True).values
        return cls(scores, highest, images.group_count)


def _compared(ours: _Likeness, theirs: _Likeness, decided: Flagged, real: Independent) -> Control:
    """The control at one threshold; of several comparisons the best, its chance times their number
    (Bonferroni).
    """
    flagged = int((theirs.scores >= decided.score).sum())
    p = excess(flagged, len(ours.scores), *real)
    chances = []
    for place, highest in enumerate(theirs.highest[:HIGHEST].tolist(), start=1):
        limit = max(highest, decided.score)
        groups = int((ours.highest > limit).sum())
        chances.append((excess(groups, ours.groups, place, theirs.groups), place, groups, limit))
    groups_p, place, groups, limit = min(chances)
    groups_p = min(1.0, groups_p * len(chances))
    return Control(
        flagged=flagged,
        held=int((theirs.highest >= decided.score).sum()),
        p=p,
        passed_over=place - 1,
        closer=int((ours.scores > limit).sum()),
        groups=groups,
        groups_p=groups_p,
        explains=p < LEVEL <= groups_p,
    )
