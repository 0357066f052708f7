"""Multinomial logistic regression on features of a frozen network: a classifier that trains in
seconds on a processor, so that studies can be repeated many times.

Features are standardised by the training images. Validation images, which are real, choose the L2
penalty and calibrate the probabilities: balanced weights let every class count the same, and
without a calibration a rare one would be as probable as a frequent one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from scipy.optimize import minimize
from torch import Tensor, nn

from synthograph.stats.scores import Predictions, PredictionScore

# n image, d feature, k class, c component

PENALTIES = tuple(10.0**power for power in np.arange(2.0, -6.5, -0.5))
"""Tried from the strongest on; per image, so that they mean the same for any number of images."""
COMPONENTS = 32
FAMILIAR = 0.99
"""Share of the training images that count as like the training images."""
FLAT = 1e-6
"""Share of the largest spread below which images do not vary along an axis: as many as are in the
way of n centred images, or of repeated ones.
"""
SLOPES = (-4.0, 12.0)
"""Logarithm of the slope of logits of unit size: from next to none, which leaves the order of
images in the digits of a table, to certain.
"""
STEPS = 500
PATIENCE = 4
"""Penalties without a better score after which weaker ones are not tried."""


@dataclass(frozen=True)
class LogisticProbe:
    """A fitted probe.

    Attributes:
        mean: of every feature over the training images; `scale` is its standard deviation.
        weight: of standardised features.
        bias: of every class.
        offset: of every class, the rest of the calibration: how much more frequent it is than the
            weights of training say.
        axes: principal directions of the standardised training features.
        spread: standard deviation along each.
        limit: distance that `FAMILIAR` of the training images stay within.
    """

    mean: Float64[Tensor, " d"]
    scale: Float64[Tensor, " d"]
    weight: Float64[Tensor, "k d"]
    bias: Float64[Tensor, " k"]
    offset: Float64[Tensor, " k"]
    axes: Float64[Tensor, "c d"]
    spread: Float64[Tensor, " c"]
    limit: float

    def probabilities(self, features: Float[Tensor, "n d"]) -> Float64[Tensor, "n k"]:
        """Of every class, rows that sum to 1."""
        logits = self._standard(features) @ self.weight.T + self.bias
        return (logits + self.offset).softmax(1)

    @property
    def shares(self) -> tuple[float, ...]:
        """What divides the probabilities, so that the largest is of the class that training says:
        with balanced weights the one that stands out most from how frequent it is. They sum to 1.
        """
        return _shares(self.offset)

    def distances(self, features: Float[Tensor, "n d"]) -> Float64[Tensor, " n"]:
        """How far images lie from the training images: 1 is where `FAMILIAR` of those end.

        The Mahalanobis distance along the principal directions, together with what lies outside
        of them.
        """
        return _apart(self._standard(features), self.axes, self.spread) / self.limit

    def _standard(self, features: Float[Tensor, "n d"]) -> Float64[Tensor, "n d"]:
        return (features.to(torch.float64) - self.mean) / self.scale

    def tensors(self) -> dict[str, Tensor]:
        """All numbers, by name, as `from_tensors` takes them."""
        names = ("mean", "scale", "weight", "bias", "offset", "axes", "spread")
        limit = torch.tensor(self.limit, dtype=torch.float64)
        return {**{name: getattr(self, name) for name in names}, "limit": limit}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "LogisticProbe":
        """The inverse of `tensors`.

        Raises:
            KeyError: one is missing.
            ValueError: shapes that do not fit, or numbers that are not finite.
        """
        tensors = _without_temperature(tensors)
        names = ("mean", "scale", "weight", "bias", "offset", "axes", "spread")
        found = {name: tensors[name].to(torch.float64) for name in names}
        limit = float(tensors["limit"])
        classes, features = found["weight"].shape
        components = len(found["spread"])
        shapes = [(features,), (features,), (classes, features), (classes,), (classes,)]
        shapes += [(components, features), (components,)]
        if [tuple(tensor.shape) for tensor in found.values()] != shapes:
            raise ValueError("shapes that do not fit each other")
        numbers = [*found.values(), torch.tensor(limit)]
        if not all(bool(tensor.isfinite().all()) for tensor in numbers):
            raise ValueError("numbers that are not finite")
        return cls(**found, limit=limit)


def _shares(offset: Float64[Tensor, " k"]) -> tuple[float, ...]:
    return tuple(offset.softmax(0).tolist())


def _without_temperature(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Those of an older file as they are now: its logits are divided by a temperature and have no
    offset.

    Raises:
        ValueError: the temperature is none.
    """
    if "temperature" not in tensors:
        return tensors
    temperature = float(tensors["temperature"])
    if not 0 < temperature < math.inf:
        raise ValueError("numbers that are not finite")
    divided = {name: tensors[name] / temperature for name in ("weight", "bias")}
    return {"offset": torch.zeros_like(tensors["bias"]), **tensors, **divided}


@dataclass(frozen=True)
class Tried:
    """A penalty and what it gave on the validation images."""

    penalty: float
    value: float


def fit(
    features: Float[Tensor, "n d"],
    labels: Int64[Tensor, " n"],
    weights: Float64[Tensor, " n"],
    validation: Predictions,
    validation_features: Float[Tensor, "m d"],
    shares: Float64[Tensor, " k"],
    score: PredictionScore,
) -> tuple[LogisticProbe, list[Tried], float]:
    """Fit a probe for each penalty and keep the one whose score on the validation images is best;
    of equals the stronger penalty.

    Args:
        features: of the training images.
        labels: their classes, 0..k-1.
        weights: how much every image counts.
        validation: labels, groups and folds of the validation images; its probabilities are not
            looked at.
        validation_features: of those images.
        shares: how frequent real images of every class are.
        score: what is best.

    Returns:
        The probe, all that was tried, and the penalty of the probe.
    """
    values = features.to(torch.float64)
    mean, scale = _moments(values)
    standard = (values - mean) / scale
    checked = (validation_features.to(torch.float64) - mean) / scale
    start = np.zeros((validation.classes, standard.shape[1] + 1))
    tried: list[Tried] = []
    best, chosen, best_value, since = start, PENALTIES[0], -math.inf, 0
    for penalty in PENALTIES:
        start = _fit_one(standard, labels, weights, penalty, start)
        logits = _logits(checked, start)
        slope, offset = calibration(logits, validation.labels, shares)
        said = (logits * slope + offset).softmax(1)
        # what is decided of several classes; of two, a threshold is chosen once all is fitted
        value = score.value(replace(validation, probabilities=said, threshold=_shares(offset)))
        tried.append(Tried(penalty, value))
        directed = value if score.higher_is_better else -value
        since += 1
        if directed > best_value + 1e-9:
            best, chosen, best_value, since = start.copy(), penalty, directed, 0
        if since == PATIENCE:
            break
    slope, offset = calibration(_logits(checked, best), validation.labels, shares)
    table = torch.from_numpy(best) * slope
    axes, spread = _directions(standard)
    limit = float(_apart(standard, axes, spread).quantile(FAMILIAR))
    weight, bias = table[:, :-1].contiguous(), table[:, -1].contiguous()
    return LogisticProbe(mean, scale, weight, bias, offset, axes, spread, limit), tried, chosen


def of_layer(
    weight: Float[Tensor, "k d"],
    bias: Float[Tensor, " k"],
    features: Float[Tensor, "n d"],
    checked: Float[Tensor, "m d"],
    labels: Int64[Tensor, " m"],
    shares: Float64[Tensor, " k"],
) -> LogisticProbe:
    """The last layer of a trained network as a probe, which says the same classes.

    Args:
        weight: of features as they are.
        bias: of every class.
        features: of the training images.
        checked: of validation images, which calibrate. The network never learned from them, so
            they also say how far from the training images it is usual to be.
        labels: classes of the validation images.
        shares: how frequent real images of every class are.
    """
    mean, scale = _moments(features.to(torch.float64))
    standard, other = ((f.to(torch.float64) - mean) / scale for f in (features, checked))
    slopes = weight.to(torch.float64) * scale
    offsets = bias.to(torch.float64) + weight.to(torch.float64) @ mean
    slope, offset = calibration(other @ slopes.T + offsets, labels, shares)
    axes, spread = _directions(standard)
    limit = max(float(_apart(f, axes, spread).quantile(FAMILIAR)) for f in (standard, other))
    return LogisticProbe(mean, scale, slopes * slope, offsets * slope, offset, axes, spread, limit)


def _moments(values: Float64[Tensor, "n d"]) -> tuple[Float64[Tensor, " d"], Float64[Tensor, " d"]]:
    """Mean and deviation of every feature; one that does not vary keeps its size."""
    scale = values.std(0, correction=0)
    return values.mean(0), torch.where(scale > 1e-12, scale, torch.ones_like(scale))


def balanced_weights(labels: Int64[Tensor, " n"], classes: int) -> Float64[Tensor, " n"]:
    """Weights with which every class counts the same, 1 on average."""
    counts = torch.bincount(labels, minlength=classes).to(torch.float64)
    present = (counts > 0).sum()
    return len(labels) / (present * counts[labels])


def frequencies(labels: Int64[Tensor, " n"], classes: int) -> Float64[Tensor, " k"]:
    """Shares of the classes, of which one that is not there has a little, too."""
    counts = torch.bincount(labels, minlength=classes).to(torch.float64) + 1 / classes
    return counts / counts.sum()


def _fit_one(
    x: Float64[Tensor, "n d"],
    labels: Int64[Tensor, " n"],
    weights: Float64[Tensor, " n"],
    penalty: float,
    start: np.ndarray,
) -> np.ndarray:
    """Coefficients [k, d + 1], the last column the biases, which are not penalised."""
    truth = nn.functional.one_hot(labels, len(start)).to(torch.float64)
    share = (weights / weights.sum())[:, None]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        table = torch.from_numpy(flat.reshape(start.shape))
        slopes = table[:, :-1]
        log_p = (x @ slopes.T + table[:, -1]).log_softmax(1)
        value = -(share * truth * log_p).sum() + penalty / 2 * slopes.square().sum()
        error = share * (log_p.exp() - truth)
        gradient = torch.empty_like(table)
        gradient[:, :-1] = error.T @ x + penalty * slopes
        gradient[:, -1] = error.sum(0)
        return float(value), gradient.numpy().ravel()

    options = {"maxiter": STEPS, "maxcor": 20}
    found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x).reshape(start.shape)


def _logits(x: Float64[Tensor, "n d"], coefficients: np.ndarray) -> Float64[Tensor, "n k"]:
    table = torch.from_numpy(coefficients)
    return x @ table[:, :-1].T + table[:, -1]


def calibration(
    logits: Float64[Tensor, "n k"], labels: Int64[Tensor, " n"], shares: Float64[Tensor, " k"]
) -> tuple[float, Float64[Tensor, " k"]]:
    """Slope and offset of every class with the least log loss: probabilities are the softmax of
    slope * logits + offset.

    The offset is a power of the shares, from 0 to 1, since that is how balanced weights change
    probabilities (Saerens et al. 2002, "Adjusting the outputs of a classifier to new a priori
    probabilities", equation 2.4). An offset of every class for itself follows the few validation
    images of a rare class too closely; the shares in full are too much where a strong penalty keeps
    logits small. (docs/results/useful.md, "Probabilities of rare classes")

    Truth is a little less than certain, as by Platt 1999, section 2.2: images that are told apart
    without an error would otherwise let every probability be 0 or 1. What is taken from it goes to
    the classes by their shares, so that these stay.

    Args:
        logits: of validation images.
        labels: their classes.
        shares: how frequent real images of every class are, each above 0.
    """
    count, classes = logits.shape
    doubt = classes / (classes - 1) / (count + 2)
    truth = nn.functional.one_hot(labels, classes).to(torch.float64)
    truth = (1 - doubt) * truth + doubt * shares
    size = max(float((logits - logits.mean(1, keepdim=True)).square().mean().sqrt()), 1e-12)
    unit, prior = logits / size, shares.log()

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        slope, power = math.exp(flat[0]), flat[1]
        log_p = (unit * slope + prior * power).log_softmax(1)
        error = log_p.exp() - truth
        gradient = ((error * unit).sum() * slope, (error * prior).sum())
        return float(-(truth * log_p).sum()), np.array([float(each) for each in gradient])

    start, limits = np.array([0.0, 0.5]), (SLOPES, (0.0, 1.0))
    slope, power = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=limits).x
    return math.exp(slope) / size, prior * power


def _directions(
    standard: Float64[Tensor, "n d"],
) -> tuple[Float64[Tensor, "c d"], Float64[Tensor, " c"]]:
    """Axes along which the images vary, the first always among them."""
    _, singular, axes = torch.linalg.svd(standard - standard.mean(0), full_matrices=False)
    count = min(COMPONENTS, max(int((singular > FLAT * singular[0]).sum()), 1))
    return axes[:count], (singular[:count] / math.sqrt(len(standard))).clamp(min=FLAT)


def _apart(
    standard: Float64[Tensor, "n d"], axes: Float64[Tensor, "c d"], spread: Float64[Tensor, " c"]
) -> Float64[Tensor, " n"]:
    along = standard @ axes.T
    outside = (standard.square().sum(1) - along.square().sum(1)).clamp(min=0)
    left = max(standard.shape[1] - len(spread), 1)
    return ((along / spread).square().sum(1) + outside * len(spread) / left).sqrt()


def class_numbers(labels: Sequence[str], classes: Sequence[str]) -> Int64[Tensor, " n"]:
    """Numbers of class names."""
    index = {name: number for number, name in enumerate(classes)}
    return torch.tensor([index[label] for label in labels], dtype=torch.int64)
