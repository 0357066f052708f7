"""Whether synthetic images are copies of training images: a search that calibrates itself on the
user's data.

Real images of other patients show how alike two different images can be, which sets the threshold.
Planted copies show how many copies the search would find.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from synthograph.archive.batches import ImageSet, pixels_at
from synthograph.core.seeds import Streams
from synthograph.metrics.audit.calibration import (
    Calibration,
    Independent,
    calibrated,
    clopper_pearson,
    design_effect,
    excess,
    upper_limit,
)
from synthograph.metrics.audit.control import LEVEL, look_among_unseen
from synthograph.metrics.audit.identical import Identical, find_identical
from synthograph.metrics.audit.search import Index
from synthograph.metrics.audit.sets import check_sets, drawn, provenance
from synthograph.metrics.audit.transforms import IDENTITY, plant, plantable
from synthograph.results.audit import ClosestPair, Control, Copies, Flagged, Recall, Threshold

RATES = (0.001, 0.01)
"""False alarms at which copies are counted and recall is reported, the strictest first."""
COPIES_ALPHA = 0.01
"""Probability of "copies found" for a generator that copies no more than an unseen patient does."""
PLANTED = 150
"""Images that are copied under every transform, at most."""
REAL = 2000
"""Real images of a set that thresholds are set on, at most."""
PAIRS = 24
MIN_RECALL = 0.5
"""Share of planted plain copies that must be found for a set to be called clean."""
WEAK = 0.8
"""Share of planted copies below which a transform is named as a limit."""


STREAMS = "audit/copies/"
EQUAL = "equals it in every pixel"


@dataclass(frozen=True)
class Withheld:
    """Place of a synthetic image that should not be shared, and of the training image that it
    equals or is most alike; how alike, or None where only equal images were looked for; and why.
    """

    image: int
    source: int
    score: float | None
    why: str


@dataclass(frozen=True)
class CopySearch:
    """The result of a search, and the images that should not be shared."""

    copies: Copies
    withheld: tuple[Withheld, ...]


def calibrate(index: Index, seed: int) -> Calibration:
    """Scores and thresholds from training images alone, each against those of all other groups: the
    same whenever images are searched for copies of these. Where there are many, some are drawn.
    """
    train = index.images
    rows = drawn(train.count, REAL, Streams(seed, STREAMS), "real")
    unseen = index.among_others(rows), index.padded_among_others(rows)
    return calibrated(*unseen, rows, train.groups, RATES)


def find_copies(
    index: Index, holdout: ImageSet, synthetic: ImageSet, *, seed: int = 0, planted: int = PLANTED
) -> CopySearch:
    """Search synthetic images for copies of training images.

    Thresholds are set on training images, each searched for among those of all other groups. The
    hold-out, which was not used for that, is counted beside it.

    Args:
        index: of what the generator was trained on.
        holdout: real images of other groups.
        synthetic: images of the generator.
        seed: of what is planted and drawn.
        planted: images copied under every transform, at most.

    Raises:
        UserError: different kinds of images, or too few of them.
    """
    train, streams = index.images, Streams(seed, STREAMS)
    check_sets(train, holdout, synthetic)
    known = calibrate(index, seed)
    kept = drawn(holdout.count, REAL, streams, "holdout")
    held = index.candidates(holdout, kept, "hold-out against training images")
    every = torch.arange(synthetic.count)
    others = index.candidates(synthetic, every, "synthetic against training images")
    other = known.scale.scores(held)[0]
    scores, nearest = known.scale.scores(others)
    recalls = _recalls(index, known, streams, planted)
    effects = (
        design_effect(known.scores, train.groups[known.rows]),
        design_effect(other, holdout.groups[kept]),
    )
    levels = [_independent(each, other, effects) for each in known.thresholds]
    counts = tuple(
        _counted(threshold, scores, other, real, recalls)
        for threshold, real in zip(known.thresholds, levels, strict=True)
    )
    same = find_identical(train, holdout, synthetic)
    against = convicting(counts, levels, synthetic.count)
    decided = against[-1][0] if against else counts[0]
    flagged = (scores >= decided.score).nonzero()[:, 0].tolist()
    control = look_among_unseen(
        index, holdout, synthetic, seen=(scores, nearest), scale=known.scale, convicting=against
    )
    copies = Copies(
        found=bool(same.proof) or not (control is None or control.explains),
        level=COPIES_ALPHA,
        decided=decided.rate,
        control=control,
        counts=counts,
        recall=tuple(recalls),
        identical=same.images,
        proof=same.proof,
        withhold=tuple(sorted({*flagged, *same.images})),
        pairs=_closest(scores, nearest),
        notes=tuple(_notes(counts, effects, same, holdout, int(known.twins.sum()))),
        provenance={
            **provenance({"train": train, "holdout": holdout, "generated": synthetic}, seed),
            "thresholds_from": {"train_images": len(known.rows), "holdout_images": len(kept)},
            "design_effect": {"train": effects[0], "holdout": effects[1]},
        },
    )
    copies = copies.replace(sentence=_in_words(copies, synthetic.count))
    return CopySearch(copies, tuple(_withheld(copies, same, scores, nearest)))


def convicting(
    counts: Sequence[Flagged], real: Sequence[Independent], images: int
) -> list[tuple[Flagged, Independent]]:
    """The levels that convict a set, with the real images of each; by the last one it is judged,
    and its images are withheld.

    A level convicts if it does so by what is left of a set without the images that a stricter one
    flags: no level convicts what is left in the end.

    Args:
        counts: images above every threshold, the strictest first.
        real: independent real images above them, and in all.
        images: in the set.
    """
    found, gone = list[tuple[Flagged, Independent]](), 0
    for count, (above, of) in zip(counts, real, strict=True):
        left = excess(count.flagged - gone, images - gone, above, of)
        if left < COPIES_ALPHA / len(counts):
            found.append((count, (above, of)))
            gone = count.flagged
    return found


def find_equal(train: ImageSet, holdout: ImageSet, synthetic: ImageSet) -> CopySearch:
    """Search for equal images only, where there are too few patients to search for others."""
    same = find_identical(train, holdout, synthetic)
    found = Copies(identical=same.images, proof=same.proof, withhold=same.images)
    sentence = (
        f"copies: {len(same.images)} synthetic images equal a training image in every pixel"
        f"{_unproven(found)}; there are too few patients to search for others"
    )
    pairs = zip(same.images, same.sources, strict=True)
    withheld = tuple(Withheld(image, source, None, EQUAL) for image, source in pairs)
    return CopySearch(found.replace(sentence=sentence), withheld)


def _withheld(
    copies: Copies, same: Identical, scores: Float[Tensor, " n"], nearest: Int64[Tensor, " n"]
) -> Iterator[Withheld]:
    """The images that `copies` withholds, each with the strictest level that flags it."""
    sources = dict(zip(same.images, same.sources, strict=True))
    for image in copies.withhold:
        score = float(scores[image])
        rates = [each.rate for each in copies.counts if score >= each.score]
        why = EQUAL if image in sources else f"flagged at {min(rates):.1%} false alarms"
        yield Withheld(image, sources.get(image, int(nearest[image])), score, why)


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


def _recalls(index: Index, known: Calibration, streams: Streams, planted: int) -> list[Recall]:
    """Plant copies, and see which are found."""
    train = index.images
    rows = _chosen(train, planted, streams)
    pixels = torch.cat([pixels for _, pixels in train.at(rows)])
    others = pixels_at(pixels, torch.arange(len(rows)).roll(1))
    labels = None if train.labels is None else [train.labels[i] for i in rows.tolist()]
    levels = [None, *sorted(set(labels or ()))]
    groups, recalls = train.groups[rows], []
    names = plantable(train.spec.channels)
    for name in index.tracks("planted copies")(names, len(names)):
        copies = plant(name, pixels, rows, streams, others)
        scores, nearest = known.scale.scores(index.search(copies))
        traced = (nearest == rows) | (train.groups[nearest] == groups)
        for threshold in known.thresholds:
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
    return Recall(
        transform=name, label=label, rate=rate, found=count, planted=planted, interval=interval
    )


def _independent(
    threshold: Threshold, held: Float[Tensor, " h"], effects: tuple[float, float]
) -> Independent:
    """Independent real images above a threshold, and in all, training images and hold-out."""
    # images of a group stand for fewer independent ones; one above the threshold still counts
    of_held = int((held >= threshold.score).sum())
    above = max(threshold.above / effects[0], 1.0) + of_held / effects[1]
    return above, threshold.images / effects[0] + len(held) / effects[1]


def _counted(
    threshold: Threshold,
    scores: Float[Tensor, " n"],
    held: Float[Tensor, " h"],
    real: Independent,
    recalls: Sequence[Recall],
) -> Flagged:
    flagged, of_held = (int((each >= threshold.score).sum()) for each in (scores, held))
    limit = upper_limit(flagged, len(scores))
    mine = [r for r in recalls if r.label is None and r.rate == threshold.rate]
    return Flagged(
        **dict(threshold),
        flagged=flagged,
        holdout=of_held,
        p=excess(flagged, len(scores), *real),
        upper_limit=limit,
        upper_limit_by_transform={
            r.transform: min(1.0, limit / r.recall) if r.found else None for r in mine
        },
    )


def _closest(scores: Float[Tensor, " n"], nearest: Int64[Tensor, " n"]) -> tuple[ClosestPair, ...]:
    order = scores.argsort(descending=True, stable=True)[:PAIRS].tolist()
    return tuple(ClosestPair(fake=i, train=int(nearest[i]), score=float(scores[i])) for i in order)


def _notes(
    counts: Sequence[Flagged],
    effects: tuple[float, float],
    same: Identical,
    holdout: ImageSet,
    twins: int,
) -> Iterator[str]:
    if twins:
        yield (
            f"{twins} training images look like copies of images of another group: thresholds were "
            "set without them; look whether groups are right"
        )
    for each in counts:
        if each.extrapolated:
            yield (
                f"{each.images} training images are too few to count {each.rate:.1%} false "
                "alarms among them, so the threshold is estimated from their highest scores"
            )
        expected = each.rate * holdout.count
        above, real = max(each.above / effects[0], 1.0), each.images / effects[0]
        if each.holdout and excess(each.holdout, holdout.count, above, real) < COPIES_ALPHA:
            yield (
                f"{each.holdout} images of {holdout.name} are above the threshold of "
                f"{each.rate:.1%}, {expected:.1f} were expected: either it shares images with "
                "the training set, or its images are more alike to them than those are to each "
                "other"
            )
    if same.held:
        yield f"{same.held} images of {holdout.name} equal a training image in every pixel"
    yield (
        "images of one group are alike, so they count for fewer: training images as "
        f"{1 / effects[0]:.0%} and held-out ones as {1 / effects[1]:.0%} of their number"
    )


# --- in words -------------------------------------------------------------------------------------


def _in_words(copies: Copies, images: int) -> str:
    """The result of the search in a sentence: what the level says that decides, and the others."""
    decided = [each for each in copies.counts if each.rate == copies.decided]
    others = [each for each in copies.counts if each.rate != copies.decided]
    words = "".join(
        f"{count.flagged} of {images} synthetic images look like copies of training images at "
        f"{count.rate:.1%} false alarms, where {count.rate * images:.1f} are expected by chance "
        f"(p = {count.p:.2g})"
        for count in decided
    )
    words += "".join(f"; at {count.rate:.1%} {count.flagged} do" for count in others)
    if copies.identical:
        equal = f"{len(copies.identical)} equal a training image in every pixel"
        words += f"; {equal}{_unproven(copies)}"
    words += f"; {len(copies.withhold)} images are to be withheld"
    if copies.found or copies.control is not None:
        return f"copies: {words}"
    known = copies.counts[0].upper_limit_by_transform.items()
    limits = ", ".join(f"{name} {limit:.1%}" for name, limit in known if limit is not None)
    return (
        f"copies: no more than chance gives: {words}; with 95 % confidence the share of copies is "
        f"at most, by kind of change: {limits or 'nothing can be said'}"
    )


def _unproven(copies: Copies) -> str:
    """How many of the equal images prove nothing, in brackets."""
    count = len(copies.identical) - len(copies.proof)
    if not count:
        return ""
    return f" ({count} of them have one colour or equal a held-out image too, which proves nothing)"


def doubtful(copies: Copies) -> str | None:
    """Why the search cannot convict a set whose images are flagged, and what to do; or None."""
    if copies.found or copies.control is None:
        return None
    return (
        f"flagged images need not be copies: {_like_unseen(copies.control)}, too few to rule out "
        f"chance (p below {LEVEL:g} is needed). Withhold the listed images and audit the others, "
        "or hold out more patients"
    )


def _like_unseen(control: Control) -> str:
    apart = ", those of the most alike held-out groups apart" if control.passed_over else ""
    return (
        f"{control.flagged} synthetic images look like copies of held-out images, which the "
        f"generator never saw (groups: {control.held}, p = {control.p:.2g}). "
        f"Images more alike to a training image than any is to a held-out one{apart}: "
        f"{control.closer} (groups: {control.groups}, p = {control.groups_p:.2g})"
    )


def exact_words(copies: Copies) -> str | None:
    """What is said of images that can be nothing but copies; None where there are none."""
    if not copies.proof:
        return None
    return (
        f"copies: {len(copies.proof)} synthetic images equal a training image, but no held-out "
        "one, in every pixel"
    )


def blindness(copies: Copies) -> str | None:
    """Why the search cannot clear a set, or None."""
    for recall in _over_classes(copies):
        if recall.transform == IDENTITY and recall.recall < MIN_RECALL:
            return (
                f"copy detection finds {recall.recall:.0%} of planted copies without any change, "
                f"less than {MIN_RECALL:.0%}: images of different patients are too alike"
            )
    return None


def unseen(copies: Copies) -> Iterator[str]:
    """What the search could have missed."""
    weak = [f"{r.transform} {r.recall:.0%}" for r in _over_classes(copies) if r.recall < WEAK]
    if weak:
        yield (
            f"few of the planted copies with these changes are found ({copies.counts[0].rate:.1%} "
            f"false alarms): {', '.join(weak)}"
        )
    yield "copies of parts of an image, or with changes that were not planted, may be missed"
    if copies.found and copies.control is not None and copies.control.flagged:
        yield f"not all that is flagged need be copies: {_like_unseen(copies.control)}"
    yield from copies.notes


def _over_classes(copies: Copies) -> list[Recall]:
    """Of all classes together, at the lowest rate of false alarms."""
    rate = copies.counts[0].rate
    return [each for each in copies.recall if each.label is None and each.rate == rate]
