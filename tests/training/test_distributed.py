"""Several processes do what one does, and end together."""

import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from synthograph.core.errors import UserError
from synthograph.models.snapshot import load
from synthograph.models.snapshot_files import find_snapshot
from synthograph.training import distributed
from synthograph.training.config import RunConfig
from synthograph.training.distributed import (
    TIMEOUT,
    Team,
    check_shares,
    init_team,
    rank_slices,
)
from synthograph.training.setup import make_session, open_data
from tests.conftest import ONE_OF_TWO, make_archive
from tests.training.test_resume import SETTINGS, configure

STEPS = 16


@given(st.integers(1, 9), st.integers(1, 40), st.integers(1, 12))
def test_shares_are_whole_groups_in_order(group: int, groups: int, processes: int) -> None:
    batch = group * groups
    if groups < processes:
        with pytest.raises(UserError, match=f"in whole groups of {group} images"):
            rank_slices(batch, group, processes)
        return
    parts = rank_slices(batch, group, processes)
    assert [i for part in parts for i in part] == list(range(batch))
    assert all(len(part) % group == 0 for part in parts)
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= group


def test_a_batch_that_cuts_groups_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="--batch 30 .* by 2 processes in whole groups of 4"):
        rank_slices(30, 4, 2)
    assert rank_slices(30, 4, 1) == [range(30)]


def shared(
    batch: int, group: int, microbatch: int | None = None, *, pairs: bool = False
) -> RunConfig:
    tree = {"batch": batch, "batch_gpu": microbatch or batch}
    return RunConfig.parse(
        {
            "model": {"family": "stylegan2", "mbstd_group": group, "spread_weight": float(pairs)},
            "training": tree,
            "data": {"path": "x.zip"},
        }
    )


@pytest.mark.parametrize(
    ("batch", "group", "microbatch", "processes"),
    [(1, 2, None, 3), (2, 4, None, 2), (3, 3, None, 2), (6, 4, 6, 4), (6, 3, 3, 4), (8, 4, 4, 3)],
)
def test_the_batch_that_is_proposed_can_be_shared(
    batch: int, group: int, microbatch: int | None, processes: int
) -> None:
    if microbatch is not None:
        group = math.gcd(group, microbatch)
    with pytest.raises(UserError, match=r"the nearest that can is \d+$") as error:
        check_shares(shared(batch, group, microbatch), processes)
    near = int(str(error.value).rpartition(" ")[2])
    follows = microbatch == batch  # as where no --batch-gpu was given
    check_shares(shared(near, group, None if follows else microbatch), processes)


@pytest.mark.parametrize(("batch", "group", "processes"), [(6, 1, 3), (12, 3, 2), (10, 1, 4)])
def test_no_process_gets_half_a_pair(batch: int, group: int, processes: int) -> None:
    config = shared(batch, group, pairs=True)
    check_shares(config, processes)
    parts = rank_slices(batch, config.group, processes)
    assert all(part.start % 2 == 0 and len(part) % 2 == 0 for part in parts)
    with pytest.raises(UserError, match=r"the nearest that can is \d+$") as error:
        check_shares(config, 2 * processes)
    near = int(str(error.value).rpartition(" ")[2])
    check_shares(shared(near, group, pairs=True), 2 * processes)


def test_groups_that_nothing_divides() -> None:
    with pytest.raises(UserError, match="discriminator compares: take fewer processes"):
        check_shares(shared(32, 1 << 30), 2)
    check_shares(shared(32, 1 << 30), 1)


def test_alone_without_torchrun() -> None:
    assert type(init_team()) is Team


def test_a_bad_timeout_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ONE_OF_TWO, TIMEOUT: "-1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=f"{TIMEOUT}='-1': give a number of seconds"):
        init_team()


def test_processes_that_do_not_come_are_waited_for_only_so_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(distributed, "SECONDS_OF_SILENCE", 0.0)
    port = free_port()
    names = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", TIMEOUT: "0.1"}
    for name, value in {**names, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Exception, match="did not answer"):
        init_team()
    assert f"waiting for 1 other processes at 127.0.0.1:{port}" in capsys.readouterr().err


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def together(module: str, words: list[str], processes: int) -> None:
    """Run a module in so many processes that find each other."""
    rendezvous = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    team = [
        subprocess.Popen(
            [sys.executable, "-m", module, *words],
            env={
                **os.environ,
                **rendezvous,
                "WORLD_SIZE": str(processes),
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "OMP_NUM_THREADS": "1",
                TIMEOUT: "120",
            },
        )
        for rank in range(processes)
    ]
    assert [process.wait(300) for process in team] == [0] * processes


def steps(config: RunConfig, folder: Path, processes: int, *family: str) -> dict[str, torch.Tensor]:
    """The tensors of a state after so many processes have done some steps."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config.tree()))
    words = [str(folder / "config.json"), str(STEPS), str(folder / "out"), *family]
    together("tests.training.steps", words, processes)
    return load_file(folder / "out")


def test_processes_leave_their_team_before_they_end() -> None:
    together("tests.training.ending", [], 2)


@pytest.mark.slow
def test_numbers_that_go_wrong_in_one_process_send_all_back(archive: Path, tmp_path: Path) -> None:
    together("tests.training.spoiled", [str(archive), str(tmp_path / "runs")], 2)
    log = (tmp_path / "runs" / "00000-test" / "log.txt").read_text()
    assert log.count("went back to 0 images, rollback 1 of 3") == 1
    assert log.strip().splitlines()[-1].startswith("done: ")


@pytest.fixture
def two_modalities(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "set.zip", size=(8, 8), modalities={"vis": 3, "nir": 1})


def smooth(batch: int, batch_gpu: int) -> dict:
    """Every regulariser at work; Adam does not blow rounding up to steps of full length."""
    adam = {"lr": 0.02, "eps": 0.1}
    return {
        "model": {"optimisers": {"G": adam, "D": adam}},
        "augment": {"mode": "ada", "p": 0.2, "speed_kimg": 1},
        "training": {"batch": batch, "batch_gpu": batch_gpu},
    }


@pytest.mark.slow
def test_more_processes_equal_one_to_rounding(two_modalities: Path, tmp_path: Path) -> None:
    settings = smooth(6, 2)
    config = configure(two_modalities, **settings)
    alone = steps(config, tmp_path / "1", 1)
    start = make_session(config, open_data(config)).state.tensors()
    weights = [name for name in start if name.startswith(("generator/", "discriminators/", "ema/"))]
    team = steps(config, tmp_path / "3", 3)
    assert team.keys() == alone.keys()
    for name in weights:
        moved = float((alone[name] - start[name]).abs().max())
        error = float((team[name] - alone[name]).abs().max())
        assert error <= 1e-3 * max(moved, 0.01), (name, error, moved)
    for name in ("extras/path_length_mean", "augment/controller"):
        torch.testing.assert_close(team[name], alone[name], rtol=1e-4, atol=0)
    movement = [float((alone[name] - start[name]).abs().max()) for name in weights]
    assert sum(moved > 0.01 for moved in movement) > len(movement) / 2, "the steps have to matter"
    assert float(alone["extras/path_length_mean"]) > 0
    assert float(alone["augment/controller"][0]) != 0.2, "the strength has to move"


class Running:
    """A training by command in several processes.

    Args:
        folder: for its output.
        words: what follows `train`.
        torchrun: options of torchrun; None for `--gpus`.
        patience: seconds that processes wait for each other.
    """

    def __init__(
        self, folder: Path, *words: str, torchrun: list[str] | None = None, patience: float = 60
    ) -> None:
        start = [] if torchrun is None else ["torch.distributed.run", "--standalone", *torchrun]
        command = [sys.executable, *(part for word in start[:1] for part in ("-m", word))]
        command += [*start[1:], "-m", "synthograph", "train", *words]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", TIMEOUT: str(patience)}
        self.output = folder / f"output-{time.monotonic_ns()}.txt"
        with self.output.open("w") as file:
            self.process = subprocess.Popen(
                command,
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def workers(self) -> list[int]:
        """Process ids of the workers, below whatever started them."""
        found, level = [], [self.process.pid]
        while level:
            level = [child for parent in level for child in children(parent)]
            found += [pid for pid in level if b"RANK=" in environment_of(pid)]
        return [pid for pid in found if not any(c in found for c in children(pid))]

    def wait_for(self, log: Path, text: str) -> None:
        """Until the log of the run, which may not be there yet, holds a text."""
        deadline = time.monotonic() + 240
        running = True
        while running and time.monotonic() < deadline:
            running = self.process.poll() is None
            if log.exists() and text in log.read_text():
                return
            time.sleep(0.1)
        raise AssertionError(f"{text!r} did not come: {self.end()}")

    def end(self) -> tuple[int, str]:
        """Exit code and all output."""
        try:
            self.process.wait(timeout=240)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        return self.process.returncode, self.output.read_text()


def children(pid: int) -> list[int]:
    try:
        return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def environment_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def train_words(archive: Path, outdir: Path, kimg: float) -> list[str]:
    tree = {
        **SETTINGS,
        "data": {"path": str(archive)},
        "training": {"kimg": kimg, "batch": 8, "batch_gpu": 4, "tick_kimg": 0.04, "snap": 2},
    }
    file = outdir.parent / "config.json"
    file.write_text(json.dumps(tree))
    return ["--config", str(file), "--cfg", "tiny", "--outdir", str(outdir)]


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="finds processes in /proc"
)


@pytest.mark.slow
@needs_proc
def test_stopped_by_one_signal_and_resumed_by_another_number(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "set.zip", size=(8, 8))
    outdir = tmp_path / "runs"
    running = Running(tmp_path, *train_words(archive, outdir, 1000), "--gpus", "2")
    run = outdir / "00000-set-tiny"
    running.wait_for(run / "log.txt", "tick 1 ")
    running.process.send_signal(signal.SIGTERM)
    code, output = running.end()
    assert code == 3, output
    assert output.count("stopped on request") == 1, output
    (state,) = [p for p in (run / "state").iterdir() if p.name.isdecimal() and int(p.name)]
    images = int(state.name)
    again = Running(tmp_path, "--resume", str(run), "--kimg", str((images + 80) / 1000))
    code, output = again.end()
    assert code == 0, output
    assert "not bit-exact: " in output
    assert "processes 2 -> 1" in output
    assert load(find_snapshot(run)).info.images_seen == images + 80


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_dead_or_hanging_process_ends_the_run(tmp_path: Path, how: signal.Signals) -> None:
    archive = make_archive(tmp_path / "set.zip", size=(8, 8))
    outdir = tmp_path / "runs"
    running = Running(tmp_path, *train_words(archive, outdir, 1000), "--gpus", "2", patience=5)
    running.wait_for(outdir / "00000-set-tiny" / "log.txt", "tick 1 ")
    workers = running.workers()
    assert len(workers) == 2
    os.kill(max(workers), how)
    start = time.monotonic()
    running.wait_for(running.output, "another process of this run ended or did not answer")
    with contextlib.suppress(ProcessLookupError):
        os.kill(max(workers), signal.SIGCONT)  # torchrun would give it 30 s to answer SIGTERM
    code, output = running.end()
    assert code == 1, output
    assert time.monotonic() - start < 60
    assert not any(environment_of(pid) for pid in workers), "a process was left behind"


@pytest.mark.slow
@needs_proc
def test_torchrun_starts_again_from_the_last_state(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "set.zip", size=(8, 8))
    outdir = tmp_path / "runs"
    words = train_words(archive, outdir, 0.8)
    running = Running(
        tmp_path, *words, torchrun=["--nproc-per-node=2", "--max-restarts=1"], patience=5
    )
    run = outdir / "00000-set-tiny"
    running.wait_for(run / "log.txt", "snapshot ")
    os.kill(max(running.workers()), signal.SIGKILL)
    code, output = running.end()
    assert code == 0, output
    assert "resumed from" in output
    assert [path.name for path in outdir.iterdir()] == [run.name]
    assert load(find_snapshot(run)).info.images_seen == 800
