"""The small parts of training: average, statistics, controllers, configuration, provenance."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from synthograph.archive.reader import open_archive
from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams
from synthograph.core.spec import ImageSpec
from synthograph.models.base import Batch, Stage
from synthograph.ops.operations import OPERATIONS
from synthograph.training import alarms
from synthograph.training.augmentation import augment_with, left_out_note, make_pipe, permitted
from synthograph.training.config import AugmentConfig, TrainingConfig
from synthograph.training.controllers import Adaptive, make_controller
from synthograph.training.ema import ema_decay, update_ema
from synthograph.training.loop import device_memory_gb, duration
from synthograph.training.presets import resolve
from synthograph.training.run import STATS
from synthograph.training.stats import RunningMoments, json_safe
from tests.conftest import make_archive
from tests.training.test_resume import configure, start

SPEC = ImageSpec(height=16, width=16, modalities={"image": 3})


def test_half_life_of_the_average() -> None:
    config = TrainingConfig(batch=32, batch_gpu=32, ema_kimg=10)
    assert ema_decay(config, 10**6, 32) ** (10_000 / 32) == pytest.approx(0.5)
    ramp = config.model_copy(update={"ema_ramp": 0.05})
    assert ema_decay(ramp, 20_000, 32) == pytest.approx(0.5 ** (32 / 1000))
    assert ema_decay(ramp, 10**9, 32) == ema_decay(config, 10**9, 32)
    assert ema_decay(config.model_copy(update={"ema_kimg": 0}), 100, 32) == 0


def test_average_moves_parameters_and_copies_buffers() -> None:
    old, new = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    with torch.no_grad():
        new.weight.fill_(3)
        new.running_mean.fill_(7)
    update_ema(old, new, decay=0.75)
    assert old.weight.tolist() == [1.5, 1.5]
    assert old.running_mean.tolist() == [7, 7]


def test_moments() -> None:
    moments = RunningMoments()
    moments.add("x", torch.tensor([1.0, 2.0]))
    moments.add("x", torch.tensor([[3.0], [6.0]]))
    entry = moments.summary()["x"]
    assert entry["num"] == 4
    assert entry["mean"] == 3
    assert entry["std"] == pytest.approx(math.sqrt(3.5))
    assert moments.mean("y") is None
    moments.add("x", torch.tensor([torch.inf]))
    assert json_safe(moments.summary()["x"])["mean"] is None


def test_adaptive_strength_follows_the_signs() -> None:
    config = AugmentConfig(mode="ada", target=0.6, speed_kimg=1, p_max=0.3)
    controller = make_controller(config)
    assert isinstance(controller, Adaptive)
    controller.observe(torch.ones(16))
    assert controller.after_step(3, 16) is None, "only every fourth step"
    assert controller.p == 0
    assert controller.after_step(4, 16) is None
    assert controller.p == pytest.approx(16 * 4 / 1000)
    for steps in range(8, 40, 4):
        controller.observe(torch.ones(16))
        alarm = controller.after_step(steps, 16)
        if controller.p == 0.3:
            break
    assert alarm is not None
    assert "reached its cap 0.3" in alarm
    controller.observe(torch.ones(16))
    assert controller.after_step(44, 16) is None, "one alarm per time at the cap"
    restored = make_controller(config)
    restored.load(controller.tensors())
    assert restored.tensors()["controller"].tolist() == controller.tensors()["controller"].tolist()
    for steps in range(48, 80, 4):
        controller.observe(-torch.ones(16))
        controller.after_step(steps, 16)
    assert controller.p == 0


def test_fixed_and_no_augmentation() -> None:
    assert make_controller(AugmentConfig(mode="fixed", p=0.25)).p == 0.25
    assert make_controller(AugmentConfig(mode="none")).p == 0
    with pytest.raises(UserError, match="has no effect without augmentation"):
        AugmentConfig.parse({"mode": "none", "p": 0.25})
    with pytest.raises(UserError, match="needs a strength"):
        AugmentConfig.parse({"mode": "fixed"})
    with pytest.raises(UserError, match="did you mean 'xflip'"):
        AugmentConfig.parse({"pipe": {"xflop": 1}})


def test_augmentation_of_an_image_does_not_depend_on_its_batch() -> None:
    config = AugmentConfig(mode="fixed", p=0.9, pipe={"xflip": 1, "rotate": 1, "brightness": 1})
    pipe = make_pipe(config, SPEC)
    assert pipe is not None
    pipe.p.fill_(0.9)
    augment = augment_with(pipe)
    empty = torch.zeros(6, 0)
    batch = Batch(
        torch.rand(6, 3, 16, 16), empty, empty, torch.arange(6), Streams(0), range(6), Stage(16)
    )
    whole = augment(batch.reals, batch, "x")
    part = batch.take(slice(4, 6))
    torch.testing.assert_close(augment(part.reals, part, "x"), whole[4:], rtol=1e-4, atol=1e-5)
    assert not torch.equal(augment(batch.reals, batch, "y"), whole)
    pipe.p.zero_()
    assert augment(batch.reals, batch, "x") is batch.reals


def test_operations_against_the_invariances_are_left_out() -> None:
    config = AugmentConfig(
        mode="ada", pipe={"xflip": 1, "scale": 1, "hue": 0, "contrast": 1, "scale_std": 0.1}
    )
    kept, left_out = permitted(config, ["rotate"])
    assert left_out == ["xflip", "contrast"]
    assert kept.pipe == {"scale": 1, "hue": 0, "scale_std": 0.1}
    note = left_out_note(kept, left_out, ["rotate"])
    assert "without xflip, contrast: they would change" in note and "(invariances: rotate)" in note


def test_where_nobody_said_what_images_mean_few_operations_are_used() -> None:
    config = AugmentConfig(mode="ada", pipe=dict.fromkeys(OPERATIONS, 1.0))
    kept, left_out = permitted(config, None)
    assert list(kept.pipe) == ["xint", "scale", "xfrac", "brightness"]
    note = left_out_note(kept, left_out, None)
    assert "was not stated, so augmentation uses xint, scale, xfrac, brightness only" in note
    assert "xflip for mirror; rotate90, rotate for rotate; contrast, lumaflip, hue" in note
    assert note.endswith("aniso, imgfilter, noise, cutout for any of these words")
    assert permitted(config, ["mirror", "rotate", "colour"])[1] == []


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({"training": {"batch": 6, "batch_gpu": 4}}, "batch_gpu 4 must divide"),
        ({"training": {"batch": 6}}, "no multiple of model.mbstd_group 4; model.mbstd_group=2"),
        ({"model": {"chanel_base": 4}}, "did you mean 'channel_base'"),
        ({"model": {"r1_gamma": -1}}, "model.r1_gamma"),
        ({"model": {"family": "stylegan"}}, "did you mean 'stylegan2'"),
        ({"trainig": {}}, "did you mean 'training'"),
        ({"training": {"kimg": 0}}, "training.kimg"),
        ({"seed": -1}, "seed"),
    ],
)
def test_settings_that_break_rules(over: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolve(SPEC, "tiny", [{"data": {"path": "x"}}, over])


def test_later_settings_win_and_the_share_follows_the_batch() -> None:
    parts = [{"data": {"path": "x"}}, {"training": {"batch": 8}}, {"training": {"batch": 64}}]
    config = resolve(SPEC, "auto", parts)
    assert (config.training.batch, config.training.batch_gpu) == (64, 64)
    assert resolve(SPEC, "paper256", parts[:1]).training.batch_gpu == 8


def test_durations() -> None:
    assert [duration(s) for s in (5, 3725, 90_000)] == ["0m 05s", "1h 02m", "1d 01h"]


def test_run_directory_and_snapshot_tell_what_they_are(tmp_path: Path) -> None:
    import synthograph

    archive = make_archive(tmp_path / "set.zip", split="train", classes=("a", "b", "c"))
    trainer = start(archive, tmp_path / "runs")
    seen = []
    trainer.on_snapshot = lambda path, images: seen.append((path.name, images))
    trainer.train()
    run = trainer.run.path
    assert run.name == "00000-test"
    present = {path.name for path in run.iterdir()}
    assert {"config.json", "log.txt", "stats.jsonl", "reals.png", "fakes-init.png"} <= present
    assert seen[-1] == ("generator-000000.060.safetensors", 60)
    snapshot = synthograph.load(run / "snapshots" / "generator-000000.060.safetensors")
    info, opened = snapshot.info, open_archive(archive)
    assert info.classes == ["a", "b", "c"]
    assert (info.label_width, info.split, info.images_seen) == (3, "train", 60)
    assert info.images_hash == opened.images_hash
    assert info.manifest_hash == opened.manifest_hash
    assert len(info.group_digests) == 12
    assert len(info.image_digests) == 24
    assert all(len(d) == 16 for d in info.group_digests + info.image_digests)
    assert info.config["training"]["kimg"] == 0.06
    assert set(snapshot.discriminators) == {"image"}
    second = start(archive, tmp_path / "runs")
    assert second.run.path.name == "00001-test"


def test_accumulation_gives_the_same_step(archive: Path, tmp_path: Path) -> None:
    weights = []
    for share in (2, 4):
        config = configure(archive, training={"batch": 4, "batch_gpu": share})
        from synthograph.training.setup import make_session, open_data

        session = make_session(config, open_data(config))
        for _ in range(2):
            session.step()
        weights.append(torch.cat([p.flatten() for p in session.state.ema.parameters()]))
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-3, atol=1e-4)


def test_memory_of_a_gpu_is_told(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3 * 2**30)
    assert device_memory_gb(torch.device("cpu")) is None
    assert device_memory_gb(torch.device("cuda", 0)) == 3
    trainer = start(archive, tmp_path / "runs")
    trainer.report()
    trainer.session.device = torch.device("cuda", 0)
    trainer.report()
    trainer.run.close()
    here, there = (json.loads(x) for x in (trainer.run.path / STATS).read_text().splitlines())
    assert "Resources/gpu_mem_gb" not in here
    assert there["Resources/gpu_mem_gb"]["mean"] == 3
    lines = (trainer.run.path / "log.txt").read_text().splitlines()
    assert ["GPU 3.0 GB" in line for line in lines] == [False, True]


def test_spread_needs_no_copy_of_all_images() -> None:
    images = np.random.default_rng(0).integers(0, 255, (6, 3, 5, 4)).astype(np.uint8)
    plain = images.astype(np.float64).std(axis=0).mean()
    assert alarms.spread(images) == pytest.approx(plain, rel=1e-12)
