"""Where a job computes, as its results record it."""

from synthograph.core.devices import pick_device
from synthograph.core.machine import software_and_machine
from synthograph.results.environment import Environment


def here(device: str, processes: int = 1) -> Environment:
    """Software and machine of this process.

    Args:
        device: that computes, as `pick_device` takes it.
        processes: that compute together.
    """
    return Environment(**software_and_machine(pick_device(device), processes))
