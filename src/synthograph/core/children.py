"""How this package starts other processes of its own: never with the working folder on their path,
which may hold anything (`signal.py` among the images would be run).
"""

import contextlib
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path

PATH, SAFE = "PYTHONPATH", "PYTHONSAFEPATH"
KEPT = {
    os.path.realpath(place)
    for place in (
        str(Path(__file__).parents[2]),
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    )
}
"""Folders of this package, its dependencies and Python: they stay, even if somebody works there."""


def python_command(module: str) -> list[str]:
    """The beginning of a command line that runs a module with this Python."""
    return [sys.executable, "-P", "-m", module]


def environment(**more: str) -> dict[str, str]:
    """The environment of a process to be started, and of those that it starts.

    `PYTHONPATH` keeps what it names, with relative folders made absolute; empty entries and the
    working folder, under whatever name, are left out.

    Args:
        more: variables that it gets beside those of this process.
    """
    own = dict(os.environ)
    if own.get(PATH):
        own[PATH] = os.pathsep.join(_elsewhere(own[PATH].split(os.pathsep)))
    return {**own, SAFE: "1", **more}


def context() -> SpawnContext:
    """A context of `multiprocessing` whose processes are started so."""
    with _apart():  # its helper process is the first
        made = _Context()
        if os.name != "nt":
            from multiprocessing import resource_tracker

            resource_tracker.ensure_running()
    return made


class _Process(SpawnProcess):
    def start(self) -> None:
        with _apart():
            super().start()


class _Context(SpawnContext):
    Process = _Process


@contextlib.contextmanager
def _apart() -> Iterator[None]:
    """Let what starts meanwhile see neither the working folder nor a variable that names it."""
    path, before = sys.path[:], {name: os.environ.get(name) for name in (PATH, SAFE)}
    _set({name: environment().get(name) for name in (PATH, SAFE)})
    sys.path[:] = _elsewhere(path)
    try:
        yield
    finally:
        sys.path[:] = path
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _elsewhere(entries: list[str]) -> list[str]:
    """Absolute, without the working folder."""
    try:
        away = {os.path.realpath(os.curdir)} - KEPT
        return [os.path.abspath(e) for e in entries if e and os.path.realpath(e) not in away]
    except OSError:  # the working folder was removed
        return [entry for entry in entries if os.path.isabs(entry)]
