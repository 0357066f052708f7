"""Locks, on file systems that have them and on those that do not."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from synthograph.core import halves, locks
from synthograph.core.errors import BlockedError
from synthograph.core.locks import HELD, Lock

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="errors of flock")


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A file system that answers so."""
    import fcntl

    def refuse(handle: int, how: int) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(locks, "_told", set())


NO_LOCKS = pytest.mark.parametrize(
    "without", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP], indirect=True
)


def test_one_at_a_time(tmp_path: Path) -> None:
    one, other = Lock(tmp_path / "l", "it is written"), Lock(tmp_path / "l", "it is written")
    one.acquire()
    with pytest.raises(BlockedError, match=rf"it is written \(process {os.getpid()} on .* since 2"):
        other.acquire()
    one.release()
    other.acquire()
    other.release()
    other.release()


@NO_LOCKS
@pytest.mark.usefixtures("without")
def test_a_file_beside_stands_for_a_lock(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = Lock(tmp_path / "l", "it is written"), Lock(tmp_path / "l", "it is written")
    one.acquire()
    assert (tmp_path / f"l{HELD}").exists()
    with pytest.raises(BlockedError, match="if it no longer runs, remove .*l.held"):
        other.acquire()
    one.release()
    assert not (tmp_path / f"l{HELD}").exists()
    with other:
        pass
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "has no locks" in said[0]


@pytest.mark.parametrize("without", [errno.ENOLCK], indirect=True)
@pytest.mark.usefixtures("without")
def test_the_file_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    held = tmp_path / f"l{HELD}"
    held.write_text(json.dumps({"owner": f"{halves.machine()}-{process.pid}-00000000"}))
    lock = Lock(tmp_path / "l", "it is written")
    lock.acquire()
    lock.release()
    assert [path.name for path in tmp_path.iterdir()] == ["l"]
    for strange in ("", "[]", json.dumps({"owner": "00000000-1-00000000"})):
        held.write_text(strange)
        with pytest.raises(BlockedError, match=r"remove .*l\.held|lock .*/l"):
            lock.acquire()


def test_other_errors_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def refuse(handle: int, how: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="Input/output"):
        Lock(tmp_path / "l", "it is written").acquire()


def test_a_wait_is_told_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(locks, "SECONDS_OF_SILENCE", 0.0)
    one, other = Lock(tmp_path / "l", "a cache is built"), Lock(tmp_path / "l", "a cache is built")
    one.acquire()
    waiting = threading.Thread(target=other.wait)
    waiting.start()
    while not (said := capsys.readouterr().err):
        time.sleep(0.01)
    assert said.startswith(f"waiting: a cache is built (process {os.getpid()} on ")
    one.release()
    waiting.join(10)
    assert not waiting.is_alive()
    assert capsys.readouterr().err == ""
    other.release()
