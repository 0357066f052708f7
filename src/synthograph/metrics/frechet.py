"""Frechet distance between Gaussians fitted to two sets of features.

Source: Heusel et al. 2017, "GANs trained by a two time-scale update rule", equation 6; covariances
are those of a population (divided by n), as StyleGAN2-ADA has them.

    |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)

The last trace is the sum of the roots of the eigenvalues of F^T S2 F for any F with F F^T = S1, so
no root of a matrix is needed. With fewer images than features F is the matrix of centred images;
with fewer on both sides the trace is the nuclear norm of the products of centred images.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from synthograph.metrics.measure import Measure, Source
from synthograph.results.evaluation import Value, compared
from synthograph.stats.intervals import Plan, parts, plan, squared_interval
from synthograph.stats.nearest import centre_of
from synthograph.stats.sample import Sample, check_pair, chunks, too_few

# n m image, d feature, r rank, e evaluation

MANY_FEATURES = 512
"""Features from which an evaluation is so slow that fewer blocks are left out."""
MIN_JACKKNIFE_SHARE = 0.6
"""Share of the jackknife variance that is believed at least: with fewer images than features, pairs
of blocks say too much. By simulation, see tests."""
PARTS = (1, 2, 3)
LARGE_BIAS = 0.1
"""Share of a distance above which its bias is worth a sentence."""
NOISE = 4.0
"""Eigenvalues below this many units of rounding of the largest are zeros."""


@dataclass(frozen=True)
class Moments:
    """Mean and covariance of a set of features."""

    count: int  # images
    mean: Float64[Tensor, " d"]
    scatter: Float64[Tensor, "d d"] | None = None
    """Sum of the outer products of the centred images; None where `rows` are kept."""
    rows: Float64[Tensor, "n d"] | None = None
    """The centred images themselves, where they are fewer than the features."""

    def total_variance(self) -> float:
        """Trace of the covariance."""
        if self.rows is not None:
            return float(self.rows.square().sum()) / self.count
        assert self.scatter is not None, "moments hold rows or a scatter"
        return float(self.scatter.trace()) / self.count


def moments(sample: Sample) -> Moments:
    """Mean and covariance, accumulated in float64 in two passes over chunks."""
    values, count, mean = sample.values, len(sample), centre_of(sample.values)
    if count < sample.features:
        return Moments(count, mean, rows=torch.cat([chunk - mean for chunk in chunks(values)]))
    scatter = torch.zeros(sample.features, sample.features, dtype=torch.float64)
    for chunk in chunks(values):
        scatter.addmm_((chunk - mean).T, chunk - mean)
    return Moments(count, mean, scatter=scatter)


def without(whole: Moments, sample: Sample, left_out: Bool[Tensor, " n"]) -> Moments:
    """The moments of the images that remain, by subtracting those that are left out.

    Args:
        whole: moments of the sample.
        sample: the images.
        left_out: which of them go; some must stay.
    """
    count = whole.count - int(left_out.sum())
    if whole.rows is not None:
        kept = whole.rows[~left_out]
        shift = kept.mean(0)
        return Moments(count, whole.mean + shift, rows=kept - shift)
    assert whole.scatter is not None, "moments hold rows or a scatter"
    scatter, gone = whole.scatter.clone(), torch.zeros_like(whole.mean)
    for chunk in chunks(sample.values[left_out]):
        centred = chunk - whole.mean
        gone += centred.sum(0)
        scatter.addmm_(centred.T, centred, alpha=-1)
    shift = -gone / count
    return Moments(count, whole.mean + shift, scatter=scatter.addr_(shift, shift, alpha=-count))


def distance(real: Moments, fake: Moments) -> float:
    """Frechet distance of two sets, in squared units of the features; at least 0."""
    gap = float((real.mean - fake.mean).square().sum())
    both = real.total_variance() + fake.total_variance()
    return max(gap + both - 2 * trace_of_root(real, fake), 0.0)


def trace_of_root(one: Moments, other: Moments) -> float:
    """The trace of (S1 S2)^(1/2) for the covariances of two sets."""
    if one.rows is None and other.rows is not None:
        one, other = other, one
    if one.rows is not None and other.rows is not None:
        product = one.rows @ other.rows.T
        gram = product @ product.T if len(product) <= product.shape[1] else product.T @ product
    else:
        assert other.scatter is not None, "moments hold rows or a scatter"
        factor = one.rows if one.rows is not None else _factor(one)
        gram = factor @ other.scatter @ factor.T
    eigenvalues = torch.linalg.eigvalsh((gram + gram.T) / 2)
    noise = torch.finfo(torch.float64).eps * eigenvalues[-1].clamp(min=0) * NOISE
    roots = torch.where(eigenvalues > noise, eigenvalues, 0).sqrt().sum()
    return float(roots) / (one.count * other.count) ** 0.5


def _factor(side: Moments) -> Float64[Tensor, "r d"]:
    """R with R^T R = scatter."""
    assert side.scatter is not None, "moments hold rows or a scatter"
    lower, failed = torch.linalg.cholesky_ex(side.scatter)
    if not int(failed):
        return lower.T
    eigenvalues, vectors = torch.linalg.eigh(side.scatter)  # features that others determine
    return eigenvalues.clamp(min=0).sqrt()[:, None] * vectors.T


def frechet_distance(real: Sample, fake: Sample, *, seed: int = 0) -> Value:
    """Frechet distance with an interval.

    The number depends on how many images there are (`extrapolate` says how much); the interval is
    for its expectation at these numbers of images, not for that of infinitely many.

    Raises:
        UserError: sets that cannot be compared.
    """
    check_pair(real, fake)
    reason = too_few(real, fake, 2)
    if reason is not None:
        return compared("frechet", None, real, fake, notes=(reason,))
    large = min(real.features, max(len(real), len(fake))) >= MANY_FEATURES
    most = 12 if large else 20
    cut = plan(real.groups, fake.groups, most=most, pairs=most // 2 if large else 60, seed=seed)
    values = distances(real, fake, cut)
    ends = squared_interval(values, cut, least=MIN_JACKKNIFE_SHARE)
    fewest = min(len(real), len(fake))
    few = f"{fewest} images are few for {real.features} features, so the value is too large"
    notes = (cut.reason, few if fewest <= real.features else None)
    return compared("frechet", float(values[0]), real, fake, interval=ends, notes=notes)


def distances(real: Sample, fake: Sample, cut: Plan) -> Float64[Tensor, " e"]:
    """Frechet distance of what every evaluation of a plan keeps."""
    whole = (moments(real), moments(fake))
    values = [distance(*whole)]
    for evaluation in range(1, len(cut.kept)):
        values.append(
            distance(
                without(whole[0], real, ~cut.rows(0, evaluation)),
                without(whole[1], fake, ~cut.rows(1, evaluation)),
            )
        )
    return torch.tensor(values, dtype=torch.float64)


def extrapolate(real: Sample, fake: Sample, *, seed: int = 0) -> float | None:
    """Extrapolate a Frechet distance to infinitely many images, on a line in 1 / n.

    Source: Chong and Forsyth 2020, "Effectively unbiased FID and Inception score". They hold the
    real images fixed; here both sets shrink alike, since real images are as scarce. Both are cut
    into 1, 2 and 3 parts of whole groups. The line needs more images than features: with fewer
    the limit is still too high, and the bias stated too small.

    Returns:
        The distance with infinitely many images, which may come out below 0 by chance; None with
        fewer groups than parts, or fewer than two images in a part.

    Raises:
        UserError: sets that cannot be compared.
    """
    check_pair(real, fake)
    most = max(PARTS)
    if min(real.group_count, fake.group_count) < most or min(len(real), len(fake)) < 2 * most:
        return None
    points = [distance(moments(real), moments(fake))]
    for count in PARTS[1:]:
        ours, theirs = (parts(each.groups, count, seed=seed) for each in (real, fake))
        points.append(
            sum(
                distance(moments(real.subset(ours == part)), moments(fake.subset(theirs == part)))
                for part in range(count)
            )
            / count
        )
    x, y = (torch.tensor(each, dtype=torch.float64) for each in (PARTS, points))
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())
    return float(y.mean() - slope * x.mean())


def _estimate(real: Sample, fake: Sample, seed: int) -> dict[str, Value]:
    """The distance, with a note where much of it comes from the number of images."""
    found = frechet_distance(real, fake, seed=seed)
    if not found.value:
        return {"frechet": found}
    limit = extrapolate(real, fake, seed=seed)
    if limit is None or found.value - limit <= LARGE_BIAS * found.value:
        return {"frechet": found}
    share = min((found.value - limit) / found.value, 1.0)
    thirds = min(len(real), len(fake)) // max(PARTS)
    least = " or less, since a third of a set has fewer images than features"
    note = (
        f"{share:.0%} of the value is there because the images are few; with any number of them it "
        f"would be about {max(limit, 0.0):.3g}{least if thirds <= real.features else ''}"
    )
    return {"frechet": found.noted(note)}


def _plain(real: Sample, fake: Sample) -> dict[str, float]:
    if min(len(real), len(fake)) < 2:
        return {}
    return {"frechet": distance(moments(real), moments(fake))}


FRECHET = Measure("frechet", Source.FEATURES, _estimate, _plain)
