"""Runs of trials: trained piece by piece in a process of their own, and their measures."""

import contextlib
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from synthograph.core.children import environment, python_command
from synthograph.core.errors import (
    BlockedError,
    DiskFullError,
    DivergedError,
    ExitCode,
    StoppedError,
    SynthographError,
    UserError,
)
from synthograph.core.files import write_json
from synthograph.core.signals import StopRequest
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.untrusted.tensors import read_document
from synthograph.models.snapshot_files import list_snapshots
from synthograph.results.base import read_lines
from synthograph.results.evaluation import HELD_OUT, Entry, Measurements, parse_line
from synthograph.training.alarms import COLLAPSED
from synthograph.training.config import RunConfig
from synthograph.training.loop import ALARM
from synthograph.training.run import CONFIG, LOG, METRICS
from synthograph.workflows import search_worker
from synthograph.workflows.search_winner import shared_tree

SAVE_MINUTES = 2.0
"""Minutes of training that a killed search loses at most."""
SECONDS_OF_PATIENCE, SECONDS_BETWEEN = 120.0, 1.0
"""How long the process of a killed search is waited for, which saves its state and ends."""
BUSY = "another process is training"
SETTINGS = "settings.json"


class CollapsedError(SynthographError):
    """The images of a trial are all the same."""


class LostError(SynthographError):
    """The process of a trial ended without a word."""


@dataclass
class Worker:
    """A process that trains; see `search_worker`.

    Attributes:
        hear: gets every line of the log.
        beat: called at every line, and every second in between.
    """

    hear: Callable[[str], None]
    beat: Callable[[], None]
    _process: "subprocess.Popen[str] | None" = field(default=None, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            assert self._process.stdin is not None, "it was opened with pipes"
            self._process.stdin.close()
            if kind is not None:
                self._process.terminate()
            self._ended(self._process)

    def train(self, request: JsonObject) -> Path:
        """Train until the request is fulfilled; its run.

        Raises:
            StoppedError: a signal came; the run was saved.
            CollapsedError: its images are all the same; it was stopped.
            DivergedError: its numbers cannot be trusted.
            LostError: the process was killed, perhaps for want of memory.
            UserError: what `train` refuses.
        """
        if self._process is None:
            self._process = subprocess.Popen(
                python_command(search_worker.__name__),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment(),
                text=True,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C reaches it once, through here
            )
        process = self._process
        assert process.stdin is not None and process.stdout is not None, "they are pipes"
        with StopRequest(forward=lambda number, again: process.terminate()) as stop:
            try:
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
                answer = self._answer(process.stdout)
            except BrokenPipeError:
                answer = None
        if answer is None:
            code = self._ended(process)
            stop.heed()
            raise LostError(f"its process ended by itself (code {code}; out of memory?)")
        return _run_of(answer, stop)

    def _ended(self, process: "subprocess.Popen[str]") -> int:
        """Wait for the end of the process and close its pipes; its exit code."""
        code = process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(BrokenPipeError):  # what it was told last, and did not read
                if pipe is not None:
                    pipe.close()
        self._process = None
        return code

    def _answer(self, lines: IO[str]) -> JsonObject | None:
        collapsed = False
        for text in lines:
            message: JsonObject = json.loads(text) if text.startswith("{") else {}
            self.beat()
            line = message.get(search_worker.LOG)
            if line is None and message:
                return {**message, search_worker.ERROR: COLLAPSED} if collapsed else message
            if line is not None:
                self.hear(line)
                if is_collapse(line) and self._process is not None:
                    collapsed = True
                    self._process.terminate()
        return None


def _run_of(answer: JsonObject, stop: StopRequest) -> Path:
    said = answer.get(search_worker.ERROR)
    if said is None:
        stop.heed()  # a signal may have come when the run was all but done
        return Path(answer[search_worker.RUN])
    if said == COLLAPSED:
        raise CollapsedError(said)
    code = answer[search_worker.CODE]
    if code == ExitCode.STOPPED:
        raise StoppedError(f"stopped on request ({stop.reason or 'signal'})")
    kinds: dict[int, type[SynthographError]] = {
        ExitCode.DIVERGED: DivergedError,
        ExitCode.DISK_FULL: DiskFullError,
        ExitCode.BUG: LostError,
    }
    if BUSY in said:
        raise BlockedError(said)
    raise kinds.get(code, UserError)(said)


def is_collapse(line: str) -> bool:
    """Whether a line of a log says that all images are the same."""
    return line.startswith(f"{ALARM}{COLLAPSED}")


@dataclass(frozen=True)
class TrialRun:
    """One run of a trial: a configuration and a seed.

    Attributes:
        home: folder of its own.
        config: of the whole trial.
        preset: that the configuration began with.
        seed: of the run.
        device: where to compute.
        of_process: further settings of how to compute.
    """

    home: Path
    config: RunConfig
    preset: str
    seed: int
    device: str
    of_process: JsonObject

    @property
    def run(self) -> Path | None:
        """The run directory; None before it was begun."""
        return next((path.parent for path in sorted(self.home.glob(f"*/{CONFIG}"))), None)

    def train(self, worker: Worker, kimg: float) -> None:
        """Train it so far, or go on to there.

        Raises:
            SynthographError: see `Worker.train`.
        """
        if self.measured(kimg) is not None:
            return
        begun = self.run
        if begun is not None:
            request: JsonObject = {"resume": str(begun), "kimg": kimg, "device": self.device}
        else:
            self.home.mkdir(parents=True, exist_ok=True)
            settings = self.home / SETTINGS
            write_json(settings, shared_tree(self.config))
            request = {
                "data": self.config.data.path,
                "cfg": self.preset,
                "config": str(settings),
                "seed": self.seed,
                "kimg": kimg,
                "save_every": SAVE_MINUTES,
                "outdir": str(self.home),
                "device": self.device,
                **self.of_process,
            }
        self._patiently(worker, request | self.config.tracking.options())
        if self.collapsed:
            raise CollapsedError(COLLAPSED)

    def _patiently(self, worker: Worker, request: JsonObject) -> None:
        """Train; the process of a search that was killed may have to end before."""
        begun = time.monotonic()
        while True:
            try:
                worker.train(request)
            except BlockedError:
                if time.monotonic() - begun > SECONDS_OF_PATIENCE:
                    raise
                worker.beat()
                time.sleep(SECONDS_BETWEEN)
            else:
                return

    @property
    def collapsed(self) -> bool:
        """Whether its log says that all images are the same."""
        log = None if self.run is None else self.run / LOG
        if log is None or not log.exists():
            return False
        text = log.read_text(encoding="utf-8", errors="replace")
        return any(map(is_collapse, text.splitlines()))

    def measured(self, kimg: float) -> dict[str, Entry] | None:
        """The measures of the snapshot at the end of a piece, by name, of all images and modalities
        together; None before it is there.
        """
        run, wanted = self.run, round(kimg * 1000)
        if run is None or not (run / METRICS).exists():
            return None
        reached = (s for s in list_snapshots(run) if int(read_document(s)["images_seen"]) >= wanted)
        name = next((snapshot.name for snapshot in reached), None)
        lines, _ = read_lines(run / METRICS, parse_line)
        found = [
            line
            for line in lines
            if isinstance(line, Measurements) and line.metric == HELD_OUT and line.snapshot == name
        ]
        return None if not found else {e.name: e for e in found[-1].entries if e.scope.whole}
