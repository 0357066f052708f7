"""Processes that are started see nothing of the working folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import synthograph
from synthograph.core.children import context, environment, python_command

SOURCE = Path(synthograph.__file__).resolve().parent.parent
PLANTED = ("signal", "struct", "types", "typing", "threading", "numpy", "torch", "pickle", "socket")


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder whose modules leave a mark where they are run."""
    folder = tmp_path / "here"
    folder.mkdir()
    for name in PLANTED:
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'RAN')!r}, 'a').write('{name} ')")
    monkeypatch.chdir(folder)
    return tmp_path / "RAN"


@pytest.mark.parametrize("entries", [[], [""], ["."], ["../here"], ["", "..", "/nowhere"]])
def test_the_environment_of_a_child(
    entries: list[str], trap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SOURCE), *entries]))
    code = "import sys, signal, struct, typing, numpy; print(sys.path)"
    own = environment(MORE="x")
    assert own["MORE"] == "x"
    done = subprocess.run([sys.executable, "-c", code], env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not trap.exists()
    kept = own["PYTHONPATH"].split(os.pathsep)
    assert kept[0] == str(SOURCE)
    assert str(trap.parent / "here") not in kept
    assert kept[1:] == ([str(trap.parent), "/nowhere"] if ".." in entries else [])


def test_a_module_is_run_without_the_working_folder(trap: Path) -> None:
    done = subprocess.run([*python_command("typing")], env={"PATH": ""}, check=False)
    assert done.returncode == 0
    assert not trap.exists()


def found(name: str) -> str:
    __import__(name)
    return os.path.realpath(sys.modules[name].__file__ or "")


def test_a_process_of_a_pool(trap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(trap.parent / "here"))
    monkeypatch.syspath_prepend("")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", str(SOURCE)]))
    before, path = dict(os.environ), sys.path[:]
    with context().Pool(1) as pool:
        where = pool.apply(eval, ("__import__('struct').__file__",))
        sees = pool.apply(eval, ("__import__('sys').path",))
    assert not trap.exists()
    assert str(trap.parent / "here") not in sees
    assert Path(where).parent != trap.parent / "here"
    assert (dict(os.environ), sys.path) == (before, path)


@pytest.mark.parametrize("words", [["--version"], ["inspect", "missing"]])
def test_a_command_in_a_folder_of_modules(words: list[str], trap: Path) -> None:
    own = {**os.environ, "PYTHONPATH": str(SOURCE)}
    own.pop("PYTHONSAFEPATH", None)
    (trap.parent / "here" / "types.py").unlink()  # Python imports it before it runs any module
    command = [sys.executable, "-m", "synthograph", *words]
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == (2 if "missing" in words else 0), done.stderr
    assert not trap.exists()


def test_a_command_in_the_folder_of_its_own_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SOURCE)
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "synthograph", "--version"]
    assert subprocess.run(command, env=own, check=False).returncode == 0
