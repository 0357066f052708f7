"""Linear fits whose penalty and quality come from groups that the fit did not see."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.core.interval import Interval
from synthograph.stats.intervals import Plan, interval, means, parts, plan, quantile
from synthograph.stats.paired import score_interval
from synthograph.stats.scores import AUROC, Predictions

# n image, d feature, p penalty, c component, e evaluation

FOLDS = 5
PENALTIES = tuple(10.0 ** (power / 2) for power in range(4, -11, -1))
"""Tried from the strongest on, in mean variances of a feature and per image."""
COMPONENTS = 128


@dataclass(frozen=True)
class LinearFit:
    """value = features @ slopes + offset.

    Attributes:
        slopes: of features as they are.
        offset: value where all features are 0.
        penalty: the one that held-out groups chose, in mean variances of a feature.
        held_out: of every image, the value that fits without its group predict, less the mean of
            the values that they learned from.
    """

    slopes: Float64[Tensor, " d"]
    offset: float
    penalty: float
    held_out: Float64[Tensor, " n"]

    def predict(self, features: Float[Tensor, "m d"]) -> Float64[Tensor, " m"]:
        """Values of other images."""
        return features.to(torch.float64) @ self.slopes + self.offset


def fit_linear(
    features: Float[Tensor, "n d"],
    values: Float64[Tensor, " n"],
    groups: Int[Tensor, " n"],
    *,
    seed: int = 0,
) -> LinearFit:
    """Ridge regression. The penalty is the one with the least squared error in held-out groups.

    What `held_out` says of a fold rests on the penalty that the other folds choose, so that the
    choice does not flatter it.

    Args:
        features: of every image, in comparable units: directions in which they vary little are
            trusted little.
        values: numbers, or 0 and 1 for a class (then it is a linear discriminant).
        groups: patient of every image.
        seed: which groups share a fold.

    Raises:
        UserError: fewer than `FOLDS` groups, or values that do not vary.

    Source: Hoerl and Kennard 1970, "Ridge regression".
    """
    if (count := len(groups.unique())) < FOLDS:
        raise UserError(f"{count} groups of images with a value: at least {FOLDS} are needed")
    if bool((values == values[0]).all()):
        raise UserError(f"the value is {float(values[0]):g} everywhere: nothing can be fitted")
    x, fold = features.to(torch.float64), parts(groups, FOLDS, seed=seed)
    found = torch.empty(len(PENALTIES), len(values), dtype=torch.float64)
    errors = torch.empty(len(PENALTIES), FOLDS, dtype=torch.float64)
    for k in range(FOLDS):
        here = fold == k
        slopes, offsets = _slopes(x[~here], values[~here])
        centre = values[~here].mean()
        predicted = slopes @ x[here].T + offsets[:, None]
        found[:, here] = predicted - centre
        errors[:, k] = (predicted - values[here]).square().sum(1)
    others = (errors.sum(1, keepdim=True) - errors).argmin(0)
    held_out = found[others[fold], torch.arange(len(values))]
    best = int(errors.sum(1).argmin())
    slopes, offsets = _slopes(x, values)
    return LinearFit(slopes[best], float(offsets[best]), PENALTIES[best], held_out)


def slopes_at(
    features: Float[Tensor, "n d"], values: Float64[Tensor, " n"], penalty: float
) -> Float64[Tensor, " d"]:
    """Slopes of a fit with a penalty that is known, such as to other values."""
    return _slopes(features.to(torch.float64), values, (penalty,))[0][0]


def _slopes(
    x: Float64[Tensor, "n d"], values: Float64[Tensor, " n"], tried: Sequence[float] = PENALTIES
) -> tuple[Float64[Tensor, "p d"], Float64[Tensor, " p"]]:
    """Slopes and offsets for every penalty."""
    mean = x.mean(0)
    left, singular, right = torch.linalg.svd(x - mean, full_matrices=False)
    along = left.T @ (values - values.mean())
    penalties = torch.tensor(tried, dtype=torch.float64)[:, None]
    penalties = penalties * singular.square().sum() / x.shape[1]
    slopes = (singular * along / (singular.square() + penalties)) @ right
    return slopes, values.mean() - slopes @ mean


@dataclass(frozen=True)
class Components:
    """Principal directions of standardised features: many features, as few numbers."""

    mean: Float64[Tensor, " d"]
    axes: Float64[Tensor, "d c"]

    @classmethod
    def of(cls, features: Float[Tensor, "n d"], most: int = COMPONENTS) -> "Components":
        """Those of some images."""
        x = features.to(torch.float64)
        mean, scale = x.mean(0), x.std(0, correction=0)
        scale = torch.where(scale > 1e-12, scale, torch.ones_like(scale))
        centred = (x - mean) / scale
        _, _, right = torch.linalg.svd(centred, full_matrices=False)
        return cls(mean, (right[:most] / scale).T.contiguous())

    def __call__(self, features: Float[Tensor, "m d"]) -> Float64[Tensor, "m c"]:
        """Coordinates of images."""
        return (features.to(torch.float64) - self.mean) @ self.axes


@dataclass(frozen=True)
class Quality:
    """How well a fit does in groups that it did not see.

    Attributes:
        value: Pearson correlation, or for 0 and 1 the area under the ROC curve.
        chance: what it is where there is nothing to find.
        interval: over groups; None with too few of them, or of either class.
    """

    value: float
    chance: float
    interval: Interval | None

    @property
    def shown(self) -> bool:
        """Whether chance does not explain it."""
        return self.interval is not None and self.interval.low > self.chance


def quality(
    held_out: Float64[Tensor, " n"],
    values: Float64[Tensor, " n"],
    groups: Int[Tensor, " n"],
    *,
    seed: int = 0,
) -> Quality:
    """Compare held-out predictions of a `LinearFit` with the truth, an interval over groups."""
    if is_class(values):
        p, labels = held_out.sigmoid(), values.long()  # only their order counts
        said = Predictions(torch.stack((1 - p, p), 1), labels, groups, torch.zeros_like(labels))
        value, ends = score_interval(AUROC, said, seed=seed)
        return Quality(value, 0.5, ends)
    cut = plan(groups, seed=seed)
    found = correlations(held_out, values, cut)
    ends = interval(found, cut, low=-1.0)
    ends = ends and Interval(ends.low, min(ends.high, 1.0), ends.level)
    return Quality(float(found[0]), 0.0, ends)


def is_class(values: Float64[Tensor, " n"]) -> bool:
    """Whether values say which images belong to something: all are 0 or 1."""
    return bool(((values == 0) | (values == 1)).all())


def correlations(
    one: Float64[Tensor, " n"], other: Float64[Tensor, " n"], cut: Plan
) -> Float64[Tensor, " e"]:
    """Pearson correlation over the images that every evaluation of a plan keeps; 0 where one of
    both does not vary.
    """
    one, other = one - one.mean(), other - other.mean()
    columns = torch.stack((one, other, one * one, other * other, one * other), dim=1)
    a, b, aa, bb, ab = means(columns, cut).unbind(1)
    spread = (aa - a * a).clamp(min=0) * (bb - b * b).clamp(min=0)
    return torch.where(spread > 0, (ab - a * b) / spread.clamp(min=1e-300).sqrt(), 0.0)


@dataclass(frozen=True)
class Calibration:
    """Predictions brought to the scale of the truth: a fit with a penalty says too little."""

    offset: float
    slope: float

    @classmethod
    def of(cls, fit: LinearFit, values: Float64[Tensor, " n"]) -> "Calibration":
        """From what the fit says of held-out groups; for a class, 0 becomes the mean of what is
        said of other images and 1 that of its own.
        """
        centred, said = values - values.mean(), fit.held_out
        slope = float((centred * (said - said.mean())).sum() / centred.square().sum())
        return cls(float(values.mean()) - float(values.mean()) * slope, slope)

    def __call__(self, predicted: Float64[Tensor, " m"]) -> Float64[Tensor, " m"]:
        """On the scale of the truth."""
        return (predicted - self.offset) / self.slope


def mean_interval(values: Float64[Tensor, " n"]) -> tuple[float, Interval | None]:
    """A mean over independent images, with the interval of Student's t; None of a single image."""
    mean = float(values.mean())
    if len(values) < 2:
        return mean, None
    width = quantile(len(values) - 1) * float(values.std()) / math.sqrt(len(values))
    return mean, Interval(mean - width, mean + width)
