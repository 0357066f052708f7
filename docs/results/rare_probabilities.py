"""Ways to calibrate the probabilities of a probe with balanced weights, on validation images.

python docs/results/rare_probabilities.py ARCHIVE [--thin 0.15]
python docs/results/rare_probabilities.py simulated

Sixteen times the groups are drawn anew into 65 % training, 10 % validation and 25 % test. A probe
is fitted with balanced weights to features of the packaged extractor, with the penalty 0.3.
Printed for every way, on test images: the log loss; the mean distance of the mean probability of a
class from its share; and the root mean square of the calibration intercept over classes and draws.
`--thin` keeps that share of the images of the first class. `simulated` has three classes with
shares .1, .6 and .3 in 1,600 images, and little to tell them apart.
"""

import argparse
import sys
from collections import defaultdict

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn

from synthograph.archive.batches import open_rows
from synthograph.downstream import probe
from synthograph.features.packaged import default_extractor
from synthograph.features.registry import extractor, feature_folder
from synthograph.metrics.columns import features_of
from synthograph.stats.risks import calibration_intercept

DRAWS, PENALTY = 16, 0.3
SIMULATED = (0.1, 0.6, 0.3)


def images(name: str) -> tuple[Tensor, Tensor, np.ndarray]:
    """Features, classes and groups."""
    if name == "simulated":
        rng = np.random.default_rng(0)
        labels = torch.from_numpy(rng.choice(3, 1600, p=SIMULATED))
        values = torch.from_numpy(rng.normal(size=(1600, 20)))
        values[torch.arange(1600), labels] += 1
        return values, labels, np.arange(1600)
    rows = [open_rows(f"{name}:{split}") for split in ("train", "val", "test")]
    reader = extractor(default_extractor())
    found = [features_of(each.images, reader, folder=feature_folder()).values for each in rows]
    ordered = [row for each in rows for row in each.ordered]
    labels = probe.class_numbers([r.label for r in ordered], rows[0].archive.info.classes)
    groups = np.unique([row.group for row in ordered], return_inverse=True)[1]
    return torch.cat(found).double(), labels, groups


def each_class(
    logits: Tensor, labels: Tensor, prior: Tensor, *, free: bool
) -> tuple[float, Tensor]:
    """A slope, and an offset of every class: the prior or, where it is free, the best one."""
    count, classes = logits.shape
    doubt = classes / (classes - 1) / (count + 2)
    truth = (1 - doubt) * nn.functional.one_hot(labels, classes).double() + doubt * prior.exp()

    def loss(flat: np.ndarray) -> float:
        offset = torch.from_numpy(flat[1:]) if free else prior
        return -float((truth * (logits * np.exp(flat[0]) + offset).log_softmax(1)).sum())

    limits = [(-8.0, 8.0), *[(None, None)] * classes]
    found = minimize(loss, np.zeros(classes + 1), method="L-BFGS-B", bounds=limits).x
    return float(np.exp(found[0])), torch.from_numpy(found[1:]) if free else prior


def main() -> None:
    """Print a line for every way."""
    options = argparse.ArgumentParser()
    options.add_argument("archive")
    options.add_argument("--thin", type=float, default=1.0)
    given = options.parse_args()
    values, labels, groups = images(given.archive)
    classes = int(labels.max()) + 1
    found = defaultdict(list)
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        kept = torch.from_numpy((labels.numpy() != 0) | (rng.random(len(labels)) < given.thin))
        order = rng.permutation(np.unique(groups))
        quarter, tenth = len(order) // 4, len(order) // 10
        test, checked = (
            torch.from_numpy(np.isin(groups, some)) & kept
            for some in (order[:quarter], order[quarter : quarter + tenth])
        )
        train = kept & ~test & ~checked
        if torch.bincount(labels[checked], minlength=classes).min() < 2:
            continue
        weights = probe.balanced_weights(labels[train], classes)
        middle, size = values[train].mean(0), values[train].std(0)
        unit = (values - middle) / torch.where(size > 0, size, 1)
        start = np.zeros((classes, unit.shape[1] + 1))
        table = torch.from_numpy(
            probe._fit_one(unit[train], labels[train], weights, PENALTY, start)
        )
        logits = unit @ table[:, :-1].T + table[:, -1]
        shares = probe.frequencies(labels[train | checked], classes)
        seen = logits[checked], labels[checked]
        even = torch.full_like(shares, 1 / classes)
        ways = {
            "slope alone": each_class(*seen, even.log(), free=False),
            "slope, shares in full": each_class(*seen, shares.log(), free=False),
            "slope, offset of every class": each_class(*seen, shares.log(), free=True),
            "slope, power of the shares": probe.calibration(*seen, shares),
        }
        for name, (slope, offset) in ways.items():
            found[name].append(judged((logits[test] * slope + offset).softmax(1), labels[test]))
    for name, rows in found.items():
        loss, apart, intercepts = (np.array(each) for each in zip(*rows, strict=True))
        rms = np.sqrt(np.nanmean(intercepts**2))
        sys.stdout.write(f"{name}: {len(rows)} {loss.mean():.3f} {apart.mean():.3f} {rms:.2f}\n")


def judged(p: Tensor, labels: Tensor) -> tuple[float, float, list[float]]:
    """Log loss, mean distance of mean probabilities from shares, intercepts of all classes."""
    once = torch.ones(1, len(p), dtype=torch.float64)
    own = nn.functional.one_hot(labels, p.shape[1]).double()
    intercepts = [
        float(calibration_intercept(p[:, c], labels == c, once)) for c in range(p.shape[1])
    ]
    loss = -float(p.gather(1, labels[:, None]).log().mean())
    return loss, float((p.mean(0) - own.mean(0)).abs().mean()), intercepts


if __name__ == "__main__":
    main()
