"""How far sets of images are from each other: two scanners, two hospitals, real and synthetic.

For every pair of sets and every extractor: the kernel distance with its interval and its floor (one
half of a set against the other half), and a classifier two-sample test, both cut by group; and one
map of all images together, for people to look at.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import synthograph
from synthograph.archive.batches import ImageSet
from synthograph.core.errors import UserError
from synthograph.core.progress import Tracks, silent
from synthograph.core.seeds import Streams
from synthograph.features.base import Extractor
from synthograph.metrics.columns import features_of
from synthograph.metrics.evaluate import MIN_IMAGES, check_kind
from synthograph.metrics.kernel import kernel_distance
from synthograph.metrics.maps import flat_map
from synthograph.metrics.measures import floors
from synthograph.metrics.sprites import sprite, thumbnails
from synthograph.metrics.two_sample import classifier_test, permutations_for
from synthograph.results.domain_gap import (
    ALPHA,
    DomainGap,
    DomainMap,
    DomainSet,
    Gap,
    GapProvenance,
    PairFloors,
    Thumbnails,
)
from synthograph.results.evaluation import MIN_FOR_MORE
from synthograph.results.provenance import Features, ImageRecord, weakness
from synthograph.stats.comparisons import holm
from synthograph.stats.sample import Sample

MAX_STATED_AUC = 0.995
OTHER_MIX = 0.1
"""Share of the images whose class would have to change, above which a note says so."""
MAX_POINTS = 1200
"""Images on the map, all sets together."""
KERNEL = "kernel"


@dataclass(frozen=True)
class DomainImages:
    """One of the sets to compare."""

    images: ImageSet  # no image and no patient of it is in another set
    origin: str = "real"  # or `synthetic`, or `mixed`
    notes: tuple[str, ...] = ()  # sentences on it for the reader

    @property
    def name(self) -> str:
        """What to call it."""
        return self.images.name

    @property
    def record(self) -> DomainSet:
        """Its entry in the result."""
        return DomainSet(
            name=self.name,
            images=self.images.count,
            groups=self.images.group_count,
            images_hash=self.images.origin.get("images_hash"),
            origin=self.origin,
            archive=ImageRecord(**self.images.origin),
            notes=self.notes,
        )


def sentence_of(gap: Gap) -> str:
    """The result of a pair in plain words."""
    pair = f"{gap.one} and {gap.other}"
    why = f", by a network that was {weakness([gap.extractor])}: an indication"
    weak = why if gap.indicative else ""
    found, ends, p = gap.classifier, gap.classifier.interval, gap.classifier.p_adjusted
    if p is None or found.auc is None:
        return f"{pair}: undecidable: {found.reason}"
    between = "" if ends is None else f", {ends.low:.3f} to {ends.high:.3f}"
    words = f"AUC {found.auc:.3f}{between}; p = {p:.3g}{weak}"
    if gap.seen:
        share = "over 99 %" if found.auc >= MAX_STATED_AUC else f"{100 * found.auc:.0f} %"
        return (
            f"{pair} differ: shown a new image of each, a classifier rightly says which is which "
            f"in {share} of the cases ({words})"
        )
    larger = "; but the kernel distance is larger than between halves of one set"
    but = larger if gap.above_floors else ""
    return f"{pair}: no difference is seen, which does not prove that there is none ({words}){but}"


def check(sets: Sequence[DomainImages]) -> None:
    """Refuse what cannot be compared, before anything is computed.

    Raises:
        UserError: fewer than two sets, two of one name, different kinds of images, or too few.
    """
    if len(sets) < 2:
        raise UserError(f"{len(sets)} sets: a gap is between two or more; name another archive")
    names = [each.name for each in sets]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"two sets are called {twice}: name every set once, or rename an archive")
    for each in sets:
        if each.images.count < MIN_IMAGES:
            raise UserError(
                f"{each.name}: {each.images.count} images; at least {MIN_IMAGES} are needed, and "
                f"below {MIN_FOR_MORE} nothing means much"
            )
        check_kind(sets[0].images, each.images)


def domain_gap(
    sets: Sequence[DomainImages],
    extractors: Sequence[Extractor],
    *,
    folder: Path,
    tracks: Tracks = silent,
    permutations: int | None = None,
    seed: int = 0,
) -> DomainGap:
    """Compare every two sets.

    Args:
        sets: two or more, of images of one kind.
        extractors: whose features; the first one's make the map.
        folder: where features are kept.
        tracks: shows progress.
        permutations: of the classifier test; by default 999, or 40 for each comparison where these
            are more, at most 9999.
        seed: of folds, blocks, permutations and of who is on the map.

    Raises:
        UserError: as from `check`, no extractor, or features that are not finite.
    """
    check(sets)
    if not extractors:
        raise UserError("no extractor of features: name at least one")
    samples = {
        extractor.name: [
            features_of(each.images, extractor, folder=folder, tracks=tracks) for each in sets
        ]
        for extractor in extractors
    }
    work = [
        (each, pair) for each in extractors for pair in itertools.combinations(range(len(sets)), 2)
    ]
    permutations = permutations or permutations_for(len(work))
    gaps = []
    for extractor, (i, j) in tracks("comparing")(work, len(work)):
        rows = samples[extractor.name]
        gaps.append(_gap((sets[i], sets[j]), (rows[i], rows[j]), extractor, permutations, seed))
    gaps = _adjusted(gaps)
    first = extractors[0]
    flat = _map(sets, samples[first.name], first.name, seed)
    return DomainGap(
        sets=tuple(each.record for each in sets),
        pairs=tuple(gaps),
        map=flat,
        notes=_notes(sets, flat, gaps, permutations),
        provenance=GapProvenance(
            features=tuple(Features(**extractor.describe()) for extractor in extractors),
            permutations=permutations,
            seed=seed,
            version=synthograph.__version__,
        ),
    )


def _gap(
    sets: tuple[DomainImages, DomainImages],
    samples: tuple[Sample, Sample],
    extractor: Extractor,
    permutations: int,
    seed: int,
) -> Gap:
    (one, other), names = samples, (sets[0].name, sets[1].name)
    below = [floors(a, b, [KERNEL], seed=seed).get(KERNEL) for a, b in ((one, other), (other, one))]
    return Gap(
        one=names[0],
        other=names[1],
        extractor=extractor.name,
        indicative=extractor.indicative,
        kernel=kernel_distance(one, other, seed=seed),
        floor=PairFloors(one=below[0], other=below[1]),
        classifier=classifier_test(one, other, permutations=permutations, seed=seed, names=names),
    )


def _adjusted(gaps: Sequence[Gap]) -> list[Gap]:
    """The pairs with p adjusted for all comparisons, and the sentence that follows from it."""
    ps = holm([gap.classifier.p for gap in gaps])
    found = [
        gap.replace(classifier=gap.classifier.replace(p_adjusted=p))
        for gap, p in zip(gaps, ps, strict=True)
    ]
    return [gap.replace(sentence=sentence_of(gap)) for gap in found]


def _map(
    sets: Sequence[DomainImages], samples: Sequence[Sample], extractor: str, seed: int
) -> DomainMap:
    """As many images of every set, at most `MAX_POINTS` in all."""
    most = max(1, MAX_POINTS // len(sets))
    chosen: list[Tensor] = []
    for place, sample in enumerate(samples):
        order = Streams(seed).permutation(f"metrics/map/{place}", 0, len(sample))
        chosen.append(order[:most].sort().values)
    values = [sample.values[rows] for sample, rows in zip(samples, chosen, strict=True)]
    labels = [
        (each.images.labels or [""] * each.images.count)[number]
        for each, rows in zip(sets, chosen, strict=True)
        for number in rows.tolist()
    ]
    flat = flat_map(torch.cat(values), seed=seed)
    return DomainMap(
        method=flat.method,
        about=flat.about,
        extractor=extractor,
        # more than six digits would only make the file longer
        points=tuple((float(f"{x:.6g}"), float(f"{y:.6g}")) for x, y in flat.points.tolist()),
        set=tuple(place for place, rows in enumerate(chosen) for _ in rows),
        label=tuple(labels),
        image=tuple(number for rows in chosen for number in rows.tolist()),
    )


def _notes(
    sets: Sequence[DomainImages], flat: DomainMap, gaps: Sequence[Gap], permutations: int
) -> tuple[str, ...]:
    notes = [f"{each.name}: {note}" for each in sets for note in each.notes]
    for each in sets:
        if each.origin == "real" and each.images.group_count == each.images.count:
            notes.append(
                f"{each.name}: every image counts as a patient of its own; if patients have "
                "several images, p is too small and intervals too narrow"
            )
        if each.origin != "real":
            notes.append(
                f"{each.name}: the numbers hold for these images; another training gives others"
            )
    notes += filter(None, (_mix(*pair) for pair in itertools.combinations(sets, 2)))
    total = sum(each.images.count for each in sets)
    if len(flat.image) < total:
        notes.append(f"the map shows {len(flat.image)} of {total} images, drawn at random")
    notes.append(
        f"the map ({flat.about}) is only for looking at: its distances are distorted, and no "
        "number here comes from it"
    )
    if len(gaps) > 1:
        notes.append(f"p is adjusted for {len(gaps)} comparisons (Holm)")
    tested = [gap.classifier for gap in gaps if gap.classifier.p is not None]
    if tested and len(tested) >= ALPHA * (permutations + 1):
        notes.append(
            f"{len(tested)} comparisons are too many for these permutations: no adjusted p can be "
            f"below {ALPHA:.0%}, so compare fewer sets or features at once"
        )
    said = [
        f"{gap.one} and {gap.other}: {note}"
        for gap in gaps
        for note in (*gap.kernel.notes, *gap.classifier.notes)
    ]
    return (*notes, *dict.fromkeys(said))


def _mix(one: DomainImages, other: DomainImages) -> str | None:
    """A note where classes are not equally frequent in both sets, which is a gap by itself."""
    if one.images.labels is None or other.images.labels is None:
        return None
    first, second = Counter(one.images.labels), Counter(other.images.labels)
    shares = {
        name: (first[name] / one.images.count, second[name] / other.images.count)
        for name in sorted(first | second)
    }
    apart = {name: abs(ours - theirs) for name, (ours, theirs) in shares.items()}
    if sum(apart.values()) / 2 <= OTHER_MIX:
        return None
    worst = max(shares, key=lambda name: round(apart[name], 9))
    ours, theirs = (100 * share for share in shares[worst])
    return (
        f"{one.name} and {other.name}: classes are not equally frequent in both ("
        f"{worst or 'no class'} {ours:.0f} % and {theirs:.0f} %), so part of the gap may be that; "
        "--class compares one class alone"
    )


def pictures_of(
    sets: Sequence[DomainImages], points: DomainMap, file: str, *, side: int
) -> tuple[bytes, Thumbnails]:
    """A small picture of every point of the map, in the order of the points, with a longer side of
    so many pixels.
    """
    found = []
    for place, each in enumerate(sets):
        shown = [n for n, at in zip(points.image, points.set, strict=True) if at == place]
        small = thumbnails(each.images, shown, side=side)
        found += [small[number] for number in shown]
    return sprite(found, file)
