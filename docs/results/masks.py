"""Masks of a mask generator against a painter, on images that nobody painted.

synthograph phantom eye eyes.zip --count 2000 --size 32 --seed 0
synthograph split eyes.zip
synthograph train --data eyes.zip --cond --cfg tiny --kimg 40 --outdir runs
synthograph segment train --data eyes.zip -o painter.safetensors --steps 3000 --batch 16 \
  --transforms all --classes background,sclera,iris,pupil
python docs/results/masks.py RUN painter.safetensors --work work --painted 8 --trunc 0.7
python docs/results/masks.py RUN painter.safetensors --work work --painted 8 --control

A segmenter that was trained on real phantoms stands for the person who paints. Images are painted
in the suggested order. Printed are lines of a table in Markdown: Dice by class, mean over the test
images with a 95 % interval, the forecast, and what withholding the least certain tenth brings.
`--control` trains a U-Net on the same painted images, with all transforms, instead. Where the masks
of a mask generator are in the work folder, it says how much better these are, too.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

import synthograph as sg
from synthograph.annotation.forecast import expected
from synthograph.archive.manifest import Row
from synthograph.archive.reader import Archive, ArchiveInfo, open_archive
from synthograph.archive.writer import ArchiveWriter, encode
from synthograph.core.spec import ImageSpec
from synthograph.downstream import segmenter
from synthograph.downstream.segmenter import Segmenter
from synthograph.models.snapshot import load
from synthograph.models.snapshot_files import find_snapshot
from synthograph.results.annotations import AnnotationSet, MaskClass, PaintedMask
from synthograph.sampling.pictures import by_modality
from synthograph.stats.linear import mean_interval
from synthograph.stats.masks import compare_masks
from synthograph.workflows.annotation_sets import OpenSet, indexed_png, mask_digest

COLOURS = ((0, 0, 0), (0, 150, 0), (0, 0, 255), (255, 0, 0))
FIRST_TEST = 1000
"""Seeds from here on are never painted."""


def say(line: str) -> None:
    """A line of the answer."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def paint(painter: Segmenter, pixels: np.ndarray) -> np.ndarray:
    """Class ids [n, h, w] of images [n, channels, h, w] of 8 bits."""
    images = torch.from_numpy(pixels.astype(np.float32) / 255)
    return np.concatenate([painter.predict(part).numpy() for part in images.split(64)])


def painted_set(args: argparse.Namespace, painter: Segmenter) -> Path:
    """An annotation set of which some images are painted, in the suggested order."""
    folder, network = args.work / f"A-{args.trunc:g}", find_snapshot(args.run)
    if not folder.exists():
        sg.annotate_sample(network=network, num=100, outdir=folder, trunc=args.trunc)
    opened = OpenSet.read(folder)
    drawn = {image.id: pixels for image, pixels in opened.redrawn(load(network), "cpu")}
    names = painter.info.classes
    classes = [
        MaskClass(name=name, colour=colour) for name, colour in zip(names, COLOURS, strict=True)
    ]
    (folder / "masks").mkdir(exist_ok=True)
    images = []
    for place, image in enumerate(opened.about.images):
        mask = None
        if args.skip <= place < args.skip + args.painted:
            ids = paint(painter, drawn[image.id][None])[0]
            (folder / "masks" / f"{image.id}.png").write_bytes(indexed_png(ids, classes))
            mask = PaintedMask(painter="segmenter", sha256=mask_digest(ids))
        images.append(image.replace(mask=mask))
    about: AnnotationSet = opened.about.replace(images=tuple(images), classes=tuple(classes))
    about.save(folder / "annotations.json")
    return folder


def table_line(name: str, dice: np.ndarray) -> str:
    """A line of the table: Dice of every class but the background."""
    cells = []
    for k in range(1, dice.shape[1]):
        mean, ends = expected(dice[:, k])
        assert mean is not None and ends is not None, "there are many test images"
        cells.append(f"{mean:.3f} ({ends.low:.3f} to {ends.high:.3f})")
    return f"| {name} | {' | '.join(cells)} |"


def dice_of(truth: np.ndarray, said: np.ndarray, classes: int) -> np.ndarray:
    """Dice [n, classes]."""
    groups = torch.arange(len(truth))
    return compare_masks(truth, said, classes, groups=groups, distances=False).dice.numpy()


def test_images(work: Path, masks: Path, run: Path, count: int, name: str) -> Archive:
    """Images of seeds that were not painted, with generated masks."""
    out = work / f"{name}.zip"
    out.unlink(missing_ok=True)
    seeds = f"{FIRST_TEST}-{FIRST_TEST + count // 2 - 1}"
    sg.annotate_generate(network=run, mask_generator=masks, seeds=seeds, out=out)
    return open_archive(out)


def measured(archive: Archive, painter: Segmenter) -> tuple[np.ndarray, np.ndarray]:
    """Dice of generated masks against the painter's, and the uncertainty of every image."""
    pixels = np.stack([archive.read(row) for row in archive.rows])
    said = np.stack([archive.read_mask(row) for row in archive.rows])
    certain = np.array([float(row.columns["uncertainty"]) for row in archive.rows])
    return dice_of(paint(painter, pixels), said, len(painter.info.classes)), certain


def ranks(values: np.ndarray) -> np.ndarray:
    """Places in ascending order."""
    return values.argsort().argsort().astype(float)


def mask_generator(args: argparse.Namespace, painter: Segmenter) -> None:
    """Train, generate, compare."""
    name = f"{args.preset}-{args.painted}-{args.skip}-{args.trunc:g}"
    psi, work = args.trunc, args.work
    folder = painted_set(args, painter)
    out, begun = work / f"{name}.safetensors", time.process_time()
    out.unlink(missing_ok=True)
    found = sg.annotate_train(folder, out=out, preset=args.preset)
    trained = time.process_time()
    archive = test_images(work, out, args.run, args.test, name)
    made = time.process_time() - trained
    dice, uncertain = measured(archive, painter)
    taken = next(trial.name for trial in found.info.trials if trial.chosen)
    say(table_line(f"{args.painted}, {args.preset} ({taken}), psi {psi:g}", dice))
    for k, each in enumerate(found.info.forecasts):
        if k and each.ends is not None and each.dice is not None:
            inside = float(np.nanmean(dice[:, k])) in each.ends
            ends = f"{each.ends.low:.3f} to {each.ends.high:.3f}"
            word = "covers" if inside else "misses"
            say(f"- forecast {each.of_class}: {each.dice:.3f} ({ends}), {word}")
    error = 1 - np.nanmean(dice[:, 1:], axis=1)
    kept = uncertain <= np.quantile(uncertain, 0.9)
    say(f"- rank correlation of uncertainty and error {correlation(uncertain, error):.2f}")
    say(table_line("- the most certain 90 %", dice[kept]))
    say(f"- processor seconds: training {trained - begun:.0f}, {args.test} images {made:.0f}")


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's."""
    return float(np.corrcoef(ranks(one), ranks(other))[0, 1])


def control(args: argparse.Namespace, painter: Segmenter) -> None:
    """A U-Net on the same painted images, scored on the same test images."""
    psi, work, count = args.trunc, args.work, args.painted
    folder = painted_set(args, painter)
    opened, snapshot = OpenSet.read(folder), load(find_snapshot(args.run))
    drawn = {image.id: pixels for image, pixels in opened.redrawn(snapshot, "cpu")}
    images = opened.about.images[args.skip : args.skip + count]
    pixels = np.stack([drawn[image.id] for image in images])
    data = work / f"control-{count}-{args.skip}-{psi:g}.zip"
    archive_of(data, snapshot.info.spec, pixels, paint(painter, pixels))
    out = data.with_suffix(".safetensors")
    out.unlink(missing_ok=True)
    sg.segment_train(
        data=data,
        out=out,
        classes=tuple(painter.info.classes),
        batch=8,
        steps=args.steps,
        patience=0,
        transforms="all",
    )
    made = segmenter.load(out, torch.device("cpu"))
    tests = work / f"tests-{psi:g}.zip"
    seeds = f"{FIRST_TEST}-{FIRST_TEST + args.test // 2 - 1}"
    if not tests.exists():
        sg.generate(network=args.run, seeds=seeds, trunc=psi, outdir=tests)
    archive = open_archive(tests)
    tested = np.stack([archive.read(row) for row in archive.rows])
    dice = dice_of(paint(painter, tested), paint(made, tested), len(painter.info.classes))
    say(table_line(f"{count}, U-Net, psi {psi:g}", dice))
    other = work / f"{args.preset}-{count}-{args.skip}-{psi:g}.zip"
    if other.exists():
        ours, _ = measured(open_archive(other), painter)
        gains = np.nanmean(ours[:, 1:], 1) - np.nanmean(dice[:, 1:], 1)
        mean, ends = mean_interval(torch.from_numpy(gains))
        assert ends is not None, "there are many test images"
        say(f"- mask generator minus U-Net: {mean:+.4f} ({ends.low:.4f} to {ends.high:.4f})")


def archive_of(dest: Path, spec: ImageSpec, pixels: np.ndarray, masks: np.ndarray) -> None:
    """Painted images as if they were real ones. They train, and they choose the step, too: there
    are no others.
    """
    dest.unlink(missing_ok=True)
    writer = ArchiveWriter(dest, {"control": str(dest)})
    for split in ("train", "val"):
        for number, (image, mask) in enumerate(zip(pixels, masks, strict=True)):
            row = Row("", None, f"{split}-{number}", split)
            writer.add([encode(by_modality(spec, image), mask, row)])
    writer.finish(
        ArchiveInfo(classes=[], spec=spec, namespace="0" * 32, invariances=[], package_version="")
    )


def main(given: Sequence[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, help="run directory or snapshot")
    parser.add_argument("painter", type=Path, help="segmenter that paints")
    parser.add_argument("--work", type=Path, default=Path("masks-work"))
    parser.add_argument("--painted", type=int, default=8)
    parser.add_argument("--skip", type=int, default=0, help="images of the order to leave out")
    parser.add_argument("--trunc", type=float, default=1.0)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--test", type=int, default=500)
    parser.add_argument("--control", action="store_true")
    parser.add_argument("--steps", type=int, default=600, help="of the control")
    args = parser.parse_args(given)
    args.work.mkdir(parents=True, exist_ok=True)
    painter = segmenter.load(args.painter, torch.device("cpu"))
    (control if args.control else mask_generator)(args, painter)


if __name__ == "__main__":
    main()
