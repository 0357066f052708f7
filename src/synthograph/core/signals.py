"""Requests to stop: current work is finished and saved before the process ends."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from synthograph.core.errors import StoppedError

NAMES = ("SIGTERM", "SIGINT", "SIGUSR1")


class StopRequest:
    """While active, catches SIGTERM, SIGINT and SIGUSR1; a second SIGINT interrupts at once.

    One within another knows from its beginning what the outer one heard, and tells it in the end
    what it heard itself. So a part that is all but done when a signal comes may end well, and the
    larger work still stops before its next part.

    Args:
        answer: a line for standard error at the first signal, such as what is finished first.
        forward: gets every signal, and whether one came before, instead of that.
    """

    def __init__(
        self, answer: str = "", forward: Callable[[int, bool], None] | None = None
    ) -> None:
        self.reason: str | None = None
        self._answer, self._forward = answer, forward
        self._before: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether a signal came."""
        return self.reason is not None

    def heed(self) -> None:
        """Stop here if a signal came.

        Raises:
            StoppedError: one came.
        """
        if self.requested:
            raise StoppedError(f"stopped on request ({self.reason})")

    def __enter__(self) -> "StopRequest":
        main = threading.current_thread() is threading.main_thread()
        for name in NAMES if main else ():  # Python refuses handlers elsewhere
            number = getattr(signal, name, None)
            if number is not None:
                self._before[number] = signal.signal(number, self._note)
        for around in self._around():
            self.reason = self.reason or around.reason
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            # None is a handler that was not set by Python
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for around in self._around():
            around.reason = around.reason or self.reason

    def _around(self) -> "list[StopRequest]":
        """The one that was active before, for every signal."""
        found = [getattr(handler, "__self__", None) for handler in self._before.values()]
        return [each for each in found if isinstance(each, StopRequest)]

    def _note(self, number: int, frame: FrameType | None) -> None:
        again = self.requested
        if not again or self._forward is not None:
            self.reason = signal.Signals(number).name
        if self._forward is not None:
            self._forward(number, again)
        elif again:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
        elif self._answer:
            # print could be interrupted by this very handler in the middle of its own buffer
            with contextlib.suppress(OSError):  # nobody listens
                os.write(2, f"\n{self.reason}: {self._answer}\n".encode())
