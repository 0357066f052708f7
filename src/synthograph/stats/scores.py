"""Scores of class predictions: from probabilities and true classes to numbers, for many weightings
of the images at once.

A weighting says how often every image counts. One row of ones gives the score itself; rows that
count whole groups (patients) several times or not at all are replicates of a bootstrap (see
`paired.py`). A score that has no value, such as a sensitivity without an image of the class, is
NaN, never 0 or 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor, nn

from synthograph.core.errors import UserError
from synthograph.stats.outcomes import Score
from synthograph.stats.ranks import ELEMENTS, ranking

# n image, k class, e weighting, b bin

Threshold = float | tuple[float, ...]
"""What decides: of two classes the probability of class 1 from which it is decided; of any number a
share of every class, and the class is decided whose probability is largest beside its share.
"""
TIE = 1e-9
"""Share of a vote that decides where votes are equal."""


@dataclass(frozen=True)
class Predictions:
    """What a classifier says of images whose class is known.

    Attributes:
        probabilities: of every class, rows that sum to 1.
        labels: the true class of every image, 0..k-1.
        groups: patient of every image, any integers. Only equality counts.
        folds: which classifier predicted an image; pairs of images from different classifiers are
            not compared, since their probabilities need not be on one scale.
        threshold: what decides, chosen on validation images; one, or shares of every image where
            folds have their own. Without it the most probable class is decided.
        vote: groups are decided as most of their images are, not by the mean probability.
    """

    probabilities: Float64[Tensor, "n k"]
    labels: Int64[Tensor, " n"]
    groups: Int64[Tensor, " n"]
    folds: Int64[Tensor, " n"]
    threshold: Threshold | Float64[Tensor, "n k"] | None = None
    vote: bool = False

    def __post_init__(self) -> None:
        given = self.threshold
        several = len(given) if isinstance(given, tuple) else self.classes
        if (2 if isinstance(given, float) else several) != self.classes:
            raise UserError(
                f"a threshold of {given} for {self.classes} classes: one number decides between "
                "two, of more each class has its own; without any the most probable class counts"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.probabilities.shape[1]

    @property
    def decided(self) -> Int64[Tensor, " n"]:
        """The class that is decided for every image."""
        return decide(self.probabilities, self.threshold)

    def subset(self, rows: Int64[Tensor, " m"] | Bool[Tensor, " n"]) -> "Predictions":
        """The images at `rows`."""
        return replace(
            self,
            probabilities=self.probabilities[rows],
            labels=self.labels[rows],
            groups=self.groups[rows],
            folds=self.folds[rows],
            threshold=None if self.threshold is None else self.shares[rows],
        )

    @property
    def shares(self) -> Float64[Tensor, "n k"]:
        """The threshold as shares of the classes for every image; even ones without one."""
        given = 1 / self.classes if self.threshold is None else self.threshold
        if isinstance(given, float) and self.classes == 2:
            given = (1 - given, given)
        return torch.as_tensor(given, dtype=torch.float64).expand(len(self), self.classes)

    def fewest_groups(self, classes: Sequence[int] | None = None) -> int:
        """Groups of the class that has fewest: they limit what can be known. Without any class, all
        groups.
        """
        present = self.labels.unique().tolist() if classes is None else classes
        counts = (len(self.groups[self.labels == c].unique()) for c in present)
        return min(counts, default=len(self.groups.unique()))

    def about(self, classes: Sequence[int] | None) -> Bool[Tensor, " n"]:
        """On those of these classes, if there are any; else on all."""
        if not classes:
            return torch.ones(len(self), dtype=torch.bool)
        return torch.isin(self.labels, torch.tensor(classes))

    def same_images(self, other: "Predictions") -> bool:
        """Whether the other ones are of the same images in the same order and folds."""
        pairs = (
            (getattr(p, name) for p in (self, other)) for name in ("labels", "groups", "folds")
        )
        return all(torch.equal(one, two) for one, two in pairs)

    def mixed(self, other: "Predictions", rows: Bool[Tensor, " n"]) -> "Predictions":
        """The same predictions, with those of the other classifier at `rows`."""
        p = torch.where(rows[:, None], other.probabilities, self.probabilities)
        if self.threshold is None or other.threshold is None:
            return replace(self, probabilities=p)
        threshold = torch.where(rows[:, None], other.shares, self.shares)
        return replace(self, probabilities=p, threshold=threshold)

    def by_group(self) -> "Predictions":
        """One prediction per group and class of it: the mean probability of its images; by `vote`
        the shares of them that are decided as each class. Of equal shares the one counts that the
        mean probability decides, else the more probable one.
        """
        mean = replace(self, vote=False)
        if self.vote:
            votes = nn.functional.one_hot(self.decided, self.classes).double()
            shares = replace(mean, probabilities=votes, threshold=None).by_group()
            said = mean.by_group()
            tie = (2 * nn.functional.one_hot(said.decided, self.classes) + said.probabilities) / 3
            return replace(shares, probabilities=(shares.probabilities + TIE * tie) / (1 + TIE))
        keys = torch.stack((self.groups, self.labels, self.folds), dim=1)
        found, inverse, counts = keys.unique(dim=0, return_inverse=True, return_counts=True)
        sums = torch.zeros(len(found), self.classes, dtype=torch.float64)
        sums.index_add_(0, inverse, self.probabilities)
        threshold = None
        if self.threshold is not None:
            threshold = torch.zeros_like(sums).index_add_(0, inverse, self.shares)
            threshold /= counts[:, None]
        return Predictions(sums / counts[:, None], found[:, 1], found[:, 0], found[:, 2], threshold)


def decide(
    probabilities: Float64[Tensor, "n k"],
    threshold: Threshold | Float64[Tensor, "n k"] | None = None,
) -> Int64[Tensor, " n"]:
    """The class of every image that the threshold decides; without one the most probable class."""
    if threshold is None:
        return probabilities.argmax(1)
    shares = torch.as_tensor(threshold, dtype=torch.float64)
    if probabilities.shape[1] == 2:  # class 1 where it is just as probable as that
        return (probabilities[:, 1] >= (shares[..., 1] if shares.ndim else shares)).long()
    return (probabilities / shares).argmax(1)


PredictionScore = Score[Predictions]
"""A score of predictions."""


def auroc(
    scores: Float[Tensor, " n"],
    positive: Bool[Tensor, " n"],
    weights: Float64[Tensor, "e n"],
    folds: Int64[Tensor, " n"] | None = None,
) -> Float64[Tensor, " e"]:
    """Area under the receiver operating characteristic: the share of pairs of a positive and a
    negative image in which the positive one scores higher; ties count half.

    Args:
        scores: of every image.
        positive: who should score high.
        weights: how often every image counts.
        folds: only pairs within one fold are compared; one fold by default.

    Returns:
        0..1 for every weighting, NaN where there is no pair.
    """
    concordant = torch.zeros(len(weights), dtype=torch.float64)
    pairs = torch.zeros(len(weights), dtype=torch.float64)
    for rows in _each_fold(folds, len(scores)):
        ranked = ranking(scores[rows])
        ours = positive[rows][ranked.order]
        step = max(1, ELEMENTS // max(len(rows), 1))
        for start in range(0, len(weights), step):
            part = slice(start, start + step)
            counted = weights[part][:, rows][:, ranked.order]
            negative = nn.functional.pad((counted * ~ours).cumsum(1), (1, 0))
            middle = (negative[:, ranked.before + 1] + negative[:, ranked.last + 1]) / 2
            concordant[part] += (middle * counted * ours).sum(1)
            pairs[part] += (counted * ours).sum(1) * negative[:, -1]
    return torch.where(pairs > 0, concordant / pairs, torch.nan)


def average_precision(
    scores: Float[Tensor, " n"],
    positive: Bool[Tensor, " n"],
    weights: Float64[Tensor, "e n"],
    folds: Int64[Tensor, " n"] | None = None,
) -> Float64[Tensor, " e"]:
    """Mean precision over the positive images, each at the threshold of its own score and among the
    images of its fold; images of one score enter together. NaN where no positive image counts.
    """
    precisions = torch.zeros(len(weights), dtype=torch.float64)
    for rows in _each_fold(folds, len(scores)):
        ranked = ranking(-scores[rows])
        ours = positive[rows][ranked.order]
        step = max(1, ELEMENTS // max(len(rows), 1))
        for start in range(0, len(weights), step):
            part = slice(start, start + step)
            counted = weights[part][:, rows][:, ranked.order]
            hits, all_images = (counted * ours).cumsum(1), counted.cumsum(1)
            precision = hits[:, ranked.last] / all_images[:, ranked.last].clamp(min=1e-12)
            precisions[part] += (precision * counted * ours).sum(1)
    return precisions / (weights * positive).sum(1)


def confusion(
    predictions: Predictions, weights: Float64[Tensor, "e n"]
) -> Float64[Tensor, "e k k"]:
    """How often a class (rows) was decided as which (columns)."""
    k = predictions.classes
    cells = predictions.labels * k + predictions.decided
    members = nn.functional.one_hot(cells, k * k).to(torch.float64)
    return (weights @ members).reshape(len(weights), k, k)


def sensitivities(
    predictions: Predictions, weights: Float64[Tensor, "e n"]
) -> Float64[Tensor, "e k"]:
    """Share of the images of each class for which it was decided; NaN without such images."""
    table = confusion(predictions, weights)
    return table.diagonal(dim1=1, dim2=2) / table.sum(2)


def _of_each_class(
    predictions: Predictions, score: Callable[[Tensor, Tensor], Tensor]
) -> Float64[Tensor, " e"]:
    """One class against the others, the mean over classes; of two classes, class 1."""
    classes = range(1, 2) if predictions.classes == 2 else range(predictions.classes)
    columns = [score(predictions.probabilities[:, c], predictions.labels == c) for c in classes]
    return torch.stack(columns).mean(0)


def _macro_auroc(predictions: Predictions, weights: Tensor) -> Tensor:
    return _of_each_class(predictions, lambda p, own: auroc(p, own, weights, predictions.folds))


def _macro_precision(predictions: Predictions, weights: Tensor) -> Tensor:
    folds = predictions.folds
    return _of_each_class(predictions, lambda p, own: average_precision(p, own, weights, folds))


def _mean(each: Float64[Tensor, " n"], weights: Float64[Tensor, "e n"]) -> Float64[Tensor, " e"]:
    return (weights * each).sum(1) / weights.sum(1)


def _accuracy(predictions: Predictions, weights: Tensor) -> Tensor:
    return _mean((predictions.decided == predictions.labels).to(torch.float64), weights)


def _balanced_accuracy(predictions: Predictions, weights: Tensor) -> Tensor:
    return sensitivities(predictions, weights).mean(1)


def _macro_f1(predictions: Predictions, weights: Tensor) -> Tensor:
    table = confusion(predictions, weights)
    hits = table.diagonal(dim1=1, dim2=2)
    there = table.sum(2)
    f1 = 2 * hits / (there + table.sum(1))
    return torch.where(there > 0, f1, torch.nan).mean(1)


def _brier(predictions: Predictions, weights: Tensor) -> Tensor:
    """Mean squared distance of the probabilities from the truth, summed over the classes: 0..2.
    Source: Brier 1950.
    """
    truth = nn.functional.one_hot(predictions.labels, predictions.classes)
    return _mean((predictions.probabilities - truth).square().sum(1), weights)


def _sensitivity(predictions: Predictions, weights: Tensor) -> Tensor:
    return sensitivities(predictions, weights)[:, 1]


def _specificity(predictions: Predictions, weights: Tensor) -> Tensor:
    return sensitivities(predictions, weights)[:, 0]


AUROC = PredictionScore("auroc", "area under the ROC curve", _macro_auroc)
BALANCED_ACCURACY = PredictionScore(
    "balanced_accuracy", "balanced accuracy", _balanced_accuracy, each=sensitivities
)
MACRO_F1 = PredictionScore("macro_f1", "macro F1", _macro_f1)
SENSITIVITY = PredictionScore("sensitivity", "sensitivity", _sensitivity, classes=(1,))
SPECIFICITY = PredictionScore("specificity", "specificity", _specificity, classes=(0,))
ACCURACY = PredictionScore("accuracy", "accuracy", _accuracy, classes=())
AVERAGE_PRECISION = PredictionScore("average_precision", "average precision", _macro_precision)
BRIER = PredictionScore("brier", "Brier score", _brier, higher_is_better=False, top=2.0, classes=())

SCORES = (AUROC, BALANCED_ACCURACY, MACRO_F1, AVERAGE_PRECISION, ACCURACY, BRIER)
"""Scores of any number of classes."""


def scores_of(classes: int) -> tuple[PredictionScore, ...]:
    """The scores of so many classes; with two, `SENSITIVITY` and `SPECIFICITY` come beside them."""
    return (*SCORES, SENSITIVITY, SPECIFICITY) if classes == 2 else SCORES


@dataclass(frozen=True)
class Reliability:
    """How often what was said with a probability came true.

    Attributes:
        said: mean probability of the most probable class in every bin.
        came: share of the images in the bin for which it was right.
        counts: images in the bin; bins without images are left out.
    """

    said: Float64[Tensor, " b"]
    came: Float64[Tensor, " b"]
    counts: Int64[Tensor, " b"]

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of the two, weighted by images, 0..1.
        Source: Naeini et al. 2015, "Obtaining well calibrated probabilities using Bayesian
        binning".
        """
        gaps = (self.said - self.came).abs() * self.counts
        return float(gaps.sum() / self.counts.sum())


def reliability(predictions: Predictions, bins: int = 10) -> Reliability:
    """Reliability of the most probable class in bins of equally many images, which few images bear
    better than bins of equal width.
    """
    said, chosen = predictions.probabilities.max(1)
    right = (chosen == predictions.labels).to(torch.float64)
    order = said.argsort(stable=True)
    parts = [part for part in order.tensor_split(bins) if len(part)]
    return Reliability(
        torch.stack([said[part].mean() for part in parts]),
        torch.stack([right[part].mean() for part in parts]),
        torch.tensor([len(part) for part in parts]),
    )


def majority_baseline(labels: Int64[Tensor, " n"]) -> float:
    """Accuracy of a classifier that always says the most frequent class, 0..1."""
    return float(torch.bincount(labels).max() / len(labels))


def best_threshold(predictions: Predictions) -> float:
    """The probability of class 1 from which class 1 is decided, so that sensitivity plus
    specificity is largest (Youden 1950). Of equally good ones the middle is taken.

    Args:
        predictions: of two classes, of validation images, both classes among them.
    """
    scores, positive = predictions.probabilities[:, 1], predictions.labels == 1
    if predictions.classes != 2 or not positive.any() or positive.all():
        raise UserError("a threshold needs two classes, with validation images of both")
    values = scores.unique()
    cuts = torch.cat((values[:1] - 1e-9, (values[1:] + values[:-1]) / 2, values[-1:] + 1e-9))
    chosen = scores[None, :] >= cuts[:, None]
    youden = (chosen & positive).sum(1) / positive.sum() - (chosen & ~positive).sum(1) / (
        ~positive
    ).sum()
    best = (youden >= youden.max() - 1e-12).nonzero()[:, 0]
    return float(cuts[best[len(best) // 2]].clamp(0, 1))


def _each_fold(folds: Tensor | None, count: int) -> list[Int64[Tensor, " m"]]:
    if folds is None:
        return [torch.arange(count)]
    return [(folds == fold).nonzero()[:, 0] for fold in folds.unique().tolist()]
