"""Several processes: what the one that started them learns of their end."""

import signal
from pathlib import Path

import pytest

from synthograph.cli import launch
from synthograph.core.errors import StoppedError, UserError


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process as one of two, and where it leaves word."""
    for name, value in {launch.FOLDER: str(tmp_path), "WORLD_SIZE": "2", "RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_the_first_word_stays_and_is_whole(worker: Path) -> None:
    assert launch.leave(UserError("bad")) == (2, True)
    assert launch.leave(StoppedError("asked")) == (0, False)
    assert (worker / launch.CODE).read_text() == "2"
    launch.report_leader()
    launch.report_leader()
    assert int((worker / launch.LEADER).read_text()) > 0


def test_a_process_that_ends_is_not_ended_in_the_middle_of_its_word(
    worker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_text

    def cut_off(self: Path, text: str) -> int:
        signal.raise_signal(signal.SIGTERM)  # as torchrun does when another process died
        return write(self, text)

    monkeypatch.setattr(Path, "write_text", cut_off)
    signal.signal(signal.SIGTERM, lambda *_: pytest.fail("it was interrupted"))
    launch.leave(UserError("another process ended"))
    assert (worker / launch.CODE).read_text() == "2"
