"""A process of a team that does steps and, as the first one, keeps what came of them.

python -m tests.training.steps ARCHIVE STEPS SETTINGS.json OUT.safetensors
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from synthograph.training.distributed import broadcast_state, init_team
from synthograph.training.setup import make_session, open_data
from tests.training.test_resume import configure


def main() -> None:
    archive, steps, settings, out = sys.argv[1:]
    torch.set_num_threads(1)
    config = configure(Path(archive), **json.loads(Path(settings).read_text()))
    team = init_team()
    session = make_session(config, open_data(config), team=team)
    broadcast_state(team, session.state)
    for _ in range(int(steps)):
        session.step()
    if team.is_main:
        tensors = {name: tensor.clone() for name, tensor in session.state.tensors().items()}
        save_file(tensors, out)


if __name__ == "__main__":
    main()
