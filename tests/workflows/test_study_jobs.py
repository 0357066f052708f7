"""Jobs of a study: who is free claims one, and a record says that it is done."""

import errno
import json
from pathlib import Path

import pytest

from synthograph.core import locks
from synthograph.core.locks import Lock
from synthograph.core.progress import Silent
from synthograph.workflows import study_jobs
from synthograph.workflows.study_jobs import CLAIM, Job, JobRecord, remaining, work_off
from tests.conftest import Heard


def job(folder: Path, name: str, done: list[str], *needs: Path) -> Job:
    def work() -> JobRecord:
        done.append(name)
        return JobRecord(said="fine")

    return Job("kind", name, folder / name / "record.json", needs, work)


def test_jobs_wait_for_what_they_need(tmp_path: Path) -> None:
    done: list[str] = []
    first = job(tmp_path, "first", done)
    progress = Heard()
    work_off([job(tmp_path, "second", done, first.record), first], progress)
    assert done == ["first", "second"]
    assert progress.lines[-1] == "2 of 2: second: fine"


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    done: list[str] = []
    for _ in range(2):
        work_off([job(tmp_path, "a", done), job(tmp_path, "b", done)], Silent())
    assert done == ["a", "b"]


def test_a_job_that_fails_leaves_no_record(tmp_path: Path) -> None:
    broken = Job("kind", "x", tmp_path / "x" / "record.json", (), lambda: 1 // 0)  # type: ignore[arg-type,return-value]
    with pytest.raises(ZeroDivisionError):
        work_off([broken], Silent())
    done: list[str] = []
    work_off([job(tmp_path, "x", done)], Silent())
    assert done == ["x"]


def test_a_job_of_another_process_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    theirs, ours = job(tmp_path, "theirs", done), job(tmp_path, "ours", done)
    theirs.record.parent.mkdir()
    lock = Lock(theirs.record.parent / CLAIM, "theirs")
    lock.acquire()
    monkeypatch.setattr(study_jobs.time, "sleep", lambda _: lock.release())
    progress = Heard()
    work_off([theirs, ours], progress)
    assert done == ["ours", "theirs"]
    assert "waiting for 1 jobs" in progress.lines[1]


def test_a_claim_of_another_machine_is_named_with_its_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the file system has no locks, nobody here can tell whether its process still runs."""

    def no_locks(handle: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks, "_lock", no_locks)
    done: list[str] = []
    theirs = job(tmp_path, "theirs", done)
    theirs.record.parent.mkdir()
    held = theirs.record.parent / f"{CLAIM}{locks.HELD}"
    about = {"process": 7, "machine": "node2", "owner": "00000000-7-00000000"}
    held.write_text(json.dumps(about))
    monkeypatch.setattr(study_jobs.time, "sleep", lambda _: held.unlink())
    progress = Heard()
    work_off([theirs], progress)
    assert done == ["theirs"]
    assert "process 7 on node2" in progress.lines[0]
    assert f"if it no longer runs, remove {held}" in progress.lines[0]


def test_the_time_that_is_left_is_of_the_same_kind(tmp_path: Path) -> None:
    jobs = [job(tmp_path, name, []) for name in "abcd"]
    for each, seconds in zip(jobs, (2.0, 4.0), strict=False):
        each.record.parent.mkdir()
        each.record.write_text(f'{{"seconds": {seconds}}}')
    assert remaining(jobs) == 6
