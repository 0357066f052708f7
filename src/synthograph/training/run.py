"""Run directories: created by one rename, with the resolved configuration inside, and locked by one
process at a time.
"""

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from synthograph.core.config import read_tree
from synthograph.core.console import say
from synthograph.core.errors import UserError
from synthograph.core.files import (
    append_text,
    disk_errors,
    open_own,
    refuse_unwritable_folder,
    sync,
    write_bytes,
    write_json,
)
from synthograph.core.halves import half_path
from synthograph.core.locks import Lock
from synthograph.core.outputs import no_run
from synthograph.core.untrusted.documents import JsonObject
from synthograph.models.published import SUFFIXES
from synthograph.models.snapshot_files import BEST
from synthograph.results.training import BestSnapshot
from synthograph.training.config import RunConfig
from synthograph.training.distributed import Team, launch_id, restarted

CONFIG, LOG, STATS, METRICS = "config.json", "log.txt", "stats.jsonl", "metrics.jsonl"
ORIGIN = "initialised_from.json"
GROWING = (LOG, STATS, METRICS)
EVALUATIONS = "evaluations.jsonl"
"""Results of `evaluate` on snapshots; resuming never cuts it back."""
LOCK = ".lock"
LAUNCH = ".launch"
ASIDE = "set-aside"


class RunDirectory:
    """The files of one run. Opening it locks it for this process.

    Raises:
        UserError: another process trains in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        what = f"{path}: another process is training in this run directory"
        self._lock = Lock(path / LOCK, what)
        with disk_errors(path):
            self._lock.acquire()

    @property
    def snapshots(self) -> Path:
        """Folder of snapshots."""
        return self.path / "snapshots"

    @property
    def states(self) -> Path:
        """Folder of states."""
        return self.path / "state"

    def log(self, text: str) -> None:
        """A line for the console and `log.txt`."""
        say(text)
        self._append(LOG, text)

    def _append(self, name: str, line: str) -> None:
        append_text(self.path / name, line + "\n")

    def record(self, name: str, entry: JsonObject) -> None:
        """Append a JSON line to `stats.jsonl` or `metrics.jsonl`."""
        self._append(name, json.dumps(entry, allow_nan=False))

    def picture(self, name: str, png: bytes) -> None:
        """Write a picture."""
        write_bytes(self.path / name, png)

    def write_best(self, best: BestSnapshot | None) -> None:
        """Write which snapshot is the best one, or that none is."""
        path = self.snapshots / BEST
        if best is None:
            path.unlink(missing_ok=True)
        else:
            best.save(path)

    def lengths(self) -> dict[str, int]:
        """Byte length of every file that only grows. They are flushed to the disk first, so that no
        state records more of them than a power cut would leave.
        """
        found = dict.fromkeys(GROWING, 0)
        with disk_errors(self.path):
            for path in (self.path / name for name in GROWING):
                if path.exists():
                    sync(path)
                    found[path.name] = path.stat().st_size
        return found

    def truncate(self, lengths: Mapping[str, int]) -> list[str]:
        """Cut growing files back to where they were when a state was saved.

        Returns:
            Warnings about files that are shorter; these are cut after their last whole line.
        """
        lost = []
        for path in (self.path / name for name in GROWING):
            length = lengths.get(path.name, 0)
            data = path.read_bytes() if path.exists() else b""
            if len(data) < length:
                lost.append(f"{path} lost its last lines, as after a power cut")
                length = data.rfind(b"\n") + 1
            if path.exists():
                handle = open_own(path, os.O_WRONLY)
                try:
                    os.ftruncate(handle, length)
                finally:
                    os.close(handle)
        return lost

    def set_aside(self) -> Path | None:
        """Move logs, pictures, snapshots and states into a folder of their own.

        Returns:
            The folder; None where there was nothing.
        """
        kept = {CONFIG, ORIGIN, LOCK, LAUNCH, self._lock.held.name}
        old = [p for p in self.path.iterdir() if p.name not in kept and ASIDE not in p.name]
        if not old:
            return None
        number = sum(ASIDE in p.name for p in self.path.iterdir())
        folder = self.path / f"{ASIDE}-{number}"
        with disk_errors(folder):
            folder.mkdir()
            for path in old:
                path.rename(folder / path.name)
        return folder

    def trained_for(self) -> float:
        """Seconds since torchrun's processes first began to train here, when it has started them
        again since; else 0, and from now on they count.
        """
        launch, path = launch_id(), self.path / LAUNCH
        if launch is None:
            return 0.0
        with disk_errors(path):
            if restarted() and path.exists() and path.read_bytes() == launch.encode():
                return max(time.time() - path.stat().st_mtime, 0.0)
            write_bytes(path, launch.encode())
        return 0.0

    def close(self) -> None:
        """Unlock."""
        self._lock.release()


class NullRunDirectory(RunDirectory):
    """Stands in for the run directory in all processes but the main one, which writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def log(self, text: str) -> None:
        """Only the main process logs."""

    def record(self, name: str, entry: JsonObject) -> None:
        """Only the main process writes."""

    def picture(self, name: str, png: bytes) -> None:
        """Only the main process writes."""

    def write_best(self, best: BestSnapshot | None) -> None:
        """Only the main process writes."""

    def truncate(self, lengths: Mapping[str, int]) -> list[str]:
        """Only the main process does."""
        return []

    def trained_for(self) -> float:
        """Only the main process keeps the time."""
        return 0.0

    def close(self) -> None:
        """Nothing was locked."""


def create_run(
    outdir: Path, config: RunConfig, description: str, *, origin: JsonObject | None = None
) -> RunDirectory:
    """Make `outdir/00003-<description>` with `config.json` inside, by one rename; `origin` is the
    document of the snapshot that the run starts from, if any.

    Raises:
        UserError: the folder cannot be written.
    """

    def fill(folder: Path) -> None:
        write_json(folder / CONFIG, config.tree())
        if origin is not None:
            write_json(folder / ORIGIN, origin)
        launch = launch_id()
        if launch is not None:
            write_bytes(folder / LAUNCH, launch.encode())

    return RunDirectory(numbered_folder(outdir, description, fill))


def numbered_folder(outdir: Path, description: str, fill: Callable[[Path], None]) -> Path:
    """Make `outdir/00003-<description>`, with what `fill` writes into it, by one rename.

    Raises:
        UserError: the folder cannot be written.
    """
    refuse_unwritable_folder(outdir)
    with disk_errors(outdir):
        outdir.mkdir(parents=True, exist_ok=True)
        temporary = half_path(outdir / description)
        temporary.mkdir()
        fill(temporary)
        while True:
            path = outdir / f"{_next_number(outdir):05d}-{description}"
            try:
                temporary.rename(path)  # fails where another process was faster
            except OSError:
                if not path.exists():
                    raise
                continue
            return path


def _next_number(outdir: Path) -> int:
    numbers = [int(m[1]) for p in outdir.iterdir() if (m := re.match(r"(\d+)", p.name))]
    return max(numbers, default=-1) + 1


def refuse_snapshot(path: Path) -> None:
    """Refuse a snapshot in place of a run directory.

    Raises:
        UserError: it is one by its name.
    """
    if path.suffix in SUFFIXES:
        raise UserError(
            f"{path}: is a snapshot, which holds no optimiser, counters or augmentation: --resume "
            f"takes a run directory; --init-from {path} starts a new run with its weights"
        )


def read_config(path: Path) -> RunConfig:
    """The configuration of a run directory.

    Raises:
        UserError: the folder holds no run, or one of another version.
    """
    refuse_snapshot(path)
    file = path / CONFIG
    if not file.exists():
        raise UserError(f"{path}: {no_run(path)}")
    tree = read_tree(file)
    try:
        return RunConfig.parse(tree)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None


def read_origin(path: Path) -> JsonObject | None:
    """Document of the snapshot that a run started from; None where it began with fresh weights."""
    file = path / ORIGIN
    return read_tree(file) if file.exists() else None


def join_run(
    outdir: Path,
    config: RunConfig,
    description: str,
    team: Team,
    *,
    origin: JsonObject | None = None,
) -> RunDirectory:
    """`create_run` in the main process of a team; the others get a `NullRunDirectory`."""
    run = create_run(outdir, config, description, origin=origin) if team.is_main else None
    path = team.broadcast_object("" if run is None else str(run.path))
    return NullRunDirectory(Path(path)) if run is None else run


def find_launched(outdir: Path, launch: str) -> Path | None:
    """The newest run directory that processes of this launch made or went on with."""
    key = launch.encode()
    files = (p for p in outdir.glob(f"*/{LAUNCH}") if p.stat().st_size == len(key))
    return max((p.parent for p in files if p.read_bytes() == key), default=None)
