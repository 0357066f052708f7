"""Whether generators lie nearer to the images that they saw: a comparison over folds."""

from collections.abc import Collection
from typing import ClassVar, Literal

from synthograph.results.base import Count, Document, Ends, Many, Prose, Schema, Share
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
        images: compared.
        groups: compared.
        generators: how many.
        left_out: images whose fold no generator left out; they are not compared.
        notes: sentences for the reader.
        features: the extractor.
        synthetic_each: synthetic images of every generator.
    """

    sparse: ClassVar[Collection[str]] = ("features", "synthetic_each")

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
    features: Features | None = None
    synthetic_each: Count | None = None


class CrossFold(Document):
    """What the comparison of generators of several folds writes.

    Attributes:
        folds: that the generators left out, in their order.
        tests: by extractor.
        provenance: what the numbers rest on.
    """

    kind: Literal["cross-fold"] = "cross-fold"
    folds: Many[Count]
    tests: dict[str, FoldTest]
    provenance: Provenance = Provenance()
