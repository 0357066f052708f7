"""Numbers that go wrong: counted, skipped, rolled back with a remedy, given up in the end."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from synthograph.core.errors import DivergedError, StoppedError, UserError
from synthograph.models.projected.config import ProjectedConfig
from synthograph.models.stylegan1.config import StyleGAN1Config
from synthograph.models.stylegan2.config import StyleGAN2Config
from synthograph.training import alarms
from synthograph.training.loop import Trainer
from synthograph.training.recovery import Remedy, remedy
from synthograph.training.resume import resume_session
from synthograph.training.state import TrainingProgress, list_states, load_state
from synthograph.training.stats import RunningMoments
from tests.training.test_resume import (
    StopAfter,
    change_numbers,
    same_bytes,
    start,
    statistics,
    stopped,
)


def spoil(trainer: Trainer, when, *names: str) -> None:
    """Let the losses of phases be NaN while `when(progress)` holds."""
    session = trainer.session

    def spoiled(phase):
        def loss(batch):
            terms = phase.loss(batch)
            bad = terms.loss is not None and when(session.state.progress)
            return dataclasses.replace(terms, loss=terms.loss * torch.nan) if bad else terms

        return dataclasses.replace(phase, loss=loss) if phase.name in names else phase

    session.phases = [spoiled(phase) for phase in session.phases]


def weights(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def test_a_bad_phase_is_skipped_and_counted(archive: Path, tmp_path: Path) -> None:
    trainer = start(archive, tmp_path / "runs")
    spoil(trainer, lambda progress: progress.images == 8, "Gmain")
    before: dict[int, torch.Tensor] = {}
    step = trainer.session.step

    def watched():
        networks = trainer.session.state.networks
        before[trainer.progress.images] = weights(networks.generator)
        return step()

    trainer.session.step = watched  # type: ignore[method-assign]
    trainer.train()
    trainer.run.close()
    steps_with_path_length = 2  # step 2 runs Greg, whose gradients are fine
    assert trainer.session.config.model.path_interval == steps_with_path_length
    assert torch.isfinite(weights(trainer.session.state.networks.generator)).all()
    assert not torch.equal(before[4], before[8])
    entries = statistics(trainer.run.path)
    counted = [entry["Nonfinite/Gmain"]["num"] for entry in entries if "Nonfinite/Gmain" in entry]
    assert counted == [1], "shares of one step count as one"
    told = [text for entry in entries for text in entry["alarms"]]
    assert any("not finite in" in text and "Gmain" in text for text in told)
    assert "alarm: gradients were not finite" in (trainer.run.path / "log.txt").read_text()


def lasting_trouble(progress: TrainingProgress) -> bool:
    return progress.images >= 40 and progress.rollbacks == 0


def test_rollback_with_a_remedy(archive: Path, tmp_path: Path) -> None:
    trainer = start(archive, tmp_path / "runs")
    spoil(trainer, lasting_trouble, "Gmain", "Dmain")
    trainer.train()
    trainer.run.close()
    assert trainer.progress.rollbacks == 1
    rates = trainer.session.family.optimiser_rates(trainer.session.config.model)
    for key, optimiser in trainer.session.state.optimisers.items():
        assert optimiser.param_groups[0]["lr"] == pytest.approx(rates[key].lr / 2)
    log = (trainer.run.path / "log.txt").read_text()
    assert "went back to" in log
    assert "rollback 1 of 3, with learning rates times 0.5" in log
    told = [text for entry in statistics(trainer.run.path) for text in entry["alarms"]]
    assert any("went back to" in text for text in told)


@pytest.mark.slow
def test_a_resumed_run_repeats_the_rollback(archive: Path, tmp_path: Path) -> None:
    whole = start(archive, tmp_path / "whole", training={"kimg": 0.1})
    spoil(whole, lasting_trouble, "Gmain", "Dmain")
    whole.train()
    whole.run.close()
    broken = start(archive, tmp_path / "broken", training={"kimg": 0.1})
    path = broken.run.path
    trainer = broken
    for steps in (11, 3, 2):  # before, within and behind the trouble
        spoil(trainer, lasting_trouble, "Gmain", "Dmain")
        StopAfter(trainer, steps)
        with pytest.raises(StoppedError):
            trainer.train()
        trainer.run.close()
        trainer = Trainer(*resume_session(path, {}))
    spoil(trainer, lasting_trouble, "Gmain", "Dmain")
    trainer.train()
    trainer.run.close()
    assert trainer.progress.rollbacks == whole.progress.rollbacks == 1
    one, other = (list_states(run / "state")[0] for run in (whole.run.path, path))
    assert one.name == other.name
    assert same_bytes(one / "tensors.safetensors", other / "tensors.safetensors")
    assert statistics(whole.run.path) == statistics(path)


def test_giving_up_keeps_a_good_state(archive: Path, tmp_path: Path) -> None:
    trainer = start(archive, tmp_path / "runs")
    spoil(trainer, lambda progress: progress.images >= 40, "Gmain", "Dmain")
    with pytest.raises(DivergedError, match="3 rollbacks.*Start anew with") as caught:
        trainer.train()
    assert caught.value.exit_code == 4
    trainer.run.close()
    session, run = resume_session(trainer.run.path, {})
    assert session.state.progress.rollbacks == 3
    assert session.state.non_finite() is None
    run.close()


def test_spoiled_weights_are_never_kept(archive: Path, tmp_path: Path) -> None:
    trainer = start(archive, tmp_path / "runs")
    step = trainer.session.step

    def spoiling():
        alarms_of_step = step()
        progress = trainer.progress
        if progress.images >= 30 and not progress.rollbacks:
            with torch.no_grad():
                next(trainer.session.state.ema.parameters()).fill_(torch.inf)
        return alarms_of_step

    trainer.session.step = spoiling  # type: ignore[method-assign]
    trainer.train()
    trainer.run.close()
    assert "is not finite at" in (trainer.run.path / "log.txt").read_text()
    assert trainer.progress.rollbacks == 1
    for path in list_states(trainer.run.states):
        assert load_state(path.parent, trainer.session.state) is not None


def test_remedies() -> None:
    assert remedy(0, half=False) == Remedy()
    assert remedy(2, half=False) == Remedy(rate=0.25)
    assert remedy(1, half=True) == Remedy(fp32_penalties=True)
    assert remedy(3, half=True) == Remedy(rate=0.25, fp32_penalties=True)
    assert str(remedy(2, half=True)) == "learning rates times 0.5 and penalties in fp32"


def test_penalties_go_to_fp32_first_where_a_family_has_them_in_half_precision() -> None:
    assert StyleGAN2Config().half_penalties and StyleGAN1Config().half_penalties
    assert not StyleGAN2Config(penalty_precision="fp32").half_penalties
    assert not StyleGAN2Config(r1_gamma=0, path_weight=0).half_penalties
    assert not StyleGAN1Config(gradient_penalty=0).half_penalties
    assert StyleGAN1Config.parse({"loss": "logistic"}).half_penalties
    assert not StyleGAN1Config.parse({"loss": "logistic", "r1_gamma": 0}).half_penalties
    assert not ProjectedConfig().half_penalties


@pytest.mark.parametrize(
    ("own", "first"),
    [("blocks", "penalties in fp32"), ("fp32", "learning rates times 0.5")],
)
def test_the_first_remedy_of_half_precision_changes_something(
    archive: Path, tmp_path: Path, own: str, first: str
) -> None:
    trainer = start(archive, tmp_path / "runs", precision="bf16", model={"penalty_precision": own})
    spoil(trainer, lasting_trouble, "Gmain", "Dmain")
    trainer.train()
    trainer.run.close()
    assert f"rollback 1 of 3, with {first}" in (trainer.run.path / "log.txt").read_text()


def test_penalties_in_fp32(archive: Path, tmp_path: Path) -> None:
    trainer = start(archive, tmp_path / "runs", precision="bf16")
    session = trainer.session
    seen: list[torch.dtype] = []
    generator = session.state.networks.generator
    generator.synthesis.register_forward_pre_hook(lambda m, a: seen.append(m.block_dtype))
    (path,) = (phase for phase in session.phases if phase.name == "Greg")
    session.state.networks.select("G")
    path.loss(session.batch(4))
    session.state.networks.fp32_penalties = True
    path.loss(session.batch(4))
    assert seen == [torch.bfloat16, torch.float32]
    assert generator.synthesis.block_dtype is torch.bfloat16
    trainer.run.close()


def test_out_of_memory_halves_the_share_and_changes_nothing_else(
    archive: Path, tmp_path: Path
) -> None:
    plain = start(archive, tmp_path / "plain", training={"batch": 8, "batch_gpu": 2})
    plain.train()
    plain.run.close()
    small = start(archive, tmp_path / "small", training={"batch": 8, "batch_gpu": 8})
    session = small.session

    def limited(phase):
        def loss(batch):
            if len(batch) > 2:
                raise torch.OutOfMemoryError("no memory")
            return phase.loss(batch)

        return dataclasses.replace(phase, loss=loss)

    session.phases = [limited(phase) for phase in session.phases]
    small.train()
    small.run.close()
    assert session.microbatch == 2
    log = (small.run.path / "log.txt").read_text()
    assert "out of memory with 8 images at once; from now on 4" in log
    assert "from now on 2" in log
    for a, b in zip(
        plain.session.state.tensors().values(), session.state.tensors().values(), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_too_little_memory_for_one_group(archive: Path, tmp_path: Path) -> None:
    trainer = start(archive, tmp_path / "runs")

    def loss(batch):
        raise torch.OutOfMemoryError("no memory")

    trainer.session.phases = [dataclasses.replace(p, loss=loss) for p in trainer.session.phases]
    with pytest.raises(UserError, match="would cut the groups of 2"):
        trainer.train()
    trainer.run.close()


def signs(real: float, fake: float, count: int = 1000) -> RunningMoments:
    moments = RunningMoments()
    moments.add("Loss/signs/real", torch.full((count,), real))
    moments.add("Loss/signs/fake", torch.full((count,), fake))
    return moments


def test_saturation_is_told_once() -> None:
    progress = TrainingProgress()
    assert not alarms.of_tick(progress, signs(0.9, -1))
    assert not alarms.of_tick(progress, signs(1, -1, count=100)), "too few to tell"
    (alarm,) = alarms.of_tick(progress, signs(1, -1))
    assert "never wrong" in alarm
    assert not alarms.of_tick(progress, signs(1, -1))
    assert not alarms.of_tick(progress, signs(0.5, -1))
    assert alarms.of_tick(progress, signs(1, -1)), "it began again"


def test_constant_pictures_are_told() -> None:
    rng = np.random.default_rng(0)
    reals = alarms.spread(rng.integers(0, 255, (8, 3, 4, 4)))
    same = alarms.spread(np.full((8, 3, 4, 4), 7))
    progress = TrainingProgress()
    assert not alarms.of_pictures(progress, reals, reals)
    (alarm,) = alarms.of_pictures(progress, same, reals)
    assert "nearly all the same" in alarm
    assert not alarms.of_pictures(progress, same, reals)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 7}, "another version of synthograph"),
        ({"progress": {"images": 8, "new": 1}}, "newer version"),
    ],
)
def test_states_of_other_versions_are_refused_not_dropped(
    archive: Path, tmp_path: Path, changes: dict, message: str
) -> None:
    trainer = stopped(archive, tmp_path / "runs", steps=2)
    change_numbers(list_states(trainer.run.states)[0], **changes)
    log = (trainer.run.path / "log.txt").read_bytes()
    with pytest.raises(UserError, match=message):
        resume_session(trainer.run.path, {})
    assert (trainer.run.path / "log.txt").read_bytes() == log


def test_exactness_can_be_required(archive: Path, tmp_path: Path, threads: None) -> None:
    trainer = stopped(archive, tmp_path / "runs", steps=2)
    _, run = resume_session(trainer.run.path, {}, require_exact=True)
    run.close()
    surroundings = {"threads": 1, "torch_version": "1.0", "processor": "x", "precision": "fp32"}
    change_numbers(list_states(run.states)[0], surroundings=surroundings)
    with pytest.raises(UserError, match="--require-exact: torch version 1.0 ->"):
        resume_session(trainer.run.path, {}, require_exact=True)
