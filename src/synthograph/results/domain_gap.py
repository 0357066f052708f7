"""What `domain-gap` finds: how far sets of images lie from each other, and a map of them."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

import pydantic

from synthograph.results.base import (
    ARCHIVE,
    SEPARATORS,
    Count,
    Document,
    Ends,
    FileName,
    IfGiven,
    Many,
    Plain,
    Prose,
    Schema,
    Share,
)
from synthograph.results.evaluation import Floor, Value
from synthograph.results.provenance import Features, ImageRecord

MAX_POINTS = 50_000
ALPHA = 0.05
"""Chance of a gap between sets that are alike, over all comparisons together."""


class DomainSet(Schema):
    """One of the sets; its origin is `real`, `synthetic` or `mixed`."""

    name: FileName
    images: Count | None = None
    groups: Count | None = None
    images_hash: str | None = None
    origin: str = "real"
    archive: ImageRecord = ImageRecord()
    notes: Many[Prose] = ()


class TwoSample(Schema):
    """What a classifier reached on images that it did not learn from.

    Attributes:
        auc: share of pairs of an image of either set that it gets right; None, and `reason` says
            why.
        interval: of it, for these classifiers; None where there are too few groups.
        accuracy: mean of the shares of both sets that it gets right.
        p: share of the permutations with as large an AUC, the data themselves included.
        images: of either set that were used.
        groups: of either set, bundles of single images included.
        settings: folds, components, permutations, seed.
        p_adjusted: for the number of pairs and extractors; None without one.
    """

    auc: Share | None = None
    interval: Ends | None = None
    accuracy: Share | None = None
    accuracy_interval: Ends | None = None
    p: Share | None = None
    images: tuple[Count, Count]
    groups: tuple[Count, Count]
    settings: dict[str, Plain] = {}
    notes: Many[Prose] = ()
    reason: Prose | None = None
    p_adjusted: Share | None = None


class PairFloors(Schema):
    """Kernel distance between halves of either set; None where there are too few images."""

    one: Floor | None = None
    other: Floor | None = None


class Gap(Schema):
    """Two sets under one extractor, which is indicative where its numbers compare only with
    themselves: their kernel distance, and how well a classifier can distinguish them.
    """

    one: FileName
    other: FileName
    extractor: str
    indicative: bool = False
    kernel: Value
    floor: PairFloors = PairFloors()
    classifier: TwoSample
    sentence: Prose = ""

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def seen(self) -> bool | None:
        """Whether there is a gap beyond chance; None where that cannot be told."""
        p = self.classifier.p_adjusted
        return None if p is None else p < ALPHA

    @property
    def above_floors(self) -> bool:
        """Whether the kernel distance is beyond what halves of either set give."""
        ends, floors = self.kernel.interval, (self.floor.one, self.floor.other)
        highest = max((floor.high for floor in floors if floor), default=0.0)
        return ends is not None and ends.low > max(highest, 0.0)


class DomainMap(Schema):
    """All sets on one plane, for looking: no number comes from it.

    Attributes:
        method: `umap` or `pca` (older files: `t-sne`).
        about: the method with its settings, for the reader.
        set: number of every point's set.
        label: class of every point; empty text where there is none.
        image: number of every point's image in its set.
    """

    method: str = ""
    about: str = ""
    extractor: str = ""
    points: Annotated[tuple[tuple[float, float], ...], pydantic.Field(max_length=MAX_POINTS)] = ()
    set: Many[Count] = ()
    label: Many[str] = ()
    image: Many[Count] = ()

    @pydantic.model_validator(mode="after")
    def _alike(self) -> Self:
        for name in ("set", "label", "image"):
            if (count := len(getattr(self, name))) not in (0, len(self.points)):
                raise ValueError(f"has {len(self.points)} points, but {count} entries of {name!r}")
        return self


class Thumbnails(Schema):
    """A picture beside the JSON, of small images of `width` by `height` pixels, one per point:
    number i is in row i // columns, column i % columns.
    """

    file: FileName
    width: Count
    height: Count
    columns: Count
    count: Count


class GapProvenance(Schema, extra="allow"):
    """What the numbers rest on.

    Attributes:
        permutations: of every classifier test.
        seed: of folds, blocks, permutations and of who is on the map.
        version: of the package that measured.
    """

    features: IfGiven[Many[Features]] = ()
    permutations: IfGiven[Count | None] = None
    seed: IfGiven[int | None] = None
    version: IfGiven[str] = ""


class DomainGap(Document):
    """What `domain-gap` writes; its pairs are those of all sets, under every extractor."""

    kind: Literal["domain-gap"] = "domain-gap"
    sets: Many[DomainSet]
    pairs: Many[Gap]
    map: DomainMap
    notes: Many[Prose] = ()
    provenance: GapProvenance = GapProvenance()
    thumbnails: IfGiven[Thumbnails | None] = None

    @pydantic.model_validator(mode="after")
    def _placed(self) -> Self:
        strange = next((number for number in self.map.set if number >= len(self.sets)), None)
        if strange is not None:
            raise ValueError(f"map.set names set {strange}, but there are {len(self.sets)} sets")
        return self

    def public(self) -> Self:
        """Sets of one name are called by their paths; here they are numbered, also in sentences."""
        names = dict(self._short_names())
        changed = sorted((old for old in names if names[old] != old), key=len, reverse=True)

        def say(text: str) -> str:
            for old in changed:
                text = text.replace(old, names[old])
            return text

        sets = tuple(
            each.replace(name=names[each.name], notes=tuple(map(say, each.notes)))
            for each in self.sets
        )
        pairs = tuple(
            each.replace(one=say(each.one), other=say(each.other), sentence=say(each.sentence))
            for each in self.pairs
        )
        notes = tuple(map(say, self.notes))
        return super(DomainGap, self.replace(sets=sets, pairs=pairs, notes=notes)).public()

    def _short_names(self) -> Iterator[tuple[str, str]]:
        """The name of every set, and the same without folders and once only."""
        taken: set[str] = set()
        for each in self.sets:
            short, number = _of_archive(each.name, each.archive.archive), 1
            name = short
            while name in taken:
                number += 1
                name = f"{short} ({number})"
            taken.add(name)
            yield each.name, name


def _of_archive(name: str, archive: str) -> str:
    """The part of a set's name from its archive on; classes follow the archive."""
    parts = SEPARATORS.split(name.rstrip("/\\"))
    begin = (
        place
        for place, part in enumerate(parts)
        if (archive and part.partition(":")[0] == archive) or ARCHIVE.fullmatch(part)
    )
    return ", ".join(parts[next(begin, -1) :])
