"""What labelled synthetic images are worth to a segmenter, beside a few real ones.

    python docs/results/mask_use.py eyes.zip labelled.zip --work use

`eyes.zip` are real images with masks and a split, `labelled.zip` comes from `annotate generate`.
Four segmenters take equally many steps: of eight real training images, of the synthetic ones, of
both, and of all real training images. Split val chooses their step, split test reports.
"""

import argparse
import sys
from pathlib import Path

import synthograph as sg
from synthograph.archive.batches import in_random_order
from synthograph.archive.reader import open_archive
from synthograph.archive.writer import ArchiveWriter, encode
from synthograph.sampling.pictures import by_modality


def few_real(source: Path, dest: Path, each: int) -> None:
    """An archive of so many training images of every class, one a group, and all of split val."""
    archive, left = open_archive(source), dict[str | None, int]()
    groups, rows = set[str](), []
    for row in in_random_order([row for row in archive.rows if row.split == "train"]):
        if left.setdefault(row.label, each) and row.group not in groups:
            left[row.label] -= 1
            groups.add(row.group)
            rows.append(row)
    writer = ArchiveWriter(dest, {})
    for row in [*rows, *(row for row in archive.rows if row.split == "val")]:
        parts = by_modality(archive.info.spec, archive.read(row))
        writer.add([encode(parts, archive.read_mask(row), row)])
    writer.finish(archive.info)


def main() -> None:
    """Print a line of a table for each segmenter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("real", type=Path)
    parser.add_argument("made", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--classes", default="background,sclera,iris,pupil")
    parser.add_argument("--steps", type=int, default=300)
    args = parser.parse_args()
    args.work.mkdir()
    counts: dict[str | None, int] = {}
    for row in open_archive(args.made).rows:
        counts[row.label] = counts.get(row.label, 0) + 1
    every = [f"{name}={count}" for name, count in counts.items()]
    few, alone, both = (args.work / f"{name}.zip" for name in ("few", "alone", "both"))
    few_real(args.real, few, 4)
    sg.mix(args.real, synthetic=args.made, only_synthetic=every, dest=alone)
    sg.mix(few, synthetic=args.made, add=every, dest=both)
    names = {few: "8 real", alone: "synthetic", both: "both", args.real: "all real"}
    for data, name in names.items():
        out = args.work / f"{data.stem}.safetensors"
        options = {"steps": args.steps, "width": 8, "classes": args.classes.split(",")}
        sg.segment_train(data=data, out=out, **options)
        found = sg.segment_evaluate(model=out, data=f"{args.real}:test").evaluation
        cells = [found.score("dice", of) for of in ("", *found.classes[1:])]
        shown = (
            f"{c.value:.3f} ({c.interval.low:.3f} to {c.interval.high:.3f})"
            for c in cells
            if c is not None and c.value is not None and c.interval is not None
        )
        sys.stdout.write(f"| {name} | {' | '.join(shown)} |\n")


if __name__ == "__main__":
    main()
