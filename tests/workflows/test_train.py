"""Training from Python: what comes back, and what an interruption leaves behind."""

import signal
from pathlib import Path
from typing import Any

import pytest

import synthograph
from synthograph.core.errors import StoppedError, UserError
from synthograph.core.progress import Printed
from synthograph.features.taps import UNTRAINED
from synthograph.training.run import read_config
from synthograph.training.session import Session
from synthograph.workflows import train
from synthograph.workflows.requests import TrainRequest
from synthograph.workflows.train import TrainResult
from tests.conftest import make_archive

TINY = {
    "cfg": "tiny",
    "cond": True,
    "device": "cpu",
    "metrics": "none",
    "batch": 4,
    "settings": [f"model.{name}={value}" for name, value in
                 {"channel_base": 32, "channel_max": 4, "z_dim": 4, "w_dim": 4}.items()],
}  # fmt: skip


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "cells.zip", count=12, size=(8, 8))


def test_a_run_comes_back(cells: Path, tmp_path: Path) -> None:
    result = synthograph.train(data=cells, kimg=0.012, outdir=tmp_path / "runs", **TINY)
    assert isinstance(result, TrainResult)
    assert result.run == tmp_path / "runs" / "00000-cells-cond-tiny"
    assert result.snapshot.parent.parent == result.run and result.images == 12
    assert repr(result).startswith(f"{result.run}: 12 images seen; generator-000000")
    log = (result.run / "log.txt").read_text()
    assert log.startswith(f"synthograph train --data {cells} --cond --kimg 0.012 --batch 4")


def test_an_interrupted_run_goes_on_in_the_same_notebook(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, taken = Session.step, []

    def interrupted(self: Session) -> object:
        taken.append(1)
        if len(taken) == 2:
            signal.raise_signal(signal.SIGINT)
        return step(self)

    monkeypatch.setattr(Session, "step", interrupted)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(StoppedError, match="train --resume"):
        synthograph.train(data=cells, kimg=0.012, outdir=tmp_path / "runs", **TINY)
    assert len(taken) == 2 and signal.getsignal(signal.SIGINT) is before
    (run,) = (tmp_path / "runs").iterdir()
    assert synthograph.train(resume=run).images == 12
    assert len(taken) == 3, "the two steps are not done again"


def test_a_finished_run_whose_snapshots_were_moved_comes_back_without_one(
    cells: Path, tmp_path: Path
) -> None:
    run = synthograph.train(data=cells, kimg=0.012, outdir=tmp_path / "runs", **TINY).run
    (run / "snapshots").rename(tmp_path / "moved")
    result = synthograph.train(resume=run)
    assert result.snapshot is None and repr(result) == f"{run}: holds no snapshot"


def test_a_dry_run_makes_nothing(cells: Path, tmp_path: Path) -> None:
    outdir = tmp_path / "runs"
    assert synthograph.train(data=cells, kimg=1, outdir=outdir, dry_run=True, **TINY) is None
    assert not outdir.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kimgg": 1}, "unknown setting 'kimgg': did you mean 'kimg'"),
        ({"batch": 0}, "^--batch 0: must be at least 1"),
        ({"augpipe": "blot"}, "--augpipe 'blot' is unknown"),
        ({"require_exact": True}, "give it with --resume"),
        ({"resume": "x", "cfg": "tiny"}, "--cfg is about a new run"),
        ({"resume": "ffhq256", "outdir": "r"}, "--init-from ffhq256 starts a new run"),
        ({"resume": "https://x.org/a.pkl"}, "--init-from https://x.org/a.pkl starts a new run"),
        ({"resume": "x.pkl", "outdir": "r"}, "--init-from x.pkl starts a new run"),
        ({"resume": "noresume", "outdir": "r"}, "leave it out; new runs start with random"),
        ({"cfg": "tiny", "augpipe": "bgc"}, "^--augpipe: has no effect .*: add --aug ada or"),
        ({"aug": "noaug", "augpipe": "bgc"}, "^--augpipe: has no effect without augmentation"),
        ({"cfg": "tiny", "target": 0.4}, "^--target: has no effect .*: add --aug ada, or leave"),
        ({"aug": "fixed", "p": 0.2, "target": 0.0}, "^--target: has no effect unless"),
    ],
)
def test_refusals(cells: Path, options: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        synthograph.train(data=cells, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"cfg": "tiny"},  # sets operations, and no augmentation
        {"cfg": "tiny", "aug": "ada", "augpipe": "blit", "target": 0.4},
        {"cfg": "tiny", "aug": "fixed", "p": 0.2, "augpipe": "blit"},
    ],
)
def test_options_of_augmentation_that_work(
    cells: Path, options: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "_dry_run", lambda *_: None)
    assert synthograph.train(data=cells, dry_run=True, **options) is None


def test_a_request_is_the_command_that_does_the_same() -> None:
    request = TrainRequest.parse({**TINY, "data": "a b.zip", "aug": "ada", "gpus": 2})
    words = request.command_words()
    assert words[:4] == ["train", "--data", "a b.zip", "--cond"] and "--gpus" in words
    assert words.count("--set") == 4 and "--dry-run" not in words


def test_a_short_training_says_by_which_preset(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = TINY | {"cfg": "auto", "data": cells, "kimg": 0.012, "outdir": tmp_path}
    result = train.run(TrainRequest.parse(small), progress=Printed())
    assert result is not None
    config = read_config(result.run)
    assert config.model.optimisers["G"].lr == 0.003
    assert "a short training, for which preset auto is short: 'synthograph models" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize("cfg", ["tiny", "auto", "tiny-progressive"])
def test_a_name_that_means_another_preset_in_a_family_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cfg: str
) -> None:
    archive = make_archive(tmp_path / "a.zip", count=12)
    asked = {"data": archive, "outdir": tmp_path, "dry_run": True, "cfg": cfg, "cond": True}
    family = {"settings": ["model.family=stylegan1"]}
    train.run(TrainRequest.parse(asked | family), progress=Printed())
    own = {"tiny": "tiny-progressive", "auto": "progressive"}.get(cfg)
    said = f"networks are of the family stylegan1, in which preset {cfg} is {own}: 'synthograph"
    assert (said in capsys.readouterr().out) is bool(own)


@pytest.mark.parametrize(
    ("given", "proposed"),
    [
        ({}, True),
        ({"init_from": "phantom:skin"}, False),
        ({"settings": ["model.channel_max=48"]}, False),  # its weights would not fit
        ({"cfg": "tiny-progressive"}, False),
    ],
)
def test_a_start_is_proposed_where_it_helps(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    given: dict[str, Any],
    proposed: bool,
) -> None:
    archive = make_archive(tmp_path / "a.zip", count=12, size=(32, 32))
    asked = {"cfg": "tiny", "cond": True, "data": archive, "outdir": tmp_path, "dry_run": True}
    train.run(TrainRequest.parse(asked | given), progress=Printed())
    assert ("--init-from phantom:skin mostly makes" in capsys.readouterr().out) is proposed


def test_a_start_of_another_shape_than_the_preset_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = make_archive(tmp_path / "a.zip", count=12, size=(32, 32))
    asked = {"data": archive, "outdir": tmp_path, "dry_run": True, "init_from": "phantom:skin"}
    train.run(TrainRequest.parse(asked), progress=Printed())
    said = capsys.readouterr().out
    assert "have the shape of skin.safetensors: z_dim 64 (preset 512)" in said
    train.run(TrainRequest.parse({**asked, "cfg": "tiny"}), progress=Printed())
    assert "the shape of" not in capsys.readouterr().out


def test_a_start_with_the_same_frozen_features_is_no_other_shape(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = {"channel_base": 64, "channel_max": 4, "features.name": UNTRAINED}
    few = {"batch": 4, "kimg": 0.004, "device": "cpu", "cond": True, "metrics": "none"}
    asked = {
        **few,
        "data": cells,
        "cfg": "tiny-projected",
        "outdir": tmp_path / "runs",
        "settings": [f"model.{name}={value}" for name, value in small.items()],
    }
    source = train.run(TrainRequest.parse(asked), progress=Printed())
    assert source is not None
    capsys.readouterr()
    again = {**asked, "init_from": str(source.run), "dry_run": True}
    train.run(TrainRequest.parse(again), progress=Printed())
    assert "the shape of" not in capsys.readouterr().out


def test_images_need_to_fit_the_start_and_not_the_preset(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = [f"model.{name}={n}" for name, n in {"channel_base": 2048, "channel_max": 4}.items()]
    source = synthograph.train(
        data=cells, kimg=0.004, outdir=tmp_path / "runs", **{**TINY, "settings": wide}
    )
    large = make_archive(tmp_path / "large.zip", count=4, size=(1024, 1024))
    (tmp_path / "text").write_text("where no run can be")
    asked = {"data": large, "cfg": "tiny", "init_from": str(source.run), "device": "cpu"}
    with pytest.raises(UserError, match="text"):
        train.run(TrainRequest.parse({**asked, "outdir": tmp_path / "text"}), progress=Printed())
    assert "channel_base 2048 (preset 1024)" in capsys.readouterr().out
