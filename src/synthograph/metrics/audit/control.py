"""A control of the search for copies: the same search among images that the generator never saw.

Thresholds come from real images. Synthetic images may be plainer than these, and then look copied
from any image with the same outline, whether the generator saw it or not.
"""

import torch

from synthograph.archive.batches import ImageSet
from synthograph.metrics.audit.calibration import AgreementScale, excess
from synthograph.metrics.audit.search import Candidates, Index
from synthograph.results.audit import Control, Flagged

LEVEL = 0.01
"""Chance below which the threshold does not hold for such images, and below which they are copies
all the same.
"""


def look_among_unseen(
    index: Index,
    holdout: ImageSet,
    synthetic: ImageSet,
    *,
    seen: Candidates,
    scale: AgreementScale,
    decided: Flagged,
    real: tuple[float, float],
) -> Control:
    """Search synthetic images for copies of held-out images, at the threshold that convicts a set.

    If more of them are flagged than chance gives, the threshold does not hold for such images. Then
    only those count that are more alike to a training image than any is to a held-out one: if
    groups of both sets could have been exchanged, few of the training set have the highest scores
    (negative hypergeometric law). Groups count, since one plain image may be like many.

    Args:
        index: of training images.
        holdout: real images of other groups.
        synthetic: images of the generator.
        seen: candidates of the synthetic images among training images.
        scale: from evidence to scores.
        decided: the threshold.
        real: independent real images above it, and in all.
    """
    among = Index(holdout, index.folder, index.tracks)
    every = torch.arange(synthetic.count)
    unseen = among.candidates(synthetic, every, "synthetic against hold-out images")
    (scores, nearest), others = scale.scores(seen), scale.scores(unseen)[0]
    alike = int((others >= decided.score).sum())
    closer = scores > max(float(others.max()), decided.score)
    groups = len(index.images.groups[nearest[closer]].unique())
    p = excess(alike, synthetic.count, *real)
    groups_p = excess(groups, index.images.group_count, 1, holdout.group_count)
    return Control(
        flagged=alike,
        p=p,
        closer=int(closer.sum()),
        groups=groups,
        groups_p=groups_p,
        explains=p < LEVEL <= groups_p,
    )
