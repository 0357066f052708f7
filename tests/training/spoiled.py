"""A process of a team whose losses are NaN for a while, in one process only.

python -m tests.training.spoiled ARCHIVE OUTDIR
"""

import sys
from pathlib import Path

import torch

from synthograph.training.distributed import broadcast_state, init_team
from synthograph.training.loop import Trainer
from synthograph.training.run import join_run
from synthograph.training.setup import make_session, open_data
from tests.training.test_recovery import spoil
from tests.training.test_resume import configure


def main() -> None:
    archive, outdir = (Path(word) for word in sys.argv[1:])
    torch.set_num_threads(1)
    config = configure(archive)
    team = init_team()
    session = make_session(config, open_data(config), team=team)
    broadcast_state(team, session.state)
    trainer = Trainer(session, join_run(outdir, config, "test", team))
    if not team.is_main:
        spoil(trainer, lambda p: p.images >= 8 and p.rollbacks == 0, "Gmain", "Dmain")
    trainer.train()
    weights = torch.cat([p.detach().flatten() for p in session.state.ema.parameters()])
    everyone = team.broadcast_object(weights.tolist())
    assert everyone == weights.tolist(), "the processes went apart"
    trainer.run.close()


if __name__ == "__main__":
    main()
