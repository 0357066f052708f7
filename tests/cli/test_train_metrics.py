"""`synthograph train --metrics`: what is measured while a run trains, and by which images."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from synthograph.archive.reader import open_archive
from synthograph.archive.split import SplitOptions, split_archive
from synthograph.core.errors import StoppedError
from synthograph.features import registry
from synthograph.training.config import MEASURES
from synthograph.training.loop import Trainer
from synthograph.training.resume import resume_session
from synthograph.training.run import create_run
from synthograph.training.setup import make_session, open_data, resolve_run
from synthograph.training.state import list_states
from synthograph.workflows.snapshot_scores import snapshot_scorer
from tests.cli.conftest import Typed
from tests.conftest import make_archive
from tests.metrics.images import Means
from tests.training.test_resume import SETTINGS, StopAfter, same_bytes
from tests.training.test_setup import with_vectors

TINY = [
    *("--set", "model.channel_base=32", "--set", "model.channel_max=4"),
    *("--set", "model.z_dim=4", "--set", "model.w_dim=4", "--kimg", "0.012"),
    *("--batch", "4", "--device", "cpu", "--precision", "fp32", "--cfg", "tiny", "--cond"),
]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Extractors that need neither time nor weights, but for one whose weights are not here."""

    def missing(name: str) -> str | None:
        there = name != "dinov2-vits14"
        return None if there else f"the weights of {name} are not here; get them somewhere"

    monkeypatch.setattr(registry, "extractor", lambda name, **options: Means(name=name))
    monkeypatch.setattr(registry, "missing_weights", missing)


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """Train, val and test, and folds of the training images."""
    path = make_archive(tmp_path / "cells.zip", count=60, size=(8, 8))
    split_archive(path, SplitOptions(test=0.2, val=0.3, folds=2))
    return path


@pytest.fixture
def train(typed: Typed, cells: Path, tmp_path: Path) -> Typed:
    return partial(typed, "train", "--data", cells, "--outdir", tmp_path / "runs", *TINY)


def lines(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_snapshots_are_measured_by_val_and_published_names_by_train(
    train: Typed, tmp_path: Path
) -> None:
    names = "coverage,frechet,spectrum,fid12_full"
    code, text, error = train("--metrics", names, "--metric-num", "20")
    assert code == 0, error
    run = tmp_path / "runs" / "00000-cells-cond-tiny"
    published, held_out = lines(run)
    assert published["metric"] == "fid12_full" and published["published"] is True
    assert list(published["results"]) == ["fid12_full"]
    assert published["provenance"]["real"]["split"] == "train"
    assert held_out["metric"] == "held_out" and held_out["published"] is False
    assert {e["name"] for e in held_out["entries"]} == {"coverage", "frechet", "spectrum"}
    for entry in held_out["entries"]:
        assert entry["provenance"]["real"]["split"] == "val"
        assert entry["n_fake"] == 20 and entry["scope"]["column"] is None
    best = json.loads((run / "snapshots" / "best.json").read_text())
    (value,) = [e["value"] for e in held_out["entries"] if e["name"] == "coverage"]
    assert (best["measure"], best["value"]) == ("coverage", value), "the first that was named"
    assert best["extractor"] == "random-vgg16"
    assert best["sha256"] == held_out["snapshot_sha256"]
    val = sum(row.split == "val" for row in open_archive(tmp_path / "cells.zip").rows)
    assert f"coverage, frechet, spectrum (random-vgg16) of 20 generated images by {val}" in text
    assert "fid12_full by the" in text and "which chooses nothing" in text
    assert "metrics: " in text and "best by coverage: " in text


def test_variety_is_measured_within_each_class_and_is_part_of_the_state(
    train: Typed, tmp_path: Path
) -> None:
    code, text, error = train("--metrics", "frechet,spread", "--metric-num", "40")
    assert code == 0, error
    run = tmp_path / "runs" / "00000-cells-cond-tiny"
    (held_out,) = lines(run)
    classes = {row.label for row in open_archive(tmp_path / "cells.zip").rows}
    parts = {(e["name"], e["scope"]["level"]) for e in held_out["entries"]}
    assert parts == {("frechet", None), ("spread", None), *(("spread", c) for c in classes)}
    for name in classes:
        assert f"metrics of class {name}: spread " in text
    state = json.loads((list_states(run / "state")[0] / "state.json").read_text())
    scores = state["progress"]["measured"][0]["scores"]
    assert {score["part"] for score in scores} == {None, *classes}
    assert [score["part"] for score in scores if score["leads"]] == [None]


def test_training_does_not_notice_that_it_is_measured(train: Typed, tmp_path: Path) -> None:
    for arguments in (("--metric-num", "12"), ("--metrics", "none")):
        code, _, error = train(*arguments)
        assert code == 0, error
    runs = sorted((tmp_path / "runs").iterdir())
    states = [list_states(run / "state")[0] / "tensors.safetensors" for run in runs]
    assert same_bytes(*states)
    assert (runs[0] / "metrics.jsonl").exists() and not (runs[1] / "metrics.jsonl").exists()
    assert not (runs[1] / "snapshots" / "best.json").exists()


def test_missing_weights_stop_no_training(train: Typed, tmp_path: Path) -> None:
    code, text, error = train("--features", "dinov2-vits14", "--patience", "1")
    assert code == 0, error
    lost = [name for name in MEASURES if name != "noise_share"]
    assert f"skipped: {', '.join(lost)}: the weights of dinov2-vits14" in text
    assert "--patience has no effect" in text
    run = tmp_path / "runs" / "00000-cells-cond-tiny"
    assert {entry["name"] for line in lines(run) for entry in line["entries"]} == {"noise_share"}
    assert not (run / "snapshots" / "best.json").exists()


def test_a_measure_of_synthetic_images_alone_chooses_nothing(train: Typed, tmp_path: Path) -> None:
    code, _, error = train("--metrics", "noise_share,frechet", "--metric-num", "40")
    assert code == 0, error
    run = tmp_path / "runs" / "00000-cells-cond-tiny"
    assert json.loads((run / "snapshots" / "best.json").read_text())["measure"] == "frechet"
    (held_out,) = lines(run)
    parts = {e["scope"]["level"] for e in held_out["entries"] if e["name"] == "noise_share"}
    assert parts == {None, *(row.label for row in open_archive(tmp_path / "cells.zip").rows)}
    code, _, error = train("--metrics", "noise_share", "--patience", "1")
    assert code == 2 and "no measure chooses a best snapshot" in error


def test_without_noise_there_is_no_share_of_it(train: Typed, tmp_path: Path) -> None:
    quiet = ("--set", "model.noise=false", "--metric-num", "12")
    code, text, error = train(*quiet)
    assert code == 0 and "skipped: " not in text, error
    names = {e["name"] for e in lines(tmp_path / "runs" / "00000-cells-cond-tiny")[0]["entries"]}
    assert "frechet" in names and "noise_share" not in names
    code, text, error = train(*quiet, "--metrics", "frechet,noise_share")
    assert code == 0 and "skipped: noise_share: " in text, error


def test_what_goes_wrong_while_measuring_is_told(
    train: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "extractor", lambda name, **options: Means(broken=True))
    code, text, error = train("--metric-num", "12")
    assert code == 0, error
    assert "not measured: " in text and "not a finite number" in text


def test_without_held_out_images_nothing_chooses(
    typed: Typed, tmp_path: Path, train: Typed
) -> None:
    whole = make_archive(tmp_path / "whole.zip", size=(8, 8))
    words = ("train", "--data", whole, "--outdir", tmp_path / "runs", *TINY)
    code, text, error = typed(*words)
    assert code == 0, error
    assert "whole.zip has no split val, so no images are held out" in text
    assert not list((tmp_path / "runs").glob("*/metrics.jsonl"))
    code, _, error = typed(*words, "--patience", "3")
    assert code == 2 and "--patience 3: whole.zip has no split val" in error
    code, text, error = train("--split", "val")
    assert code == 0, error
    assert "nothing is measured by held-out images: " in text and "were trained on" in text


def test_the_fold_left_out_is_the_reference(train: Typed, cells: Path, tmp_path: Path) -> None:
    code, text, error = train("--fold", "1", "--metric-num", "12")
    assert code == 0, error
    (line,) = lines(tmp_path / "runs" / "00000-cells-cond-tiny")
    real = line["entries"][0]["provenance"]["real"]
    assert real["name"] == "cells.zip:train, fold 1" and real["split"] == "train"
    count = sum(row.fold == 1 for row in open_archive(cells).rows)
    assert line["entries"][0]["n_real"] == count and f"by {count} images" in text


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--metrics", "frechte"), "did you mean 'frechet'"),
        (("--metrics", "ppl2_wend"), "path lengths are not measured while a run trains"),
        (("--metrics", "fid50k_full", "--patience", "2"), "no measure chooses a best snapshot"),
        (("--metrics", "none", "--patience", "2"), "no measure chooses a best snapshot"),
        (("--metric-num", "3"), "must be at least 10"),
        (("--patience", "0"), "must be at least 1"),
        (("--set", "metrics=none"), "group of settings"),
    ],
)
def test_bad_input(train: Typed, tmp_path: Path, words: tuple[str, ...], part: str) -> None:
    code, _, error = train(*words)
    assert code == 2 and part in error, error
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_tells_what_and_how_long(train: Typed, tmp_path: Path) -> None:
    code, text, error = train("--metric-num", "12", "--dry-run")
    assert code == 0, error
    assert f"at every snapshot: {', '.join(MEASURES)} (random-vgg16) of 12" in text
    assert "for the measures of a snapshot, so 1 of them take about" in text
    assert not (tmp_path / "runs").exists()


def test_resumed_runs_measure_the_same_bit_for_bit(cells: Path, tmp_path: Path) -> None:
    part = {
        "training": {"snap": 1, "kimg": 0.036},
        "metrics": {"num": 12, "measures": ["frechet", "ms_ssim"]},
    }
    data = {"data": {"cond": True}, "precision": "fp32"}
    config, _ = resolve_run(open_archive(cells), "tiny", [SETTINGS, data, part])
    opened = open_data(config)
    runs = []
    for name, steps in (("whole", ()), ("broken", (6,))):
        run, session = create_run(tmp_path / name, config, "test"), make_session(config, opened)
        for count in steps:
            trainer = Trainer(session, run, on_snapshot=snapshot_scorer(session))
            StopAfter(trainer, count)
            with pytest.raises(StoppedError):
                trainer.train()
            run.close()
            session, run = resume_session(run.path, {})
        Trainer(session, run, on_snapshot=snapshot_scorer(session)).train()
        run.close()
        runs.append(run.path)
    assert len(lines(runs[0])) == 2
    for name in ("metrics.jsonl", "snapshots/best.json"):
        assert same_bytes(*(run / name for run in runs)), name


@pytest.mark.slow
def test_in_a_team_the_first_measures_and_all_stop(cells: Path, tmp_path: Path) -> None:
    words = ["train", "--data", str(cells), "--outdir", str(tmp_path / "runs"), *TINY]
    words += ["--gpus", "2", "--batch", "8", "--batch-gpu", "4", "--kimg", "4", "--snap", "1"]
    words += ["--metrics", "spectrum", "--metric-num", "12", "--patience", "1"]
    words += ["--set", "training.tick_kimg=0.1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "SYNTHOGRAPH_WORKER_TIMEOUT": "60"}
    command = [sys.executable, "-m", "synthograph", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ended after" in done.stdout and "as many as --patience 1 waits for" in done.stdout
    (run,) = (tmp_path / "runs").iterdir()
    measured = [line["snapshot_sha256"] for line in lines(run)]
    assert len(measured) == len(set(measured)) >= 2, "once each"


def test_label_vectors_are_not_measured_and_say_so(typed: Typed, tmp_path: Path) -> None:
    path = with_vectors(make_archive(tmp_path / "set", count=40, size=(8, 8)), (0.5, 0.25))
    split_archive(path, SplitOptions(test=0.2, val=0.3))
    common = ("train", "--data", path, "--outdir", tmp_path / "runs", *TINY)
    for more in (("--dry-run",), ()):
        code, text, error = typed(*common, *more)
        assert code == 0, error
        assert "nothing is measured: images for label vectors" in text
    code, _, error = typed(*common, "--patience", "2")
    assert code == 2 and "--patience 2: images for label vectors" in error
