"""Preparing photographs and feeding a training: images per second.

python benchmarks/data.py --json data.json
"""

import argparse
import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import PIL.Image
import torch

from synthograph.archive.prepare import PrepareOptions, prepare
from synthograph.archive.reader import open_archive
from synthograph.archive.stream import RowSelection, TrainingStream, select_rows
from synthograph.core.seeds import Streams
from synthograph.sources.phantoms import PhantomOptions, make_phantoms

DRAWN = 300
VIEWS = 4
PHOTOGRAPHS = DRAWN * VIEWS
ROUNDS = 2


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {**preparing(Path(folder)), "stream_images_per_sec": streaming(Path(folder))}
    for name, value in found.items():
        print(f"{name}: {value:.2f}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


def preparing(folder: Path) -> dict[str, float]:
    """1024x768 JPEGs to 256x256, by one worker and by two, start of the workers included.

    Pillow alone and the command take turns, and the fastest of each counts, so that other work on
    the machine falls on both. The start is that of a set of two images.
    """
    source = folder / "photographs"
    source.mkdir()
    draw_photographs(source)
    few = folder / "few"
    few.mkdir()
    for path in sorted(source.iterdir())[:2]:
        shutil.copy(path, few)
    taken: dict[str, list[float]] = {"pillow": [], "1": [], "2": [], "start": []}
    for _ in range(ROUNDS):
        taken["pillow"].append(pillow_alone(source))
        taken["1"].append(seconds(source, 1))
        taken["2"].append(seconds(source, 2))
        taken["start"].append(seconds(few, 2))
    pillow, one, two, start = (min(times) for times in taken.values())
    return {
        "pillow_alone_images_per_sec": PHOTOGRAPHS / pillow,
        "prepare_1_images_per_sec": PHOTOGRAPHS / one,
        "prepare_2_images_per_sec": PHOTOGRAPHS / two,
        "prepare_2_over_pillow": pillow / two,
        "prepare_2_start_sec": start,
        "prepare_2_over_pillow_once_started": pillow / (two - start),
    }


def pillow_alone(source: Path) -> float:
    """Seconds of what the published tool does on one core: decode, crop, resize, store unpacked."""
    start = time.perf_counter()
    for path in sorted(source.iterdir()):
        with PIL.Image.open(path) as image:
            cropped = image.crop((128, 0, 896, 768))
        small = cropped.resize((256, 256), PIL.Image.Resampling.LANCZOS)
        small.save(io.BytesIO(), format="PNG", compress_level=0)
    return time.perf_counter() - start


def seconds(source: Path, workers: int) -> float:
    """Of the command that a user types."""
    dest = source.with_name("prepared")
    options = ["--size", "256", "--transform", "center-crop", "--workers", str(workers)]
    command = [sys.executable, "-m", "synthograph", "prepare", str(source), str(dest), *options]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    taken = time.perf_counter() - start
    shutil.rmtree(dest)
    return taken


def draw_photographs(folder: Path) -> None:
    """Pictures with structure at every scale, as photographs have, so that JPEG has work to do;
    each as it is, mirrored, upside down and both.
    """
    rng = np.random.default_rng(0)
    for number in range(DRAWN):
        image = np.zeros((768, 1024, 3))
        for side in (4, 16, 64, 256):
            coarse = rng.normal(size=(side * 3 // 4, side, 3)) * 160 / side**0.5
            pictures = [
                PIL.Image.fromarray(coarse[:, :, c].astype(np.float32)).resize((1024, 768))
                for c in range(3)
            ]
            image += np.stack([np.asarray(p) for p in pictures], axis=2)
        pixels = np.clip(image + 128, 0, 255).astype(np.uint8)
        for view, seen in enumerate((pixels, pixels[:, ::-1], pixels[::-1], pixels[::-1, ::-1])):
            PIL.Image.fromarray(seen).save(folder / f"{number:04d}-{view}.jpg", quality=90)


def streaming(folder: Path, *, count: int = 2000, batch: int = 64) -> float:
    """64x64x3 images from the cache as normalised batches."""
    path = folder / "stream.zip"
    phantoms = make_phantoms(PhantomOptions.parse({"kind": "skin", "count": count, "size": 64}))
    prepare(phantoms.items, path, PrepareOptions(classes=phantoms.classes), command={})
    archive = open_archive(path)
    rows = select_rows(archive, RowSelection(None, None, None), 0)
    stream = TrainingStream(archive, rows, Streams(0), mirror=True, conditional=True)
    stream.batch(0, batch)
    start = time.perf_counter()
    for first in range(batch, 20 * count, batch):
        stream.batch(first, batch)
    return (20 * count - batch) / (time.perf_counter() - start)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
