"""How long should the average of the weights look back? Several averages of one training.

python docs/results/averages.py cells32.zip OUT --kimg 40 --half-lives 0,0.25,0.5,1,2

The average takes no part in training, so snapshots of one training differ in it alone. Each lies in
a folder of OUT that says its half-life in thousands of images; 0 is the last step, without average.
families.py measures them.
"""

import argparse
import copy
from pathlib import Path

import torch

from synthograph.archive.reader import open_archive
from synthograph.models.snapshot import save_snapshot
from synthograph.training.ema import ema_decay, update_ema
from synthograph.training.session import Session
from synthograph.training.setup import make_session, open_data, resolve_run


def main() -> None:
    """Train, and keep every average."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--cfg", default="tiny")
    parser.add_argument("--kimg", type=float, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--half-lives", default="0,0.25,0.5,1,2")
    given = parser.parse_args()
    torch.set_num_threads(1)
    session = begun(given)
    half_lives = [float(word) for word in given.half_lives.split(",")]
    averages = {kimg: copy.deepcopy(session.state.ema) for kimg in half_lives}
    while session.state.progress.images < given.kimg * 1000:
        session.step()
        for kimg, average in averages.items():
            update_ema(average, session.state.networks.generator, decay(session, kimg))
    images = session.state.progress.images
    info = session.info.model_copy(update={"images_seen": images, "augment_p": 0.0})
    for kimg, average in averages.items():
        place = given.out / f"{given.archive.stem}-half-life-{kimg:g}-seed{given.seed}"
        save_snapshot(place, info, average, session.state.networks)


def begun(given: argparse.Namespace) -> Session:
    """The training, before its first step."""
    archive = open_archive(given.archive)
    tree = {"data": {"cond": True}, "seed": given.seed, "threads": 1, "device": "cpu"}
    config, _ = resolve_run(archive, given.cfg, [tree])
    return make_session(config, open_data(config, archive))


def decay(session: Session, kimg: float) -> float:
    """Share of an average that a step keeps, with the ramp of the preset."""
    training = session.config.training.model_copy(update={"ema_kimg": kimg})
    return ema_decay(training, session.state.progress.images, session.batch_size)


if __name__ == "__main__":
    main()
