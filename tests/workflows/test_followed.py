"""What searches and studies hand on to the trainings that somebody follows."""

from pathlib import Path

import pytest

from synthograph.core.errors import UserError
from synthograph.training.config import TrackingConfig
from synthograph.workflows.followed import Followed
from synthograph.workflows.search_runs import TrialRun, Worker
from tests.conftest import make_archive
from tests.training.test_resume import configure


def test_options_become_settings_and_back() -> None:
    asked = Followed.parse({"tracker": "mlflow,wandb", "experiment": "cells"}).tracking()
    assert asked == TrackingConfig(trackers=["mlflow", "wandb"], experiment="cells")
    assert Followed.parse({}).tracking().options() == {}
    nobody = Followed.parse({"tracker": "none"}).tracking()
    assert nobody.trackers == [] and nobody.options()["tracker"] == ["none"]
    with pytest.raises(UserError, match="^--tracker: .*did you mean 'mlflow'"):
        Followed.parse({"tracker": "mlfow"}).tracking()
    with pytest.raises(UserError, match="^--tracking-uri: holds a user or password"):
        Followed.parse({"tracking_uri": "http://ann:s3cret@host"}).tracking()


def test_every_piece_of_a_trial_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracking = TrackingConfig(trackers=["mlflow"], uri="http://127.0.0.1:5000", parent="the-search")
    config = configure(make_archive(tmp_path / "set.zip", size=(8, 8)))
    trial = TrialRun(
        tmp_path / "trial",
        config.model_copy(update={"tracking": tracking}),
        preset="tiny",
        seed=0,
        device="cpu",
        of_process={},
    )
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(Worker, "train", lambda worker, request: asked.append(request))
    trial.train(Worker(print, print), 1.0)
    run = trial.home / "00000-run"
    run.mkdir()
    (run / "config.json").touch()
    trial.train(Worker(print, print), 2.0)
    for request in asked:
        assert request["tracking_parent"] == "the-search"
        assert request["tracker"] == ["mlflow"]
        assert request["tracking_uri"] == "http://127.0.0.1:5000"
    assert [request.get("resume") for request in asked] == [None, str(run)]
    assert "tracking" not in (trial.home / "settings.json").read_text()
