"""How well scores separate two sets, for many assignments of images to sets at once."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

# n image, e evaluation (a way to say who belongs, or to leave images out)

ELEMENTS = 1 << 24
"""Numbers that are in memory at a time."""


@dataclass(frozen=True)
class Ranking:
    """Images in the order of their scores, ties together."""

    order: Int64[Tensor, " n"]  # image at every place, lowest score first
    before: Int64[Tensor, " n"]  # place before the first of the same score; -1 where there is none
    last: Int64[Tensor, " n"]  # place of the last image with the same score


def ranking(scores: Float[Tensor, " n"]) -> Ranking:
    """Sort scores once for any number of evaluations."""
    values, order = scores.sort(stable=True)
    _, counts = values.unique_consecutive(return_counts=True)
    last = counts.cumsum(0) - 1
    repeated = last.repeat_interleave(counts)
    return Ranking(order, repeated - counts.repeat_interleave(counts), repeated)


def quantiles(scores: Float[Tensor, " n"]) -> Float64[Tensor, " n"]:
    """Share of the images with a lower score, ties by half: 0..1."""
    ranked = ranking(scores)
    found = torch.empty(len(scores), dtype=torch.float64)
    middle = (ranked.before + ranked.last + 2).to(torch.float64) / 2
    found[ranked.order] = middle / len(scores)
    return found


@dataclass(frozen=True)
class RankStatistics:
    """How members differ from others, for every evaluation.

    Attributes:
        concordant: pairs of a member and another image in which the member scores higher; ties
            count half.
        pairs: all such pairs.
        found: members whose score at most `allowed` of the others reach.
        members: members that are kept.
    """

    concordant: Float64[Tensor, " e"]
    pairs: Float64[Tensor, " e"]
    found: Float64[Tensor, " e"]
    members: Float64[Tensor, " e"]

    @property
    def auc(self) -> Float64[Tensor, " e"]:
        """Share of concordant pairs; 0.5 where there is no pair."""
        return torch.where(self.pairs > 0, self.concordant / self.pairs.clamp(min=1), 0.5)

    @property
    def true_positives(self) -> Float64[Tensor, " e"]:
        """Share of the members that are found."""
        return self.found / self.members.clamp(min=1)


def rank_statistics(
    scores: Float[Tensor, " n"],
    members: Bool[Tensor, "e n"],
    kept: Bool[Tensor, "e n"] | None = None,
    *,
    false_positives: float = 0.01,
) -> RankStatistics:
    """Compare the scores of members with those of the others.

    Args:
        scores: of all images; high ones should be members.
        members: who is a member, for every evaluation.
        kept: who counts at all; everybody by default.
        false_positives: share of the others that may score as high as a member that is found,
            rounded down to whole images.
    """
    ranked, parts = ranking(scores), []
    step = max(1, ELEMENTS // max(len(scores), 1))
    for start in range(0, len(members), step):
        rows = slice(start, start + step)
        parts.append(
            _ranks_of(ranked, members[rows], None if kept is None else kept[rows], false_positives)
        )
    return RankStatistics(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _ranks_of(
    ranked: Ranking, members: Tensor, kept: Tensor | None, false_positives: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    ours = members[:, ranked.order]
    others = ~ours
    if kept is not None:
        chosen = kept[:, ranked.order]
        ours, others = ours & chosen, others & chosen
    counted = torch.cat((torch.zeros(len(ours), 1), others.cumsum(1)), dim=1).to(torch.float64)
    below, up_to = counted[:, ranked.before + 1], counted[:, ranked.last + 1]
    total = counted[:, -1]
    allowed = (false_positives * total + 1e-9).floor()  # 0.01 * 100 may be a little below 1
    size = ours.sum(1).to(torch.float64)
    concordant = ((below + up_to) / 2 * ours).sum(1)
    found = (ours & (total[:, None] - below <= allowed[:, None])).sum(1).to(torch.float64)
    return concordant, size * total, found, size
