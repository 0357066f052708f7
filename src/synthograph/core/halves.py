"""Half-written files: hidden, named after what they will be and after who writes them, so that what
a killed process left is told from what is being written.

    .NAME.<machine>-<process>-<start>-<number>.tmp

Whoever writes into a folder next removes from it: half files of processes of this machine that no
longer run, and half files of other machines (the folder may be shared, and who lives there cannot
be seen) that nobody has written to for a day. Who holds the lock of a file removes all earlier
halves of it at once.
"""

import contextlib
import hashlib
import os
import platform
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

OLD_SECONDS = 24 * 3600
"""Age from which a half file of another machine counts as left behind."""
_WORDS = 40
"""Characters of the name that are kept: one that is only just allowed must stay so."""
_OWNER = r"([0-9a-f]{8})-([0-9]+)-([0-9a-f]{8})"
_HALF = re.compile(rf"\..+\.{_OWNER}-[0-9a-f]{{8}}\.tmp", re.DOTALL)
_START = uuid.uuid4().hex[:8]
"""Tells this process from an earlier one of the same number."""
_looked: set[Path] = set()


@lru_cache
def machine() -> str:
    """This machine as it is running now, and the container in it: within, processes have numbers of
    their own.
    """
    about = [platform.node()]
    with contextlib.suppress(OSError):  # only Linux tells
        about.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        about.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\n".join(about).encode()).hexdigest()[:8]


def owner() -> str:
    """This process among all others: `MACHINE-PROCESS-START`."""
    return f"{machine()}-{os.getpid()}-{_START}"


def has_ended(text: str) -> bool | None:
    """Whether the process that `owner` named so has ended; None where that cannot be known."""
    found = re.fullmatch(_OWNER, text)
    if found is None or found[1] != machine():
        return None
    if int(found[2]) == os.getpid():
        return found[3] != _START
    if os.name == "nt":  # asking there would be a signal
        return None
    try:
        os.kill(int(found[2]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def half_path(target: Path) -> Path:
    """A name for `target` while it is written; leftovers in its folder are removed."""
    _clear_once(target.parent)
    return target.with_name(f".{_stem(target)}.{owner()}-{uuid.uuid4().hex[:8]}.tmp")


@contextlib.contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """A folder within `folder` that is removed at the end."""
    made = half_path(folder / "scratch")
    made.mkdir()
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def remove_halves(target: Path) -> None:
    """Remove all earlier half files of `target`, for who holds its lock."""
    pattern = re.compile(rf"\.{re.escape(_stem(target))}\.({_OWNER}-)?[0-9a-f]{{8}}\.tmp")
    for path in _hidden(target.parent):
        if pattern.fullmatch(path.name):
            _remove(path)


def _stem(target: Path) -> str:
    name = target.name
    if len(name) <= _WORDS:
        return name
    return f"{name[: _WORDS - 9]}~{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}"


def _clear_once(folder: Path) -> None:
    """Remove what was left behind in a folder, once in the life of this process."""
    if folder in _looked:
        return
    _looked.add(folder)
    for path in _hidden(folder):
        found = _HALF.fullmatch(path.name)
        if found is not None:
            ended = has_ended("-".join(found.groups()))
            if ended or (ended is None and _is_old(path)):
                _remove(path)


def _hidden(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        found = [e.name for e in entries if e.name.startswith(".") and e.name.endswith(".tmp")]
        yield from (folder / name for name in found)


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > OLD_SECONDS
    except OSError:
        return False


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # another process may be faster, or it is not ours
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
