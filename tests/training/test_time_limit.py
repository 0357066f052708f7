"""`--max-hours` counts from the start of a job, across torchrun's restarts within it."""

import os
import time
from pathlib import Path

import pytest

from synthograph.core.errors import StoppedError
from synthograph.training.loop import Trainer
from synthograph.training.resume import resume_session
from tests.training.test_resume import StopAfter, start

HOUR = {"training": {"max_hours": 1.0, "kimg": 0.04}}


def job(monkeypatch: pytest.MonkeyPatch, name: str, restarts: int) -> None:
    """Be a process that torchrun started in a job of this name."""
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", name)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", str(restarts))


def two_hours_later(trainer: Trainer) -> Path:
    """Stop a run within its time, and put back when it began."""
    StopAfter(trainer, 2)
    with pytest.raises(StoppedError, match="SIGTERM"):
        trainer.train()
    trainer.run.close()
    before = time.time() - 2 * 3600
    os.utime(trainer.run.path / ".launch", (before, before))
    return trainer.run.path


def resumed(path: Path) -> Trainer:
    return Trainer(*resume_session(path, HOUR))


@pytest.mark.parametrize("begun", [True, False])
def test_a_restart_gives_no_more_time(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    job(monkeypatch, "first", 0)
    trainer = start(archive, tmp_path / "runs", **HOUR)
    path = two_hours_later(trainer)
    if not begun:  # a job that goes on with the run of another one
        job(monkeypatch, "second", 0)
        path = two_hours_later(resumed(path))
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    trainer = resumed(path)
    with pytest.raises(StoppedError, match=r"stopped on request \(--max-hours 1.0\)"):
        trainer.train()
    trainer.run.close()


@pytest.mark.parametrize(("name", "restarts"), [("second", 0), ("second", 1), ("first", 0)])
def test_another_job_has_its_own_time(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, restarts: int
) -> None:
    job(monkeypatch, "first", 0)
    path = two_hours_later(start(archive, tmp_path / "runs", **HOUR))
    job(monkeypatch, name, restarts)  # of the same name where a scheduler puts it back in line
    trainer = resumed(path)
    trainer.train()
    trainer.run.close()
    assert trainer.progress.images == trainer.session.config.training.images
