"""Speckle and stripes of snapshots, by the power of waves in synthetic and in real images.

python docs/results/texture.py generator-*.safetensors --real bccd.zip:test

Printed is a table in Markdown, in decibels over real images (0: alike, 10: ten times the power).
`fine` is the power of waves shorter than three pixels together, where speckle shows. `wave` is the
single wave that stands out most, with its length in pixels, where stripes show. The last row are
real images against others. `--class` takes the images of one class.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from torch import Tensor

from synthograph.archive.batches import ArchiveRows, open_rows
from synthograph.models.snapshot import load
from synthograph.models.snapshot_files import kimg_of
from synthograph.sampling.image_set import synthetic_images

COUNT = 500
FINE, LONG = 3.0, 8.0
"""Pixels of the longest waves that count as speckle, and as stripes."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("snapshots", type=Path, nargs="+")
    parser.add_argument("--real", required=True)
    parser.add_argument("--class", dest="label")
    arguments = parser.parse_args()
    real = open_rows(arguments.real)
    if arguments.label:
        chosen = [row for row in real.rows if row.label == arguments.label]
        real = ArchiveRows(real.archive, chosen, real.split)
    halves = np.array_split(powers(real.images.batches()), 2)
    lines = [["kimg", "fine", "wave"], ["---"] * 3]
    for path in arguments.snapshots:
        snapshot = load(path)
        made = synthetic_images(snapshot, real.rows, COUNT, seed=0, device="cpu", batch=50)
        found = compared(powers(made.batches()), np.concatenate(halves))
        lines.append([f"{kimg_of(path, snapshot.info.images_seen):g}", *found])
    lines.append(["real", *compared(*halves)])
    sys.stdout.writelines("| " + " | ".join(line) + " |\n" for line in lines)


def powers(batches: Iterable[Tensor]) -> np.ndarray:
    """Power of every wave in every image [n, h, w], grey, faded out towards the edges."""
    grey = np.concatenate([batch.numpy().astype(np.float64).mean(1) for batch in batches])
    grey -= grey.mean((1, 2), keepdims=True)
    window = np.outer(np.hanning(grey.shape[1]), np.hanning(grey.shape[2]))
    return np.abs(np.fft.fft2(grey * window)) ** 2


def compared(one: np.ndarray, other: np.ndarray) -> list[str]:
    """Both columns of the table."""
    ours, theirs = one.mean(0), other.mean(0)
    across, down = np.fft.fftfreq(ours.shape[1]), np.fft.fftfreq(ours.shape[0])
    waves = np.hypot(across[None], down[:, None])
    fine, short = waves > 1 / FINE, waves > 1 / LONG
    louder = np.where(short, ours / theirs, 0)
    place = np.unravel_index(louder.argmax(), louder.shape)
    share = 10 * np.log10(ours[fine].sum() / theirs[fine].sum())
    return [f"{share:+.1f}", f"{10 * np.log10(louder[place]):.1f} ({1 / waves[place]:.1f})"]


if __name__ == "__main__":
    main()
