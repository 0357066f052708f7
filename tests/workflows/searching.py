"""A search without training: what a network would reach is a formula."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from synthograph.results.evaluation import Entry
from synthograph.workflows.search_runs import TrialRun, Worker
from tests.conftest import make_archive

Reached = Callable[[TrialRun, float], Mapping[str, float]]


def split_archive(path: Path) -> Path:
    """Images of splits train and val in one archive."""
    from synthograph.core.progress import Silent
    from synthograph.workflows import run
    from synthograph.workflows.requests import SplitRequest

    make_archive(path, count=60, size=(8, 8))
    run(SplitRequest.parse({"archive": path, "val": 0.4, "test": 0.1}), progress=Silent())
    return path


def reach(monkeypatch: pytest.MonkeyPatch, reached: Reached) -> list[tuple[str, float]]:
    """Let runs reach what a formula says; who trained how far is noted.

    Args:
        monkeypatch: of the test.
        reached: run and kimg to measures by name; may raise what a training raises.
    """
    trained: list[tuple[str, float]] = []

    def train(self: TrialRun, worker: Worker, kimg: float) -> None:
        reached(self, kimg)
        trained.append((self.home.relative_to(self.home.parents[1]).as_posix(), kimg))

    def measured(self: TrialRun, kimg: float) -> dict[str, Entry]:
        found = reached(self, kimg)
        return {name: Entry(name=name, value=value) for name, value in found.items()}

    monkeypatch.setattr(TrialRun, "train", train)
    monkeypatch.setattr(TrialRun, "measured", measured)
    return trained
