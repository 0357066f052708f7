"""What people hear of a training that is a part of longer work: not every line of its log."""

import time
from collections.abc import Callable

from synthograph.core.progress import Progress
from synthograph.training.loop import ALARM, TICK

SECONDS_BETWEEN = 30.0
"""Between two lines on a training; its own log has all of them."""


def told(title: str, progress: Progress) -> Callable[[str], None]:
    """Hears a training, and says how far it is and what alarms it."""
    last = time.monotonic()

    def hear(line: str) -> None:
        nonlocal last
        due = line.startswith(TICK) and time.monotonic() - last >= SECONDS_BETWEEN
        if due or line.startswith(ALARM):
            last = time.monotonic()
            progress.log(f"{title}: {' '.join(line.partition('memory')[0].split())}")

    return hear
