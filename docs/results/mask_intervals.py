"""Whether intervals of mean Dice hold the true value, for few and many patients.

    python docs/results/mask_intervals.py --sets 200

Images of a patient are alike in how well they are segmented; a share of the images is missed.
"""

import argparse

import numpy as np
import torch
from scipy.stats import beta, norm

from synthograph.core.console import say
from synthograph.stats.masks import Overlaps, mask_scores
from synthograph.stats.paired import score_interval

SPREAD = 20
"""Of the Dice of images: parameters of their beta distribution sum to this."""
SIDE = 128


def test_set(
    rng: np.random.Generator, *, patients: int, images: int, missed: float, mean: float
) -> Overlaps:
    """One test set.

    Args:
        rng: of this set.
        patients: how many.
        images: of each.
        missed: share of the images in which nothing is predicted.
        mean: Dice of the others.
    """
    groups = np.repeat(np.arange(patients), images)
    quality = (rng.normal(size=patients)[groups] + rng.normal(size=len(groups))) / np.sqrt(2)
    dice = beta.ppf(norm.cdf(quality), mean * SPREAD, (1 - mean) * SPREAD)
    dice[rng.random(len(groups)) < missed] = 0
    truth = rng.integers(200, 600, len(groups))
    hits, pixels = (
        torch.tensor(np.stack([values, values], 1), dtype=torch.float64)
        for values in (truth * dice, truth)
    )
    ids = torch.from_numpy(groups)
    diagonal = float(np.hypot(SIDE, SIDE))
    return Overlaps(hits, pixels, pixels, 1 - hits / pixels, ids, torch.zeros_like(ids), diagonal)


def main() -> None:
    """Print a row of the table for every kind of test set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=200)
    sets = parser.parse_args().sets
    say("| patients (images of each) | missed | Dice of others | interval holds the truth |")
    say("|---|---|---|---|")
    for patients, images in ((10, 1), (19, 1), (30, 3), (60, 1)):
        for missed in (0.0, 0.05):
            for mean in (0.8, 0.95):
                held = 0
                for number in range(sets):
                    rng = np.random.default_rng(number)
                    found = test_set(
                        rng, patients=patients, images=images, missed=missed, mean=mean
                    )
                    score = mask_scores([1], found.diagonal)[0]
                    _, ends = score_interval(score, found, replicates=300)
                    held += ends is not None and mean * (1 - missed) in ends
                say(f"| {patients} ({images}) | {missed:.0%} | {mean} | {held / sets:.1%} |")


if __name__ == "__main__":
    main()
