"""Which measure sees what: losses planted in sets of phantoms, whose truth is known.

python docs/results/measures.py table skin
python docs/results/measures.py table knee --features efficientnet-lite0
python docs/results/measures.py bf16 ARCHIVE SYNTHETIC
python docs/results/measures.py steps NETWORK

`table` draws phantoms, plants losses and damage, measures by one extractor (random-vgg16
unless given) and prints a table in Markdown. `bf16` prints how much measures change where features
are computed in bf16.
`steps` prints the path length of a network by steps of different length: it hardly depends on them
until fp32 no longer resolves a step.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from synthograph.archive.batches import open_rows
from synthograph.core.devices import Precision
from synthograph.core.seeds import Streams
from synthograph.features.base import Extractor
from synthograph.features.packaged import RANDOM
from synthograph.features.registry import extractor, perceptual_distance
from synthograph.metrics.defects import (
    Defect,
    PixelDefect,
    SelectionDefect,
    blur,
    drop,
    narrow,
    noise,
    repeat,
)
from synthograph.metrics.measures import MS_SSIM, SPECTRUM, plain
from synthograph.metrics.paths import VARIANTS, path_length, step_lengths
from synthograph.metrics.probes import Labelled, Numbers, standard_probes
from synthograph.metrics.sensitivity_table import DefectNumbers, cells_of
from synthograph.metrics.spectrum import spectra
from synthograph.models.snapshot import load
from synthograph.ops.similarity import ms_ssim
from synthograph.results.measures import Direction
from synthograph.results.sensitivity import Trial
from synthograph.sampling.paths import Walk, step_pairs
from synthograph.sources.phantoms import PhantomKind, PhantomOptions, make_phantoms
from synthograph.stats.sample import Sample

FACTORS = {
    PhantomKind.SKIN: ("diameter", "border", "colour", "skin_tone"),
    PhantomKind.KNEE: ("cartilage_thickness", "osteophytes", "marrow_lesion", "fat_layer"),
    PhantomKind.EYE: ("pupil_size", "melanin", "opening", "skin_tone"),
}
LOST = (0.25, 0.5, 0.75)
REPEATED = repeat(1).kind
BOLD = (
    "Medians of the damaged sets; bold where more than half of them lie beyond the most extreme "
    "undamaged set."
)
DISTANCES = ("frechet", "kernel", SPECTRUM.name, MS_SSIM.name)
"""Columns of the first table; the others make a second one, so that lines stay short."""
CHUNK = 64


@dataclass(frozen=True)
class Objects:
    """Phantoms with all that measures need of them; row i of everything is one image."""

    pixels: Tensor
    features: Tensor
    spectra: Tensor
    labels: Tensor
    factors: Mapping[str, Tensor]
    classes: tuple[str, ...]
    extract: Extractor


def draw(kind: PhantomKind, count: int, size: int, seed: int, extract: Extractor) -> Objects:
    """Phantoms of one patient each, and what an extractor says of them."""
    options = PhantomOptions(kind=kind, count=count, size=size, seed=seed, images_per_patient=1)
    made = make_phantoms(options)
    pictures = [list(item.decode().modalities.values()) for item in made.items]
    pixels = np.stack([np.concatenate(each, 2).transpose(2, 0, 1) for each in pictures])
    images = torch.from_numpy(pixels)
    return Objects(
        images,
        features(images, extract),
        torch.cat([spectra(each) for each in images.split(CHUNK)]).float(),
        torch.tensor([made.classes.index(item.label or "") for item in made.items]),
        {
            name: torch.tensor([float(item.columns[name]) for item in made.items])
            for name in FACTORS[kind]
        },
        tuple(made.classes),
        extract,
    )


def features(images: Tensor, extract: Extractor) -> Tensor:
    """Of many images."""
    return torch.cat([extract(part) for part in images.split(CHUNK)])


def planted(objects: Objects, count: int) -> list[Defect]:
    """What is done to sets, each kind from weak to strong."""
    classes = enumerate(objects.classes)
    unit = 1 if objects.pixels.dtype == torch.uint8 else 257
    return [
        *(narrow(name, v, lost) for name, v in objects.factors.items() for lost in LOST),
        *(
            drop(objects.labels, label, name, share)
            for label, name in classes
            for share in (0.5, 1.0)
        ),
        *(repeat(count // part) for part in (2, 4, 10, 20)),
        *(blur(sigma) for sigma in (0.5, 1.0)),
        *(noise(unit * deviation) for deviation in (4.0, 16.0)),
    ]


def selection(
    objects: Objects, pool: Tensor, defect: Defect | None, count: int, streams: Streams
) -> Tensor:
    """Rows of a set of `count` images from the pool; what is lost makes room for what is not."""
    rows = pool
    repeats = defect is not None and defect.kind == REPEATED
    if isinstance(defect, SelectionDefect) and not repeats:
        rows = defect.select(rows, streams)
    if len(rows) < count:
        raise SystemExit(f"{len(rows)} phantoms are left for a set of {count}: raise --pool")
    rows = rows[streams.permutation("chosen", 0, len(rows))[:count]]
    if isinstance(defect, SelectionDefect) and repeats:
        rows = defect.select(rows, streams)
        rows = rows[streams.permutation("mixed", 0, len(rows))]
    return rows


def numbers(objects: Objects, real: Tensor, rows: Tensor, defect: Defect | None) -> Numbers:
    """All measures of the images at `rows` against the real ones."""
    pixels, values, waves = (
        each[rows] for each in (objects.pixels, objects.features, objects.spectra)
    )
    if isinstance(defect, PixelDefect):
        pixels = torch.cat(
            [defect(p, n) for p, n in zip(pixels.split(CHUNK), rows.split(CHUNK), strict=True)]
        )
        values, waves = (
            features(pixels, objects.extract),
            torch.cat([spectra(each) for each in pixels.split(CHUNK)]).float(),
        )
    ours = Labelled(objects.features[real], torch.arange(len(real)), objects.labels[real])
    theirs = Labelled(values, torch.arange(len(rows)), objects.labels[rows])
    found: dict[tuple[str, str], float | None] = {}
    for probe in standard_probes(objects.classes):
        found |= probe.function(ours, theirs)
    sides = Sample.singles(objects.spectra[real]), Sample.singles(waves)
    found[SPECTRUM.name, ""] = plain(*sides, [SPECTRUM.name])[SPECTRUM.name]
    found[MS_SSIM.name, ""] = float(ms_ssim(pixels[0::2], pixels[1::2]).mean())
    return found


def experiment(
    objects: Objects, count: int, sets: int, floors: int, seed: int = 0
) -> Iterator[DefectNumbers]:
    """Every planted defect measured: `sets` damaged sets against `floors` undamaged ones."""
    every, streams = torch.arange(len(objects.pixels)), Streams(seed)
    real, pool = every[:count], every[count:]
    undamaged = [
        numbers(objects, real, selection(objects, pool, None, count, streams.under(f"{i}")), None)
        for i in range(floors)
    ]
    for defect in planted(objects, count):
        damaged = []
        for i in range(sets):
            chosen = selection(objects, pool, defect, count, streams.under(f"damaged {i}"))
            damaged.append(numbers(objects, real, chosen, defect))
        yield DefectNumbers(defect, [count] * sets, damaged, undamaged)


def columns(classes: Sequence[str]) -> dict[str, Direction]:
    """Measures of the table, and which of their values are better."""
    found = {
        name: better
        for probe in standard_probes(classes)
        for name, better in probe.columns.items()
        if name != "unlabelled per class"
    }
    return {**found, SPECTRUM.name: Direction.LOW, MS_SSIM.name: Direction.LOW}


def table(found: Sequence[DefectNumbers], measures: Mapping[str, Direction]) -> str:
    """Median of the damaged sets, bold where it leaves the floor; above it the floors."""
    first = next(iter(measures))
    cells = {(cell.kind, cell.measure): cell.trials for cell in cells_of(found, measures)}
    lines = [["planted", *measures], ["---"] * (1 + len(measures))]
    lines.append(["nothing (range)"])
    for name, better in measures.items():
        lines[-1].append(floor_text(found[0], name, better))
    grades = [(kind, place) for kind, name in cells if name == first for place in range(9)]
    for kind, place in grades:
        row = {name: cells[kind, name][place : place + 1] for name in measures}
        if row[first]:
            amount = row[first][0].amount
            lines.append([f"{kind}: {amount}", *(text(each[0]) for each in row.values())])
    return "\n".join("|" + "|".join(line) + "|" for line in lines) + "\n"


def floor_text(found: DefectNumbers, name: str, better: Direction) -> str:
    """Ends of the floor; of the worst part where a measure has several."""
    inner = max if better is Direction.LOW else min
    values = [
        inner(v for key, v in each.items() if key[0] == name and v is not None)
        for each in found.floor
    ]
    return f"{short(min(values))} to {short(max(values))}"


def text(trial: Trial) -> str:
    """A cell."""
    value = "-" if trial.value is None else short(trial.value)
    part = f" ({trial.part})" if trial.part and trial.noticed else ""
    return f"**{value}**{part}" if trial.noticed else value


def short(value: float) -> str:
    """Three digits."""
    return f"{value:.3g}" if abs(value) >= 1e-3 or value == 0 else f"{value:.1e}"


def error_of_bf16(real: str, synthetic: str, name: str) -> str:
    """Distances of two archives with features in fp32 and in bf16."""
    sets = []
    for archive in (real, synthetic):
        sets.append(open_rows(archive).images)
    lines = []
    found: dict[tuple[str, Precision], float] = {}
    errors = []
    for precision in (Precision.FP32, Precision.BF16):
        extract = extractor(name, precision=precision)
        rows = [torch.cat([extract(batch) for batch in each.batches()]) for each in sets]
        errors.append(torch.cat(rows))
        one, other = (Sample(v, each.groups) for v, each in zip(rows, sets, strict=True))
        values = plain(one, other, ["frechet", "kernel", "precision", "recall", "coverage"])
        found |= {(measure, precision): value for measure, value in values.items()}
    for measure in dict.fromkeys(measure for measure, _ in found):
        exact, low = found[measure, Precision.FP32], found[measure, Precision.BF16]
        lines.append(f"{measure}: fp32 {exact:.6g}, bf16 {low:.6g}, {(low - exact) / exact:+.2%}")
    spread = errors[0].std(0).mean()
    difference = (errors[1] - errors[0]).square().mean().sqrt()
    lines.append(f"features differ by {float(difference / spread):.2%} of their spread")
    return "\n".join(f"- {line}" for line in lines) + "\n"


def by_steps(network: str, count: int) -> str:
    """Path length of a network for steps from 1e-2 to 1e-6, classes by turns."""
    snapshot, distance = load(network), perceptual_distance(f"{RANDOM}-distance")
    named = snapshot.info.condition.classes or [None]
    labels = [named[i % len(named)] for i in range(count)]
    lines = []
    for epsilon in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6):
        variant = replace(VARIANTS["ppl2_wend"], epsilon=epsilon)
        made = step_pairs(snapshot, Walk(labels, epsilon=epsilon))
        value = path_length(step_lengths(made, variant, distance))
        assert value.value is not None and value.interval is not None, "there are many pairs"
        ends = f"{value.interval.low:.3g} .. {value.interval.high:.3g}"
        lines.append(f"| {epsilon:g} | {value.value:.4g} | {ends} |")
    return "\n".join(["| step | path length | 95 % interval |", "|---|---|---|", *lines]) + "\n"


def main() -> None:
    """Do what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("table")
    one.add_argument("kind", type=PhantomKind)
    for name, default in (("count", 600), ("pool", 6000), ("sets", 5), ("floors", 15)):
        one.add_argument(f"--{name}", type=int, default=default)
    one.add_argument("--size", type=int, default=64)
    one.add_argument("--seed", type=int, default=0)
    other = verbs.add_parser("bf16")
    other.add_argument("real", help="ARCHIVE or ARCHIVE:split")
    other.add_argument("synthetic")
    for each in (one, other):
        each.add_argument("--features", default=RANDOM)
    third = verbs.add_parser("steps")
    third.add_argument("network")
    third.add_argument("--pairs", type=int, default=400)
    given = parser.parse_args()
    write: Callable[[str], object] = sys.stdout.write
    if given.verb == "bf16":
        write(error_of_bf16(given.real, given.synthetic, given.features))
        return
    if given.verb == "steps":
        write(by_steps(given.network, given.pairs))
        return
    start = time.perf_counter()
    extract = extractor(given.features)
    objects = draw(given.kind, given.count + given.pool, given.size, given.seed, extract)
    found = list(experiment(objects, given.count, given.sets, given.floors, given.seed))
    every = columns(objects.classes)
    distances = {name: every[name] for name in DISTANCES}
    write(table(found, distances) + "\n")
    write(table(found, {name: worse for name, worse in every.items() if name not in distances}))
    write(
        f"\n{BOLD} {given.count} real and {given.count} synthetic images of {given.size} "
        f"pixels, {given.floors} undamaged and {given.sets} damaged sets from "
        f"{given.pool} phantoms, {given.features}, seed {given.seed}, "
        f"{time.perf_counter() - start:.0f} s.\n"
    )


if __name__ == "__main__":
    main()
