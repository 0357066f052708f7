"""Random numbers under published names: what the tests have in place of real weights."""

from pathlib import Path

import torch
from torch import nn


def random_state(module: nn.Module, seed: int = 0) -> dict[str, torch.Tensor]:
    """Numbers of sensible size for every tensor of a network."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, tensor in module.state_dict().items():
        noise = torch.randn(tensor.shape, generator=generator)
        if name.endswith("running_var"):
            found[name] = noise.abs() + 0.5
        elif tensor.ndim > 1 and min(tensor.shape[0], tensor[0].numel()) > 1:
            found[name] = noise * (2 / tensor[0].numel()) ** 0.5
        elif name.endswith(("weight", "gamma")):
            found[name] = 1 + 0.2 * noise
        else:
            found[name] = 0.2 * noise
    return found


def with_counters(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As a training framework saves it: with what counts batches beside every normalisation."""
    counters = {
        name.replace("running_var", "num_batches_tracked"): torch.tensor(7)
        for name in state
        if name.endswith("running_var")
    }
    return state | counters


def save(path: Path, state: object, *, zipped: bool = True) -> Path:
    """A .pth file of today's form or of the older one."""
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    return path


def images(*shape: int, bits: int = 8, seed: int = 0) -> torch.Tensor:
    """Smooth pictures that differ from each other."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(*shape[:2], 4, 4, generator=generator)
    smooth = nn.functional.interpolate(coarse, shape[2:], mode="bilinear")
    values = smooth * (2**bits - 1)
    return values.to(torch.uint8) if bits == 8 else values.to(torch.int32).to(torch.uint16)
