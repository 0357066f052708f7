"""Generators of a study: what people hear of their trainings."""

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from synthograph.archive.reader import open_archive
from synthograph.core.console import heard_by, say
from synthograph.core.errors import StoppedError, UserError
from synthograph.core.progress import Silent
from synthograph.core.signals import StopRequest
from synthograph.workflows import train, training_lines
from synthograph.workflows.requests import TrainRequest
from synthograph.workflows.study_folds import Fold
from synthograph.workflows.study_generators import Making, generator_config, wanted_images
from synthograph.workflows.study_settings import StudySettings
from tests.conftest import Heard, make_archive


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


def stopped(*_: object, **__: object) -> None:
    raise StoppedError("stopped on request (SIGTERM) after 8 images; --resume")


def all_but_done(*_: object, **__: object) -> None:
    with StopRequest():
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize(
    ("training", "said"),
    [(stopped, r"SIGTERM\) after 8 images"), (all_but_done, r"stopped on request \(SIGTERM\)")],
)
def test_a_stopped_training_goes_on_with_the_study(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, training: Callable[..., None], said: str
) -> None:
    monkeypatch.setattr(train, "run", training)
    archive = make_archive(tmp_path / "a.zip")
    settings = StudySettings.parse({"data": archive})
    fold = Fold(1, open_archive(archive), [])
    making = Making(settings, fold, 0, archive, tmp_path / "g", None, "cpu")
    with pytest.raises(StoppedError, match=rf"{said}, in a study; .* The same command continues$"):
        making.run(Silent())


def test_sets_are_as_large_as_the_mixtures_that_are_asked_for(tmp_path: Path) -> None:
    archive = open_archive(make_archive(tmp_path / "a.zip", count=150, classes=("x",), size=(8, 8)))
    fold = Fold(0, archive, [replace(row, split="train") for row in archive.rows])
    settings = StudySettings.parse({"data": archive.path, "ratios": [0.29]})
    assert wanted_images(settings, fold) == {"x": 44}, "29 % of 150, not 28.999999999999996 %"


@pytest.mark.parametrize("fixed", ["training.kimg=5", "seed=3", "device=cuda", "tracking.uri=x"])
def test_settings_that_the_study_decides_are_refused(tmp_path: Path, fixed: str) -> None:
    archive = make_archive(tmp_path / "a.zip")
    settings = StudySettings.parse({"data": archive, "generator": {"settings": [fixed]}})
    with pytest.raises(UserError, match="generator: settings: .* is decided by the study: give it"):
        generator_config(settings, open_archive(archive), "cpu")


@pytest.mark.parametrize("start", ["phantom:skin", None])
def test_generators_start_from_phantoms_where_the_study_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, start: str | None
) -> None:
    archive = make_archive(tmp_path / "a.zip")
    given = {"preset": "quick"} | ({"init_from": start} if start else {})
    settings = StudySettings.parse({"data": archive, "generator": given})
    config = generator_config(settings, open_archive(archive), "cpu")
    assert config.training.ema_ramp == (None if start else 0.05), "as trainings do that start so"
    asked = []

    def told(request: TrainRequest, **_: object) -> None:
        asked.append(request.init_from)
        raise StoppedError("stopped")

    monkeypatch.setattr(train, "run", told)
    making = Making(settings, Fold(1, open_archive(archive), []), 0, archive, tmp_path, None, "cpu")
    with pytest.raises(StoppedError):
        making.run(Silent())
    assert asked == [start or "none"]


def test_a_preset_of_another_family_does_not_start_from_phantoms(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "a.zip")
    given = {"preset": "tiny-progressive", "init_from": "phantom:skin"}
    settings = StudySettings.parse({"data": archive, "generator": given})
    with pytest.raises(UserError, match="is of the family stylegan1"):
        generator_config(settings, open_archive(archive), "cpu")
