"""Settings of StyleGAN2 in short trainings: one at a time, at equal processor time.

python docs/results/recipes.py run FOLDER bccd32.zip --judge cells32.safetensors --seconds 60
python docs/results/recipes.py table FOLDER

`run` trains every variant that FOLDER lacks, one process and one thread each, until its processor
time is over, and measures 500 images of the averaged generator. `--judge` is a classifier that
own_classifier.py wrote. Stop it at any time: the same command goes on. `table` prints Markdown.
"""

import argparse
import itertools
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from synthograph.archive.reader import open_archive
from synthograph.core.config import merge, parse_assignments
from synthograph.core.progress import Silent
from synthograph.features.packaged import RANDOM, TRAINED
from synthograph.models.snapshot import save_snapshot
from synthograph.results.evaluation import Evaluation, Measurements
from synthograph.training.session import Session
from synthograph.training.setup import make_session, open_data, resolve_run
from synthograph.workflows import evaluate
from synthograph.workflows.requests import EvaluateRequest

NARROW = ("model.channel_max=64",)
"""`auto` has 512 channels, with which a processor shows a dozen images a second."""
WIDE = ("model.channel_base=16384", "model.channel_max=64")
Z512, Z64 = ((f"model.z_dim={n}", f"model.w_dim={n}") for n in (512, 64))

VARIANTS = {
    "tiny": ("tiny", ()),
    "auto": ("auto", NARROW),
    "short": ("short", NARROW),
    "auto, no path length": ("auto", (*NARROW, "model.path_weight=0")),
    "auto, batch 16": ("auto", (*NARROW, "training.batch=16", "gamma/16")),
    "auto, rate 0.003": ("auto", (*NARROW, "rate=0.003")),
    "auto, z and w of 64": ("auto", (*NARROW, *Z64)),
    "auto, channels of tiny": ("auto", (*NARROW, "model.channel_base=512")),
    "auto, no augmentation": ("auto", (*NARROW, "augment.mode=none")),
    "tiny, path length": ("tiny", ("model.path_weight=2",)),
    "tiny, spread 0": ("tiny", ("model.spread_weight=0",)),
    "tiny, spread 5": ("tiny", ("model.spread_weight=5",)),
    "tiny, R1 as published": ("tiny", ("gamma/16",)),
    "tiny, batch 32": ("tiny", ("training.batch=32",)),
    "tiny, rate 0.003": ("tiny", ("rate=0.003",)),
    "tiny, z and w of 512": ("tiny", Z512),
    "tiny, 64 channels": ("tiny", WIDE),
    "tiny, ADA": ("tiny", ("augment.mode=ada",)),
    "tiny, no noise": ("tiny", ("model.noise=false",)),
    "tiny, no style mixing": ("tiny", ("model.style_mixing=0",)),
    "tiny, rate 0.012": ("tiny", ("rate=0.012",)),
    "tiny, batch 8": ("tiny", ("training.batch=8",)),
}
VARIANTS |= {f"preset {n}": (n, ()) for n in ("tiny-progressive", "tiny-projected")}
MEASURES = ("frechet", "kernel", "recall", "coverage")


@dataclass(frozen=True)
class Cell:
    """One training."""

    variant: str
    archive: str
    seed: int
    seconds: float


def main() -> None:
    """Parse, then run or tabulate."""
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(required=True)
    running = verbs.add_parser("run")
    running.add_argument("folder", type=Path)
    running.add_argument("archive", type=Path)
    running.add_argument("--judge", type=Path, required=True)
    running.add_argument("--seconds", default="60", help="processor times to measure at: 150,300")
    running.add_argument("--seeds", default="0")
    running.add_argument("--split", default="val")
    running.add_argument("--only", nargs="*", default=list(VARIANTS))
    running.add_argument("--trained", action="store_true", help=f"judge by {TRAINED} as well")
    running.add_argument("--train", default=None, help=argparse.SUPPRESS)
    running.set_defaults(verb=run)
    tabling = verbs.add_parser("table")
    tabling.add_argument("folder", type=Path)
    tabling.set_defaults(verb=tables)
    given = parser.parse_args()
    given.verb(given)


def run(given: argparse.Namespace) -> None:
    """Train and measure what is missing, each in a process of its own."""
    if given.train is not None:
        one(given, given.train, int(given.seeds))
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    seeds = [int(seed) for seed in given.seeds.split(",")]
    done = [line["cell"] for line in lines(given.folder)]
    for seed, variant in itertools.product(seeds, given.only):
        cells = [Cell(variant, str(given.archive), seed, s) for s in times(given)]
        if not all(asdict(cell) in done for cell in cells):
            words = ["--seeds", str(seed), "--train", variant]
            subprocess.run([sys.executable, *sys.argv, *words], check=True)


def times(given: argparse.Namespace) -> list[float]:
    """Processor times to measure at, in seconds, the shortest first."""
    return sorted(float(word) for word in given.seconds.split(","))


def lines(folder: Path) -> list[dict]:
    """What was measured so far."""
    path = folder / "cells.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def one(given: argparse.Namespace, variant: str, seed: int) -> None:
    """Train, and measure whenever one of the processor times is over."""
    torch.set_num_threads(1)
    archive = open_archive(given.archive)
    cells = [Cell(variant, str(given.archive), seed, seconds) for seconds in times(given)]
    config, _ = resolve_run(archive, *settings(cells[0], archive.info.spec.width))
    session = make_session(config, open_data(config, archive))
    session.step()  # the first one plans and compiles
    spent = 0.0
    for cell in cells:
        begin = time.process_time()
        while spent + time.process_time() - begin < cell.seconds:
            session.step()
        spent += time.process_time() - begin
        keep(given, cell, session)


def keep(given: argparse.Namespace, cell: Cell, session: Session) -> None:
    """Measure the averaged generator, and write a line."""
    images = session.state.progress.images
    info = session.info.model_copy(update={"images_seen": images, "augment_p": 0.0})
    name = f"{given.archive.stem}-{cell.variant}-{cell.seed}-{cell.seconds:g}"
    place = given.folder / name.replace(" ", "_").replace(",", "")
    path = save_snapshot(place, info, session.state.ema, session.state.networks)
    extractors = [f"classifier:{given.judge}", RANDOM, *([TRAINED] if given.trained else [])]
    found = measured(path, f"{given.archive}:{given.split}", extractors, cell.seed)
    line = {"cell": asdict(cell), "images": images, "split": given.split, "measures": found}
    with (given.folder / "cells.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    sys.stdout.write(f"{cell}: {images} images, {found}\n")


def settings(cell: Cell, side: int) -> tuple[str, list[dict]]:
    """Preset and settings; `gamma/N` and `rate=R` stand for the published formula of a batch of N
    and the rate of both networks.
    """
    preset, words = VARIANTS[cell.variant]
    tree: dict = {"data": {"cond": True}, "seed": cell.seed, "threads": 1, "device": "cpu"}
    for word in words:
        if word.startswith("gamma/"):
            part = {"model": {"r1_gamma": 0.0002 * side * side / int(word[6:])}}
        elif word.startswith("rate="):
            part = {"model": {"optimisers": {key: {"lr": float(word[5:])} for key in "GD"}}}
        else:
            part = parse_assignments([word])
        tree = merge(tree, part)
    return preset, [tree]


def measured(path: Path, real: str, extractors: list[str], seed: int) -> dict[str, float]:
    """Measure -> value, at matched sample size, of all images and of every class."""
    request = EvaluateRequest(
        network=path,
        real=real,
        num=500,
        features=extractors,
        metrics=MEASURES,
        by=("label",),
        seed=seed,
        device="cpu",
    )
    result = evaluate.run(request, progress=Silent())
    return values(result.evaluation)


def values(evaluation: Evaluation) -> dict[str, float]:
    """Extractor, measure and class -> value."""
    found = {}
    for block in evaluation.results:
        if isinstance(block, Measurements):
            for entry in block.entries:
                extractor = (entry.extractor or "").split(":")[0]
                found[f"{extractor}/{entry.scope}/{entry.name}"] = entry.value
    return found


def tables(given: argparse.Namespace) -> None:
    """Markdown: a table for every archive and time, seeds as mean and range."""
    found = lines(given.folder)
    keys = sorted({(line["cell"]["archive"], line["cell"]["seconds"]) for line in found})
    for archive, seconds in keys:
        sys.stdout.write(f"\n{Path(archive).stem}, {seconds:g} seconds\n\n")
        sys.stdout.write(f"| | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}\n")
        for variant in VARIANTS:
            of = [
                line
                for line in found
                if (line["cell"]["archive"], line["cell"]["seconds"]) == (archive, seconds)
                and line["cell"]["variant"] == variant
            ]
            if of:
                cells = [shown([column(line) for line in of]) for column in COLUMNS.values()]
                sys.stdout.write(f"| {variant} | {' | '.join(cells)} |\n")


def measure(extractor: str, name: str) -> Callable[[dict], float]:
    """Reads a measure of all images from a line."""
    return lambda line: line["measures"].get(f"{extractor}/all/{name}", math.nan)


def class_recall(line: dict) -> float:
    """Mean recall of the classes by the judge."""
    ends = [v for k, v in line["measures"].items() if k.startswith("classifier/class")
            and k.endswith("recall")]  # fmt: skip
    return sum(ends) / max(len(ends), 1)


COLUMNS: dict[str, Callable[[dict], float]] = {
    "kimg": lambda line: line["images"] / 1000,
    "classifier: Frechet": measure("classifier", "frechet"),
    "recall": measure("classifier", "recall"),
    "recall, mean of classes": class_recall,
    "coverage": measure("classifier", "coverage"),
    "random-vgg16: Frechet": measure(RANDOM, "frechet"),
    "recall ": measure(RANDOM, "recall"),
    "lite0: Frechet": measure(TRAINED, "frechet"),
}


def shown(values: list[float]) -> str:
    """The mean, with the range where there are several."""
    mean = f"{sum(values) / len(values):.3g}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.3g} to {max(values):.3g})"


if __name__ == "__main__":
    main()
