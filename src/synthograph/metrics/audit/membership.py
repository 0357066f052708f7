"""Whether one can tell from synthetic images which real images the generator was trained on.

The attack needs nothing but the synthetic images: a real image that lies near to them is said to be
a member of the training set (`nearness.py`: nearest distance, and density by nearest neighbours).
Scores are replaced by their rank among all real images of the class, so that classes that lie
nearer to the synthetic images do not matter. How many training and how many held-out images there
are does not matter either, since both are compared with the same synthetic ones.

A split alone can look like memorisation, so every number has two things to compare with: a null, in
which whole groups change places between training and hold-out (within the class that most of their
images have, so that the mix of classes stays), and a control, in which training groups play both
parts.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from synthograph.core.interval import Interval
from synthograph.core.seeds import Streams
from synthograph.metrics.audit.nearness import NEIGHBOURS, Nearness, nearness
from synthograph.results.audit import Attack, Chance, Membership, SetSize
from synthograph.stats.intervals import (
    MIN_GROUPS,
    Plan,
    halving_plan,
    interval,
    plan,
    share_interval,
)
from synthograph.stats.permutation import (
    Labels,
    arrangements,
    joint_p_value,
    p_value,
    permute_groups,
    pool_groups,
    random_subsets,
)
from synthograph.stats.ranks import RankStatistics, quantiles, rank_statistics
from synthograph.stats.sample import Sample

# n real image, g group, u unit, e evaluation, k control

FALSE_POSITIVES = 0.01
PERMUTATIONS = 999
CONTROLS = 200
MEMBERSHIP_ALPHA = 0.025
"""Chance of a false alarm of all attacks together; tests of nearest neighbours have as much."""
HIGH = 0.05
"""Share of permutations or cuts that exceed what is called their high value."""
SCORES = ("nearest", "neighbourhood")
Draws = tuple[Bool[Tensor, "e g"], Bool[Tensor, "k g"]]
"""Members under every permutation, and who plays the hold-out in every control."""


def membership(
    train: Sample,
    holdout: Sample,
    synthetic: Sample,
    *,
    labels: Labels | None = None,
    permutations: int = PERMUTATIONS,
    controls: int = CONTROLS,
    seed: int = 0,
) -> Membership:
    """Try to distinguish training images from held-out ones by their distance to synthetic ones.

    Args:
        train: images that the generator was trained on, with their patients.
        holdout: images of other patients; a number means another patient here than in `train`.
        synthetic: images of the generator.
        labels: class of every image of `train` and of `holdout`; None where there are none.
        permutations: how often groups change places; the smallest p is 1 / (permutations + 1).
        controls: cuts of the training set.
        seed: of permutations, cuts and blocks.

    Raises:
        UserError: sets of other features, or numbers of labels that do not fit.
    """
    near = [nearness(each, synthetic) for each in (train, holdout)]
    cohort = Cohort.of(train, holdout, labels)
    undecided, attacks, p = cohort.too_few(), tuple[Attack, ...](), None
    seen, sentence = False, f"membership: undecidable: {undecided}"
    if undecided is None:
        attacks, p = _attacks(cohort, near, (permutations, controls), seed)
        seen, sentence = conclude(attacks[0], p)
    return Membership(
        attacks=attacks,
        p=p,
        seen=seen,
        undecided=undecided,
        sentence=sentence,
        train=SetSize(images=len(train), groups=train.group_count),
        holdout=SetSize(images=len(holdout), groups=holdout.group_count),
        synthetic=SetSize(images=len(synthetic)),
        settings={
            "scores": list(SCORES),
            "neighbours": min(NEIGHBOURS, len(synthetic)),
            "false_positives": FALSE_POSITIVES,
            "permutations": permutations,
            "controls": controls,
            "classes": labels is not None,
            "seed": seed,
        },
        notes=_notes(cohort, attacks) if attacks else (),
    )


def _attacks(
    cohort: "Cohort", near: Sequence[Nearness], counts: tuple[int, int], seed: int
) -> tuple[tuple[Attack, ...], float]:
    """A row per score and unit, and the p of all; counts of permutations and of controls."""
    draws, rows = cohort.draws(counts, Streams(seed).under("metrics/audit")), []
    for score in SCORES:
        ranks = cohort.ranked(torch.cat([getattr(each, score) for each in near]))
        rows += [attack(cohort, ranks, score, unit, draws) for unit in units(cohort, seed)]
    table = torch.stack([each for _, columns in rows for each in columns], dim=1)
    return tuple(attack for attack, _ in rows), joint_p_value(table)


def conclude(first: Attack, p: float) -> tuple[bool, str]:
    """Whether training images are distinguishable from held-out ones by the p of all attacks, and
    the result in words, with the numbers of the first.
    """
    seen = p <= MEMBERSHIP_ALPHA
    found = "the attacks guess no better than chance, which does not prove that others would not"
    if seen:
        found = "the attacks recognise training images, and chance does not explain it"
    return seen, (
        f"membership: {found} (AUC {first.auc:.3f}; between two parts of the training set "
        f"{first.control.mean:.3f}; {first.true_positive_rate:.1%} of the training images are "
        f"found at 1 % false positives; p = {p:.3f} for all attacks together)"
    )


@dataclass(frozen=True)
class Cohort:
    """Groups (numbered 0..g-1) and classes of all real images, training images first; whether a
    group was trained on, and the class that most of its images have.
    """

    groups: Int64[Tensor, " n"]
    member: Bool[Tensor, " g"]
    classes: Int64[Tensor, " n"]
    strata: Int64[Tensor, " g"]

    @classmethod
    def of(cls, train: Sample, holdout: Sample, labels: Labels | None) -> "Cohort":
        """Number groups and classes of both sets; see `pool_groups`."""
        pooled = pool_groups(train.groups, holdout.groups, labels)
        return cls(pooled.groups, ~pooled.of_second, pooled.classes, pooled.table.argmax(1))

    def too_few(self, alpha: float = MEMBERSHIP_ALPHA) -> str | None:
        """Why groups that change places cannot show anything at level `alpha`, or None."""
        ours = int(self.member.sum())
        fewest = min(ours, len(self.member) - ours)
        if fewest < MIN_GROUPS:
            return (
                f"{fewest} groups on one side, at least {MIN_GROUPS} of training and of "
                "held-out images are needed"
            )
        ways = arrangements(self.member, self.strata)
        if ways * alpha < 1:
            return (
                f"the groups can be divided in {ways} ways only with as many of every class on "
                f"each side, too few for a p of {alpha:.1%}"
            )
        return None

    def ranked(self, values: Float[Tensor, " n"]) -> Float64[Tensor, " n"]:
        """Share of the images of its class that score lower, for every image."""
        found = torch.empty(len(values), dtype=torch.float64)
        for number in self.classes.unique():
            chosen = self.classes == number
            found[chosen] = quantiles(values[chosen])
        return found

    def draws(self, counts: tuple[int, int], streams: Streams) -> Draws:
        """Permutations of groups, and training groups that play the hold-out: so many of each."""
        return (
            permute_groups(self.member, self.strata, counts[0], streams.under("members")),
            self.controls(counts[1], streams.under("controls")),
        )

    def controls(self, count: int, streams: Streams) -> Bool[Tensor, "e g"]:
        """Training groups that play the hold-out: half of every class, or as many as are held out
        where these are fewer.
        """
        chosen = torch.zeros(count, len(self.member), dtype=torch.bool)
        for stratum in self.strata.unique().tolist():
            inside = self.strata == stratum
            places = (inside & self.member).nonzero()[:, 0]
            size = min(len(places) // 2, int((inside & ~self.member).sum()))
            chosen[:, places] = random_subsets(len(places), size, count, streams, str(stratum))
        return chosen

    def means(self, values: Float64[Tensor, " n"]) -> Float64[Tensor, " g"]:
        """Mean over the images of every group."""
        sums = torch.zeros(len(self.member), dtype=torch.float64).index_add_(0, self.groups, values)
        return sums / torch.bincount(self.groups, minlength=len(self.member))


@dataclass(frozen=True)
class Unit:
    """What is taken for a member of the training set: an image, or a group by its images' mean.

    `owner` is the group of every unit, `values` makes a number for every unit of the ranks of all
    images. Without `halves` the rate of units that are found gets no interval.
    """

    name: str
    owner: Int64[Tensor, " u"]
    values: Callable[[Float64[Tensor, " n"]], Float64[Tensor, " u"]]
    cut: Plan
    halves: Plan | None = None


def units(cohort: Cohort, seed: int) -> tuple[Unit, Unit]:
    """Images and groups."""
    image, group = cohort.groups, torch.arange(len(cohort.member))
    by_image, by_group = (
        (owner[cohort.member[owner]], owner[~cohort.member[owner]]) for owner in (image, group)
    )
    halves = halving_plan(*by_image, seed=seed)
    return (
        Unit("image", image, lambda ranks: ranks, plan(*by_image, seed=seed), halves),
        Unit("group", group, cohort.means, plan(*by_group, seed=seed)),
    )


def attack(
    cohort: Cohort,
    ranks: Float64[Tensor, " n"],
    score: str,
    unit: Unit,
    draws: Draws,
) -> tuple[Attack, list[Float64[Tensor, " e"]]]:
    """One row, and its AUC and true-positive rate under every permutation. Images of high ranks, by
    the score of this name, should be members.
    """
    values, ours, (members, controls) = unit.values(ranks), cohort.member[unit.owner], draws
    every = rank_statistics(values, members[:, unit.owner], false_positives=FALSE_POSITIVES)
    auc, tpr = every.auc, every.true_positives
    inside = ours.expand(len(controls), -1)
    control = rank_statistics(values, ~controls[:, unit.owner], inside).auc
    auc_ends = interval(_kept(values, ours, unit.cut).auc, unit.cut, low=0.0)
    tpr_ends = None
    if unit.halves is not None:
        found, train = _kept(values, ours, unit.halves).true_positives, int(ours.sum())
        groups = int(cohort.member.sum())
        tpr_ends = share_interval(found, unit.halves, images=train, groups=groups)
    row = Attack(
        score=score,
        unit=unit.name,
        auc=float(auc[0]),
        interval=auc_ends and Interval(auc_ends.low, min(auc_ends.high, 1.0), auc_ends.level),
        p=p_value(float(auc[0]), auc[1:]),
        null=_chance(auc[1:]),
        true_positive_rate=float(tpr[0]),
        true_positive_interval=tpr_ends,
        true_positive_p=p_value(float(tpr[0]), tpr[1:]),
        true_positive_null=_chance(tpr[1:]),
        control=_chance(torch.maximum(control, 1 - control)),
        false_positives_allowed=math.floor(FALSE_POSITIVES * int((~ours).sum()) + 1e-9),
    )
    return row, [auc, tpr]


def _kept(values: Float64[Tensor, " n"], ours: Bool[Tensor, " n"], cut: Plan) -> RankStatistics:
    """Members and others of what every evaluation of a plan keeps."""
    kept = torch.zeros(len(cut.kept), len(values), dtype=torch.bool)
    kept[:, ours], kept[:, ~ours] = cut.kept[:, cut.blocks[0]], cut.kept[:, cut.blocks[1]]
    return rank_statistics(
        values, ours.expand(len(kept), -1), kept, false_positives=FALSE_POSITIVES
    )


def _chance(values: Float64[Tensor, " e"]) -> Chance:
    """Mean, and the value that 5 % exceed."""
    return Chance(mean=float(values.mean()), high=float(values.quantile(1 - HIGH)))


def _notes(cohort: Cohort, attacks: Sequence[Attack]) -> tuple[str, ...]:
    notes = [
        "intervals and p are for these synthetic images and this training run; another run may "
        "remember otherwise"
    ]
    fewest = {f"{attack.unit}s" for attack in attacks if attack.false_positives_allowed == 0}
    if fewest:
        notes.append(
            f"1 % of the held-out {' and '.join(sorted(fewest))} is less than one: found are those "
            "nearer than every held-out one"
        )
    if len(cohort.member) == len(cohort.groups):
        notes.append(
            "every image is a group of its own; if patients have several images, p is too small"
        )
    return tuple(notes)
