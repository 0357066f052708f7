"""`python -m synthograph`."""

import codecs
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from synthograph.core.console import open_streams, say
from synthograph.core.launched import place

SIGNALS = ("SIGTERM", "SIGINT", "SIGUSR1")


class Interrupted(KeyboardInterrupt):
    """A request to stop. Where plain ones pass through `exec`, Python ends by the signal even if
    they were caught, and not with the exit code that was asked for.
    """


def run() -> None:
    """Run the command line; a request to stop while it is still being imported ends it in one line
    too.
    """
    _speak_utf8()
    open_streams()
    with _listening() as asked:
        try:
            from synthograph.cli.main import run as start
        except KeyboardInterrupt:
            sys.exit(_interrupted(asked))
        start(asked)


def _speak_utf8() -> None:
    """Start again in UTF-8 where Python was told to read names in ASCII: files have other ones."""
    if os.name == "posix" and codecs.lookup(sys.getfilesystemencoding()).name == "ascii":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Let signals interrupt as Ctrl-C does, until a command has its own way of stopping.

    Yields:
        The names of those that came.
    """
    asked: list[str] = []
    before = {}
    process = os.getpid()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if os.getpid() != process:  # a copy of this process is not what was asked
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        asked.append(signal.Signals(number).name)
        raise Interrupted

    # torchrun ends its processes itself; what nohup and shells ignore stays ignored
    alone = place() is None
    if alone and threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in SIGNALS if hasattr(signal, name)):
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = signal.signal(number, interrupt)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupted(asked: list[str]) -> int:
    reason = f" ({asked[0]})" if asked else ""
    say(f"stopped before anything was begun{reason}", error=True)
    return 3


if __name__ == "__main__":
    run()
