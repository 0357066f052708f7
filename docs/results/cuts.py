"""Other cuts of pictures: how many are found, and how many images are taken for one by chance.

python docs/results/cuts.py bccd.zip
"""

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate, pad

from synthograph.archive.reader import open_archive
from synthograph.metrics.moved import BLOCK, SIDE, Index

IMAGES = 120


def shift(images: Tensor, down: int, right: int) -> Tensor:
    """By thirty-seconds of the side; the edge repeats."""
    side = images.shape[-1]
    down, right = (round(each * side / SIDE) for each in (down, right))
    wide = pad(images, (side // 4,) * 4, mode="replicate")
    top, left = side // 4 + down, side // 4 + right
    return wide[..., top : top + side, left : left + side]


def crop(images: Tensor, share: float) -> Tensor:
    """A share off every side, resized; a negative one adds black."""
    side, width = images.shape[-1], round(abs(share) * images.shape[-1])
    cut = images[..., width : side - width, width : side - width]
    cut = cut if share > 0 else pad(images, (width,) * 4)
    return interpolate(cut, (side, side), mode="bilinear", antialias=share < 0)


def turn(images: Tensor, degrees: float) -> Tensor:
    """About the centre; the edge repeats."""
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = torch.tensor([[cos, -sin, 0], [sin, cos, 0]]).expand(len(images), 2, 3)
    grid = affine_grid(matrix, list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="border", align_corners=False)


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda images: images,
    "shift by 1": lambda images: shift(images, 1, 0),
    "shift by 2": lambda images: shift(images, -1, 2),
    "shift by 4": lambda images: shift(images, 2, -4),
    "crop 5 %": lambda images: crop(images, 0.05),
    "crop 10 %": lambda images: crop(images, 0.1),
    "padded 10 %": lambda images: crop(images, -0.1),
    "turned by 5 degrees": lambda images: turn(images, 5),
    "negative": lambda images: 255 - images,
}


def main() -> None:
    """Print a line for every change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    archive = open_archive(parser.parse_args().source)
    grey = [torch.from_numpy(archive.read(row).astype(np.float32)).mean(0) for row in archive.rows]
    images = torch.stack(grey)[:, None] / (256 ** (archive.info.spec.bits // 8 - 1))
    numbers = {name: k for k, name in enumerate(dict.fromkeys(r.group for r in archive.rows))}
    groups = torch.tensor([numbers[row.group] for row in archive.rows])
    small = interpolate(images, (SIDE, SIDE), mode="area")[:, 0]
    index = Index.of(small.flatten(1), groups)
    places = torch.arange(len(images)).split(BLOCK)
    alike = sum(len(index.find(small[part], groups[part])[0]) for part in places)
    lines = [f"alike in other groups: {alike} of {len(images)}"]
    chosen = torch.from_numpy(np.random.default_rng(0).permutation(len(images))[:IMAGES])
    for name, change in CHANGES.items():
        cut = interpolate(change(images[chosen]), (SIDE, SIDE), mode="area")[:, 0]
        found, where = index.find(cut, None)
        lines.append(f"{name}: {int((chosen[found] == where).sum())} of {len(chosen)}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
