"""Resuming equals never having stopped."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from synthograph.archive.reader import open_archive
from synthograph.core.errors import StoppedError, UserError
from synthograph.core.files import sha256_file
from synthograph.models.snapshot import load
from synthograph.models.snapshot_files import find_snapshot, list_snapshots
from synthograph.training.config import RunConfig
from synthograph.training.loop import Trainer
from synthograph.training.presets import resolve
from synthograph.training.resume import extended, resume_session
from synthograph.training.run import CONFIG, STATS, RunDirectory, create_run
from synthograph.training.setup import make_session, open_data, resolve_machine
from synthograph.training.state import list_states
from tests.conftest import make_archive

SETTINGS = {
    "model": {
        "channel_base": 32,
        "channel_max": 4,
        "z_dim": 4,
        "w_dim": 4,
        "path_weight": 2.0,
        "mbstd_group": 2,
        "r1_interval": 3,
        "path_interval": 2,
    },
    "augment": {"mode": "ada", "p": 0.2, "speed_kimg": 0.1},
    "training": {"kimg": 0.06, "batch": 4, "batch_gpu": 2, "tick_kimg": 0.016, "snap": 2},
    "device": "cpu",
    "precision": "fp32",
}


def configure(archive: Path, **over: object) -> RunConfig:
    spec = open_archive(archive).info.spec
    data = {"data": {"path": str(archive), "cond": True}}
    return resolve_machine(resolve(spec, "tiny", [SETTINGS, data, over]))


def start(archive: Path, outdir: Path, **over: object) -> Trainer:
    config = configure(archive, **over)
    return Trainer(make_session(config, open_data(config)), create_run(outdir, config, "test"))


def statistics(run: Path) -> list[dict]:
    """Statistics without timings and resources."""
    lines = [json.loads(line) for line in (run / STATS).read_text().splitlines()]
    return [
        {k: v for k, v in entry.items() if not k.startswith(("Timing", "Resources", "timestamp"))}
        for entry in lines
    ]


def same_bytes(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def final_files(run: Path) -> list[Path]:
    state = list_states(run / "state")[0]
    snapshot = find_snapshot(run)
    partner = snapshot.with_name(snapshot.name.replace("generator", "discriminators"))
    return [snapshot, partner, state / "tensors.safetensors"]


class StopAfter:
    """Makes a trainer stop, as a signal would, after so many steps."""

    def __init__(self, trainer: Trainer, steps: int) -> None:
        self.left = steps
        self.step = trainer.session.step
        trainer.session.step = self  # type: ignore[method-assign]

    def __call__(self) -> str | None:
        alarm = self.step()
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGTERM)
        return alarm


def stopped(archive: Path, outdir: Path, *, steps: int) -> Trainer:
    """A trainer whose run was stopped after so many steps."""
    trainer = start(archive, outdir)
    StopAfter(trainer, steps)
    with pytest.raises(StoppedError):
        trainer.train()
    trainer.run.close()
    return trainer


def change_numbers(state: Path, **changes: object) -> None:
    """Edit a state and vouch for it, as another version would have written it."""
    numbers = json.loads((state / "state.json").read_text())
    (state / "state.json").write_text(json.dumps(numbers | changes))
    manifest = json.loads((state / "manifest.json").read_text())
    manifest["state.json"] = sha256_file(state / "state.json")
    (state / "manifest.json").write_text(json.dumps(manifest))


def test_stopped_runs_equal_unbroken_ones(tmp_path: Path) -> None:
    """All files, in half precision; `FamilyContract` stops after every step in fp32."""
    archive = make_archive(tmp_path / "set.zip", size=(8, 8), modalities={"vis": 3, "nir": 1})
    whole = start(archive, tmp_path / "whole", precision="bf16")
    whole.train()
    broken = start(archive, tmp_path / "broken", precision="bf16")
    path = broken.run.path
    trainer = broken
    for steps in (1, 3, 6):
        StopAfter(trainer, steps)
        with pytest.raises(StoppedError, match="resume"):
            trainer.train()
        trainer.run.close()
        trainer = Trainer(*resume_session(path, {}))
    trainer.train()
    for one, other in zip(final_files(whole.run.path), final_files(path), strict=True):
        assert same_bytes(one, other), one.name
    assert statistics(whole.run.path) == statistics(path)
    for picture in whole.run.path.glob("*.png"):
        assert same_bytes(picture, path / picture.name), picture.name
    signs = [entry["Progress/augment"]["mean"] for entry in statistics(path)]
    assert len(set(signs)) > 1, "the augmentation strength has to move in this test"


@pytest.mark.slow
def test_killed_runs_equal_unbroken_ones(tmp_path: Path) -> None:
    """A process killed at random moments and resumed by command."""
    archive = make_archive(tmp_path / "set.zip", size=(8, 8))
    over = {"training": {"save_every": 1e-4}}
    whole = start(archive, tmp_path / "whole", **over)
    whole.train()
    run = create_run(tmp_path / "killed", configure(archive, **over), "test")
    run.close()
    command = [sys.executable, "-m", "synthograph", "train", "--resume", str(run.path)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    for _ in range(3):
        killed_after(command, environment, run.path / "log.txt", rng.uniform(0, 0.6))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for one, other in zip(final_files(whole.run.path), final_files(run.path), strict=True):
        assert same_bytes(one, other), f"{one.name}, kills drawn with seed {seed}"
    assert statistics(whole.run.path) == statistics(run.path), f"kills drawn with seed {seed}"


def killed_after(command: list[str], environment: dict, log: Path, seconds: float) -> None:
    """Start a training, and kill it so long after it has begun to train."""
    before = log.stat().st_mtime_ns if log.exists() else 0
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if log.exists() and log.stat().st_mtime_ns > before:
            break
        time.sleep(0.01)
    time.sleep(seconds)
    process.kill()
    process.wait()


def test_damaged_states_are_passed_over(archive: Path, tmp_path: Path) -> None:
    trainer = start(archive, tmp_path / "runs")
    trainer.train()
    trainer.run.close()
    path = trainer.run.path
    newest, before = list_states(path / "state")[:2]
    data = bytearray((newest / "tensors.safetensors").read_bytes())
    data[len(data) // 2] ^= 1
    (newest / "tensors.safetensors").write_bytes(bytes(data))
    session, run = resume_session(path, {})
    assert session.state.progress.images == int(before.name)
    log = (path / "log.txt").read_text()
    assert "passed over" in log
    assert "is damaged" in log
    run.close()


def test_without_any_state_training_starts_anew(archive: Path, tmp_path: Path) -> None:
    trainer = start(archive, tmp_path / "runs")
    trainer.run.close()
    session, run = resume_session(trainer.run.path, {})
    assert session.state.progress.images == 0
    assert "starts from image 0" in (run.path / "log.txt").read_text()
    run.close()


def test_contradictions_are_refused_and_extensions_allowed(archive: Path, tmp_path: Path) -> None:
    trainer = start(archive, tmp_path / "runs")
    trainer.run.close()
    path = trainer.run.path
    for asked, message in [
        ({"training": {"batch": 8}}, "training.batch = 4"),
        ({"model": {"r1_gamma": 99}}, "model.r1_gamma"),
        ({"data": {"path": "/elsewhere.zip"}}, "elsewhere.zip: the archive of this run is not"),
        ({"training": {"nonsense": 1}}, "unknown setting 'training.nonsense'"),
    ]:
        with pytest.raises(UserError, match=message):
            resume_session(path, asked)
    session, run = resume_session(path, {"training": {"kimg": 0.08, "batch": 4}, "device": "auto"})
    assert session.config.training.images == 80
    run.close()
    assert json.loads((path / "config.json").read_text())["training"]["kimg"] == 0.08


def test_another_number_of_threads_is_told_and_kept(
    archive: Path, tmp_path: Path, threads: None
) -> None:
    torch.set_num_threads(1)
    path = stopped(archive, tmp_path / "runs", steps=2).run.path
    for asked, line in [({"threads": 2}, "not bit-exact: threads 1 -> 2"), ({}, "")]:
        torch.set_num_threads(1)
        _, run = resume_session(path, asked)
        run.close()
        assert torch.get_num_threads() == 2
        assert line in (path / "log.txt").read_text()
    with pytest.raises(UserError, match="require-exact: threads 1 -> 2"):
        resume_session(path, {}, require_exact=True)


@pytest.mark.slow
def test_more_snapshots_change_no_weights(archive: Path, tmp_path: Path) -> None:
    whole = start(archive, tmp_path / "whole")
    whole.train()
    path = stopped(archive, tmp_path / "runs", steps=5).run.path
    session, run = resume_session(path, {"training": {"snap": 1}})
    Trainer(session, run).train()
    few, many = ((p / "log.txt").read_text().count("snapshot /") for p in (whole.run.path, path))
    assert few < many
    one, other = (list_states(p / "state")[0] for p in (whole.run.path, path))
    assert one.name == other.name
    assert same_bytes(one / "tensors.safetensors", other / "tensors.safetensors")


def test_a_run_that_goes_on_keeps_every_snapshot(archive: Path, tmp_path: Path) -> None:
    """Also within a thousand images, and those of a run that had ended."""
    trainer = start(archive, tmp_path / "runs", training={"kimg": 0.03, "snap": 1})
    trainer.train()
    trainer.run.close()
    path = trainer.run.path
    kept = {file: file.read_bytes() for file in (path / "snapshots").iterdir()}
    session, run = resume_session(path, {"training": {"kimg": 0.06}})
    Trainer(session, run).train()
    log = (path / "log.txt").read_text().splitlines()
    named = [Path(line.removeprefix("snapshot ")) for line in log if line.startswith("snapshot ")]
    assert named == list_snapshots(path) and len(named) == 4
    assert all(file.read_bytes() == before for file, before in kept.items())
    seen = [load(file).info.images_seen for file in named]
    assert seen == sorted(seen) and named[-1].name == f"generator-000000.{seen[-1]:03d}.safetensors"
    pictures = {file.stem.replace("fakes", "generator") for file in path.glob("fakes-0*.png")}
    assert pictures == {file.stem for file in named}


def test_two_processes_on_one_run(archive: Path, tmp_path: Path) -> None:
    trainer = start(archive, tmp_path / "runs")
    with pytest.raises(UserError, match="another process"):
        resume_session(trainer.run.path, {})
    trainer.run.close()
    RunDirectory(trainer.run.path).close()


def test_other_surroundings_are_told(archive: Path, tmp_path: Path, threads: None) -> None:
    trainer = stopped(archive, tmp_path / "runs", steps=2)
    state = list_states(trainer.run.states)[0]
    surroundings = json.loads((state / "state.json").read_text())["surroundings"]
    change_numbers(state, surroundings={**surroundings, "torch_version": "1.0"})
    _, run = resume_session(trainer.run.path, {})
    assert "not bit-exact: torch version 1.0 ->" in (run.path / "log.txt").read_text()
    run.close()


def test_an_archive_that_moved_is_known_by_its_images(archive: Path, tmp_path: Path) -> None:
    trainer = stopped(archive, tmp_path / "runs", steps=2)
    path, moved = trainer.run.path, tmp_path / "elsewhere.zip"
    archive.rename(moved)
    with pytest.raises(UserError, match="--data"):
        resume_session(path, {})
    session, run = resume_session(path, {"data": {"path": str(moved)}})
    assert session.state.progress.images == 8
    run.close()
    assert json.loads((path / "config.json").read_text())["data"]["path"] == str(moved)
    resume_session(path, {})[1].close()


@pytest.mark.parametrize("what", ["images", "labels", "groups"])
def test_another_archive_of_the_same_name_is_refused(
    archive: Path, tmp_path: Path, what: str
) -> None:
    trainer = stopped(archive, tmp_path / "runs", steps=2)
    config = (trainer.run.path / "config.json").read_bytes()
    archive.unlink()
    if what == "images":
        make_archive(archive, size=(8, 8), seed=1)
    else:
        change_rows(make_archive(tmp_path / "folder", size=(8, 8)), what)
        (tmp_path / "folder").rename(archive)
    with pytest.raises(UserError, match="are not those that this run began with"):
        resume_session(trainer.run.path, {})
    assert (trainer.run.path / "config.json").read_bytes() == config


def change_rows(archive: Path, what: str) -> None:
    """Exchange the labels, or the groups, of two rows of an archive's manifest."""
    lines = (archive / "manifest.csv").read_text().splitlines()
    column = lines[0].split(",").index({"labels": "label", "groups": "group"}[what])
    first, last = (lines[i].split(",") for i in (1, -1))
    assert first[column] != last[column]
    first[column], last[column] = last[column], first[column]
    lines[1], lines[-1] = ",".join(first), ",".join(last)
    (archive / "manifest.csv").write_text("\n".join(lines) + "\n")


def test_a_state_without_a_record_of_its_data_cannot_move(archive: Path, tmp_path: Path) -> None:
    trainer = stopped(archive, tmp_path / "runs", steps=2)
    change_numbers(list_states(trainer.run.states)[0], data=None)
    resume_session(trainer.run.path, {})[1].close()
    archive.rename(tmp_path / "elsewhere.zip")
    with pytest.raises(UserError, match="no record of its images"):
        resume_session(trainer.run.path, {"data": {"path": str(tmp_path / "elsewhere.zip")}})


@pytest.mark.parametrize("what", ["missing", "file", "empty"])
def test_what_is_no_run(tmp_path: Path, what: str) -> None:
    path = tmp_path / "run"
    if what == "file":
        path.write_text("x")
    if what == "empty":
        path.mkdir()
    with pytest.raises(UserError, match="no run directory"):
        resume_session(path, {})


def test_with_only_damaged_states_nothing_is_lost(archive: Path, tmp_path: Path) -> None:
    trainer = start(archive, tmp_path / "runs")
    trainer.train()
    trainer.run.close()
    path = trainer.run.path
    for state in list_states(path / "state"):
        (state / "tensors.safetensors").write_bytes(b"cut")
    old = (path / STATS).read_bytes(), find_snapshot(path).read_bytes()
    with pytest.raises(UserError, match="--require-exact: .* holds no complete state"):
        resume_session(path, {}, require_exact=True)
    again = Trainer(*resume_session(path, {}))
    aside = path / "set-aside-0"
    assert ((aside / STATS).read_bytes(), find_snapshot(aside).read_bytes()) == old
    log = (path / "log.txt").read_text()
    assert "is damaged" in log
    assert f"what was there is kept in {aside}" in log
    StopAfter(again, 3)
    with pytest.raises(StoppedError):
        again.train()
    again.run.close()
    session, run = resume_session(path, {})
    assert session.state.progress.images == 12, "its own states are not pruned"
    run.close()


def test_states_behind_damaged_ones_are_kept(archive: Path, tmp_path: Path) -> None:
    trainer = start(archive, tmp_path / "runs")
    trainer.train()
    trainer.run.close()
    newest = list_states(trainer.run.states)[0]
    (newest / "tensors.safetensors").write_bytes(b"cut")
    again = Trainer(*resume_session(trainer.run.path, {}))
    before = again.progress.images
    StopAfter(again, 1)
    with pytest.raises(StoppedError):
        again.train()
    again.run.close()
    session, run = resume_session(trainer.run.path, {})
    assert session.state.progress.images == before + 4
    run.close()


@pytest.mark.parametrize("rolled_back", [False, True])
def test_stopping_right_after_a_snapshot_keeps_its_mark(
    archive: Path, tmp_path: Path, rolled_back: bool
) -> None:
    trainer = start(archive, tmp_path / "runs")
    if rolled_back:
        trainer.tick = lambda last: trainer.roll_back("trouble")  # type: ignore[method-assign]
    StopAfter(trainer, 1 if rolled_back else 9)  # the third status line, with a snapshot
    with pytest.raises(StoppedError, match="the state is saved"):
        trainer.train()
    trainer.run.close()
    state = list_states(trainer.run.states)[0]
    assert int(state.name) == trainer.progress.images == (0 if rolled_back else 36)
    numbers = json.loads((state / "state.json").read_text())
    assert numbers["boundary"] is True
    assert numbers["progress"]["rollbacks"] == int(rolled_back)
    assert numbers["lengths"]["log.txt"] == (trainer.run.path / "log.txt").stat().st_size


def test_stopping_between_snapshots_saves(archive: Path, tmp_path: Path) -> None:
    trainer = stopped(archive, tmp_path / "runs", steps=1)  # after a status line alone
    state = list_states(trainer.run.states)[0]
    assert int(state.name) == trainer.progress.images == 4
    assert json.loads((state / "state.json").read_text())["boundary"] is False


def test_files_that_a_power_cut_shortened_are_not_filled_up(archive: Path, tmp_path: Path) -> None:
    trainer = start(archive, tmp_path / "runs")
    trainer.train()
    trainer.run.close()
    path = trainer.run.path
    whole = (path / STATS).read_bytes()
    lines = whole.splitlines(keepends=True)
    assert len(lines) > 2
    (path / STATS).write_bytes(whole[: -len(lines[-1]) // 2])  # in the middle of a line
    resume_session(path, {})[1].close()
    assert (path / STATS).read_bytes() == b"".join(lines[:-1])
    log = (path / "log.txt").read_text()
    assert f"{path / STATS} lost its last lines" in log
    assert "log.txt lost" not in log


def test_growing_files_are_on_the_disk_before_the_state(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = start(archive, tmp_path / "runs")
    order: list[str] = []
    monkeypatch.setattr("synthograph.training.run.sync", lambda path: order.append(path.name))
    monkeypatch.setattr("synthograph.training.loop.save_state", lambda *args: order.append("state"))
    trainer.run.log("hello")
    trainer.run.record(STATS, {})
    trainer.save(boundary=False)
    trainer.run.close()
    assert order == ["log.txt", STATS, "state"]


def made_on(run: Path, device: str) -> None:
    """Let a run look as if it had been made on another device."""
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "device": device}))
    state = list_states(run / "state")[0]
    surroundings = json.loads((state / "state.json").read_text())["surroundings"]
    assert surroundings["device"] == "cpu"
    change_numbers(state, surroundings={**surroundings, "device": f"{device}:0 (Some GPU)"})


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without GPUs")
@pytest.mark.parametrize("asked", ["auto", "cpu"])
def test_a_run_of_a_gpu_goes_on_elsewhere(
    archive: Path, tmp_path: Path, threads: None, asked: str
) -> None:
    path = stopped(archive, tmp_path / "runs", steps=2).run.path
    made_on(path, "cuda")
    config = (path / "config.json").read_bytes()
    for options in ({}, {"device": "cuda"}):
        with pytest.raises(UserError, match="0 CUDA devices; use --device auto"):
            resume_session(path, options)
    told = r"--require-exact: device cuda:0 \(Some GPU\) -> cpu, so"
    with pytest.raises(UserError, match=told):
        resume_session(path, {"device": asked}, require_exact=True)
    assert (path / "config.json").read_bytes() == config
    session, run = resume_session(path, {"device": asked})
    run.close()
    assert session.config.device == session.device.type == "cpu"
    assert json.loads((path / "config.json").read_text())["device"] == "cpu"
    log = (path / "log.txt").read_text()
    assert "continues, not bit-exact: device cuda:0 (Some GPU) -> cpu" in log


def test_devices_of_a_resumed_run(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(archive)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)

    def device(before: str, asked: str) -> str:
        own = config.model_copy(update={"device": before})
        return extended(own, {"device": asked}, tmp_path).device

    assert device("cuda:1", "cuda:0") == "cuda:0"
    assert device("cuda", "cuda:0") == "cuda", "the same one"
    assert device("cuda", "auto") == "cuda"
    assert device("cpu", "auto") == "cuda"
    with pytest.raises(UserError, match="this machine has 2 CUDA devices"):
        device("cuda", "cuda:2")


def test_older_states_do_not_tell_their_device(archive: Path, tmp_path: Path) -> None:
    trainer = stopped(archive, tmp_path / "runs", steps=2)
    state = list_states(trainer.run.states)[0]
    surroundings = json.loads((state / "state.json").read_text())["surroundings"]
    del surroundings["device"]
    change_numbers(state, surroundings=surroundings)
    path = trainer.run.path
    resume_session(path, {}, require_exact=True)[1].close()
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, "device": "cuda:1"}))
    with pytest.raises(UserError, match="--require-exact: device cuda:1 -> cpu"):
        resume_session(path, {"device": "cpu"}, require_exact=True)


def test_a_run_is_not_made_shorter_than_it_is(archive: Path, tmp_path: Path) -> None:
    trainer = start(archive, tmp_path / "runs")
    trainer.train()
    trainer.run.close()
    with pytest.raises(UserError, match="--kimg 0.02: the run has shown 60 images"):
        resume_session(trainer.run.path, {"training": {"kimg": 0.02}})


def test_a_run_may_be_asked_for_the_length_that_whole_steps_exceeded(
    archive: Path, tmp_path: Path
) -> None:
    trainer = start(archive, tmp_path / "runs", training={"kimg": 0.006})
    trainer.train()
    trainer.run.close()
    session, run = resume_session(trainer.run.path, {"training": {"kimg": 0.006}})
    run.close()
    assert session.state.progress.images == 8 > session.config.training.images
    with pytest.raises(UserError, match="--kimg 0.007: the run has shown 8 images"):
        resume_session(trainer.run.path, {"training": {"kimg": 0.007}})


@pytest.mark.parametrize("named", ["nowhere", "option", "environment"])
def test_no_server_is_told_anything_that_only_the_run_directory_names(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    named: str,
) -> None:
    server = "http://127.0.0.1:9"
    trainer = start(make_archive(tmp_path / "a.zip"), tmp_path / "runs")
    path = trainer.run.path
    trainer.run.close()
    tree = json.loads((path / CONFIG).read_text())
    tree["tracking"] |= {"uri": server, "trackers": ["tensorboard", "mlflow"]}
    (path / CONFIG).write_text(json.dumps(tree))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server if named == "environment" else "")
    asked = {"tracking": {"uri": server}} if named == "option" else {}
    session, run = resume_session(path, asked)
    run.close()
    tracking, known = session.config.tracking, named != "nowhere"
    assert tracking.uri == (server if known else None)
    assert tracking.trackers == ["tensorboard", *(["mlflow"] if known else [])]
    assert (f"not followed at {server}" in capsys.readouterr().out) is not known
