"""How long `project` takes for a target: a network in a configuration of README.md, untrained, and
phantoms as targets.

python benchmarks/projection.py --config C --targets 16
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import torch
from configurations import CONFIGURATIONS
from measure import make_images, open_session

from synthograph.archive.batches import open_rows
from synthograph.core.devices import Precision, keep_freed_memory, pick_device
from synthograph.features.registry import default_distance, perceptual_distance
from synthograph.models.snapshot import Snapshot, load, save_snapshot
from synthograph.sampling.projection import Projector, Schedule, Targets
from synthograph.sampling.target_distance import TargetDistance


def main() -> None:
    """Time steps of the search in fp32 and bf16, with features and without."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="C", choices=CONFIGURATIONS)
    parser.add_argument("--targets", type=int, default=16)
    parser.add_argument("--steps", type=int, default=5, help="that are timed")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    keep_freed_memory()
    device = str(pick_device(arguments.device))
    with tempfile.TemporaryDirectory() as folder:
        snapshot, targets = prepared(arguments.config, arguments.targets, Path(folder))
    print(f"{arguments.targets} targets at once, {torch.get_num_threads()} threads, on {device}")
    for precision in (Precision.FP32, Precision.BF16):
        features = perceptual_distance(default_distance(), device=device, precision=precision)
        for with_features in (True, False):
            distance = TargetDistance(snapshot.info.spec, features, by_features=with_features)
            projector = Projector(snapshot, distance, device=device, precision=precision)
            cost = projector.trial(targets)  # to warm up
            begin, cores = time.perf_counter(), time.process_time()
            replace(projector, schedule=Schedule(steps=arguments.steps)).project(targets)
            share = 1000 / arguments.steps / len(targets)
            print(
                f"{precision}, {distance.name}: a target of 1,000 steps takes "
                f"{(time.perf_counter() - begin) * share:.0f} s, "
                f"{(time.process_time() - cores) * share:.0f} processor seconds, and "
                f"{cost.kept / 2**20:.0f} MiB"
            )


def prepared(config: str, count: int, folder: Path) -> tuple[Snapshot, Targets]:
    """A network of the configuration, and phantoms."""
    configuration = CONFIGURATIONS[config]
    archive = make_images(configuration, folder, count)
    session = open_session(configuration, archive, device="cpu", precision="fp32")
    path = save_snapshot(folder, session.info, session.state.ema, session.state.networks)
    rows = open_rows(str(archive))
    images = rows.gather(torch.arange(count)) * 2 - 1
    condition = session.info.condition
    labels = None if not condition.width else torch.eye(condition.width)[[0] * count]
    return load(path), Targets(images, labels, torch.arange(count))


if __name__ == "__main__":
    main()
