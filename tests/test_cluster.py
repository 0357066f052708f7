"""The job scripts of docs/cluster, with a scheduler that only writes down what it is asked."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synthograph.models.snapshot import find_snapshot, load
from tests.conftest import make_archive
from tests.training.test_resume import SETTINGS

SCRIPTS = Path(__file__).parents[1] / "docs" / "cluster"


@pytest.mark.parametrize("script", sorted(p.name for p in SCRIPTS.iterdir() if p.suffix != ".def"))
def test_scripts_are_valid(script: str) -> None:
    path = SCRIPTS / script
    if path.suffix in (".slurm", ".sge"):
        subprocess.run(["bash", "-n", str(path)], check=True)
    else:
        assert "Untested" in path.read_text(), "nobody ran it, and it has to say so"


def start(tmp_path: Path, script: str, config: Path) -> "subprocess.Popen[str]":
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
        return subprocess.Popen(
            command,
            env=environment,
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
        )


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
    length = {"training": {"kimg": 2.4, "batch": 4, "batch_gpu": 4, "tick_kimg": 0.04, "snap": 20}}
    config.write_text(json.dumps({**SETTINGS, **length}))
    job = start(tmp_path, script, config)
    log = tmp_path / "runs" / "00000-set-tiny" / "log.txt"
    deadline = time.monotonic() + 120
    while not (log.exists() and "tick 1 " in log.read_text()) and time.monotonic() < deadline:
        assert job.poll() is None, (tmp_path / "output").read_text()
        time.sleep(0.05)
    job.send_signal(warning)
    assert job.wait(120) == code, (tmp_path / "output").read_text()
    if script == "train.slurm":
        assert (tmp_path / "submitted").read_text().strip().endswith("--cfg tiny")
    assert "stopped on request" in (tmp_path / "output").read_text()
    again = start(tmp_path, script, config)
    assert again.wait(240) == 0, (tmp_path / "output").read_text()
    assert load(find_snapshot(log.parent)).info.images_seen == 2400
