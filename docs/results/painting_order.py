"""Which eight of a hundred images to paint: Dice of the masks learned from them.

    python docs/results/painting_order.py generator.safetensors painter.safetensors

A segmenter stands for the painter. Chosen are the first eight in the suggested order, those that
bring all others nearest to one of them (chosen greedily), those nearest to eight centres of k-means
on styles w, and eight at random, five times. A linear head learns from each choice. Its masks of
further images are compared with the painter's. All is done for several sets of a hundred images.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from masks import dice_of, paint
from scipy.cluster.vq import kmeans2
from torch import Tensor

from synthograph.annotation.features import FeatureSource, at_pixels
from synthograph.annotation.pixels import sample_pixels
from synthograph.annotation.sampling import suggested_order
from synthograph.annotation.training import LINEAR, Painted, fit
from synthograph.downstream import segmenter
from synthograph.downstream.segmenter import Segmenter
from synthograph.models.base import NoiseMode
from synthograph.models.registry import style_family
from synthograph.models.snapshot import Snapshot, load
from synthograph.sampling.latents import Rendering, of_seeds, placed, render, styles

EIGHT, EACH, RANDOM, FIRST_TEST = 8, 100, 5, 5000


@dataclass(frozen=True)
class Images:
    """Images of a network with the painter's masks.

    Attributes:
        ws: their styles.
        masks: class ids [n, h, w].
        layers: of features, per image.
    """

    ws: Tensor
    masks: np.ndarray
    layers: Sequence[list[Tensor]]

    @classmethod
    def of(cls, snapshot: Snapshot, painter: Segmenter, first: int, count: int) -> "Images":
        """Images of so many seeds, classes taking turns."""
        seeds, how = range(first, first + count), Rendering()
        names = snapshot.info.condition.classes
        labels = [names[seed % len(names)] if names else None for seed in seeds]
        latents = of_seeds(snapshot, seeds, labels)
        ws = styles(snapshot, latents, how)
        pixels = np.stack(list(render(snapshot, ws, latents.seeds, how)))
        kind, patch = style_family(snapshot.info.family), LINEAR.shape.patch
        source = FeatureSource(kind, placed(snapshot, how), NoiseMode.CONST, patch)
        layers = [source.draw(ws[k : k + 1])[1] for k in range(count)]
        return cls(ws, paint(painter, pixels), layers)


def covering(ws: Tensor) -> list[int]:
    """Greedily the image that lowers the sum of distances to the nearest chosen one the most."""
    points = ws.flatten(1).double()
    apart = torch.cdist(points, points)
    nearest, chosen = torch.full((len(points),), torch.inf, dtype=torch.float64), list[int]()
    while len(chosen) < EIGHT:
        chosen.append(int(torch.minimum(nearest[None], apart).sum(1).argmin()))
        nearest = torch.minimum(nearest, apart[chosen[-1]])
    return chosen


def choices(ws: Tensor, seed: int) -> Iterator[tuple[str, list[int]]]:
    """Name of a choice and its images."""
    points = ws.flatten(1).double().numpy()
    centres, _ = kmeans2(points, EIGHT, seed=seed, minit="++", iter=30)
    yield "suggested order", suggested_order(ws)[:EIGHT]
    yield "greedy coverage", covering(ws)
    yield "k-means", [int(((points - centre) ** 2).sum(1).argmin()) for centre in centres]
    for draw in range(RANDOM):
        order = np.random.RandomState(1000 * seed + draw).permutation(len(points))
        yield "at random", order[:EIGHT].tolist()


def dice_by_class(images: Images, chosen: Sequence[int], tests: Images, classes: int) -> np.ndarray:
    """Mean Dice of every class but the background."""
    masks, size = images.masks[list(chosen)], images.masks.shape[1:]
    channels = [layer.shape[1] for layer in images.layers[0]]
    sample = sample_pixels(torch.from_numpy(masks), sum(channels), 0)
    own = [images.layers[k] for k in chosen]
    features = torch.cat([at_pixels(own[k], sample.of(k), size) for k in range(EIGHT)])
    painted = Painted(masks, sample, features, own.__getitem__, channels, classes)
    *_, head = fit(LINEAR, painted, range(EIGHT), 0)
    said = [next(head.probabilities(each, size)).mean(0).argmax(0).numpy() for each in tests.layers]
    return np.nanmean(dice_of(tests.masks, np.stack(said), classes), 0)[1:]


def main() -> None:
    """Print a line of a table for each choice."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("network", type=Path)
    parser.add_argument("painter", type=Path)
    parser.add_argument("--sets", type=int, default=3)
    args = parser.parse_args()
    painter = segmenter.load(args.painter, torch.device("cpu"))
    snapshot, classes = load(args.network), len(painter.info.classes)
    tests = Images.of(snapshot, painter, FIRST_TEST, EACH)
    found: dict[str, list[list[np.ndarray]]] = {}
    for number in range(args.sets):
        images = Images.of(snapshot, painter, EACH * number, EACH)
        for name, chosen in choices(images.ws, number):
            sets = found.setdefault(name, [[] for _ in range(args.sets)])
            sets[number].append(dice_by_class(images, chosen, tests, classes))
    for name, of_sets in found.items():
        means = [np.stack(each).mean(0) for each in of_sets]
        cells = [f"{float(np.mean(means)):.3f}", *(f"{each.mean():.3f}" for each in means)]
        cells += [f"{value:.3f}" for value in np.stack(means).mean(0)]
        sys.stdout.write(f"| {name} | {' | '.join(cells)} |\n")


if __name__ == "__main__":
    main()
