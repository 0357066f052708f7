"""How long a training takes, measured on a few steps before it."""

import math
import time
from collections.abc import Callable

import torch

from synthograph.downstream.fitting import Batch, FitConfig, Task


def validations(config: FitConfig) -> int:
    """How many there are, where none ends it early."""
    return math.ceil(config.steps / config.interval)


def fit_seconds(
    task: Task, config: FitConfig, look: Callable[[int], object], *, checked: int, more: int = 0
) -> float:
    """Seconds that `fit` takes at most, where no validation ends it early.

    Args:
        task: what is trained; its weights stay as they are.
        config: how.
        look: predicts the first so many validation images.
        checked: number of validation images.
        more: images that are predicted once afterwards.
    """
    batch = torch.arange(config.batch)
    task.network.train()
    for _ in ("warm", "measured"):
        begun = time.monotonic()
        task.loss(Batch(task.order(batch), batch, 0)).backward()
        step = time.monotonic() - begun
    task.network.zero_grad()
    task.network.eval()
    few, begun = min(config.batch, checked), time.monotonic()
    with torch.inference_mode():
        look(few)
    each = (time.monotonic() - begun) / few
    return config.steps * step + (validations(config) * checked + more) * each
