"""How many processor cores this process may use: those of the machine, within its affinity and the
limits of its control groups (containers, job schedulers).
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

GROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")
"""Lines of `number:controllers:path`; one without controllers is of version 2."""


def usable_cores() -> int:
    """Cores that this process may use, at least one."""
    return max(math.ceil(min(permitted_cores(), quota())), 1)


def permitted_cores() -> int:
    """Cores that the system lets this process run on: all of them, or fewer by affinity."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def quota() -> float:
    """Processor time per time that control groups allow; infinite where none limits it."""
    return min((*_quotas(), math.inf))


def _quotas() -> Iterator[float]:
    """Of every group that this process is in, and of those above."""
    for line in _read(OWN_GROUPS).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        own = PurePosixPath("/", path)
        for place in (own, *own.parents):
            inner = str(place).lstrip("/")
            if not controllers:
                yield from _ratio(*_read(GROUPS / inner / "cpu.max").split()[:2])
            elif "cpu" in controllers.split(","):
                for folder in (GROUPS / "cpu" / inner, GROUPS / controllers / inner):
                    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
                    yield from _ratio(*(_read(folder / name).strip() for name in names))


def _ratio(limit: str = "", period: str = "") -> Iterator[float]:
    """Time per period, unless it is unlimited (`max`, or -1) or unknown."""
    if limit.isdecimal() and period.isdecimal() and int(limit) and int(period):
        yield int(limit) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
