"""Calibration of the search for copies: from agreement to a score, from scores of real images to
thresholds, and exact tests of the images above them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from scipy.special import ndtri
from scipy.stats import beta, betabinom
from torch import Tensor

from synthograph.metrics.audit.search import Candidates
from synthograph.results.audit import Threshold

# q query, s feature, n real image

Independent = tuple[float, float]
"""Independent real images above a threshold, and in all."""

TAIL = 0.1
"""Share of the real images, the highest, to which an exponential tail is fitted."""
TWIN = 0.9
"""Agreement over all bands from which two images may be almost the same."""
ENOUGH = 10
"""Real images that must lie above a threshold for it to be their quantile alone."""


@dataclass(frozen=True)
class AgreementScale:
    """What makes evidence of different kinds comparable: every number is turned into how many
    times rarer it is among real images of other patients than the highest tenth of them, as a
    natural logarithm (their tail taken as exponential), and the rarest counts.

    Images with padding have their own numbers (the second row): less of them is seen.
    """

    start: Float[Tensor, "2 e"]
    width: Float[Tensor, "2 e"]

    @classmethod
    def of(cls, real: Candidates, padded: Candidates) -> "AgreementScale":
        """From real images, and such with padding, of which no patient was searched for."""
        starts, widths = [], []
        plain = real.evidence[~real.padded]
        for evidence in (plain if len(plain) >= ENOUGH else real.evidence, padded.evidence):
            rows = evidence.amax(1)
            start = torch.quantile(rows, 1 - TAIL, dim=0)
            # by the median, so that a few duplicates across groups leave it as it is
            high = _highest(rows.sort(dim=0, descending=True).values)
            starts.append(start)
            widths.append((high.median(dim=0).values - start) / math.log(2))
        return cls(torch.stack(starts), torch.stack(widths).clamp_min(1e-3))

    def scores(self, found: Candidates) -> tuple[Float[Tensor, " q"], Int64[Tensor, " q"]]:
        """Score of every image, and the training image that it comes from."""
        row = found.padded.to(torch.int64)
        each = (found.evidence - self.start[row][:, None]) / self.width[row][:, None]
        score, place = each.amax(2).max(1)
        return score, found.train.gather(1, place[:, None])[:, 0]


def threshold_of(scores: Float[Tensor, " n"], rate: float) -> Threshold:
    """The score that a share `rate` of real images reaches.

    Where there are too few of them for a quantile alone, it is the larger of their quantile and
    that of an exponential tail fitted to the highest tenth.

    Args:
        scores: of real images whose patients were not searched.
        rate: false alarms.

    Returns:
        The threshold; at least 1 image is taken to reach it, since the next one might.
    """
    n, ordered = len(scores), scores.sort(descending=True).values
    score = float(ordered[max(1, math.floor(rate * (n + 1))) - 1])
    extrapolated = rate * n < ENOUGH
    if extrapolated:
        highest = _highest(ordered)
        mean = float((highest - highest[-1]).mean()) * len(highest) / (len(highest) - 1)
        score = max(score, _tail_quantile(highest, mean, n, rate))
    above = max(1, int((scores >= score).sum()))
    return Threshold(rate=rate, score=score, above=above, images=n, extrapolated=extrapolated)


def threshold_by_tail(scores: Float[Tensor, " n"], rate: float) -> Threshold:
    """The same from the tail alone, fitted by the median of the highest tenth, so that a few
    duplicates among real images cannot set it: where three in a hundred are, it is about 1.7 times
    higher.
    """
    n, highest = len(scores), _highest(scores.sort(descending=True).values)
    mean = (float(highest.median()) - float(highest[-1])) / math.log(2)
    score = _tail_quantile(highest, mean, n, rate)
    above = int((scores >= score).sum())
    return Threshold(rate=rate, score=score, above=above, images=n, extrapolated=True)


@dataclass(frozen=True)
class Calibration:
    """What turns candidates into scores, and scores into flags: set on training images, each
    searched for among those of all other groups.

    Attributes:
        scale: from evidence to scores.
        thresholds: one per rate of false alarms, the strictest first.
        scores: of the training images.
        rows: places of these images among all training images, sorted.
        twins: those that look like copies of images of another group; thresholds leave them out.
    """

    scale: AgreementScale
    thresholds: tuple[Threshold, ...]
    scores: Float[Tensor, " n"]
    rows: Int64[Tensor, " n"]
    twins: Bool[Tensor, " n"]


def calibrated(
    unseen: Candidates,
    padded: Candidates,
    rows: Int64[Tensor, " n"],
    groups: Int64[Tensor, " m"],
    rates: Sequence[float],
) -> Calibration:
    """Calibrate a search by candidates of training images, at sorted `rows` of all, among those of
    all other groups, and by some of them with padding; `groups` are those of all training images.
    """
    scale = AgreementScale.of(unseen, padded)
    scores, nearest = scale.scores(unseen)
    same = scores.exp() >= len(scores)  # a tenth have scores above 0, by an exponential law
    same &= unseen.overall >= TWIN
    twins = _twins(same, nearest, rows, groups)
    thresholds = []
    for rate in sorted(rates):
        found = threshold_of(scores[~twins], rate)
        # the twins are real images all the same: what is expected by chance counts them
        above = max(1, int((scores >= found.score).sum()))
        thresholds.append(found.replace(above=above, images=len(scores)))
    return Calibration(scale, tuple(thresholds), scores, rows, twins)


def _twins(
    same: Bool[Tensor, " n"],
    nearest: Int64[Tensor, " n"],
    rows: Int64[Tensor, " n"],
    groups: Int64[Tensor, " m"],
) -> Bool[Tensor, " n"]:
    """Images whose nearest is of a group that shares images with their own.

    Two groups share images if an image of each is the other's nearest, and one of them is almost
    the `same`: they agree as copies do, by a score that one image in ten sets of this size would
    reach by chance. One patient under two names, or one field that was photographed twice. At least
    half of the images are no twins.
    """
    n = len(rows)
    at = torch.full((len(groups),), -1, dtype=torch.int64)
    at[rows] = torch.arange(n)
    back = at[nearest]
    mutual = (back >= 0) & (nearest[back.clamp_min(0)] == rows)
    pairs = torch.stack((groups[rows], groups[nearest]), dim=1)
    shared = {tuple(sorted(pair)) for pair in pairs[mutual & (same | same[back])].tolist()}
    twins = torch.tensor([tuple(sorted(pair)) in shared for pair in pairs.tolist()])
    return twins if int(twins.sum()) * 2 <= n else torch.zeros_like(twins)


def _highest(ordered: Float[Tensor, "n *_"]) -> Float[Tensor, "t *_"]:
    return ordered[: max(2, round(TAIL * len(ordered)))]


def _tail_quantile(highest: Float[Tensor, " t"], mean: float, n: int, rate: float) -> float:
    """Quantile of an exponential tail of this mean above the lowest of the highest scores."""
    return float(highest[-1]) + mean * math.log(len(highest) / n / rate)


def design_effect(scores: Float[Tensor, " n"], groups: Int64[Tensor, " n"]) -> float:
    """By how much fewer independent images a set stands for than it has, from the correlation of
    normal scores within groups (analysis of variance, Kish 1965: 1 + (m - 1) rho); at least 1.
    """
    n = len(scores)
    _, group, sizes = torch.unique(groups, return_inverse=True, return_counts=True)
    k = len(sizes)
    if k == n or k < 2:
        return 1.0 if k == n else float(n)
    ranks = scores.argsort().argsort().to(torch.float64)
    values = torch.from_numpy(ndtri(((ranks + 0.5) / n).numpy()))
    sums = torch.zeros(k, dtype=torch.float64).index_add_(0, group, values)
    between = float((sizes * (sums / sizes - values.mean()).square()).sum()) / (k - 1)
    within = float((values - (sums / sizes)[group]).square().sum()) / (n - k)
    squares = float(sizes.square().sum())
    size = (n - squares / n) / (k - 1)
    rho = (between - within) / (between + (size - 1) * within)
    return max(1.0, 1 + (squares / n - 1) * min(max(rho, 0.0), 1.0))


def excess(flagged: int, images: int, above: float, real: float) -> float:
    """Probability of so many flagged images, were they flagged as often as real ones.

    The rate of real images is uncertain: that many of them above a threshold set on themselves
    make it Beta(above, real + 1 - above), exactly where the threshold is one of their scores (the
    negative hypergeometric law of order statistics), so the count follows a beta-binomial law.

    Args:
        flagged: images above the threshold.
        images: of how many.
        above: real images above it, at least 1; independent ones.
        real: of how many.
    """
    if flagged == 0:
        return 1.0
    return float(betabinom.sf(flagged - 1, images, above, max(real + 1 - above, 0.5)))


def upper_limit(count: int, of: float, level: float = 0.95) -> float:
    """One-sided upper limit of a share (Clopper and Pearson 1934); 3 / n where none was found."""
    return 1.0 if count >= of else float(beta.ppf(level, count + 1, of - count))


def clopper_pearson(count: float, of: float, level: float = 0.95) -> tuple[float, float]:
    """Exact two-sided interval of a share."""
    tail = (1 - level) / 2
    low = 0.0 if count <= 0 else float(beta.ppf(tail, count, of - count + 1))
    high = 1.0 if count >= of else float(beta.ppf(1 - tail, count + 1, of - count))
    return low, high
