"""Simulated studies: how often two names for one condition are said to differ, and how often the
interval of a known difference holds it.

    python docs/results/paired.py --studies 500 [--only SCENARIO]

Patients have several images and a common part in all of their scores; every training of every fold
has a quality and an offset that all of its images share. A condition is trained twice per fold. In
the last scenario a draw of the condition, unlike its reference, has one of each for all folds, as
where one generator serves all.
"""

import argparse
import sys
from collections.abc import Callable

import torch
from torch import Tensor

from synthograph.stats.paired import compare
from synthograph.stats.scores import AUROC, Predictions

SCENARIOS = {
    "100 patients": {},
    "40 patients": {"patients": 40},
    "trainings differ much": {"training": 0.6},
    "trainings do not differ": {"training": 0.0},
    "three draws": {"draws": 3, "training": 0.6},
    "one test set, no folds": {"folds": 1, "training": 0.4},
    "one generator for all folds": {"training": 0.2, "together": True},
}
EFFECT = 0.6


def normal(rng: torch.Generator, *shape: int) -> Tensor:
    """Standard normal numbers."""
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def conditions(
    rng: torch.Generator,
    *,
    patients: int = 100,
    images: int = 3,
    folds: int = 5,
    draws: int = 2,
    training: float = 0.3,
) -> Callable[..., list[Predictions]]:
    """Patients of one study, as a function from the effect of a condition, and whether a draw of it
    is one for all folds, to its predictions.
    """
    groups = torch.arange(patients).repeat_interleave(images)
    labels = (torch.rand(patients, generator=rng) < 0.4).long()[groups]
    fold = (torch.randperm(patients, generator=rng) % folds)[groups]
    own = normal(rng, patients)[groups] + 0.7 * normal(rng, len(groups))

    def condition(gain: float, together: bool = False) -> list[Predictions]:
        found = []
        for _ in range(draws):
            drawn = [training * normal(rng, folds) for _ in range(2)]
            own_fold = torch.zeros_like(fold) if together else fold
            quality, offset = 1 + drawn[0][own_fold], drawn[1][own_fold]
            signal = (1.5 + gain) * quality * (labels - 0.5)
            p = torch.sigmoid(signal + own + offset + 0.5 * normal(rng, len(groups)))
            found.append(Predictions(torch.stack((1 - p, p), 1), labels, groups, fold))
        return found

    return condition


def study(
    rng: torch.Generator, effect: float, *, together: bool = False, **settings: float
) -> tuple[list[Predictions], list[Predictions]]:
    """Predictions of a condition with an effect, and of its reference. The tests of
    `stats/paired.py` use it, too.
    """
    condition = conditions(rng, **settings)
    return condition(effect, together), condition(0.0)


def true_difference(effect: float, **settings: float) -> float:
    """The mean difference of many studies with very many patients."""
    rng = torch.Generator().manual_seed(999)
    many = [study(rng, effect, **{**settings, "patients": 2000}) for _ in range(60)]
    means = [[sum(map(AUROC.value, side)) / len(side) for side in pair] for pair in many]
    return sum(arm - reference for arm, reference in means) / len(means)


def tell(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Print a table of all scenarios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--only", choices=SCENARIOS)
    given = parser.parse_args()
    count = given.studies
    tell("| studies | true difference | interval holds it | said to differ |")
    tell("|---|---|---|---|")
    for name in [given.only] if given.only else SCENARIOS:
        settings = SCENARIOS[name]
        for effect in (0.0, EFFECT):
            truth = true_difference(effect, **settings) if effect else 0.0
            rng, holds, differ = torch.Generator().manual_seed(1), 0, 0
            for number in range(count):
                arm, reference = study(rng, effect, **settings)
                shared = [range(5)] if settings.get("together") else []
                found = compare(
                    AUROC, arm, reference, replicates=300, seed=number, together=(shared, [])
                )
                holds += found.interval is not None and truth in found.interval
                differ += found.p is not None and found.p < 0.05
            row = f"{truth:.3f} | {holds / count:.1%} | {differ / count:.1%}"
            tell(f"| {name} | {row} |")


if __name__ == "__main__":
    main()
