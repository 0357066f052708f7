"""The job scripts of docs/cluster, with a scheduler that only writes down what it is asked."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from synthograph.models.snapshot import load
from synthograph.models.snapshot_files import find_snapshot
from synthograph.training.state import list_states
from tests.conftest import make_archive
from tests.training.test_resume import SETTINGS

SCRIPTS = Path(__file__).parents[1] / "docs" / "cluster"


@pytest.mark.parametrize("script", sorted(p.name for p in SCRIPTS.iterdir() if p.suffix != ".def"))
def test_scripts_are_valid(script: str) -> None:
    path = SCRIPTS / script
    if path.suffix in (".slurm", ".sge"):
        subprocess.run(["bash", "-n", str(path)], check=True)
    else:
        assert "never built" in path.read_text(), "nobody ran it, and it has to say so"


@contextmanager
def job(tmp_path: Path, script: str, config: Path) -> Iterator["subprocess.Popen[str]"]:
    """A script at work, which does not outlive what is asked of it."""
    tools = tmp_path / "bin"
    tools.mkdir(exist_ok=True)
    (tools / "sbatch").write_text(f'#!/bin/bash\necho "$@" >> {tmp_path}/submitted\n')
    synthograph = f'#!/bin/bash\nexec {sys.executable} -m synthograph "$@"\n'
    (tools / "synthograph").write_text(synthograph)
    for tool in tools.iterdir():
        tool.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "DATA": str(tmp_path / "set.zip"),
        "OUTDIR": str(tmp_path / "runs"),
        "GPUS": "1",
    }
    command = ["bash", str(SCRIPTS / script), "--config", str(config), "--cfg", "tiny"]
    with (tmp_path / "output").open("a") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "warning", "code"),
    [("train.slurm", signal.SIGUSR1, 0), ("train.sge", signal.SIGUSR2, 99)],
)
def test_jobs_come_back_until_the_run_is_done(
    tmp_path: Path, script: str, warning: signal.Signals, code: int
) -> None:
    make_archive(tmp_path / "set.zip", size=(8, 8))
    config = tmp_path / "config.json"
    length = {"training": {"kimg": 1e6, "batch": 4, "batch_gpu": 4, "tick_kimg": 0.04, "snap": 20}}
    config.write_text(json.dumps({**SETTINGS, **length}))
    log = tmp_path / "runs" / "00000-set-tiny" / "log.txt"
    said = tmp_path / "output"
    with job(tmp_path, script, config) as first:
        deadline = time.monotonic() + 120
        while not (log.exists() and "tick 1 " in log.read_text()) and time.monotonic() < deadline:
            assert first.poll() is None, said.read_text()
            time.sleep(0.05)
        first.send_signal(warning)
        assert first.wait(120) == code, said.read_text()
    if script == "train.slurm":
        assert (tmp_path / "submitted").read_text().strip().endswith("--cfg tiny")
    assert "stopped on request" in said.read_text()
    images = int(list_states(log.parent / "state")[0].name) + 80
    settings = json.loads((log.parent / "config.json").read_text())
    settings["training"]["kimg"] = images / 1000
    (log.parent / "config.json").write_text(json.dumps(settings))
    with job(tmp_path, script, config) as second:
        assert second.wait(240) == 0, said.read_text()
    assert load(find_snapshot(log.parent)).info.images_seen == images
