"""Spread and repetition within every class, where the answer is known and of trained networks.

python docs/results/diversity.py cells.zip RUN

Printed is a table in Markdown. Real images of one half of the patients stand for synthetic ones
where nothing is wrong. Then one image stands for all images of the class (collapse), half of the
images of a class are copies of the other half, and a tenth are copies of one image. Then come the
snapshots of a run, compared with the split `val`, at psi 1 and, for the last one, 0.7, 0.5 and 0.3.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from synthograph.archive.batches import ImageSet, open_rows
from synthograph.core.seeds import Streams
from synthograph.features.base import Extractor
from synthograph.features.packaged import RANDOM, TRAINED
from synthograph.features.registry import extractor, feature_folder
from synthograph.metrics.columns import features_of
from synthograph.metrics.measures import compare
from synthograph.models.snapshot import load
from synthograph.results.evaluation import Value
from synthograph.sampling.image_set import synthetic_images
from synthograph.stats.intervals import halve
from synthograph.stats.sample import Sample

MEASURES = ("spread", "repetition")
HALVES, COUNT = 5, 500


def of_class(sample: Sample, images: ImageSet, name: str) -> Sample:
    """The images of a class; of every class where it is empty."""
    labels = images.labels or ()
    return sample.subset(torch.tensor([not name or label == name for label in labels]))


def planted(half: Sample) -> Iterator[tuple[str, Sample]]:
    """What a generator might draw in place of these images."""
    count, values = len(half), half.values
    rows = torch.arange(count)
    yield "nothing", Sample.singles(values)
    yield "a tenth: one image", Sample.singles(values[torch.where(rows < count // 10, 0, rows)])
    yield "a third: one image", Sample.singles(values[torch.where(rows < count // 3, 0, rows)])
    yield "half: copies of the others", Sample.singles(values[rows % ((count + 1) // 2)])
    yield "all: one image", Sample.singles(values[torch.zeros_like(rows)])


def ends(values: list[Value]) -> str:
    """The smallest and the largest value, and those of all ends of intervals."""
    numbers = [each.value for each in values if each.value is not None]
    if not numbers:
        return "-"
    found = [each.interval for each in values if each.interval is not None]
    inner = f"{min(numbers):.2f} to {max(numbers):.2f}" if len(numbers) > 1 else f"{numbers[0]:.2f}"
    if not found:
        return inner
    return f"{inner} ({min(e.low for e in found):.2f} .. {max(e.high for e in found):.2f})"


def row(what: str, by: Extractor, name: str, found: list[list[Value]]) -> str:
    """A line of the table."""
    counts = f"{found[0][0].n_real} / {found[0][0].n_fake}"
    cells = [ends([values[place] for values in found]) for place in range(len(MEASURES))]
    return "|".join(["", what, by.name, name or "all", counts, *cells, ""])


def real_rows(archive: Path, by: Extractor) -> Iterator[str]:
    """Halves of all real images."""
    images = open_rows(str(archive)).images
    sample = features_of(images, by, folder=feature_folder())
    for name in ("", *sorted(set(images.labels or ()))):
        part = of_class(sample, images, name)
        found: dict[str, list[list[Value]]] = {}
        for split in range(HALVES):
            second = halve(part.groups, Streams(0), split)
            for what, fake in planted(part.subset(second)):
                values = compare(part.subset(~second), fake, MEASURES)
                found.setdefault(what, []).append(values)
        yield from (row(what, by, name, values) for what, values in found.items())


def run_rows(archive: Path, run: Path, by: Extractor) -> Iterator[str]:
    """Snapshots of a run, against validation images."""
    reference = open_rows(f"{archive}:val")
    real = features_of(reference.images, by, folder=feature_folder())
    paths = sorted((run / "snapshots").glob("generator-*.safetensors"))
    for path, psi in [*((path, 1.0) for path in paths), *((paths[-1], p) for p in (0.7, 0.5, 0.3))]:
        snapshot = load(path)
        synthetic = synthetic_images(
            snapshot, reference.rows, COUNT, seed=0, device="cpu", batch=64, truncation=psi
        )
        fake = features_of(synthetic, by, folder=feature_folder())
        for name in ("", *sorted(set(reference.images.labels or ()))):
            ours, theirs = of_class(real, reference.images, name), of_class(fake, synthetic, name)
            what = f"{path.stem.removeprefix('generator-').lstrip('0')} kimg, psi {psi:g}"
            yield row(what, by, name, [compare(ours, theirs, MEASURES)])


def main() -> None:
    """Do what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("run", type=Path, nargs="*", help="run directories on the archive")
    given = parser.parse_args()
    sys.stdout.write(
        "|what|features|class|real / synthetic|spread|repetition|\n|---|---|---|---|---|---|\n"
    )
    for by in map(extractor, (TRAINED, RANDOM)):
        for line in real_rows(given.archive, by):
            sys.stdout.write(f"{line}\n")
        for run in given.run:
            for line in run_rows(given.archive, run, by):
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
