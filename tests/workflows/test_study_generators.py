"""Generators of a study: what people hear of their trainings."""

from pathlib import Path

import pytest

from synthograph.core.console import heard_by, say
from synthograph.core.progress import Silent
from synthograph.workflows import training_lines
from synthograph.workflows.study_folds import Fold
from synthograph.workflows.study_generators import Making
from synthograph.workflows.study_settings import StudySettings


class Heard(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, line: str) -> None:
        self.lines.append(line)


@pytest.mark.parametrize(("seconds", "ticks"), [(0.0, 2), (3600.0, 0)])
def test_a_training_says_now_and_then_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    seconds: float,
    ticks: int,
) -> None:
    monkeypatch.setattr(training_lines, "SECONDS_BETWEEN", seconds)
    settings = StudySettings.parse({"data": "a.zip"})
    making = Making(settings, Fold(1, None, []), 0, Path("f"), Path("g"), None, "cpu")
    progress = Heard()
    with heard_by(making._listener(progress)):
        say("data: 300 images")
        for kimg in (1, 2):
            say(f"tick {kimg}    kimg {kimg}.0   left 3m 02s    memory 0.4 GB  scores real +0.8")
        say("alarm: the discriminator has won")
    first, *lines = progress.lines
    assert first == "generator of fold 1, draw 0: its log is in g/runs"
    assert lines[-1] == "generator of fold 1, draw 0: alarm: the discriminator has won"
    assert len(lines) == ticks + 1
    if ticks:
        assert lines[0] == "generator of fold 1, draw 0: tick 1 kimg 1.0 left 3m 02s"
    assert capsys.readouterr().out == ""
