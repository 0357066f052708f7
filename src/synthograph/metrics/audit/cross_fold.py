"""Memorisation where there is one generator per fold: the same image, generators that saw it and
one that did not.

This needs no hold-out and no assumption about how training and held-out images differ: every image
is compared with itself.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams
from synthograph.metrics.audit.membership import PERMUTATIONS
from synthograph.results.folds import FoldTest
from synthograph.stats.intervals import MIN_GROUPS, interval, plan
from synthograph.stats.permutation import p_value, permute_labels

# n image, g group, e evaluation, k generator

CROSS_FOLD_ALPHA = 0.05
"""Chance of a false alarm of both tests, by images and by groups, together."""


def cross_fold(
    scores: Float[Tensor, "k n"],
    unseen: Sequence[int],
    folds: Int64[Tensor, " n"],
    groups: Int64[Tensor, " n"],
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> FoldTest:
    """Compare, image by image, generators that saw it with the one that did not.

    Under the null the folds could have been dealt out to the groups in any other way, so p comes
    from dealing them out anew, as many groups for every fold.

    Args:
        scores: nearness of every image to the synthetic images of every generator, such as
            `nearness.nearness(...).nearest`; as many synthetic images of each.
        unseen: fold that every generator was trained without.
        folds: fold of every image; those of a group are in one fold.
        groups: patient of every image.
        permutations: how often folds are dealt out.
        seed: of permutations and blocks.

    Raises:
        UserError: fewer than two generators, sizes that do not fit, two generators for one fold, a
            group in two folds, or fewer than five groups.
    """
    _check_folds(scores, unseen, folds, groups)
    numbers = torch.tensor(list(unseen))
    there = (folds[:, None] == numbers).any(1)
    scores, folds = scores[:, there].to(torch.float64), folds[there]
    patients = groups[there].unique(return_inverse=True)[1]
    count = int(patients.max()) + 1 if len(patients) else 0
    if count < MIN_GROUPS:
        raise UserError(f"{count} groups to compare: at least {MIN_GROUPS} are needed")
    place = (folds[:, None] == numbers).int().argmax(1)
    fold_of = torch.zeros(count, dtype=torch.int64).index_put_((patients,), place)
    # generators differ in quality, which has nothing to do with who saw what
    centred = scores - scores.mean(1, keepdim=True)
    images = _gains(centred, place[None])[0]
    sizes = torch.bincount(patients, minlength=count).to(torch.float64)
    sums = torch.zeros(len(numbers), count, dtype=torch.float64).index_add_(1, patients, centred)
    dealt = permute_labels(fold_of, permutations, Streams(seed).under("metrics/audit"), "folds")
    # sums over the images of a group stand for its images, since all are in one fold
    found = _gains(sums, dealt)
    one, other = found.sum(1) / sizes.sum(), (found / sizes).mean(1)
    cut = plan(patients, seed=seed)
    kept = cut.kept.to(torch.float64)[:, cut.blocks[0]]
    left_out = int((~there).sum())
    notes = ["the interval is for these generators; with few of them the next may differ more"]
    if left_out:
        notes.append(f"{left_out} images are in folds that no generator left out")
    p, group_p = _upper(one), _upper(other)
    return FoldTest(
        gain=float(one[0]),
        interval=None if cut.reason else interval((kept @ images) / kept.sum(1), cut),
        p=p,
        share_nearer=float((images > 0).to(torch.float64).mean()),
        group_gain=float(other[0]),
        group_p=group_p,
        seen=min(p, group_p) * 2 < CROSS_FOLD_ALPHA,
        images=len(images),
        groups=count,
        generators=len(numbers),
        left_out=left_out,
        notes=(*notes, *filter(None, [cut.reason])),
    )


def _gains(scores: Float64[Tensor, "k n"], place: Int64[Tensor, "e n"]) -> Float64[Tensor, "e n"]:
    """Mean of the scores of all generators but the one at `place`, less the score of that one."""
    own = scores[place, torch.arange(scores.shape[1])]
    return (scores.sum(0) - own) / (len(scores) - 1) - own


def _upper(gains: Float64[Tensor, " e"]) -> float:
    """Chance of the gain in row 0; sums in another order are not quite equal."""
    return p_value(float(gains[0]), gains[1:], slack=1e-12 * float(gains.abs().max()))


def check_unseen(unseen: Sequence[int]) -> None:
    """Refuse generators that cannot be compared.

    Raises:
        UserError: fewer than two, or two that left out the same fold.
    """
    if len(unseen) < 2 or len(set(unseen)) != len(unseen):
        raise UserError(
            f"generators without folds {list(unseen)}: give at least two, each with a fold of its "
            "own"
        )


def _check_folds(scores: Tensor, unseen: Sequence[int], folds: Tensor, groups: Tensor) -> None:
    check_unseen(unseen)
    if scores.shape != (len(unseen), len(folds)) or len(folds) != len(groups):
        raise UserError(
            f"scores {tuple(scores.shape)} for {len(unseen)} generators, {len(folds)} folds and "
            f"{len(groups)} groups: give a row per generator and a column per image"
        )
    if not bool(scores.isfinite().all()):
        raise UserError("scores of nearness are not finite numbers; look at the features")
    pairs = torch.stack((groups, folds), dim=1).unique(dim=0)
    if len(pairs) != len(groups.unique()):
        raise UserError("a group is in two folds, so no generator left it out; split by group")
