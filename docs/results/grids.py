"""One picture of synthetic images: a row per snapshot and class, the same latents in every row.

python docs/results/grids.py OUT.png SNAPSHOT... --count 10 --beside 1

Blocks of snapshots stand below each other; `--beside 2` puts each second one beside the first.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from synthograph.models.base import NoiseMode
from synthograph.models.snapshot import load
from synthograph.sampling.generate import ImageRequest, generate

GAP = 4


def block(path: Path, count: int) -> np.ndarray:
    """Images of a snapshot, uint8 [h, w, 3], a row per class."""
    snapshot = load(path)
    rows = []
    for name in snapshot.info.condition.classes or [None]:
        request = ImageRequest(
            [(seed, name) for seed in range(count)],
            truncation=1.0,
            noise=NoiseMode.RANDOM,
            batch=count,
            device="cpu",
        )
        found = [image.pixels for images in generate(snapshot, request) for image in images]
        rows.append(np.concatenate([np.moveaxis(each, 0, 2) for each in found], axis=1))
    whole = np.concatenate(rows)
    if whole.dtype == np.uint16:
        whole = (whole >> 8).astype(np.uint8)
    return np.broadcast_to(whole, (*whole.shape[:2], 3))


def joined(parts: list[np.ndarray], *, axis: int) -> np.ndarray:
    """Pictures below (axis 0) or beside each other (axis 1), a white gap between."""
    shape = list(parts[0].shape)
    shape[axis] = GAP
    gap = np.full(shape, 255, np.uint8)
    return np.concatenate([part for each in parts for part in (each, gap)][:-1], axis=axis)


def main() -> None:
    """Draw what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("snapshots", type=Path, nargs="+")
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--beside", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(1)
    blocks = [block(path, given.count) for path in given.snapshots]
    lines = [blocks[k : k + given.beside] for k in range(0, len(blocks), given.beside)]
    picture = Image.fromarray(joined([joined(line, axis=1) for line in lines], axis=0))
    size = (picture.width * given.scale, picture.height * given.scale)
    picture.resize(size, Image.Resampling.NEAREST).save(given.out)


if __name__ == "__main__":
    main()
