"""The process of a trial: what it is told, what it says, and how it ends."""

import io
import json
import signal
import sys
from pathlib import Path

import pytest

from synthograph.core.errors import (
    BlockedError,
    DiskFullError,
    DivergedError,
    StoppedError,
    UserError,
)
from synthograph.training.alarms import COLLAPSED
from synthograph.workflows import search_runs, search_worker
from synthograph.workflows.search_runs import CollapsedError, LostError, Worker
from tests.conftest import make_archive

STANDIN = """
import json, os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
stopped = []
for line in sys.stdin:
    asked = json.loads(line)
    for said in asked["say"]:
        print(json.dumps(said), flush=True)
    if asked.get("wait"):
        while not stopped:
            time.sleep(0.01)
        print(json.dumps({"error": "stopped on request", "code": 3}), flush=True)
    if asked.get("die"):
        os._exit(9)
"""


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """A process that says what it is asked to say."""
    script = tmp_path / "standin.py"
    script.write_text(STANDIN)
    command = [sys.executable, str(script)]
    monkeypatch.setattr(search_runs, "python_command", lambda module: command)
    return Worker(heard.append, lambda: None)


heard: list[str] = []


def test_one_process_trains_piece_by_piece(worker: Worker) -> None:
    heard.clear()
    with worker:
        done = {"say": [{"log": "tick 1"}, {"run": "a"}]}
        assert worker.train(done) == Path("a")
        first = worker._process
        assert worker.train({"say": [{"run": "b"}]}) == Path("b")
        assert worker._process is first and heard == ["tick 1"]
    assert first is not None and first.poll() == 0, "it ends with its input"


@pytest.mark.parametrize(
    ("code", "kind"),
    [(2, UserError), (3, StoppedError), (4, DivergedError), (5, DiskFullError), (1, LostError)],
)
def test_what_goes_wrong_is_told_by_its_kind(
    code: int, kind: type[Exception], worker: Worker
) -> None:
    with worker, pytest.raises(kind):
        worker.train({"say": [{"error": "no", "code": code}]})


def test_a_run_that_another_process_holds_is_waited_for(worker: Worker) -> None:
    said = "runs/0: another process is training in this run directory (process 3)"
    with worker, pytest.raises(BlockedError):
        worker.train({"say": [{"error": said, "code": 2}]})


def test_a_collapse_ends_a_training_at_once(worker: Worker) -> None:
    with worker, pytest.raises(CollapsedError):
        worker.train({"say": [{"log": f"alarm: {COLLAPSED} (they differ by 0)"}], "wait": True})


def test_a_signal_to_a_run_that_is_all_but_done_stops_the_search(worker: Worker) -> None:
    worker.hear = lambda line: signal.raise_signal(signal.SIGTERM)
    with worker, pytest.raises(StoppedError, match="SIGTERM"):
        worker.train({"say": [{"log": "measures its last snapshot"}, {"run": "a"}]})


def test_a_process_that_is_killed_is_lost_and_begun_anew(worker: Worker) -> None:
    with worker:
        with pytest.raises(LostError, match="code 9"):
            worker.train({"say": [], "die": True})
        assert worker.train({"say": [{"run": "a"}]}) == Path("a")


def test_the_worker_trains_what_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = make_archive(tmp_path / "cells.zip", count=12, size=(8, 8))
    small = [f"model.{name}=4" for name in ("channel_max", "z_dim", "w_dim")]
    request = {
        "data": str(archive), "cfg": "tiny", "device": "cpu", "metrics": "none", "batch": 4,
        "settings": [*small, "model.channel_base=32"], "kimg": 0.004, "outdir": str(tmp_path / "r"),
    }  # fmt: skip
    wrong = {**request, "cfg": "tinny"}
    monkeypatch.setattr(search_worker, "open_streams", lambda: None)
    monkeypatch.setattr(search_worker.os, "kill", lambda pid, number: None)
    lines = "".join(json.dumps(each) + "\n" for each in (wrong, request))
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    search_worker.main()
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "did you mean 'tiny'" in said[0]["error"] and said[0]["code"] == 2
    assert said[-1] == {"run": str(tmp_path / "r" / "00000-cells-tiny")}
    assert any(each.get("log", "").startswith("tick") for each in said)
