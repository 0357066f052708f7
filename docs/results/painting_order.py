"""Which eight of a hundred images to paint: Dice of the masks learned from them.

    python docs/results/painting_order.py generator.safetensors painter.safetensors --work order

A segmenter stands for the painter. Chosen are the first eight in the suggested order, those nearest
to eight centres of k-means on styles w, those that bring all others nearest to one of them (chosen
greedily), and eight at random, twice. Masks of 60 further images are compared with the painter's.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.cluster.vq import kmeans2
from torch import Tensor

import synthograph as sg
from synthograph.annotation.sampling import suggested_order
from synthograph.archive.reader import open_archive
from synthograph.downstream import segmenter
from synthograph.downstream.segmenter import Segmenter
from synthograph.models.snapshot import load
from synthograph.stats.masks import compare_masks
from synthograph.workflows.annotation_sets import OpenSet

EIGHT, FURTHER = 8, "1000-1059"


def paint(painter: Segmenter, pixels: np.ndarray) -> np.ndarray:
    """Class ids [n, h, w] of images [n, channels, h, w] of 8 bits."""
    return painter.predict(torch.from_numpy(pixels.astype(np.float32) / 255)).numpy()


def painted(network: Path, painter: Segmenter, work: Path) -> OpenSet:
    """A hundred images, all of them painted."""
    folder, masks, names = work / "all", work / "masks", work / "names.json"
    sg.annotate_sample(network=network, num=100, outdir=folder)
    masks.mkdir(parents=True)
    for image, pixels in OpenSet.read(folder).redrawn(load(network), "cpu"):
        Image.fromarray(paint(painter, pixels[None])[0]).save(masks / f"{image.id}.png")
    names.write_text(json.dumps(list(painter.info.classes)))
    sg.annotate_import(folder, masks=masks, palette=str(names))
    return OpenSet.read(folder)


def covering(ws: Tensor) -> list[int]:
    """Greedily the image that lowers the sum of distances to the nearest chosen one the most."""
    points = ws.flatten(1).double()
    apart = torch.cdist(points, points)
    nearest, chosen = torch.full((len(points),), torch.inf, dtype=torch.float64), list[int]()
    while len(chosen) < EIGHT:
        chosen.append(int(torch.minimum(nearest[None], apart).sum(1).argmin()))
        nearest = torch.minimum(nearest, apart[chosen[-1]])
    return chosen


def choices(ws: Tensor) -> dict[str, list[int]]:
    """Name of a choice -> rows of its images."""
    points = ws.flatten(1).double().numpy()
    centres, _ = kmeans2(points, EIGHT, seed=0, minit="++", iter=30)
    near = [int(((points - centre) ** 2).sum(1).argmin()) for centre in centres]
    found = {"suggested order": suggested_order(ws)[:EIGHT], "eight k-means centres": near}
    found["greedy coverage"] = covering(ws)
    for seed in (100, 101):
        chosen = np.random.RandomState(seed).permutation(len(points))[:EIGHT]
        found[f"at random, {seed}"] = chosen.tolist()
    return found


def main() -> None:
    """Print a line of a table for each choice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", type=Path)
    parser.add_argument("painter", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args()
    painter = segmenter.load(args.painter, torch.device("cpu"))
    whole = painted(args.network, painter, args.work)
    for number, (name, rows) in enumerate(
        choices(whole.latents(load(args.network)).values).items()
    ):
        folder = args.work / str(number)
        shutil.copytree(whole.folder, folder)
        images = (i if i.row in rows else i.replace(mask=None) for i in whole.about.images)
        whole.about.replace(images=tuple(images)).save(folder / "annotations.json")
        made, out = folder / "masks.safetensors", folder / "labelled.zip"
        sg.annotate_train(folder, network=args.network, out=made, preset="linear")
        sg.annotate_generate(network=args.network, mask_generator=made, seeds=FURTHER, out=out)
        archive = open_archive(out)
        truth = paint(painter, np.stack([archive.read(row) for row in archive.rows]))
        masks = np.stack([archive.read_mask(row) for row in archive.rows])
        groups = torch.arange(len(masks))
        classes = len(painter.info.classes)
        dice = compare_masks(truth, masks, classes, groups=groups, distances=False).dice
        values = dice.nanmean(0)[1:].tolist()
        shown = (f"{value:.3f}" for value in (sum(values) / len(values), *values))
        sys.stdout.write(f"| {name} | {' | '.join(shown)} |\n")


if __name__ == "__main__":
    main()
