"""A tracker gets what a run has to tell, and cannot stop it."""

from pathlib import Path

import pytest

from synthograph.training import loop
from synthograph.training.trackers.base import Tracker, Trackers
from tests.training.test_resume import start


class Noting(Tracker):
    """Remembers what it was asked; fails on request."""

    name, package = "noting", "json"
    calls: list[str] = []
    broken = False

    def note(self, *words: object) -> None:
        if self.broken:
            raise ConnectionError("no network")
        self.calls.append(" ".join(map(str, words)))

    def start(self, run: Path, params, images: int) -> None:
        self.note("start", run.name, params["training"]["batch"], images)

    def scalars(self, values, images: int) -> None:
        self.note("scalars", "Loss/scores/real" in values, images)

    def picture(self, name: str, png: bytes, images: int) -> None:
        self.note("picture", name, png[:4] == b"\x89PNG", images)

    def file(self, path: Path) -> None:
        self.note("file", path.name)

    def close(self) -> None:
        self.note("close")


@pytest.mark.parametrize("broken", [False, True])
def test_a_run_tells_its_trackers_and_outlives_them(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    monkeypatch.setattr(loop, "TRACKERS", (Noting,))
    monkeypatch.setattr(Noting, "calls", [])
    monkeypatch.setattr(Noting, "broken", broken)
    trainer = start(archive, tmp_path / "runs", training={"kimg": 0.004})
    trainer.train()
    trainer.run.close()
    log = (trainer.run.path / "log.txt").read_text()
    if broken:
        assert log.count("noting fails (no network); training continues") == 1
        assert "noting: 7 entries could not be written" in log
        assert log.strip().splitlines()[-1].startswith("done: ")
        return
    assert Noting.calls == [
        "start 00000-test 4 0",
        "picture reals.png True 0",
        "picture fakes-init.png True 0",
        "scalars True 4",
        "picture fakes-000000.png True 4",
        "file generator-000000.safetensors",
        "close",
    ]
    assert "noting" not in log


def test_numbers_that_are_not_finite_are_left_out() -> None:
    found: list[dict] = []

    class Kept(Noting):
        def scalars(self, values, images: int) -> None:
            found.append(dict(values))

    Trackers([Kept()], print).scalars({"a": 1.0, "b": None}, 5)
    assert found == [{"a": 1.0}]
