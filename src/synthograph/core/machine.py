"""Software and machine of this process, in words that name no host, no person and no folder."""

import platform
from typing import TYPE_CHECKING

from synthograph.core.devices import UNKNOWN_CPU, cpu_name, is_gpu
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.version import VERSION

if TYPE_CHECKING:
    import torch


def processor_name() -> str:
    """The processor's own name, else its kind; empty where the system tells neither."""
    return cpu_name() if cpu_name() != UNKNOWN_CPU else platform.processor()


def software_and_machine(device: "torch.device", processes: int = 1) -> JsonObject:
    """What results record of where they were computed: the fields of `results.Environment`.

    Args:
        device: that computes.
        processes: that compute together, this being one of them.
    """
    import torch

    return {
        "synthograph": VERSION,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "processor": processor_name() or UNKNOWN_CPU,
        "gpu": torch.cuda.get_device_name(device) if is_gpu(device) else "",
        "processes": processes,
        "threads": torch.get_num_threads(),
    }
