"""Locks on files: one process at a time, on every file system.

A lock of the operating system ends with its process. Where a file system has none, a file beside,
`NAME.held`, stands for it: who makes it holds the lock. One that a killed process of this machine
left is taken over; one of another machine is named, for its user to remove.
"""

import contextlib
import errno
import json
import os
import platform
import sys
import time
from datetime import datetime
from pathlib import Path

from synthograph.core.console import say
from synthograph.core.errors import BlockedError
from synthograph.core.files import open_own
from synthograph.core.halves import has_ended, owner

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

HELD = ".held"
"""Ending of the file that stands for a lock."""
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)
"""What file systems answer that have no locks."""
BUSY = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
SECONDS_OF_SILENCE, SECONDS_BETWEEN = 2.0, 0.1
_FAR = 1 << 30  # bytes: where Windows locks, so that the beginning can still be read
_told: set[Path] = set()


class Lock:
    """A lock that is named by a file.

    Args:
        path: the file, which is made and stays. Its content says who held the lock last.
        what: what it stands for, in messages.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path, self.held = path, path.with_name(path.name + HELD)
        self._what = what
        self._handle: int | None = None
        self._stands_in = False

    def acquire(self) -> None:
        """Take it.

        Raises:
            BlockedError: another process holds it.
            OSError: the file cannot be made.
        """
        if not self._take():
            raise BlockedError(f"{self._what} ({self.holder()})")

    def wait(self) -> None:
        """Take it as soon as it is free; a wait that takes longer is told on standard error."""
        begin, told = time.monotonic(), False
        while not self._take():
            if not told and time.monotonic() - begin > SECONDS_OF_SILENCE:
                say(f"waiting: {self._what} ({self.holder()})", error=True)
                told = True
            time.sleep(SECONDS_BETWEEN)

    def release(self) -> None:
        """Let others have it; nothing happens where it is not held."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        if self._stands_in:
            self.held.unlink(missing_ok=True)
            self._stands_in = False

    def __enter__(self) -> "Lock":
        self.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _take(self) -> bool:
        handle = open_own(self.path, os.O_RDWR | os.O_CREAT)
        try:
            _lock(handle)
        except OSError as error:
            os.close(handle)
            if error.errno in BUSY:
                return False
            if error.errno not in NO_LOCKS:
                raise
            return self._stand_in(error)
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle
        with contextlib.suppress(OSError):  # a full disk: only messages lack it
            os.ftruncate(handle, 0)
            os.write(handle, _about())
        return True

    def _stand_in(self, error: OSError) -> bool:
        """Take the file beside, where the file system has no locks."""
        folder = self.path.parent
        if folder not in _told:
            _told.add(folder)
            say(
                f"note: the file system of {folder} has no locks ({error.strerror}); the file "
                f"{self.held.name} stands for one",
                error=True,
            )
        for _ in range(2):
            try:
                with self.held.open("xb") as file:
                    self._stands_in = True
                    file.write(_about())
                return True
            except FileExistsError:
                if not self._left_behind():
                    break
        return False

    def _left_behind(self) -> bool:
        """Whether the file beside was left by a process that was killed; then it is removed."""
        aside = self.held.with_name(f"{self.held.name}.{owner()}")
        if not _has_ended(self.held):
            return False
        try:
            self.held.rename(aside)  # one process alone can
            if not _has_ended(aside):  # another one took it over meanwhile
                aside.rename(self.held)
                return False
            aside.unlink()
        except OSError:
            return False
        return True

    def holder(self) -> str:
        """Who holds it, and what to do where nobody can tell whether it still runs."""
        stands_in = self.held.exists()
        known = _read(self.held if stands_in else self.path)
        if not known:
            return f"lock {self.path}"
        by = f"process {known.get('process')} on {known.get('machine')} since {known.get('since')}"
        way = f"; if it no longer runs, remove {self.held}" if stands_in else ""
        return f"{by}, lock {self.path}{way}"


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        os.lseek(handle, _FAR, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)
    else:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _about() -> bytes:
    now = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    about = {"process": os.getpid(), "machine": platform.node(), "since": now, "owner": owner()}
    return json.dumps(about).encode()


def _has_ended(held: Path) -> bool:
    return bool(has_ended(str(_read(held).get("owner", ""))))


def _read(path: Path) -> dict[str, object]:
    try:
        known = json.loads(path.read_bytes()[:1000])
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
