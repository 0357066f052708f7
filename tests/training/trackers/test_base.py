"""A tracker gets what a run has to tell, and cannot stop it or have it wait."""

import threading
from pathlib import Path

import pytest

from synthograph.core.errors import StoppedError, UserError
from synthograph.training import loop
from synthograph.training.trackers import base, check_trackers
from synthograph.training.trackers.base import Outcome, Tracker, Trackers, TrackingConfig
from tests.training.test_resume import start
from tests.training.trackers.material import PARAMS


class Noting(Tracker):
    """Remembers what it was asked; fails on request."""

    name, package = "noting", "json"
    broken = False

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def note(self, *words: object) -> None:
        if self.broken:
            raise ConnectionError("no way to http://ann:s3cret@host")
        self.calls.append(" ".join(map(str, words)))

    def start(self, run: Path, params, images: int) -> None:
        self.note("start", run.name, params["training"]["batch"], images)

    def scalars(self, values, images: int) -> None:
        self.note("scalars", "Loss/scores/real" in values, images)

    def picture(self, name: str, png: bytes, images: int) -> None:
        self.note("picture", name, png[:4] == b"\x89PNG", images)

    def file(self, path: Path) -> None:
        self.note("file", path.name)

    def close(self, outcome: Outcome) -> None:
        self.note("close", outcome.name)


@pytest.mark.parametrize("broken", [False, True])
def test_a_run_tells_its_trackers_and_outlives_them(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    noting = Noting()
    monkeypatch.setattr(loop, "followers", lambda settings: [noting])
    monkeypatch.setattr(Noting, "broken", broken)
    trainer = start(archive, tmp_path / "runs", training={"kimg": 0.004})
    trainer.train()
    trainer.run.close()
    log = (trainer.run.path / "log.txt").read_text()
    if broken:
        assert log.count("noting fails (no way to http://***@host); training continues") == 1
        assert "noting: 7 entries could not be written" in log
        assert log.strip().splitlines()[-1].startswith("done: ")
        return
    assert noting.calls == [
        "start 00000-test 4 0",
        "file config.json",
        "picture fakes-init.png True 0",  # and not reals.png, which shows images of patients
        "scalars True 4",
        "picture fakes-000000.png True 4",
        "file generator-000000.safetensors",
        "close FINISHED",
    ]
    assert "noting" not in log


def test_a_tracker_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "QUEUE", 3)
    monkeypatch.setattr(base, "PATIENCE", 0.1)
    go_on, begun, said = threading.Event(), threading.Event(), list[str]()

    class Slow(Noting):
        def scalars(self, values, images: int) -> None:
            begun.set()
            go_on.wait()

    with Trackers([Slow()], said.append) as trackers:
        trackers.start(Path("run"), PARAMS, 0)
        trackers.scalars({}, 0)
        assert begun.wait(60)  # it hangs now, and takes nothing from its queue
        for images in range(1, 11):
            trackers.scalars({}, images)
    go_on.set()
    # one hangs, three wait, seven found no place, and the end found none
    assert said == ["noting: 12 entries could not be written within 0.1 s of the end"]


def test_a_tracker_that_could_not_start_starts_later() -> None:
    noting, said = Noting(), list[str]()
    noting.broken = True
    with Trackers([noting], said.append) as trackers:
        trackers.start(Path("run"), PARAMS, 0)
        while not said:
            trackers.scalars({}, 1)
        noting.broken = False
        trackers.file(Path("late"))
    assert noting.calls[0] == "start run 4 0"
    assert noting.calls[-2:] == ["file late", "close FINISHED"]
    assert said[0].startswith("noting fails")
    assert said[1].endswith("entries could not be written")


@pytest.mark.parametrize(("error", "outcome"), [(StoppedError, "STOPPED"), (OSError, "FAILED")])
def test_how_a_sitting_ended(error: type[Exception], outcome: str) -> None:
    noting = Noting()
    with pytest.raises(error), Trackers([noting], print) as trackers:
        trackers.start(Path("run"), PARAMS, 0)
        raise error("enough")
    assert noting.calls[-1] == f"close {outcome}"


def test_numbers_that_are_not_finite_are_left_out() -> None:
    found: list[dict] = []

    class Kept(Noting):
        def scalars(self, values, images: int) -> None:
            found.append(dict(values))

    with Trackers([Kept()], print) as trackers:
        trackers.start(Path("run"), PARAMS, 0)
        trackers.scalars({"a": 1.0, "b": None}, 5)
    assert found == [{"a": 1.0}]


def test_a_tracker_that_nobody_knows() -> None:
    with pytest.raises(UserError, match="did you mean 'mlflow'"):
        TrackingConfig.parse({"trackers": ["mflow"]})
    check_trackers(TrackingConfig())
