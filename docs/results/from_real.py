"""Masks of real images against painted ones, at equal numbers.

    python docs/results/from_real.py RUN painter.safetensors eyes.zip --work real

Real training images with masks are projected. Those that agree with their projections give their
masks, the nearest first (`from-real`); or the painter paints synthetic images in the suggested
order. A linear head learns from equally many of both. Printed is Dice against the painter on
further synthetic images. What is in the work folder is not done again.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from masks import measured, painted_set, table_line, test_images

import synthograph as sg
from synthograph.downstream import segmenter
from synthograph.models.snapshot_files import find_snapshot
from synthograph.results.annotations import AnnotatedImage
from synthograph.workflows.annotation_sets import OpenSet

CLASSES = ("background", "sclera", "iris", "pupil")


def first(source: Path, dest: Path, count: int) -> bool:
    """A copy of a set in which so many images have masks, the best first; whether there are so
    many.
    """
    opened = OpenSet.read(source)
    best = sorted(opened.about.painted, key=_share)[:count]
    if not dest.exists():
        shutil.copytree(source, dest)
        kept = {each.id for each in best}
        images = (i if i.id in kept else i.replace(mask=None) for i in opened.about.images)
        opened.about.replace(images=tuple(images)).save(dest / "annotations.json")
    return len(best) == count


def _share(image: AnnotatedImage) -> float:
    """The difference from the real image by its floor; 0 of painted images."""
    return image.fit.distance / max(image.fit.floor, 1e-9) if image.fit else 0.0


def main(given: Sequence[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, help="run directory or snapshot")
    parser.add_argument("painter", type=Path, help="segmenter that paints")
    parser.add_argument("eyes", type=Path, help="real images with masks and a split")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--num", type=int, default=32, help="real images that are projected")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--counts", default="4,8,16")
    parser.add_argument("--trunc", type=float, default=1.0)
    parser.add_argument("--test", type=int, default=500)
    args = parser.parse_args(given)
    args.work.mkdir(parents=True, exist_ok=True)
    counts = [int(each) for each in args.counts.split(",")]
    network, painter = find_snapshot(args.run), segmenter.load(args.painter, torch.device("cpu"))
    real = args.work / "from-real"
    if not real.exists():
        options = {"num": args.num, "steps": args.steps, "least": max(counts), "classes": CLASSES}
        archive = f"{args.eyes}:train"
        found = sg.annotate_from_real(network=network, archive=archive, outdir=real, **options)
        assert found is not None, "it is no dry run"
        sys.stdout.writelines(f"{line}\n" for line in found.lines())
    args.skip, args.painted = 0, max(counts)
    sources = {"from-real": real, "painted": painted_set(args, painter)}
    for count in counts:
        for name, source in sources.items():
            folder, out = (args.work / f"{name}-{count}{end}" for end in ("", ".safetensors"))
            if not first(source, folder, count):
                sys.stdout.write(f"{name}: fewer than {count} agree\n")
                continue
            if not out.exists():
                sg.annotate_train(folder, network=network, out=out, preset="linear")
            made = test_images(args.work, out, args.run, args.test, f"{name}-{count}")
            dice, _ = measured(made, painter)
            mean = float(np.nanmean(dice[:, 1:]))
            sys.stdout.write(f"{table_line(f'{count}, {name}', dice)} mean {mean:.3f}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
