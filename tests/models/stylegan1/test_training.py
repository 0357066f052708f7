"""A run that grows: what is saved, what wakes up, how many images are computed at once."""

from pathlib import Path
from typing import Any

import pytest
import torch

from synthograph.archive.reader import open_archive
from synthograph.core.progress import Silent
from synthograph.models import snapshot
from synthograph.models.snapshot_files import list_snapshots
from synthograph.models.stylegan1.config import StyleGAN1Config
from synthograph.training import estimate as timing
from synthograph.training.loop import Trainer
from synthograph.training.model_selection import Measured
from synthograph.training.presets import resolve
from synthograph.training.run import create_run, read_config
from synthograph.training.session import Session
from synthograph.training.setup import make_session, open_data, resolve_machine
from synthograph.training.state import Score
from synthograph.workflows.requests import TrainRequest
from synthograph.workflows.train import run
from tests.conftest import make_archive
from tests.models.stylegan1.test_family import SMALL

SETS = [f"model.{name}={SMALL[name]}" for name in ("channel_base", "channel_max", "z_dim")]
TRAINING = {"kimg": 0.04, "batch": 4, "batch_gpu": 2, "tick_kimg": 1, "snap": 50}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "set.zip", size=(8, 8), modalities={"image": 1}, bits=16)


def begin(archive: Path, **training: Any) -> Session:
    parts = [
        {"data": {"path": str(archive)}, "model": SMALL, "device": "cpu", "precision": "fp32"},
        {"training": {**TRAINING, **training}, "metrics": {"measures": []}},
    ]
    spec = open_archive(archive).info.spec
    config = resolve_machine(resolve(spec, "tiny-progressive", parts))
    return make_session(config, open_data(config))


def test_a_snapshot_is_kept_of_every_size(archive: Path, tmp_path: Path) -> None:
    session = begin(archive)
    trainer = Trainer(session, create_run(tmp_path / "runs", session.config, "test"))
    trainer.train()
    trainer.run.close()
    assert session.state.progress.images == 40
    lines = (trainer.run.path / "log.txt").read_text().splitlines()
    assert lines.count("grows: the longer side is 8 now, a step has 4 images") == 1
    small, last = list_snapshots(trainer.run.path)
    generators = [snapshot.load(path).generator for path in (small, last)]
    assert [each.synthesis.growth.get()[0] for each in generators] == [0, 1]
    z = torch.randn(2, 4)
    images = [session.family.sample(each, z, None) for each in generators]
    assert [image.shape for image in images] == [(2, 1, 8, 8)] * 2
    blocks = images[0].reshape(2, 1, 4, 2, 4, 2)
    assert torch.equal(blocks, blocks[:, :, :, :1, :, :1].expand_as(blocks))


def test_patience_waits_for_the_last_size(archive: Path, tmp_path: Path) -> None:
    """Every snapshot is worse than the one before; only those of the last size count."""
    model = {**SMALL, "progressive_stage": 8}
    session = begin(archive, kimg=0.2, tick_kimg=0.004, snap=1)
    config = session.config.model_copy(update={"model": StyleGAN1Config.parse(model)})
    config = config.model_copy(
        update={"metrics": config.metrics.model_copy(update={"patience": 2})}
    )
    session = make_session(config, open_data(config))
    trainer = Trainer(session, create_run(tmp_path / "runs", session.config, "test"))

    def worse(path: Path, images: int) -> Measured:
        return Measured([Score("frechet", float(images), None, smaller=True, leads=True)])

    trainer.on_snapshot = worse
    trainer.train()
    trainer.run.close()
    first = next(entry.images for entry in session.state.progress.measured if entry.grown)
    assert 16 < first <= 28  # 8 images of the second stage fade in
    assert session.state.progress.images == first + 8, "two snapshots more, then patience ends"


def test_layers_wake_alike_in_generator_and_average(archive: Path) -> None:
    session = begin(archive)
    sleeping = ("synthesis.blocks.1.",)
    state = session.state
    while session.stage.optimiser_run == 0:
        session.step()
    raw, average = (m.state_dict() for m in (state.networks.generator, state.ema))
    asleep = [name for name in raw if name.startswith(sleeping)]
    assert asleep and all(torch.equal(raw[name], average[name]) for name in asleep)
    awake = "synthesis.blocks.0.layer1.weight"
    assert not torch.equal(raw[awake], average[awake])
    assert not any(optimiser.state for optimiser in state.optimisers.values())
    session.step()
    raw = state.networks.generator.state_dict()
    stepped = {id(p) for p in state.optimisers["G"].state}
    assert stepped == {id(p) for p in state.networks.generator.parameters()}
    assert float(raw["synthesis.growth.fade"]) == pytest.approx(1 / 12)


def test_more_images_at_once_where_the_batch_is_larger(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, sizes = begin(archive), []
    take = type(session.batch(4)).take
    monkeypatch.setattr(
        "synthograph.models.base.Batch.take",
        lambda batch, rows: sizes.append((batch.stage.resolution, rows)) or take(batch, rows),
    )
    while session.state.progress.images < 40:
        session.step()
    counts = {(side, rows.stop - rows.start) for side, rows in sizes}
    assert counts == {(4, 4), (8, 2)}


def test_the_time_of_a_run_is_that_of_its_stages(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = {4: 1.0, 8: 10.0}
    monkeypatch.setattr(
        timing, "_sec_per_kimg", lambda session, *_: times[session.stage.resolution]
    )
    found = timing.estimate(begin(archive)).sec_per_kimg  # 24 of 40 images at the first size
    assert found == pytest.approx(0.6 * 1 + 0.4 * 10)
    short = timing.estimate(begin(archive, kimg=0.02))
    assert short.sec_per_kimg == 1


def test_a_run_tells_its_stages_and_whether_it_comes_to_the_last(
    archive: Path, tmp_path: Path
) -> None:
    request = {
        "data": archive,
        "outdir": tmp_path / "runs",
        "cfg": "tiny-progressive",
        "progressive_stage": 12,
        "start_dimension": 4,
        "batch": 4,
        "kimg": 0.02,
        "metrics": "none",
        "settings": tuple(SETS),
    }
    done = run(TrainRequest.parse(request), progress=Silent())
    assert done is not None and done.images == 20
    log = (done.run / "log.txt").read_text()
    assert "longer side from kimg (images a step): 4 from 0 (4), 8 from 0.024 (4)" in log
    assert "note: training ends before images of 8 are made, at 0.024 kimg: take more than" in log
    assert "shorter than two steps" not in log


def test_a_penalty_is_that_of_the_loss_that_is_asked_for(archive: Path, tmp_path: Path) -> None:
    """A start with the other loss takes nothing from the preset's own."""
    few = {"data": archive, "batch": 4, "kimg": 0.004, "metrics": "none", "settings": tuple(SETS)}
    first = {**few, "outdir": tmp_path / "first", "cfg": "progressive"}
    source = run(TrainRequest.parse(first), progress=Silent())
    assert source is not None
    then = {**few, "outdir": tmp_path / "then", "cfg": "tiny-progressive"}
    for more, gamma in ((), None), (("model.loss=logistic",), 8 * 8 / 2048):
        asked = {**then, "init_from": str(source.run), "settings": (*SETS, *more)}
        done = run(TrainRequest.parse(asked), progress=Silent())
        assert done is not None
        model = read_config(done.run).model
        assert isinstance(model, StyleGAN1Config) and model.r1_gamma == gamma


def test_a_penalty_of_the_loss_that_follows_the_start(archive: Path, tmp_path: Path) -> None:
    """R1 has no meaning with the loss of the preset, and has with that of the network."""
    few = {"data": archive, "batch": 4, "kimg": 0.004, "metrics": "none", "settings": tuple(SETS)}
    first = {**few, "outdir": tmp_path / "first", "cfg": "tiny-progressive"}
    source = run(TrainRequest.parse(first), progress=Silent())
    assert source is not None
    for preset in ("auto", "progressive"):
        more = {"cfg": preset, "init_from": str(source.run), "gamma": 5.0}
        done = run(
            TrainRequest.parse({**few, **more, "outdir": tmp_path / preset}), progress=Silent()
        )
        assert done is not None
        model = read_config(done.run).model
        assert isinstance(model, StyleGAN1Config)
        assert (model.loss, model.r1_gamma) == ("logistic", 5.0)


def test_stages_of_a_step_are_told(archive: Path, tmp_path: Path) -> None:
    """And the names that the knee project gave its flags."""
    request = {
        "data": archive,
        "outdir": tmp_path / "runs",
        "cfg": "progressive",
        "progressive_stage": 3,
        "start_dimension": 4,
        "final_dimension": 8,
        "mixing": True,
        "batch": 4,
        "kimg": 0.008,
        "metrics": "none",
        "settings": (*SETS, "model.batch_scale.4=1", "model.batch_scale.8=1"),
    }
    done = run(TrainRequest.parse(request), progress=Silent())
    assert done is not None
    assert "stages of 4 are shorter than two steps" in (done.run / "log.txt").read_text()
    model = read_config(done.run).model
    assert isinstance(model, StyleGAN1Config)
    assert (model.final_dimension, model.style_mixing) == (8, 0.9)
