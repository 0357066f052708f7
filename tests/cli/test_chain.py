"""The whole chain by its commands, and what bad input gets: one line and exit code 2."""

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
from PIL import Image

from synthograph.archive.reader import open_archive
from synthograph.cli import main
from tests.conftest import make_archive

TINY = [
    *("--set", "model.channel_base=32", "--set", "model.channel_max=4"),
    *("--set", "model.z_dim=4", "--set", "model.w_dim=4"),
    *("--batch", "4", "--device", "cpu", "--cfg", "tiny"),
]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """A command in this process: another one would import everything again."""
    words, out, err = ["synthograph", *map(str, arguments)], io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", words),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as end,
    ):
        main.run()
    return subprocess.CompletedProcess(
        words, int(end.value.code or 0), out.getvalue(), err.getvalue()
    )


def ok(*arguments: object) -> str:
    done = run(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refused(*arguments: object) -> str:
    done = run(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    return done.stderr


@pytest.mark.slow
def test_demo(tmp_path: Path) -> None:
    out = ok("demo", "--outdir", tmp_path, "--kimg", "0.1", "--count", "60")
    folder = tmp_path / "00000"
    assert "real-and-generated.png" in out
    assert "synthograph prepare" in out
    with Image.open(folder / "real-and-generated.png") as picture:
        assert picture.width > 300
    synthetic = open_archive(folder / "synthetic.zip")
    assert len(synthetic.rows) == 300
    assert "report.html" in out
    assert (folder / "report.html").stat().st_size > 10_000
    assert {row.label for row in synthetic.rows} == {"benign", "melanoma"}
    assert {row.split for row in open_archive(folder / "skin.zip").rows} == {"train", "val", "test"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory of a short conditional training."""
    folder = tmp_path_factory.mktemp("trained")
    archive = make_archive(folder / "set.zip")
    ok("train", "--data", archive, "--outdir", folder / "runs", "--cond", "--kimg", "0.02", *TINY)
    return folder / "runs" / "00000-set-cond-tiny"


def test_train_leaves_a_run(trained: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    assert {"config.json", "log.txt", "stats.jsonl", "reals.png", "snapshots", "state"} <= names
    config = json.loads((trained / "config.json").read_text())
    assert config["training"]["batch"] == 4
    assert config["precision"] in ("fp32", "bf16"), "auto must be resolved"
    entry = json.loads((trained / "stats.jsonl").read_text().splitlines()[-1])
    published = {
        "Loss/scores/fake",
        "Loss/scores/real",
        "Loss/signs/real",
        "Loss/G/loss",
        "Loss/D/loss",
        "Progress/kimg",
        "Timing/sec_per_kimg",
    }
    assert published <= entry.keys()
    assert set(entry["Loss/G/loss"]) == {"num", "mean", "std"}


@pytest.mark.slow
def test_resume_extends(trained: Path) -> None:
    out = ok("train", "--resume", trained, "--kimg", "0.03")
    assert "resumed from" in out
    assert "/other.zip: the archive" in refused(
        "train", "--resume", trained, "--data", "/other.zip"
    )


def test_generate(trained: Path, tmp_path: Path) -> None:
    out = ok(
        *("generate", "--network", trained, "--seeds", "0-2", "--class", "bright"),
        *("--outdir", tmp_path / "images", "--grid", tmp_path / "grid.png"),
    )
    assert "generator-" in out
    assert len(list((tmp_path / "images").glob("seed*.png"))) == 3
    assert (tmp_path / "grid.png").exists()
    ok("generate", "--network", trained, "--outdir", tmp_path / "set.zip", "--seeds", "0-1")
    assert len(open_archive(tmp_path / "set.zip").rows) == 4
    message = refused("generate", "--network", trained, "--outdir", tmp_path, "--class", "brihgt")
    assert "did you mean 'bright'" in message


def test_dry_run_creates_nothing(archive: Path, tmp_path: Path) -> None:
    out = ok("train", "--data", archive, "--outdir", tmp_path / "runs", *TINY, "--dry-run")
    assert "s/kimg" in out
    assert "parameters: generator" in out
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cfg", "nope"], "preset 'nope' is unknown"),
        (["--gamma", "-1"], "error: --gamma -1: must be at least 0\n"),
        (["--set", "model=4"], "is a group of settings"),
        (["--seed", str(2**64)], "--seed"),
        (["--set", "training.bacth=4"], "did you mean 'batch'"),
        (["--set", "nonsense"], "name.name=value"),
        (["--gpus", "2"], "--batch 4 cannot be shared by 2 processes"),
        (["--device", "tpu"], "device 'tpu'"),
        (["--split", "tset"], "no image is in split 'tset'"),
        (["--fold", "3"], "fold 3"),
        (["--subset", "99"], "choose from 1 to 24 images"),
        (["--augpipe", "bgd"], "--augpipe 'bgd'"),
        (["--aug", "fixed"], "needs a strength"),
        (["--precision", "fp61"], "precision"),
        (["--config", "/missing.yaml"], "/missing.yaml"),
    ],
)
def test_bad_options(archive: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    out = tmp_path / "runs"
    assert message in refused("train", "--data", archive, "--outdir", out, *TINY, *arguments)
    assert not out.exists()


@pytest.mark.slow
def test_bad_archives(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert "--data" in refused("train", "--outdir", runs)
    assert "missing.zip" in refused("train", "--data", tmp_path / "missing.zip", "--outdir", runs)
    unlabelled = make_archive(tmp_path / "unlabelled.zip", classes=())
    message = refused("train", "--data", unlabelled, "--cond", "--outdir", runs, *TINY)
    assert "has no label" in message
    sided = make_archive(tmp_path / "sided.zip", invariances=())
    message = refused("train", "--data", sided, "--mirror", "--outdir", runs, *TINY)
    assert "mirroring changes the meaning" in message
    assert not runs.exists()


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = run("--debug", "train", "--data", tmp_path / "x.zip")
    assert done.returncode == 2
    assert "Traceback" in done.stderr


def test_doctor_and_version() -> None:
    out = ok("doctor")
    for word in ("torch", "threads", "training would use", "cache:", "tensorboard"):
        assert word in out
    assert ok("--version").startswith("synthograph ")


def test_help_is_quick_to_import() -> None:
    code = "import sys, synthograph.cli.main; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        ("doctor", "run the same command again"),
        ("prepare", "the same command continues an unfinished archive"),
    ],
)
def test_interrupted_commands_say_how_to_go_on(verb: str, said: str) -> None:
    code = (
        "import sys, synthograph.cli.main as m\n"
        "def stop():\n    raise KeyboardInterrupt\n"
        "command = m.app.registered_commands[-1]\n"
        f"command.callback, command.name = stop, {verb!r}\n"
        f"sys.argv = ['synthograph', {verb!r}]\n"
        "m.run()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert f"stopped: interrupted; {said}\n" in done.stderr
