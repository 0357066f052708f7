"""Requests to stop: current work is finished and saved before the process ends."""

import contextlib
import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

NAMES = ("SIGTERM", "SIGINT", "SIGUSR1")


class StopRequest:
    """While active, catches SIGTERM, SIGINT and SIGUSR1; a second SIGINT interrupts at once.

    Args:
        answer: a line for standard error at the first signal, such as what is finished first.
    """

    def __init__(self, answer: str = "") -> None:
        self.reason: str | None = None
        self._answer = answer
        self._before: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether a signal came."""
        return self.reason is not None

    def __enter__(self) -> "StopRequest":
        if (
            threading.current_thread() is threading.main_thread()
        ):  # Python refuses handlers elsewhere
            for name in NAMES:
                number = getattr(signal, name, None)
                if number is not None:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.reason is not None:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self.reason = signal.Signals(number).name
        if self._answer:
            # print could be interrupted by this very handler in the middle of its own buffer
            with contextlib.suppress(OSError):  # nobody listens
                os.write(2, f"\n{self.reason}: {self._answer}\n".encode())
