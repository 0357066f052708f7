"""A command that sends itself signals in the middle of its work, at a call that a test names.

Usage: python signalled.py MODULE:OWNER NAME CALL SIGNAL[,SIGNAL] VERB ...
"""

import functools
import os
import pkgutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any


def words_of(
    owner: str, name: str, call: int, signals: list[signal.Signals], *command: object
) -> list[str]:
    """The words that start such a command.

    Args:
        owner: module, or `module:class`, that holds the function.
        name: of the function in it.
        call: of which of its calls the signals come, before it does its work; from 1.
        signals: sent one after the other.
        command: what is typed behind `synthograph`.
    """
    sent = ",".join(str(int(number)) for number in signals)
    script = str(Path(__file__).resolve())
    return [sys.executable, script, owner, name, str(call), sent, *map(str, command)]


def run_until(
    owner: str, name: str, call: int, signals: list[signal.Signals], *command: object
) -> "subprocess.CompletedProcess[str]":
    """Run such a command to its end; arguments as `words_of`."""
    words = words_of(owner, name, call, signals, *command)
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def main() -> None:
    """Run the command line of this process."""
    owner, name, call, sent, *command = sys.argv[1:]
    sys.argv = ["synthograph", *command]
    from synthograph.__main__ import run

    _signal_at(pkgutil.resolve_name(owner), name, int(call), [int(n) for n in sent.split(",")])
    run()


def _signal_at(owner: Any, name: str, call: int, signals: list[int]) -> None:
    function, calls = getattr(owner, name), [0]

    @functools.wraps(function)
    def signalled(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == call:
            for number in signals:
                os.kill(os.getpid(), number)
        return function(*arguments, **named)

    setattr(owner, name, signalled)


if __name__ == "__main__":
    main()
