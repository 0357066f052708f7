"""Labels that tell the kinds of image within a class, by k-means: what is a code for them worth?

python docs/results/cluster_labels.py brain32.zip brain-parts.zip --clusters 4

Images of a class are gathered into clusters by `efficientnet-lite0`; centres come from split train.
The archive that is written has classes such as `glioma~2` in place of `glioma`; splits stay.
"""

import argparse
import csv
import io
import json
import sys
import zipfile
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor

from synthograph.archive.batches import open_rows
from synthograph.features.packaged import TRAINED
from synthograph.features.registry import extractor

ROUNDS, STARTS = 30, 8


def centres(x: Tensor, count: int) -> Tensor:
    """k-means of rows [n, d], the best of several starts."""
    tries = []
    for start in range(STARTS):
        draw = torch.randperm(len(x), generator=torch.Generator().manual_seed(start))
        found = x[draw[:count]]
        for _ in range(ROUNDS):
            near = torch.cdist(x, found).argmin(1)
            means = [x[near == k].mean(0) if (near == k).any() else found[k] for k in range(count)]
            found = torch.stack(means)
        tries.append((float(torch.cdist(x, found).amin(1).square().sum()), start, found))
    return min(tries)[2]


def main() -> None:
    """Cluster, tell, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--clusters", type=int, default=4)
    given = parser.parse_args()
    data, by = open_rows(str(given.archive)), extractor(TRAINED)
    x = torch.cat([by(batch) for batch in data.images.batches()])
    labels = {}
    for name in data.archive.info.classes:
        rows = torch.tensor([row.label == name for row in data.rows])
        train = rows & torch.tensor([row.split == "train" for row in data.rows])
        near = torch.cdist(x, centres(x[train], given.clusters)).argmin(1)
        labels |= {data.rows[i].file: f"{name}~{near[i]}" for i in rows.nonzero()[:, 0].tolist()}
    sys.stdout.write(f"{sorted(Counter(labels.values()).items())}\n")
    write(given.archive, given.out, labels)


def write(archive: Path, out: Path, labels: dict[str, str]) -> None:
    """The same archive with other labels."""
    classes = sorted(set(labels.values()))
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "manifest.csv":
                rows = list(csv.DictReader(io.StringIO(content.decode())))
                text = io.StringIO()
                table = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
                table.writeheader()
                table.writerows({**row, "label": labels[row["file"]]} for row in rows)
                content = text.getvalue().encode()
            elif name == "dataset.json":
                about = json.loads(content)
                about["classes"] = classes
                about["labels"] = [[f, classes.index(labels[f])] for f, _ in about["labels"]]
                content = json.dumps(about).encode()
            new.writestr(name, content)


if __name__ == "__main__":
    main()
