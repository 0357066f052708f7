"""Classifier two-sample test: can an image of one set be distinguished from one of the other?

Source: Lopez-Paz and Oquab 2017, "Revisiting Classifier Two-Sample Tests", section 3. A classifier
learns on some of the images and is tested on the rest; where both sets come from one distribution
it cannot be better than chance.

Here the classifier is a discriminant on the first principal components of the features and on their
squares (so that it sees another mean as well as another spread), cut along whole groups into folds,
and p comes from groups that change places between the sets. The components are those of both sets
together without the fold that it is tested on: with it, the set with fewer patients would be fitted
better.

It sees best what moves or widens a set as a whole. Sets that differ only in how images cluster are
seen worse, by the kernel distance better; so both are reported.

Groups that change places must be alike in number: the larger set is cut down to as many groups as
the smaller one has, and where one set has single images only (synthetic ones), they are bundled to
the size of the other's groups. Otherwise p would be too small where a few patients with many images
meet many single images.
"""

import math
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from synthograph.core.interval import Interval
from synthograph.core.seeds import Streams
from synthograph.metrics.maps import principal
from synthograph.results.domain_gap import TwoSample
from synthograph.stats.intervals import MIN_GROUPS, Plan, parts, plan, quantile, variance
from synthograph.stats.permutation import p_value, permute_groups, pool_groups
from synthograph.stats.ranks import ELEMENTS, rank_statistics
from synthograph.stats.sample import Sample, check

# n image, d feature, c number that the classifier sees, g group, e evaluation or permutation

FOLDS = 5
PERMUTATIONS = 999
PER_COMPARISON, MAX_PERMUTATIONS = 40, 9999
"""Permutations for each of several comparisons, so that the smallest p stays small when it is
adjusted for all of them; and in all, since the time grows with both numbers."""
COMPONENTS = 32
IMAGES_PER_COMPONENT = 10
RIDGE = 0.1
"""Share of the mean variance that is added to every variance: the classifier stays tame where there
are hardly more images than numbers."""


def permutations_for(comparisons: int) -> int:
    """Permutations of each of several tests, 999 to 9999."""
    return min(max(PERMUTATIONS, PER_COMPARISON * comparisons), MAX_PERMUTATIONS)


def classifier_test(
    one: Sample,
    other: Sample,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    names: tuple[str, str] = ("one", "other"),
) -> TwoSample:
    """Test whether a classifier can distinguish the images of two sets.

    Args:
        one: features of a set of images with their patients.
        other: features of another set; a number means another patient here.
        permutations: how often groups change places; the smallest p is 1 / (permutations + 1).
        seed: of folds, bundles and permutations.
        names: of the sets, for messages.

    Raises:
        UserError: features that are not finite.
    """
    for sample, name in zip((one, other), names, strict=True):
        check(sample, name)
    pair, notes = _alike(one, other, names, seed)
    groups = (pair[0].group_count, pair[1].group_count)
    settings = {"permutations": permutations, "ridge": RIDGE, "seed": seed}
    result = partial(TwoSample, images=(len(pair[0]), len(pair[1])), groups=groups, notes=notes)
    if min(groups) < MIN_GROUPS:
        reason = f"{min(groups)} groups in a set, at least {MIN_GROUPS} are needed"
        return result(settings=settings, reason=reason)
    seen = _seen(pair, seed)
    settings |= {"folds": seen.folds, "components": seen.tables[0].shape[1] // 2}
    # groups change places in their fold, so that every fold keeps as many of either set
    streams = Streams(seed).under("metrics/two-sample")
    auc = _auc(seen, permute_groups(seen.member, seen.fold, permutations, streams))
    ends, accuracy, accuracy_ends = _intervals(seen, pair, auc, seed)
    return result(
        auc=float(auc[0]),
        interval=ends,
        accuracy=accuracy,
        accuracy_interval=accuracy_ends,
        p=p_value(float(auc[0]), auc[1:], slack=1e-12),
        settings=settings,
    )


def _alike(
    one: Sample, other: Sample, names: tuple[str, str], seed: int
) -> tuple[tuple[Sample, Sample], tuple[str, ...]]:
    """Both sets with the same number of groups, of about the same size."""
    sizes = [len(each) / max(each.group_count, 1) for each in (one, other)]
    bundled, notes = [], []
    both = zip((one, other), names, sizes, reversed(sizes), strict=True)
    for sample, name, mine, theirs in both:
        if mine == 1 and theirs >= 1.5:
            size = round(theirs)
            order = Streams(seed).permutation("metrics/two-sample/bundles", 0, len(sample))
            numbers = torch.empty(len(sample), dtype=torch.int64)
            numbers[order] = torch.arange(len(sample)) // size
            sample = Sample(sample.values, numbers)
            notes.append(f"for the classifier, every {size} images of {name} count as one group")
        bundled.append(sample)
    fewest = min(each.group_count for each in bundled)
    found = []
    for place, sample in enumerate(bundled):
        count = sample.group_count
        if count > fewest:
            every = sample.groups.unique()
            order = Streams(seed).permutation(f"metrics/two-sample/{place}", 0, count)
            sample = sample.subset(torch.isin(sample.groups, every[order[:fewest]]))
            notes.append(
                f"the classifier is shown {fewest} of the {count} groups of {names[place]}"
            )
        found.append(sample)
    return (found[0], found[1]), tuple(notes)


@dataclass(frozen=True)
class _Seen:
    """The inputs of the classifiers."""

    tables: list[Float64[Tensor, "n c"]]
    """For every fold, what the classifier that leaves it out sees of every image, those of the
    first set first."""
    groups: Int64[Tensor, " n"]  # of every image, 0..g-1; those of the first set come first
    member: Bool[Tensor, " g"]  # whether a group is of the second set
    fold: Int64[Tensor, " g"]  # of every group

    @property
    def folds(self) -> int:
        """How many."""
        return len(self.tables)


def _seen(pair: tuple[Sample, Sample], seed: int) -> _Seen:
    values = torch.cat([each.values for each in pair]).to(torch.float64)
    counts = [each.group_count for each in pair]
    folds = min(FOLDS, *counts)
    pooled = pool_groups(pair[0].groups, pair[1].groups)
    groups = pooled.groups
    fold_of = torch.cat([parts(each.groups, folds, seed=seed) for each in pair])
    fold = torch.zeros(sum(counts), dtype=torch.int64).index_put_((groups,), fold_of)
    inside = fold[groups]
    tables = [_numbers(values, inside != left_out, seed) for left_out in range(folds)]
    return _Seen(tables, groups, pooled.of_second, fold)


def _numbers(
    values: Float64[Tensor, "n d"], learn: Bool[Tensor, " n"], seed: int
) -> Float64[Tensor, "n c"]:
    """Inputs of every image: principal components of the training images, and their squares, scaled
    by the training images.
    """
    dims = max(1, min(COMPONENTS, int(learn.sum()) // IMAGES_PER_COMPONENT, values.shape[1]))
    scores = principal(values, dims, learn=learn, seed=seed)
    scores = scores / scores[learn].std(0).clamp(min=1e-12)
    both = torch.cat((scores, scores.square()), dim=1)
    both = both - both[learn].mean(0)
    return both / both[learn].std(0).clamp(min=1e-12)


def _learn(
    seen: _Seen, members: Bool[Tensor, "e g"], fold: int
) -> tuple[Int64[Tensor, " k"], Float64[Tensor, "k e"]]:
    """The images of a fold, and their scores by classifiers of the other folds, one per evaluation;
    high ones are of the second set, 0 is half-way between the means.

    The discriminants have the covariance of all images of the other folds, whoever they belong to;
    it gives the same direction as the covariance within the sets.
    """
    inside = seen.fold[seen.groups] == fold
    table = seen.tables[fold]
    learn, rows = table[~inside], inside.nonzero()[:, 0]
    centred = learn - learn.mean(0)
    covariance = centred.T @ centred / len(learn)
    covariance.diagonal().add_(RIDGE * float(covariance.diagonal().mean()) + 1e-12)
    count = len(seen.member)
    sums = torch.zeros(count, learn.shape[1], dtype=torch.float64)
    sums.index_add_(0, seen.groups[~inside], learn)
    sizes = torch.bincount(seen.groups[~inside], minlength=count).to(torch.float64)
    ours, theirs = (side.to(torch.float64) for side in (members, ~members))
    means = [(side @ sums) / (side @ sizes)[:, None] for side in (theirs, ours)]
    direction = torch.linalg.solve(covariance, (means[1] - means[0]).T)
    middle = ((means[0] + means[1]) / 2 * direction.T).sum(1)
    return rows, table[rows] @ direction - middle


def _auc(seen: _Seen, members: Bool[Tensor, "e g"]) -> Float64[Tensor, " e"]:
    """AUC of every evaluation, from pairs of images of one fold."""
    concordant = torch.zeros(len(members), dtype=torch.float64)
    pairs = torch.zeros(len(members), dtype=torch.float64)
    step = max(1, ELEMENTS // (4 * len(seen.groups)))
    for start in range(0, len(members), step):
        part = slice(start, start + step)
        for fold in range(seen.folds):
            rows, scores = _learn(seen, members[part], fold)
            ours = members[part][:, seen.groups[rows]].T
            found, all_pairs = _concordant(scores, ours)
            concordant[part] += found
            pairs[part] += all_pairs
    return concordant / pairs


def _concordant(
    scores: Float64[Tensor, "k e"], ours: Bool[Tensor, "k e"]
) -> tuple[Float64[Tensor, " e"], Float64[Tensor, " e"]]:
    """Pairs in which the image of the second set scores higher (ties count half), and all pairs."""
    total = torch.zeros(scores.shape[1], dtype=torch.float64)
    for turned in (False, True):  # equal scores stand in the order of their rows
        one, members = (scores.flip(0), ours.flip(0)) if turned else (scores, ours)
        ordered = members.gather(0, one.argsort(dim=0, stable=True)).to(torch.float64)
        total += ((1 - ordered).cumsum(0) * ordered).sum(0)
    count = ours.sum(0).to(torch.float64)
    return total / 2, count * (len(ours) - count)


def _intervals(
    seen: _Seen, pair: tuple[Sample, Sample], auc: Float64[Tensor, " e"], seed: int
) -> tuple[Interval | None, float, Interval | None]:
    """Interval of the AUC, accuracy and its interval, by leaving out blocks of groups.

    That leaves the classifiers as they are. How much they themselves vary shows in the AUC of the
    permutations; it shrinks towards an AUC of 1 as the deviation of a share does.
    """
    cut = plan(pair[0].groups, pair[1].groups, seed=seed)
    ours = seen.member[seen.groups]
    kept = cut.kept[:, torch.cat(cut.blocks)]
    right = torch.zeros(len(ours), dtype=torch.bool)
    concordant = torch.zeros(len(kept), dtype=torch.float64)
    pairs = torch.zeros(len(kept), dtype=torch.float64)
    for fold in range(seen.folds):
        rows, scores = _learn(seen, seen.member[None], fold)
        right[rows] = (scores[:, 0] > 0) == ours[rows]
        each = rank_statistics(scores[:, 0], ours[rows].expand(len(kept), -1), kept[:, rows])
        concordant += each.concordant
        pairs += each.pairs
    accuracy = torch.stack([_share(right, kept, side) for side in (ours, ~ours)]).mean(0)
    if cut.reason is not None:
        return None, float(accuracy[0]), None
    found = concordant / pairs.clamp(min=1)
    value = float(found[0])
    chance = 2 * math.sqrt(value * (1 - value)) * float(auc[1:].std())
    ends = [_bounded(values, cut, chance) for values in (found, accuracy)]
    return ends[0], float(accuracy[0]), ends[1]


def _share(
    right: Bool[Tensor, " n"], kept: Bool[Tensor, "e n"], side: Bool[Tensor, " n"]
) -> Float64[Tensor, " e"]:
    """Share of one set that is classified correctly, for every evaluation."""
    chosen = kept[:, side].to(torch.float64)
    return (chosen @ right[side].to(torch.float64)) / chosen.sum(1).clamp(min=1)


def _bounded(values: Float64[Tensor, " e"], cut: Plan, least: float) -> Interval:
    """An interval inside [0, 1] from the larger of two standard errors."""
    value, error = float(values[0]), max(math.sqrt(variance(values, cut)), least)
    width = quantile(cut.count - 1) * error
    return Interval(max(value - width, 0.0), min(value + width, 1.0))
