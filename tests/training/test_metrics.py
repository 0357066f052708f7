"""Measures while a run trains: written down, resumed, and without any effect on the training."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from synthograph.archive.reader import open_archive
from synthograph.core.errors import StoppedError, UserError
from synthograph.core.files import sha256_file
from synthograph.models.snapshot import SnapshotInfo, save_snapshot
from synthograph.models.snapshot_files import find_snapshot
from synthograph.results.evaluation import PublishedMeasure
from synthograph.training import loop
from synthograph.training.config import MetricsConfig, RunConfig
from synthograph.training.loop import Trainer
from synthograph.training.model_selection import Measured
from synthograph.training.resume import resume_session
from synthograph.training.run import METRICS, STATS
from synthograph.training.setup import held_out, resolve_run
from synthograph.training.state import Score, list_states
from tests.conftest import make_archive
from tests.training.test_resume import (
    StopAfter,
    change_numbers,
    final_files,
    same_bytes,
    start,
    statistics,
)

STEP = 4
EVERY = {"kimg": 0.028, "batch": STEP, "batch_gpu": STEP, "tick_kimg": 0.004, "snap": 1}
"""A snapshot after every step but the first: six of them."""


class Stub:
    """Says that snapshots have these Frechet distances, by images seen."""

    def __init__(self, *values: float) -> None:
        self.values = values
        self.seen: list[int] = []

    def __call__(self, path: Path, images: int) -> Measured:
        self.seen.append(images)
        value = self.values[images // STEP - 2]
        line = PublishedMeasure(
            snapshot=path.name,
            snapshot_sha256=sha256_file(path),
            metric="frechet",
            results={"value": value},
        )
        score = Score("frechet", value, (value - 0.1, value + 0.1, 0.95), smaller=True, leads=True)
        fallen = Score("recall", value / 10, (value / 10,) * 2 + (0.95,), smaller=False)
        return Measured([score, fallen], [line], [f"frechet {value}"])


def trainer_of(archive: Path, outdir: Path, stub: object, **metrics: object) -> Trainer:
    trainer = start(archive, outdir, training=EVERY, metrics=metrics)
    trainer.on_snapshot = stub  # type: ignore[assignment]
    return trainer


def lines(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / METRICS).read_text().splitlines()]


def best(run: Path) -> dict:
    return json.loads((run / "snapshots" / "best.json").read_text())


@pytest.fixture(autouse=True)
def own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Snapshots of few images are called by their number, not by thousands."""

    def save(folder: Path, info: SnapshotInfo, *rest: Any) -> Path:
        step = info.images_seen // STEP
        return save_snapshot(folder, info.model_copy(update={"images_seen": 1000 * step}), *rest)

    monkeypatch.setattr(loop, "save_snapshot", save)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "set.zip", count=8, size=(4, 4))


def test_what_was_found_is_written_down(small: Path, tmp_path: Path) -> None:
    trainer = trainer_of(small, tmp_path / "runs", Stub(5, 3, 4, 2.5, 2.6, 2.7))
    trainer.train()
    run = trainer.run.path
    assert [line["results"]["value"] for line in lines(run)] == [5, 3, 4, 2.5, 2.6, 2.7]
    found = best(run)
    snapshot = run / "snapshots" / "generator-000005.safetensors"
    assert found == {
        "schema_version": 1,
        "format": 1,
        "snapshot": snapshot.name,
        "sha256": sha256_file(snapshot),
        "measure": "frechet",
        "value": 2.5,
        "interval": [2.4, 2.6, 0.95],
        "kimg": 0,
        "extractor": "random-vgg16",
    }
    assert find_snapshot(run) == snapshot
    log = (run / "log.txt").read_text()
    assert "best by frechet: generator-000005.safetensors with 2.5; 2 snapshots since then" in log
    told = [entry["alarms"] for entry in statistics(run) if entry["alarms"]]
    assert len(told) == 1 and told[0][0].startswith("recall fell from 0.50"), "in the next line"


def test_alarms_of_the_last_snapshot_reach_the_statistics(small: Path, tmp_path: Path) -> None:
    trainer = trainer_of(small, tmp_path / "runs", Stub(5, 5, 5, 5, 5, 1))
    trainer.train()
    last = json.loads((trainer.run.path / STATS).read_text().splitlines()[-1])
    assert last["Progress/kimg"]["mean"] == 0.028
    assert last["alarms"][0].startswith("recall fell")


def test_patience_ends_a_run_well_and_resuming_agrees(small: Path, tmp_path: Path) -> None:
    stub = Stub(5, 3, 4, 3.5, 1, 1)
    trainer = trainer_of(small, tmp_path / "runs", stub, patience=2)
    trainer.train()
    trainer.run.close()
    run = trainer.run.path
    assert stub.seen == [8, 12, 16, 20]
    log = (run / "log.txt").read_text()
    assert "ended after 20 images: best by frechet: generator-000003" in log
    session, again = resume_session(run, {})
    Trainer(session, again, on_snapshot=stub).train()
    again.close()
    assert len(stub.seen) == 4, "it is still at its end"
    session, more = resume_session(run, {"metrics": {"patience": 3}})
    Trainer(session, more, on_snapshot=stub).train()
    more.close()
    assert stub.seen[4:] == [24, 28]
    assert best(run)["snapshot"] == "generator-000006.safetensors"


def test_a_resumed_run_measures_as_an_unbroken_one(small: Path, tmp_path: Path) -> None:
    stub = Stub(5, 3, 4, 2.5, 2.6, 2.7)
    whole = trainer_of(small, tmp_path / "whole", stub, patience=2)
    whole.train()
    broken = trainer_of(small, tmp_path / "broken", stub, patience=2)
    path = broken.run.path
    trainer = broken
    for steps in (3, 3):
        StopAfter(trainer, steps)
        with pytest.raises(StoppedError):
            trainer.train()
        trainer.run.close()
        trainer = Trainer(*resume_session(path, {}), on_snapshot=stub)
    trainer.train()
    trainer.run.close()
    assert same_bytes(whole.run.path / METRICS, path / METRICS)
    assert best(whole.run.path) == best(path)
    assert statistics(whole.run.path) == statistics(path)
    for one, other in zip(final_files(whole.run.path), final_files(path), strict=True):
        assert same_bytes(one, other), one.name


class Cut(Exception):
    """As if the power went off."""


def test_what_was_measured_but_not_kept_is_measured_again(small: Path, tmp_path: Path) -> None:
    values = (5, 3, 4, 2.5, 2.6, 2.7)
    whole = trainer_of(small, tmp_path / "whole", Stub(*values))
    whole.train()
    trainer = trainer_of(small, tmp_path / "cut", Stub(*values))
    path, save = trainer.run.path, trainer.save

    def cut(*, boundary: bool) -> None:
        if trainer.progress.images == 20:
            raise Cut
        save(boundary=boundary)

    trainer.save = cut  # type: ignore[method-assign]
    with pytest.raises(Cut):
        trainer.train()
    trainer.run.close()
    assert len(lines(path)) == 4 and best(path)["value"] == 2.5
    session, run = resume_session(path, {})
    assert len(lines(path)) == 3, "cut back to the state"
    assert best(path)["value"] == 3
    Trainer(session, run, on_snapshot=Stub(*values)).train()
    assert same_bytes(whole.run.path / METRICS, path / METRICS)
    assert best(whole.run.path) == best(path)


def test_going_back_forgets_what_was_measured_after(small: Path, tmp_path: Path) -> None:
    trainer = trainer_of(small, tmp_path / "runs", Stub(5, 3, 4, 2.5, 2.6, 2.7))
    step = trainer.session.step

    def spoilt() -> list[str]:
        found = step()
        if trainer.progress.images == 24 and not trainer.progress.rollbacks:
            next(trainer.session.state.ema.parameters()).data.fill_(torch.nan)
        return found

    trainer.session.step = spoilt  # type: ignore[method-assign]
    trainer.train()
    run = trainer.run.path
    assert "went back" in (run / "log.txt").read_text()
    assert [line["results"]["value"] for line in lines(run)] == [5, 3, 4, 2.5, 2.6, 2.7]
    assert best(run)["value"] == 2.5


def test_training_is_the_same_with_and_without_measures(small: Path, tmp_path: Path) -> None:
    def noisy(path: Path, images: int) -> Measured:
        torch.manual_seed(images)
        torch.rand(3)
        return Measured(log_lines=["nothing"])

    runs = []
    for name, hook in (("with", noisy), ("without", None)):
        trainer = trainer_of(small, tmp_path / name, hook)
        trainer.train()
        runs.append(trainer.run.path)
    files = [final_files(run) for run in runs]
    for one, other in zip(*files, strict=True):
        assert same_bytes(one, other) or one.name == "tensors.safetensors", one.name


def test_a_run_that_measures_nothing_leaves_the_choice_alone(small: Path, tmp_path: Path) -> None:
    trainer = trainer_of(small, tmp_path / "runs", None, measures=[])
    StopAfter(trainer, 3)
    with pytest.raises(StoppedError):
        trainer.train()
    trainer.run.close()
    chosen = trainer.run.snapshots / "best.json"
    chosen.write_text('{"snapshot": "generator-000001.safetensors"}')
    resume_session(trainer.run.path, {})[1].close()
    assert chosen.exists()


def resolved(archive: Path, *parts: dict) -> RunConfig:
    return resolve_run(open_archive(archive), "tiny", [{"device": "cpu"}, *parts])[0]


@pytest.mark.parametrize(
    ("real", "given", "expected"), [(0, None, None), (40, None, 500), (40, 64, 64)]
)
def test_the_number_of_generated_images(real: int, given: int | None, expected: int | None) -> None:
    from synthograph.training.setup import with_count

    assert with_count(MetricsConfig(num=given), real).num == expected
    assert with_count(MetricsConfig(), 700).num == 700
    assert with_count(MetricsConfig(), 9000).num == 2000


def test_who_chooses(tmp_path: Path) -> None:
    whole = open_archive(make_archive(tmp_path / "whole.zip"))
    config = resolved(whole.path)
    assert held_out(whole, config.data) == ([], "val")
    assert config.metrics == MetricsConfig()
    val = open_archive(make_archive(tmp_path / "val.zip", split="val"))
    rows, split = held_out(val, config.data)
    assert len(rows) == 24 and split == "val"


def test_configurations_of_before_measure_nothing(small: Path) -> None:
    tree = {**resolved(small).tree(), "metrics": []}
    assert RunConfig.parse(tree).metrics.measures == []


def cut(archive: Path, *splits: str) -> None:
    """Give the last images of an archive these splits."""
    lines = (archive / "manifest.csv").read_text().splitlines()
    column = lines[0].split(",").index("split")
    for place, split in enumerate(splits, start=len(lines) - len(splits)):
        row = lines[place].split(",")
        lines[place] = ",".join([*row[:column], split, *row[column + 1 :]])
    (archive / "manifest.csv").write_text("\n".join(lines) + "\n")


def test_snapshots_of_a_run_are_measured_by_the_same_images(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "set", count=12, size=(4, 4), split="train")
    cut(archive, "val", "val", "test", "test")
    trainer = start(archive, tmp_path / "runs", training=EVERY, data={"split": "train"})
    trainer.on_snapshot = Stub(5, 3, 4, 2.5, 2.6, 2.7)  # type: ignore[assignment]
    StopAfter(trainer, 3)
    with pytest.raises(StoppedError):
        trainer.train()
    trainer.run.close()
    cut(archive, "test", "test", "val", "val")
    with pytest.raises(UserError, match="held out are not those by which .* measured so far"):
        resume_session(trainer.run.path, {})
    cut(archive, "val", "val", "test", "test")
    resume_session(trainer.run.path, {})[1].close()
    change_numbers(list_states(trainer.run.states)[0], held_out=None)  # as of older versions
    cut(archive, "test", "test", "val", "val")
    resume_session(trainer.run.path, {})[1].close()
