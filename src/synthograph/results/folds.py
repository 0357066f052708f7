"""Whether generators lie nearer to the images that they saw: a comparison over folds."""

from typing import Literal

from synthograph.results.base import Count, Document, Ends, IfGiven, Many, Prose, Schema, Share
from synthograph.results.provenance import Features, Provenance


class FoldTest(Schema):
    """Whether generators lie nearer to what they saw than the one that did not see it.

    Attributes:
        gain: mean over images of the nearness to generators that saw the image, less that to the
            one that did not; in units of the score, generators brought to the same mean.
        interval: of it, for these generators; None where there are too few groups.
        p: share of the permutations of folds among groups with as large a gain.
        share_nearer: share of images that are nearer to the generators that saw them.
        group_gain: as `gain`, the mean over groups.
        group_p: of it.
        seen: whether generators are nearer to what they saw, beyond chance.
        left_out: images whose fold no generator left out; `images` and `groups` are without them.
        synthetic_each: synthetic images of every generator.
    """

    gain: float
    interval: Ends | None
    p: Share
    share_nearer: Share
    group_gain: float
    group_p: Share
    seen: bool
    images: Count
    groups: Count
    generators: Count
    left_out: Count = 0
    notes: Many[Prose] = ()
    features: IfGiven[Features | None] = None
    synthetic_each: IfGiven[Count | None] = None


class CrossFold(Document):
    """What the comparison of generators of several folds writes.

    Attributes:
        folds: that the generators left out, in their order.
        tests: by extractor.
    """

    kind: Literal["cross-fold"] = "cross-fold"
    folds: Many[Count]
    tests: dict[str, FoldTest]
    provenance: Provenance = Provenance()
