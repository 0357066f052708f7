"""Whether intervals of scores hold the true value where a class is rare.

python docs/results/rare_classes.py

200 patients with one image each, of whom few are positive, drawn anew 300 times. Printed: the share
of the 95 % intervals that hold the true value, for sensitivity and balanced accuracy (specificity
0.9) and for the area under the ROC curve of two normal distributions.
"""

import sys
from collections.abc import Callable
from functools import partial

import torch
from scipy.stats import norm
from torch import Tensor

from synthograph.stats.paired import score_interval
from synthograph.stats.scores import (
    AUROC,
    BALANCED_ACCURACY,
    SENSITIVITY,
    Predictions,
    PredictionScore,
)

PATIENTS, RUNS, REPLICATES, SPECIFICITY = 200, 300, 200, 0.9


def main() -> None:
    """Print a line for every number of positive patients."""
    rng = torch.Generator().manual_seed(0)
    for count in (5, 10, 20):
        labels = (torch.arange(PATIENTS) < count).long()
        cells = []
        for true in (0.8, 0.9, 0.95):
            for score, value in (
                (SENSITIVITY, true),
                (BALANCED_ACCURACY, (true + SPECIFICITY) / 2),
            ):
                cells.append(held(score, value, partial(decided, labels, true, rng)))
        for area in (0.85, 0.97):
            cells.append(held(AUROC, area, partial(scored, labels, area, rng)))
        sys.stdout.write(f"{count}: {', '.join(f'{each:.2f}' for each in cells)}\n")


def held(score: PredictionScore, true: float, draw: Callable[[], Predictions]) -> float:
    """Share of the intervals that hold the true value; those that are none do not count."""
    found = [score_interval(score, draw(), replicates=REPLICATES, seed=n)[1] for n in range(RUNS)]
    ends = [each for each in found if each is not None]
    return sum(each.low <= true <= each.high for each in ends) / max(len(ends), 1)


def decided(labels: Tensor, sensitivity: float, rng: torch.Generator) -> Predictions:
    """Decisions that are right as often as they shall be."""
    luck = torch.rand(len(labels), generator=rng)
    said = torch.where(labels == 1, luck < sensitivity, luck >= SPECIFICITY).double()
    return predictions(0.1 + 0.8 * said, labels)


def scored(labels: Tensor, area: float, rng: torch.Generator) -> Predictions:
    """Scores of two normal distributions."""
    apart = float(norm.ppf(area)) * 2**0.5
    values = torch.randn(len(labels), generator=rng, dtype=torch.float64) + apart * labels
    return predictions(torch.sigmoid(values), labels)


def predictions(said: Tensor, labels: Tensor) -> Predictions:
    """One image of each patient."""
    both, count = torch.stack((1 - said, said), dim=1), len(labels)
    return Predictions(both, labels, torch.arange(count), torch.zeros(count, dtype=torch.int64))


if __name__ == "__main__":
    main()
