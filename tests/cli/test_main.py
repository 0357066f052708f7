"""Signals before a command can answer them itself, and memory that runs out."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from synthograph.cli import main
from tests.cli.conftest import Typed

GENERATE = ["generate", "--network", "a.safetensors", "--outdir", "images"]
TRAIN = ["train", "--data", "a.zip"]


def start(
    folder: Path, module: str, code: str, arguments: Sequence[str], *, ignored: bool = False
) -> "subprocess.CompletedProcess[str]":
    """Run a command in which importing `module` runs `code` instead."""
    (folder / f"{module}.py").write_text(f"import os, signal, sys, time\n{code}\n")
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-m", "synthograph", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        preexec_fn=(lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) if ignored else None,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def kill(name: str) -> str:
    return f"os.kill(os.getpid(), signal.{name}); time.sleep(30)"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1"])
@pytest.mark.parametrize(
    ("module", "arguments", "words"),
    [
        ("typer", TRAIN, "stopped before anything was begun"),
        ("torch", TRAIN, "stopped before the first step was begun"),
        ("torch", GENERATE, "stopped before anything was begun"),
    ],
)
def test_a_signal_during_an_import_ends_with_3_and_one_line(
    tmp_path: Path, name: str, module: str, arguments: list[str], words: str
) -> None:
    done = start(tmp_path, module, kill(name), arguments)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.strip() == f"{words} ({name})"


def test_an_interrupt_within_exec_keeps_the_exit_code(tmp_path: Path) -> None:
    code = f"exec({kill('SIGTERM')!r})"
    assert start(tmp_path, "torch", code, GENERATE).returncode == 3


def test_signals_to_copies_of_the_process_end_them_alone(tmp_path: Path) -> None:
    code = (
        "child = os.fork()\n"
        f"if not child: {kill('SIGTERM')}\n"
        "sys.exit(50 + os.WTERMSIG(os.waitpid(child, 0)[1]))"
    )
    done = start(tmp_path, "torch", code, GENERATE)
    assert (done.returncode, done.stderr) == (50 + signal.SIGTERM, "")


@pytest.mark.skipif(os.name == "nt", reason="its names are never ASCII")
def test_a_locale_of_ascii_alone_keeps_names(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "synthograph", "inspect", "größe.zip"],
        cwd=tmp_path,
        env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert found.returncode == 2
    assert "größe.zip" in found.stderr


def test_what_was_ignored_stays_ignored(tmp_path: Path) -> None:
    code = "os.kill(os.getpid(), signal.SIGINT); sys.exit(60)"
    assert start(tmp_path, "torch", code, GENERATE, ignored=True).returncode == 60


@pytest.mark.usefixtures("one_of_two")
def test_processes_of_torchrun_are_left_to_it(tmp_path: Path) -> None:
    done = start(tmp_path, "torch", kill("SIGTERM"), TRAIN)
    assert done.returncode == -signal.SIGTERM


@pytest.mark.usefixtures("one_of_two")
@pytest.mark.parametrize("arguments", [GENERATE, ["--debug", "prepare", "a", "b.zip"]])
def test_what_is_not_trained_is_the_work_of_one_process(typed: Typed, arguments: list[str]) -> None:
    code, out, err = typed(*arguments)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].endswith("the work of one process: start it without torchrun")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 9 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA out of memory. Tried to allocate 9 GiB"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_memory_that_runs_out_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(SystemExit) as end:
        main.run()
    printed = capsys.readouterr().err
    assert end.value.code == 2 and printed.count("\n") == 1
    assert printed.startswith("error: out of memory (") and "a smaller batch" in printed


@pytest.mark.parametrize("error", [RuntimeError("shape"), OSError(5, "disk"), KeyError("a")])
def test_other_errors_are_bugs(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(type(error)):
        main.run()
