"""The running average of the generator's weights (Karras et al. 2018; ramp: Karras et al. 2020)."""

import torch
from torch import nn

from synthograph.training.config import TrainingConfig


def ema_decay(config: TrainingConfig, images_seen: int, batch: int) -> float:
    """Share of the old average that one step keeps: 0.5^(batch / half-life)."""
    half_life = config.ema_kimg * 1000
    if config.ema_ramp is not None:
        half_life = min(half_life, images_seen * config.ema_ramp)
    return 0.5 ** (batch / max(half_life, 1e-8))


@torch.no_grad()
def update_ema(average: nn.Module, current: nn.Module, decay: float) -> None:
    """Move the average's parameters towards the current ones; buffers are copied."""
    for old, new in zip(average.parameters(), current.parameters(), strict=True):
        old.lerp_(new, 1 - decay)
    for old_buffer, new_buffer in zip(average.buffers(), current.buffers(), strict=True):
        old_buffer.copy_(new_buffer)
