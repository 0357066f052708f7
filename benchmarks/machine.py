"""What the machine can do at best, measured in the same run as everything else."""

import functools
import time
from collections.abc import Callable

import torch

from synthograph.core.devices import bf16_unit, synchronise


def best_seconds(work: Callable[[], object], device: torch.device, *, repeats: int = 5) -> float:
    """Shortest time of one call, after one to warm up."""
    work()
    times = []
    for _ in range(repeats):
        synchronise(device)
        start = time.perf_counter()
        work()
        synchronise(device)
        times.append(time.perf_counter() - start)
    return min(times)


def peaks(device: torch.device) -> dict[str, float]:
    """GFLOP/s of an fp32 and a bf16 matrix product, GB/s of a copy (read and written)."""
    found = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        side = _side(device, dtype)
        a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        seconds = best_seconds(functools.partial(torch.matmul, a, b), device)
        found[f"peak_{name}_gflops"] = 2 * side**3 / seconds / 1e9
    source = torch.zeros(2**26, device=device)
    dest = torch.empty_like(source)
    seconds = best_seconds(lambda: dest.copy_(source), device)
    return {**found, "copy_gb_per_sec": 2 * source.nbytes / seconds / 1e9}


def _side(device: torch.device, dtype: torch.dtype) -> int:
    """Side of matrices large enough for the peak, small enough where bf16 is emulated."""
    if device.type == "cuda":
        return 8192
    return 256 if dtype is torch.bfloat16 and bf16_unit() is None else 1536
