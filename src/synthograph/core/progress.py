"""What long work says of itself while it runs: notes, and how far it is.

Workflows get a `Progress`; the rooms below get one of its `Track`s, which shows a loop.
"""

import importlib.util
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

from synthograph.core.console import is_terminal, say

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 10.0
Track = Callable[[Iterable[Any], int], Iterable[Any]]
"""Shows progress over (items, their number)."""
Tracks = Callable[[str], Track]
"""Name of the work to what shows its progress."""


class Progress(Protocol):
    """Who listens while a workflow is at work."""

    def log(self, line: str) -> None:
        """Take a note that cannot wait for the result, such as which snapshot was found."""

    def track(self, what: str) -> Track:
        """Show how far the work called `what` is."""

    def ask(self, question: str) -> str:
        """The answer of whoever listens; empty where nobody answers."""


class Silent:
    """Nobody listens."""

    def log(self, line: str) -> None:
        """Drop the line."""

    def track(self, what: str) -> Track:
        """Pass the items through."""
        return lambda items, total: items

    def ask(self, question: str) -> str:
        """Nobody answers."""
        return ""


silent: Tracks = Silent().track


class Printed:
    """Notes on standard output; a bar on a terminal or in a notebook, elsewhere a line every few
    seconds on standard error.
    """

    def log(self, line: str) -> None:
        """Print the line."""
        say(line)

    def track(self, what: str) -> Track:
        """Show how far the work called `what` is."""
        return lambda items, total: track(items, total=total, what=what)

    def ask(self, question: str) -> str:
        """Nobody answers: a script is not kept waiting."""
        return ""


class Conversation(Printed):
    """The progress of a command: somebody who sits at a terminal can be asked."""

    def ask(self, question: str) -> str:
        """What is typed; empty where input or output is no terminal."""
        if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
            return ""
        try:
            return input(f"{question} ").strip()
        except EOFError:
            return ""


def track(items: Iterable[T], *, total: int, what: str) -> Iterator[T]:
    """Pass `items` through and show how far they are.

    Args:
        items: anything iterable.
        total: how many there will be.
        what: short name of the work.
    """
    bar = _in_notebook() and importlib.util.find_spec("ipywidgets")
    if is_terminal(sys.stderr) or bar:
        yield from _bar(items, total, what)
    else:
        yield from _lines(items, total, what)


def for_people() -> Progress:
    """The progress of a call from Python: printed on a terminal or in a notebook, else silent."""
    return Printed() if is_terminal(sys.stderr) or _in_notebook() else Silent()


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"


def _bar(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    from rich import progress as parts
    from rich.console import Console

    columns = (
        "{task.description}",
        parts.BarColumn(),
        parts.MofNCompleteColumn(),
        parts.TimeElapsedColumn(),
        parts.TimeRemainingColumn(),
    )
    with parts.Progress(*columns, console=Console(stderr=True)) as shown:
        yield from shown.track(items, total=total, description=what)


def _lines(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    start = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            left = (now - start) / done * (total - done)
            say(f"{what}: {done} of {total}, {left:.0f} s left", error=True)
