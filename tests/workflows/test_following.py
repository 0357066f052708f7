"""A training of a classifier or segmenter that somebody follows, or nobody."""

import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

import synthograph as sg
from synthograph.archive.split import SplitOptions, split_archive
from synthograph.core.errors import StoppedError, UserError
from synthograph.core.progress import Printed
from synthograph.training.config import TrackingConfig
from synthograph.training.trackers.base import Outcome, Tracker
from synthograph.workflows import following
from tests.conftest import make_archive

FEW = {"backbone": "small", "steps": 12, "batch": 8, "every": 4}


class Noting(Tracker):
    """Remembers what it was asked, or fails."""

    name, package = "noting", "json"

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__(unit="steps")
        self.broken = broken
        self.begun: list[tuple[str, int]] = []
        self.params: dict[str, object] = {}
        self.values: dict[str, dict[int, float]] = {}
        self.files: list[str] = []
        self.outcomes: list[Outcome] = []

    def start(self, run: Path, params: Mapping[str, object], images: int) -> None:
        if self.broken:
            raise ConnectionError("no way there")
        self.begun.append((str(run), images))
        self.params = dict(params)

    def scalars(self, values: Mapping[str, float], images: int) -> None:
        for name, value in values.items():
            self.values.setdefault(name, {})[images] = value

    def file(self, path: Path) -> None:
        self.files.append(path.name)

    def close(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


def stopping_at(step: int, patch: pytest.MonkeyPatch) -> None:
    """Have whoever started the training ask it to stop when it tells so many steps."""
    told = following.Following.scalars

    def scalars(self: following.Following, values: Mapping[str, float | None], now: int) -> None:
        told(self, values, now)
        if now == step:
            signal.raise_signal(signal.SIGTERM)

    patch.setattr(following.Following, "scalars", scalars)


@pytest.fixture
def noting(monkeypatch: pytest.MonkeyPatch) -> Noting:
    found = Noting()
    monkeypatch.setattr(following, "followers", lambda settings, unit: [found])
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = make_archive(tmp_path_factory.mktemp("followed") / "set.zip", count=48)
    split_archive(path, SplitOptions(test=0.25, val=0.25))
    return path


def test_a_tracker_gets_losses_rates_and_every_score(
    data: Path, tmp_path: Path, noting: Noting
) -> None:
    out = tmp_path / "c.safetensors"
    found = sg.classify_train(data=data, out=out, tracker="tensorboard", **FEW)
    assert noting.begun == [(str(tmp_path / "tracking" / "00000-c"), 0)]
    assert noting.params["backbone"] == "small" and noting.params["rate"] == 1e-3
    assert not {"tracker", "dry_run"} & {*noting.params}
    assert list(noting.values["Loss/training"]) == [4, 8, 10, 12]
    assert list(noting.values["Progress/rate"]) == [4, 8, 10, 12]
    for name in ("Loss/validation", "Metrics/auroc", "Metrics/brier", "Metrics/sensitivity"):
        assert list(noting.values[name]) == [4, 8, 12], name
    assert {name: noting.values[f"Chosen/{name}"][12] for name in found.chosen} == found.chosen
    chosen = int(noting.values["Chosen/step"][12])
    assert found.how.startswith(f"step {chosen} of 12")
    assert noting.files == ["c.safetensors"]
    assert noting.outcomes == [Outcome.FINISHED]


def test_a_training_that_goes_on_does_so_in_the_same_folder(
    data: Path, tmp_path: Path, noting: Noting, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"data": data, "out": tmp_path / "c.safetensors", "tracker": "tensorboard", **FEW}
    with monkeypatch.context() as patch:
        stopping_at(8, patch)
        with pytest.raises(StoppedError):
            sg.classify_train(**asked)
    sg.classify_train(**asked)
    folder = str(tmp_path / "tracking" / "00000-c")
    assert noting.begun == [(folder, 0), (folder, 8)]
    assert noting.outcomes == [Outcome.STOPPED, Outcome.FINISHED]
    (tmp_path / "c.safetensors").unlink()
    sg.classify_train(**asked)
    assert noting.begun[-1] == (str(tmp_path / "tracking" / "00001-c"), 0)


def test_a_finished_training_keeps_its_folder(
    data: Path, tmp_path: Path, noting: Noting, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"data": data, "out": tmp_path / "c.safetensors", **FEW}
    sg.classify_train(**asked, tracker="tensorboard")
    (tmp_path / "c.safetensors").unlink()
    with monkeypatch.context() as patch:
        stopping_at(8, patch)
        with pytest.raises(StoppedError):
            sg.classify_train(**asked)
    sg.classify_train(**asked, tracker="tensorboard")
    assert noting.begun[-1] == (str(tmp_path / "tracking" / "00001-c"), 8)


def test_a_tracker_that_fails_costs_no_training(
    data: Path, tmp_path: Path, noting: Noting, capsys: pytest.CaptureFixture[str]
) -> None:
    noting.broken = True
    request = {"data": data, "out": tmp_path / "c.safetensors", "tracker": "tensorboard", **FEW}
    sg.classify_train(**request, progress=Printed())
    assert (tmp_path / "c.safetensors").exists()
    assert "noting fails (no way there); training continues" in capsys.readouterr().out


def test_what_cannot_be_followed_is_refused_before_any_work(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.safetensors"
    with pytest.raises(UserError, match="did you mean 'mlflow'"):
        sg.classify_train(data=data, out=out, tracker="mlfow", **FEW)
    with pytest.raises(UserError, match="--experiment: nobody follows .* with --tracker"):
        sg.segment_train(data=data, out=out, experiment="cells")
    (tmp_path / "tracking").write_text("a file")
    with pytest.raises(UserError, match="tracking is a file"):
        sg.classify_train(data=data, out=out, tracker="tensorboard", **FEW)
    assert [path.name for path in tmp_path.iterdir()] == ["tracking"]


def test_a_probe_takes_no_steps_to_follow(data: Path, tmp_path: Path, noting: Noting) -> None:
    asked = {"probe": True, "backbone": "random-vgg16", "tracker": "tensorboard"}
    picture = tmp_path / "curves.png"
    out = tmp_path / "c.safetensors"
    found = sg.classify_train(data=data, out=out, curves=picture, **asked)
    assert any(note.endswith("takes no steps: --curves, --tracker") for note in found.notes)
    assert not picture.exists()
    scored = sg.classify_evaluate(model=out, data=str(data)).evaluation
    assert scored.model.history is None
    assert not noting.begun


def test_who_follows_shows_steps() -> None:
    settings = TrackingConfig(trackers=["tensorboard"])
    assert [each.unit for each in following.followers(settings, following.UNIT)] == ["steps"]


def test_a_segmenter_tells_dice_of_every_class(tmp_path: Path, noting: Noting) -> None:
    pytest.importorskip("monai", reason="monai is missing")
    from tests.workflows.test_segment import discs

    out = tmp_path / "s.safetensors"
    few = {"steps": 4, "batch": 8, "width": 4, "every": 2, "precision": "fp32"}
    asked = {"classes": "back,rim,core", "tracker": "tensorboard", **few}
    found = sg.segment_train(data=discs(tmp_path / "discs.zip", count=12), out=out, **asked)
    assert noting.begun == [(str(tmp_path / "tracking" / "00000-s"), 0)]
    assert noting.params["network"] == "unet"
    names = {"dice", "dice rim", "dice core"}
    told = {name.removeprefix("Metrics/") for name in noting.values if "Metrics/" in name}
    assert told == names
    assert [*noting.values["Metrics/dice"]] == [2, 4]
    assert "Loss/validation" not in noting.values
    for name, value in found.chosen.items():
        assert noting.values[f"Chosen/dice {name}"][4] == value
    assert noting.files == ["s.safetensors"]
