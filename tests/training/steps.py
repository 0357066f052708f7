"""A process of a team that does steps and, as the first one, keeps what came of them.

python -m tests.training.steps CONFIG.json STEPS OUT.safetensors [MODULE:FAMILY]
"""

import importlib
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from synthograph.models.registry import FAMILIES
from synthograph.training.config import RunConfig
from synthograph.training.distributed import broadcast_state, init_team
from synthograph.training.setup import make_session, open_data


def main() -> None:
    path, steps, out, *families = sys.argv[1:]
    for module, _, name in (word.partition(":") for word in families):
        kind = getattr(importlib.import_module(module), name)()
        FAMILIES[kind.name] = kind
    torch.set_num_threads(1)
    config = RunConfig.parse(json.loads(Path(path).read_text()))
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
