"""A process of a team that ends right after an exchange, and fails if the team is still there.

python -m tests.training.ending
"""

import atexit
import os

import torch.distributed as dist

from synthograph.training.distributed import init_team


def check() -> None:
    if dist.is_initialized():
        os._exit(1)


if __name__ == "__main__":
    atexit.register(check)  # the last function that runs, since it is registered first
    init_team().broadcast_object("the end")
