"""Half-written files: those of the dead are removed, never those of the living."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synthograph.core import halves
from synthograph.core.files import write_text
from synthograph.core.halves import half_path, has_ended, owner, remove_halves, scratch_folder


@pytest.fixture
def dead() -> str:
    """Owner in the name of a half file whose process has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return f"{halves.machine()}-{process.pid}-00000000"


def leave(folder: Path, name: str, by: str) -> Path:
    path = folder / f".{name}.{by}-12345678.tmp"
    path.write_text("half")
    return path


def grow_old(path: Path) -> None:
    then = time.time() - halves.OLD_SECONDS - 60
    os.utime(path, (then, then))


@pytest.mark.skipif(os.name == "nt", reason="processes are not asked there")
def test_whoever_writes_next_removes_what_a_dead_process_left(tmp_path: Path, dead: str) -> None:
    left = [leave(tmp_path, "a.zip", dead), leave(tmp_path, "other.npy", dead)]
    (tmp_path / f".b.{dead}-00000000.tmp").mkdir()
    (tmp_path / f".b.{dead}-00000000.tmp" / "x").touch()
    earlier = leave(tmp_path, "c", f"{halves.machine()}-{os.getpid()}-00000000")  # same number
    living = leave(tmp_path, "a.zip", f"{halves.machine()}-{os.getppid()}-00000000")
    own = leave(tmp_path, "a.zip", owner())
    foreign, old = (
        leave(tmp_path, "x", "00000000-1-00000000"),
        leave(tmp_path, "y", "0" * 8 + "-1-" + "0" * 8),
    )
    grow_old(old)
    strangers = [tmp_path / ".a.zip.tmp", tmp_path / ".a.Xy12.tmp", tmp_path / "a.12345678.tmp"]
    for path in strangers:
        path.touch()
        grow_old(path)
    write_text(tmp_path / "result.json", "{}")
    there = set(tmp_path.iterdir())
    assert there == {tmp_path / "result.json", living, own, foreign, *strangers}
    assert not {*left, earlier, old} & there


def test_who_holds_the_lock_removes_all_halves_of_that_file(tmp_path: Path) -> None:
    foreign = "00000000-1-00000000"
    gone = [leave(tmp_path, "k.zip", foreign), tmp_path / ".k.zip.02b051ea.tmp"]
    gone[1].touch()
    kept = {
        leave(tmp_path, "k.zip.rejected.csv", foreign),
        leave(tmp_path, "kk.zip", foreign),
        tmp_path / ".k.zip.tmp",
    }
    (tmp_path / ".k.zip.tmp").touch()
    remove_halves(tmp_path / "k.zip")
    assert set(tmp_path.iterdir()) == kept
    remove_halves(tmp_path / "missing" / "k.zip")


def test_names_that_begin_alike_are_told_apart(tmp_path: Path) -> None:
    one, other = tmp_path / ("x" * 60 + "1.zip"), tmp_path / ("x" * 60 + "2.zip")
    living = half_path(other)
    living.touch()
    remove_halves(one)
    assert living.exists()
    remove_halves(other)
    assert not living.exists()


def test_a_name_that_is_only_just_allowed_stays_allowed(tmp_path: Path) -> None:
    for name in ("x" * 255, "病" * 85):
        write_text(tmp_path / name, "whole")
        assert (tmp_path / name).read_text() == "whole"


def test_who_has_ended(dead: str) -> None:
    assert has_ended(owner()) is False
    if os.name != "nt":
        assert has_ended(dead) is True
        assert has_ended(f"{halves.machine()}-{os.getppid()}-00000000") is False
    assert has_ended("00000000-1-00000000") is None
    assert has_ended("nonsense") is None
    assert has_ended(f"{halves.machine()}-{10**30}-00000000") is not True


def test_a_scratch_folder_goes_and_its_leftover_too(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        (folder / "x").touch()
    assert list(tmp_path.iterdir()) == []
