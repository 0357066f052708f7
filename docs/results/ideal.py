"""The best possible AUROC on the images that a study of phantoms tested: that of their true score.

python docs/results/ideal.py skin.zip STUDY/predictions/real-draw0.csv
"""

import argparse
import csv
import sys
from pathlib import Path

import torch

from synthograph.archive.reader import open_archive
from synthograph.stats.scores import AUROC, Predictions


def main() -> None:
    """Print the area of the true score and that of the predictions, pairs within folds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("table", type=Path)
    asked = parser.parse_args()
    archive = open_archive(asked.archive)
    true = {row.file: float(row.columns["score"]) for row in archive.rows}
    second = archive.info.classes[1]
    with asked.table.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    labels = torch.tensor([row["label"] == second for row in table]).long()
    folds = torch.tensor([int(row["fold"]) for row in table])
    said = torch.tensor([float(row[f"p.{second}"]) for row in table]).double()
    best = torch.sigmoid(torch.tensor([true[row["file"]] for row in table]).double())
    for name, p in (("best possible", best), ("predicted", said)):
        value = AUROC.value(Predictions(torch.stack((1 - p, p), 1), labels, folds, folds))
        sys.stdout.write(f"{name} {value:.3f}\n")


if __name__ == "__main__":
    main()
