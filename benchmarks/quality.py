"""Whether speed costs quality: configuration B trained by the plain and the fast path, compared.

python benchmarks/quality.py train ARCHIVE --seeds 0,1,2,3 --kimg 40 --outdir DIR
python benchmarks/quality.py compare ARCHIVE --outdir DIR
python benchmarks/quality.py follow --outdir DIR --steps 32
python benchmarks/quality.py train ARCHIVE --seeds 0 --kimg 1000 --device cuda --precision bf16 ...

`train` works through the seeds, plain beside fast for each, so that a stopped call leaves whole
pairs; several calls with different seeds may run side by side. `compare` measures each network
against the images it learned from: kernel distance on fixed random features, over all images and
per class, and the shares of the classes as a classifier trained on real images sees them; then the
upper 95 % limit of the mean difference of fast and plain as a share of the plain value.

`follow` needs no statistics: from the end of each plain run the same steps are taken by the plain
path, by the fast path, and by the plain path after every weight was moved by its last bit. Where
the fast path leaves the plain one no farther than last bits do, it computes the same training.
"""

import argparse
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from configurations import CONFIGURATIONS
from plain import plain_operations, use_plain
from scipy.stats import t as student
from torch import Tensor

from synthograph.archive.batches import archive_images
from synthograph.archive.manifest import in_split
from synthograph.archive.reader import open_archive
from synthograph.core.config import merge, set_path
from synthograph.core.devices import Precision, block_dtype
from synthograph.features.registry import extractor
from synthograph.metrics.kernel import kernel_distance
from synthograph.models.snapshot import load
from synthograph.models.snapshot_files import find_snapshot
from synthograph.sampling.generate import ImageRequest, generate
from synthograph.stats.sample import Sample
from synthograph.training.loop import Trainer
from synthograph.training.resume import resume_session
from synthograph.training.run import create_run
from synthograph.training.setup import make_session, open_data, resolve_run

PATHS = ("plain", "fast")
FOR_EACH = 2
"""Generated images for each training image, of its class."""
Classifier = Callable[[Tensor], Tensor]


def main() -> None:
    """Train or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=["train", "compare", "follow"])
    parser.add_argument("archive", type=Path, nargs="?")
    parser.add_argument("--outdir", type=Path, required=True)
    parser.add_argument("--seeds", default="0,1,2,3")
    parser.add_argument("--kimg", type=float, default=40)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32", help="of the fast path; plain is fp32")
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    if arguments.archive is None and arguments.verb != "follow":
        parser.error(f"{arguments.verb} needs the archive")
    if arguments.verb == "follow":
        for seed in seeds:
            run = arguments.outdir / f"plain-{seed}"
            found = follow(run, arguments.steps, Precision(arguments.precision))
            print(json.dumps({"seed": seed, **found}), flush=True)
        return
    if arguments.verb == "compare":
        print(json.dumps(compare(arguments.archive, arguments.outdir, seeds), indent=2))
        return
    for seed in seeds:
        for path in PATHS:
            tree: dict[str, Any] = {
                "seed": seed,
                "device": arguments.device,
                "precision": arguments.precision if path == "fast" else "fp32",
                "training": {"kimg": arguments.kimg},
                "data": {"path": str(arguments.archive)},
            }
            train(tree, arguments.outdir / f"{path}-{seed}", path)


def train(tree: dict[str, Any], outdir: Path, path: str) -> None:
    """One run to its end, from where it stopped if it did."""
    for name, value in CONFIGURATIONS["B"].settings.items():
        tree = set_path(tree, name, value)
    with plain_operations() if path == "plain" else nullcontext():
        started = sorted(outdir.glob("0*"))
        if started:
            session, run = resume_session(started[0], {})
        else:
            archive = open_archive(Path(tree["data"]["path"]))
            config, _ = resolve_run(archive, "auto", [merge(tree, CONFIGURATIONS["B"].tree())])
            session = make_session(config, open_data(config))
            run = create_run(outdir, config, path)
        if path == "plain":
            use_plain(session)
        Trainer(session, run).train()
        run.close()


def compare(archive: Path, outdir: Path, seeds: list[int]) -> dict[str, Any]:
    """All numbers of all networks that are finished, and the limits of their differences."""
    data = open_archive(archive)
    rows = in_split(data.rows, "train")
    images = archive_images(data, rows, split="train")
    extract = extractor("random-vgg16")
    features = torch.cat([extract(batch) for batch in images.batches()])
    names = list(images.labels or ())
    real = Sample(features, images.groups)
    classify = trained_classifier(features, names, data.info.classes)
    test = archive_images(data, in_split(data.rows, "test"))
    assigned = classify(torch.cat([extract(batch) for batch in test.batches()]))
    known = torch.tensor([data.info.classes.index(name) for name in test.labels or ()])
    found = {
        path: [
            measured(outdir / f"{path}-{seed}", real, names, classify, data.info.classes, extract)
            for seed in seeds
        ]
        for path in PATHS
    }
    return {
        "extractor": extract.describe(),
        "images": {"real": len(real), "synthetic": FOR_EACH * len(names)},
        "classifier right on test images": float((assigned == known).float().mean()),
        "class shares of real images": {k: v / len(names) for k, v in Counter(names).items()},
        **found,
        "fast - plain": {
            what: limit([run[what] for run in found["plain"]], [run[what] for run in found["fast"]])
            for what in found["plain"][0]
            if what.startswith("kernel")
        },
    }


def follow(outdir: Path, steps: int, precision: Precision) -> dict[str, Any]:
    """How far fast and nudged steps end from plain ones, as a share of what the plain steps moved.

    Returns:
        For each of some numbers of steps, for each kind of network: [fast, nudged].
    """
    (run,) = outdir.glob("0*")
    marks = sorted({1, max(steps // 4, 1), steps})
    plain = taken(run, marks, plain=True)
    nudged = taken(run, marks, plain=True, nudge=True)
    fast = taken(run, marks, precision=precision)
    return {
        f"after {mark} steps": {
            network: [
                (
                    (other[mark][network] - plain[mark][network]).norm()
                    / (plain[mark][network] - plain[0][network]).norm()
                ).item()
                for other in (fast, nudged)
            ]
            for network in plain[mark]
        }
        for mark in marks
    }


def taken(
    run: Path,
    marks: list[int],
    *,
    plain: bool = False,
    nudge: bool = False,
    precision: Precision = Precision.FP32,
) -> dict[int, dict[str, Tensor]]:
    """Take steps from the end of a run, of which a copy is used up.

    Returns:
        All weights in one row for each kind of network, at the start (0) and at the marks.
    """
    operations = plain_operations() if plain else nullcontext()
    with tempfile.TemporaryDirectory() as folder, operations:
        session, directory = resume_session(Path(shutil.copytree(run, f"{folder}/run")), {})
        if plain:
            use_plain(session)
        networks = session.state.networks
        session.family.set_precision(networks, block_dtype(precision))
        kinds = {"generator": networks.generator, "discriminators": networks.discriminators}
        found = {0: weights(kinds)}
        if nudge:
            signs = torch.Generator().manual_seed(0)
            values = [value.data for network in kinds.values() for value in network.parameters()]
            for value in values:
                up = torch.rand(value.shape, generator=signs) < 0.5
                value.copy_(value.nextafter(torch.where(up, torch.inf, -torch.inf)))
        for step in range(1, marks[-1] + 1):
            session.step()
            if step in marks:
                found[step] = weights(kinds)
        directory.close()
    return found


def weights(kinds: Mapping[str, torch.nn.Module]) -> dict[str, Tensor]:
    """All weights in one row, in float64, for each kind of network."""
    return {
        kind: torch.cat([value.detach().double().flatten() for value in network.parameters()])
        for kind, network in kinds.items()
    }


def trained_classifier(features: Tensor, names: list[str], classes: tuple[str, ...]) -> Classifier:
    """Logistic regression on features, the classes weighed equally."""
    centre, scale = features.mean(dim=0), features.std(dim=0) + 1e-6
    labels = torch.tensor([classes.index(name) for name in names])
    weights = 1 / torch.bincount(labels, minlength=len(classes)).float()
    with torch.enable_grad():
        layer = torch.nn.Linear(features.shape[1], len(classes))
        torch.nn.init.zeros_(layer.weight)
        solver = torch.optim.LBFGS(layer.parameters(), max_iter=200, line_search_fn="strong_wolfe")

        def step() -> Tensor:
            solver.zero_grad()
            scores = layer((features - centre) / scale)
            loss = torch.nn.functional.cross_entropy(scores, labels, weights)
            loss = loss + 1e-3 * layer.weight.square().sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        solver.step(step)
    return lambda x: layer((x - centre) / scale).argmax(dim=1)


def measured(
    outdir: Path,
    real: Sample,
    names: list[str],
    classify: Classifier,
    classes: tuple[str, ...],
    extract: Callable[[Tensor], Tensor],
) -> dict[str, float]:
    """Kernel distances of one network and what a classifier makes of its images."""
    (run,) = outdir.glob("0*")
    snapshot = load(find_snapshot(run))
    made = names * FOR_EACH
    features = []
    for batch in generate(snapshot, ImageRequest(list(enumerate(made)), batch=64)):
        features.append(extract(torch.from_numpy(np.stack([image.pixels for image in batch]))))
    synthetic = torch.cat(features)
    assigned, intended = classify(synthetic), torch.tensor([classes.index(name) for name in made])
    found: dict[str, float] = {"kimg": snapshot.info.images_seen / 1000}
    found["kernel"] = distance(real, synthetic)
    for number, name in enumerate(classes):
        mine = torch.tensor([each == name for each in names])
        found[f"kernel {name}"] = distance(real.subset(mine), synthetic[intended == number])
        found[f"share {name}"] = float((assigned == number).float().mean())
        of_class = assigned[intended == number] == number
        found[f"assigned as asked {name}"] = float(of_class.float().mean())
    return found


def distance(real: Sample, synthetic: Tensor) -> float:
    """Kernel distance."""
    value = kernel_distance(real, Sample.singles(synthetic)).value
    assert value is not None, "there are enough images"
    return value


def limit(plain: list[float], fast: list[float]) -> dict[str, float]:
    """Mean difference of pairs of one seed and its one-sided upper 95 % limit, absolute and as a
    share of the plain value.
    """
    differences = [b - a for a, b in zip(plain, fast, strict=True)]
    error = stdev(differences) / len(differences) ** 0.5 if len(differences) > 1 else float("nan")
    upper = mean(differences) + error * float(student.ppf(0.95, max(len(differences) - 1, 1)))
    return {
        "plain": mean(plain),
        "fast": mean(fast),
        "difference": mean(differences),
        "upper 95 %": upper,
        "of plain": upper / mean(plain),
    }


if __name__ == "__main__":
    main()
