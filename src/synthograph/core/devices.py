"""Device, precision, and reuse of freed memory."""

import contextlib
import ctypes
import enum
import os
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from synthograph.core.cores import usable_cores
from synthograph.core.errors import UserError

if TYPE_CHECKING:
    import torch


_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # parameters of mallopt
_MAX_KEPT = (1 << 30, 1 << 25)  # bytes; old versions of glibc accept no more than the second
UNKNOWN_CPU = "unknown processor"
BF16_UNITS = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512"}
"""Flag of the processor -> its name; with either training was faster (benchmarks/README.md)."""


class Precision(enum.StrEnum):
    """Arithmetic of the network blocks. Images, outputs and losses are always fp32."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"


def pick_device(name: str) -> "torch.device":
    """The device called `name`; `auto` takes the first CUDA device, else the CPU.

    On CUDA fp32 means fp32 from here on: torch would round convolutions to the 10 bits of TF32.

    Raises:
        UserError: a name that torch does not know, or a device that is not there.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"device {name!r} is unknown: use auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise UserError(
                f"device {name!r}: this machine has {count} CUDA devices; use --device auto"
            )
    elif device.type != "cpu":
        raise UserError(f"device {name!r} is not supported: use auto, cpu, cuda or cuda:N")
    return device


def pick_precision(wanted: Precision, device: "torch.device") -> Precision:
    """Resolve `auto` for training: bf16 on CUDA and where `bf16_unit` finds one, else fp32."""
    if wanted is not Precision.AUTO:
        return wanted
    return Precision.BF16 if device.type == "cuda" or bf16_unit() else Precision.FP32


def block_dtype(precision: Precision) -> "torch.dtype":
    """The torch dtype of network blocks for a resolved precision."""
    import torch

    return torch.bfloat16 if precision is Precision.BF16 else torch.float32


def is_gpu(device: "torch.device") -> bool:
    """Whether a device is a CUDA GPU."""
    return device.type == "cuda"


def synchronise(device: "torch.device") -> None:
    """Wait until the device has finished, so that times can be measured."""
    import torch

    if is_gpu(device):
        torch.cuda.synchronize(device)


@contextlib.contextmanager
def torch_as_it_was() -> Iterator[None]:
    """Around a job: torch gets no more threads than there are cores to use, and has its own threads
    and random numbers again afterwards. Nothing happens where it is not loaded.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    threads, cores = torch.get_num_threads(), usable_cores()
    if not os.environ.get("OMP_NUM_THREADS") and cores < threads:
        torch.set_num_threads(cores)
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with torch.random.fork_rng(devices=gpus):
            yield
    finally:
        torch.set_num_threads(threads)


def keep_freed_memory() -> None:
    """Keep freed memory in this process for reuse.

    By default the C library returns the memory of a batch to the system, which clears every page
    before it is used again: a quarter of the time of generating. Only glibc has such a setting;
    elsewhere nothing changes.
    """
    tell = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if tell is not None and any(tell(_MMAP_THRESHOLD, size) for size in _MAX_KEPT):
        tell(_TRIM_THRESHOLD, 2**31 - 1)


def free_memory(device: "torch.device") -> int | None:
    """Bytes that can be had on a device; None where the system does not tell."""
    import torch

    if is_gpu(device):
        return torch.cuda.mem_get_info(device)[0]
    kilobytes = _system_info("/proc/meminfo", "MemAvailable").partition(" ")[0]
    return int(kilobytes) << 10 if kilobytes.isdecimal() else None


@lru_cache
def bf16_unit() -> str | None:
    """What the processor multiplies bf16 numbers with: AMX or AVX-512; None where it has neither.
    Only known on Linux.
    """
    flags = _cpu_info("flags").split()
    return next((name for flag, name in BF16_UNITS.items() if flag in flags), None)


@lru_cache
def cpu_name() -> str:
    """The processor's own name, or `UNKNOWN_CPU`."""
    return _cpu_info("model name") or UNKNOWN_CPU


def _cpu_info(key: str) -> str:
    return _system_info("/proc/cpuinfo", key)


def _system_info(file: str, key: str) -> str:
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
