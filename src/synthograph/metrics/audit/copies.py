"""Whether synthetic images are copies of training images: a search that calibrates itself on the
user's data.

How alike an unseen real image comes to some training image tells what must not count as a copy;
planted copies tell how many would be found.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

import synthograph
from synthograph.archive.batches import ImageSet
from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams
from synthograph.metrics.audit.calibration import (
    AgreementScale,
    Threshold,
    clopper_pearson,
    design_effect,
    excess,
    upper_limit,
)
from synthograph.metrics.audit.identical import Identical, find_identical
from synthograph.metrics.audit.search import Candidates, Index
from synthograph.metrics.audit.transforms import TRANSFORMS, plant
from synthograph.metrics.evaluate import Tracks, silent

RATES = (0.001, 0.01)
"""False alarms at which recall is reported; the first is what images are withheld by."""
COPIES_ALPHA = 0.01
"""Probability of "copies found" for a generator that copies no more than an unseen patient does."""
PLANTED = 150
"""Images that are copied under every transform, at most."""
REAL = 2000
"""Real images of a set that thresholds are set on, at most."""
PAIRS = 24
MIN_GROUPS = 20
"""Images, or groups, of a set below which nothing can be said."""


@dataclass(frozen=True)
class ClosestPair:
    """A synthetic image and the training image nearest to it: places in their sets, and score."""

    synthetic: int
    train: int
    score: float

    def json(self) -> dict[str, Any]:
        """Plain data."""
        return {"fake": self.synthetic, "train": self.train, "score": self.score}


@dataclass(frozen=True)
class Recall:
    """How many planted copies are found.

    Attributes:
        transform: name; None for all together.
        label: class; None for all together.
        rate: false alarms of the threshold.
        found: planted copies flagged, and traced to the patient that they were copied from.
        planted: how many.
        interval: exact 95 % interval, for as many independent copies as there are groups.
    """

    transform: str
    label: str | None
    rate: float
    found: int
    planted: int
    interval: tuple[float, float]

    @property
    def share(self) -> float:
        """Share of the planted copies that are found."""
        return self.found / self.planted

    def json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "transform": self.transform,
            "label": self.label,
            "rate": self.rate,
            "recall": self.share,
            "found": self.found,
            "planted": self.planted,
            "interval": list(self.interval),
        }


@dataclass(frozen=True)
class Counted:
    """Images above a threshold.

    Attributes:
        threshold: which.
        flagged: synthetic images above it.
        holdout: images of the hold-out above it.
        p: probability of so many flagged, were synthetic images like unseen real ones.
        limit: upper 95 % limit of the share of copies that the search would find.
        limits: the same divided by the recall of every transform; None where nothing was found.
    """

    threshold: Threshold
    flagged: int
    holdout: int
    p: float
    limit: float
    limits: dict[str, float | None]

    def json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            **self.threshold.json(),
            "flagged": self.flagged,
            "holdout": self.holdout,
            "p": self.p,
            "upper_limit": self.limit,
            "upper_limit_by_transform": self.limits,
        }


@dataclass(frozen=True)
class Copies:
    """What the search found.

    Attributes:
        found: whether more images are flagged than unseen real images lead one to expect, or one
            equals a training image, but no held-out one, pixel by pixel.
        counts: at every rate of false alarms.
        recalls: of planted copies, by transform and class.
        same: synthetic images that equal a training image in every pixel.
        withhold: synthetic images above the threshold of the lowest rate, and identical ones.
        pairs: the closest, at most 24.
        notes: what a reader must know.
        provenance: what the numbers rest on.
        scores: of every synthetic image.
        nearest: training image that every score comes from.
    """

    found: bool
    counts: tuple[Counted, ...]
    recalls: tuple[Recall, ...]
    same: Identical
    withhold: tuple[int, ...]
    pairs: tuple[ClosestPair, ...]
    notes: tuple[str, ...]
    provenance: dict[str, Any]
    scores: Float[Tensor, " n"] = field(repr=False)
    nearest: Int64[Tensor, " n"] = field(repr=False)

    @property
    def identical(self) -> tuple[int, ...]:
        """Generated images that equal a training image in every pixel."""
        return self.same.images

    def json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "found": self.found,
            "level": COPIES_ALPHA,
            "counts": [each.json() for each in self.counts],
            "recall": [each.json() for each in self.recalls],
            **self.same.json(),
            "withhold": list(self.withhold),
            "pairs": [each.json() for each in self.pairs],
            "notes": list(self.notes),
            "provenance": self.provenance,
        }


def find_copies(
    train: ImageSet,
    holdout: ImageSet,
    synthetic: ImageSet,
    *,
    folder: Path,
    seed: int = 0,
    tracks: Tracks = silent,
    planted: int = PLANTED,
) -> Copies:
    """Search synthetic images for copies of training images.

    Thresholds are set on training images, each searched for among those of all other groups. The
    hold-out, which was not used for that, is counted beside it.

    Args:
        train: what the generator was trained on.
        holdout: real images of other groups.
        synthetic: images of the generator.
        folder: for a nameless file of the training images.
        seed: of what is planted and drawn.
        tracks: shows progress.
        planted: images copied under every transform, at most.

    Raises:
        UserError: different kinds of images, or too few of them.
    """
    check_sets(train, holdout, synthetic)
    index, streams = Index(train, folder), Streams(seed, "audit/copies/")
    found = Searched(index, tracks)
    chosen = drawn(train.count, REAL, streams, "real")
    unseen = found.rows(train, chosen, "training images against other groups", own=True)
    kept = drawn(holdout.count, REAL, streams, "holdout")
    held = found.rows(holdout, kept, "hold-out against training images")
    made = found.rows(synthetic, torch.arange(synthetic.count), "synthetic against training images")
    scale = AgreementScale.of(unseen)
    real, other = scale.scores(unseen)[0], scale.scores(held)[0]
    scores, nearest = scale.scores(made)
    thresholds = [Threshold.of(real, rate) for rate in RATES]
    recalls = _recalls(found, train, scale, thresholds, streams, planted)
    effects = (
        design_effect(real, train.groups[chosen]),
        design_effect(other, holdout.groups[kept]),
    )
    counts = tuple(_counted(t, scores, other, effects, recalls) for t in thresholds)
    same = find_identical(train, holdout, synthetic)
    flagged = (scores >= thresholds[0].score).nonzero()[:, 0].tolist()
    return Copies(
        found=any(each.p < COPIES_ALPHA / len(counts) for each in counts) or bool(same.proof),
        counts=counts,
        recalls=tuple(recalls),
        same=same,
        withhold=tuple(sorted({*flagged, *same.images})),
        pairs=_closest(scores, nearest),
        notes=tuple(_notes(counts, effects, same, holdout)),
        provenance=_provenance(train, holdout, synthetic, seed, (len(chosen), len(kept)), effects),
        scores=scores,
        nearest=nearest,
    )


def check_sets(train: ImageSet, *others: ImageSet) -> None:
    """Refuse sets that cannot be compared.

    Args:
        train: training images.
        others: the hold-out, then any.

    Raises:
        UserError: different kinds of images, or real ones of too few groups.
    """
    for other in others:
        one, two = train.spec, other.spec
        if (one.height, one.width, one.channels, one.bits) != (
            two.height,
            two.width,
            two.channels,
            two.bits,
        ):
            raise UserError(
                f"{train.name} has images of {one.width}x{one.height}, {one.channels} channels, "
                f"{one.bits} bits, {other.name} of {two.width}x{two.height}, {two.channels} "
                f"channels, {two.bits} bits: prepare both alike"
            )
    for images in (train, *others[:1]):
        if images.group_count < MIN_GROUPS:
            raise UserError(
                f"{images.name}: {images.group_count} groups; a search for copies needs at least "
                f"{MIN_GROUPS} to tell how alike images of different ones come"
            )


class Searched:
    """Searches sets for their nearest training images, a batch at a time."""

    def __init__(self, index: Index, tracks: Tracks) -> None:
        self.index, self.tracks = index, tracks

    def rows(
        self, images: ImageSet, rows: Int64[Tensor, " q"], what: str, *, own: bool = False
    ) -> Candidates:
        """Candidates of images at sorted places; with `own`, images of their group do not count."""
        parts = []
        batches = -(-images.count // images.batch)
        for start, batch in self.tracks(what)(_numbered(images), batches):
            here = rows[(rows >= start) & (rows < start + len(batch))]
            if len(here):
                groups = images.groups[here] if own else None
                parts.append(self.index.search(taken(batch, here - start), groups))
        return Candidates.joined(parts)


def _numbered(images: ImageSet) -> Iterator[tuple[int, Tensor]]:
    start = 0
    for batch in images.batches():
        yield start, batch
        start += len(batch)


def drawn(count: int, most: int, streams: Streams, stream: str) -> Int64[Tensor, " q"]:
    """Sorted places of at most so many images."""
    return streams.permutation(stream, 0, count)[:most].sort().values


def _chosen(train: ImageSet, planted: int, streams: Streams) -> Int64[Tensor, " q"]:
    """Sorted places of images to copy: equal shares of the classes, as many groups as there are."""
    order = streams.permutation("plants", 0, train.count).tolist()
    labels = train.labels or ("",) * train.count
    groups = train.groups.tolist()
    seen: dict[tuple[str, int], int] = {}
    ranked: dict[str, list[tuple[int, int]]] = {}
    for at, place in enumerate(order):
        key = (labels[place], groups[place])
        seen[key] = seen.get(key, 0) + 1
        ranked.setdefault(labels[place], []).append((seen[key] * len(order) + at, place))
    share = -(-planted // len(ranked))
    places = [place for each in ranked.values() for _, place in sorted(each)[:share]]
    return torch.tensor(sorted(places))


def _at(images: ImageSet, rows: Int64[Tensor, " q"]) -> Tensor:
    """Pixels of images at sorted places."""
    parts = []
    for start, batch in _numbered(images):
        here = rows[(rows >= start) & (rows < start + len(batch))]
        parts.append(taken(batch, here - start))
    return torch.cat(parts)


def taken(batch: Tensor, rows: Int64[Tensor, " q"]) -> Tensor:
    """Images at `rows`; torch itself picks no rows of 16 bits."""
    return torch.from_numpy(batch.numpy()[rows.numpy()])


def _recalls(
    found: Searched,
    train: ImageSet,
    scale: AgreementScale,
    thresholds: Sequence[Threshold],
    streams: Streams,
    planted: int,
) -> list[Recall]:
    """Plant copies, and see which are found."""
    rows = _chosen(train, planted, streams)
    pixels = _at(train, rows)
    others = taken(pixels, torch.arange(len(rows)).roll(1))
    labels = None if train.labels is None else [train.labels[i] for i in rows.tolist()]
    levels = [None, *sorted(set(labels or ()))]
    groups, recalls = train.groups[rows], []
    for name in found.tracks("planted copies")(TRANSFORMS, len(TRANSFORMS)):
        copies = plant(name, pixels, rows, streams, others)
        scores, nearest = scale.scores(found.index.search(copies))
        traced = (nearest == rows) | (train.groups[nearest] == groups)
        for threshold in thresholds:
            hit = traced & (scores >= threshold.score)
            for level in levels:
                part = torch.tensor([level is None or label == level for label in labels or rows])
                recalls.append(_recall(name, level, threshold.rate, hit[part], groups[part]))
    return recalls


def _recall(
    name: str, label: str | None, rate: float, hit: Tensor, groups: Int64[Tensor, " q"]
) -> Recall:
    count, planted = int(hit.sum()), len(hit)
    independent = len(groups.unique())
    interval = clopper_pearson(count * independent / planted, independent)
    return Recall(name, label, rate, count, planted, interval)


def _counted(
    threshold: Threshold,
    scores: Float[Tensor, " n"],
    held: Float[Tensor, " h"],
    effects: tuple[float, float],
    recalls: Sequence[Recall],
) -> Counted:
    flagged, of_held = (int((each >= threshold.score).sum()) for each in (scores, held))
    # images of a group stand for fewer independent ones; one above the threshold still counts
    above = max(threshold.above / effects[0], 1.0) + of_held / effects[1]
    real = threshold.count / effects[0] + len(held) / effects[1]
    limit = upper_limit(flagged, len(scores))
    mine = [r for r in recalls if r.label is None and r.rate == threshold.rate]
    limits = {r.transform: min(1.0, limit / r.share) if r.found else None for r in mine}
    p = excess(flagged, len(scores), above, real)
    return Counted(threshold, flagged, of_held, p, limit, limits)


def _closest(scores: Float[Tensor, " n"], nearest: Int64[Tensor, " n"]) -> tuple[ClosestPair, ...]:
    order = scores.argsort(descending=True, stable=True)[:PAIRS].tolist()
    return tuple(ClosestPair(i, int(nearest[i]), float(scores[i])) for i in order)


def _notes(
    counts: Sequence[Counted], effects: tuple[float, float], same: Identical, holdout: ImageSet
) -> Iterator[str]:
    for each in counts:
        threshold = each.threshold
        if threshold.extrapolated:
            yield (
                f"{threshold.count} training images are too few to fix {threshold.rate:.1%} false "
                "alarms by counting; the threshold is the larger of their quantile and that of an "
                "exponential tail fitted to the highest tenth of their scores"
            )
        expected = threshold.rate * holdout.count
        if (
            each.holdout
            and excess(
                each.holdout,
                holdout.count,
                max(threshold.above / effects[0], 1.0),
                threshold.count / effects[0],
            )
            < COPIES_ALPHA
        ):
            yield (
                f"{each.holdout} images of {holdout.name} are above the threshold of "
                f"{threshold.rate:.1%}, {expected:.1f} were expected: either it shares images with "
                "the training set, or its images are more alike to them than those are to each "
                "other"
            )
    if same.held:
        yield f"{same.held} images of {holdout.name} equal a training image in every pixel"
    yield (
        "scores of images of one group go together: they stand for "
        f"{1 / effects[0]:.0%} (training) and {1 / effects[1]:.0%} (hold-out) as many independent "
        "ones"
    )


def _provenance(
    train: ImageSet,
    holdout: ImageSet,
    synthetic: ImageSet,
    seed: int,
    used: tuple[int, int],
    effects: tuple[float, float],
) -> dict[str, Any]:
    sets = {"train": train, "holdout": holdout, "generated": synthetic}
    return {
        **{
            role: {"name": s.name, "images": s.count, "groups": s.group_count, **s.origin}
            for role, s in sets.items()
        },
        "thresholds_from": {"train_images": used[0], "holdout_images": used[1]},
        "design_effect": {"train": effects[0], "holdout": effects[1]},
        "seed": seed,
        "version": synthograph.__version__,
    }
