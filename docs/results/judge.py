"""What two extractors notice of the faults that generators have, planted in real cells.

python docs/results/judge.py bccd.zip:test -o planted.png

Speckle stands for short trainings, stripes for long ones, filled nuclei for shapes that a generator
does not learn. The real images are halved ten times, never through a photograph. One half is
damaged and compared with the other; undamaged it gives the floor. Printed is a table in Markdown;
the picture shows the strongest grade of each.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from synthograph.archive.batches import open_rows
from synthograph.core.seeds import Streams
from synthograph.features.base import Extractor
from synthograph.features.packaged import RANDOM, TRAINED
from synthograph.features.registry import extractor
from synthograph.metrics.measures import BY_NAME, plain
from synthograph.results.measures import Direction
from synthograph.stats.intervals import halve
from synthograph.stats.sample import Sample

MEASURES = ("frechet", "kernel", "precision", "recall", "density", "coverage")
SPLITS = 10
LOBED = "WBC"
DISK = np.hypot(*np.mgrid[-5:6, -5:6]) <= 5

Damage = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""One image [c, h, w] of values 0 ... 255 to a damaged one."""


def speckle(deviation: float) -> Damage:
    """Grey noise on single pixels and, half as strong, on squares of four."""

    def damage(image: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        height, width = image.shape[1:]
        coarse = draw.normal(size=(height // 2 + 1, width // 2 + 1)).repeat(2, 0).repeat(2, 1)
        fine = draw.normal(size=(height, width))
        return image + deviation * (fine + coarse[:height, :width] / 2) / 1.25**0.5

    return damage


def stripes(amplitude: float) -> Damage:
    """A wave of four pixels' length in any direction."""

    def damage(image: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        angle, shift = draw.uniform(0, 2 * np.pi, 2)
        y, x = np.mgrid[: image.shape[1], : image.shape[2]]
        wave = np.sin(2 * np.pi / 4 * (np.cos(angle) * x + np.sin(angle) * y) + shift)
        return image + amplitude * wave

    return damage


def filled(image: np.ndarray, _: np.random.Generator) -> np.ndarray:
    """The gaps between the lobes of a nucleus, in its own colour."""
    green, side = image[1], image.shape[1]
    levels = np.arange(256)
    counts = np.histogram(green, 256, (0, 256))[0]
    share, mean = counts.cumsum() / green.size, (counts * levels).cumsum() / green.size
    between = (mean[-1] * share - mean) ** 2 / (share * (1 - share) + 1e-9)
    limit = between.argmax()  # Otsu 1979
    parts, count = ndimage.label(green <= limit)
    y, x = np.mgrid[:side, :side] - side / 2
    near = [
        parts == k
        for k in range(1, count + 1)
        if (parts == k).sum() >= 10
        and np.hypot(y[parts == k].mean(), x[parts == k].mean()) < 0.3 * side
    ]
    if not near:
        return image
    nucleus = np.logical_or.reduce(near)
    closed = ndimage.binary_closing(np.pad(nucleus, 8), DISK)[8:-8, 8:-8]
    gaps = closed & (np.hypot(y, x) < 0.4 * side) & (green < (limit + 245) / 2)
    gaps = ndimage.binary_fill_holes(ndimage.binary_closing(nucleus | gaps)) & ~nucleus
    weight = ndimage.gaussian_filter(nucleus.astype(float), 2) + 1e-6
    smooth = [ndimage.gaussian_filter(channel * nucleus, 2) / weight for channel in image]
    return np.where(gaps, np.stack(smooth), image)


PLANTED: dict[str, Damage] = {
    **{f"speckle, sd {sd}": speckle(sd) for sd in (2, 4, 8)},
    **{f"stripes, amplitude {a}": stripes(a) for a in (2, 4, 8)},
}


def damaged(pixels: np.ndarray, damage: Damage, seed: int = 0) -> Tensor:
    """Damaged images, each by random numbers of its own."""
    found = [
        damage(x.astype(float), np.random.default_rng((seed, i))) for i, x in enumerate(pixels)
    ]
    return torch.from_numpy(np.stack(found).round().clip(0, 255).astype(np.uint8))


def features(images: Tensor, extract: Extractor) -> Tensor:
    """Of many images."""
    return torch.cat([extract(part) for part in images.split(64)])


def noticed(clean: Sample, bad: Tensor) -> dict[str, str]:
    """Median over the halves for each measure; bold where more than half of the damaged halves lie
    beyond the most extreme undamaged one.
    """
    floor, found = [], []
    for split in range(SPLITS):
        half = halve(clean.groups, Streams(0), split)
        real = clean.subset(~half)
        floor.append(plain(real, Sample.singles(clean.values[half]), MEASURES))
        found.append(plain(real, Sample.singles(bad[half]), MEASURES))
    cells = {}
    for name in MEASURES:
        sign = -1 if BY_NAME[name].about.better is Direction.HIGH else 1
        limit = max(sign * each[name] for each in floor)
        values = np.array([each[name] for each in found])
        text = f"{np.median(values):.3g}"
        cells[name] = f"**{text}**" if np.mean(sign * values > limit) > 0.5 else text
        cells[f"{name} floor"] = f"{np.median([each[name] for each in floor]):.3g}"
    return cells


def table(pixels: np.ndarray, groups: Tensor, planted: dict[str, Damage]) -> str:
    """Rows of both extractors for each damage."""
    lines = []
    for extract in map(extractor, (TRAINED, RANDOM)):
        clean = Sample(features(torch.from_numpy(pixels), extract), groups)
        for number, (name, damage) in enumerate(planted.items()):
            cells = noticed(clean, features(damaged(pixels, damage), extract))
            if not number:
                floors = (cells[f"{measure} floor"] for measure in MEASURES)
                lines.append("|".join(["", extract.name, "nothing", *floors, ""]))
            shown = (cells[measure] for measure in MEASURES)
            lines.append("|".join(["", extract.name, name, *shown, ""]))
    return "\n".join(lines) + "\n"


def main() -> None:
    """Do what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", help="ARCHIVE or ARCHIVE:split")
    parser.add_argument("-o", "--output", type=Path, required=True, help="picture")
    given = parser.parse_args()
    images = open_rows(given.archive).images
    pixels = torch.cat(list(images.batches())).numpy()
    lobed = np.array(images.labels) == LOBED
    head = ["", "features", "planted", *MEASURES, ""]
    sys.stdout.write("|".join(head) + "\n|" + "---|" * (2 + len(MEASURES)) + "\n")
    sys.stdout.write(table(pixels, images.groups, PLANTED))
    sys.stdout.write(f"\n{LOBED} alone:\n\n")
    nuclei = {"filled nuclei": filled}
    sys.stdout.write(table(pixels[lobed], images.groups[torch.from_numpy(lobed)], nuclei))
    cells = pixels[lobed][:12]
    shown = [cells, *(damaged(cells, d).numpy() for d in (speckle(8), stripes(8), filled))]
    rows = [np.concatenate(list(row.transpose(0, 2, 3, 1)), axis=1) for row in shown]
    picture = Image.fromarray(np.concatenate(rows))
    picture.resize((3 * picture.width, 3 * picture.height), Image.Resampling.NEAREST).save(
        given.output
    )


if __name__ == "__main__":
    main()
