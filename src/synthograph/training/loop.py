"""The training loop, to be read aloud: step, report, draw, save, stop when asked."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from synthograph.core.errors import StoppedError
from synthograph.models.snapshot import save_snapshot
from synthograph.training.board import Board
from synthograph.training.grids import Grid
from synthograph.training.run import STATS, RunDirectory
from synthograph.training.session import Session
from synthograph.training.signals import StopRequest
from synthograph.training.state import SavedNumbers, Surroundings, save_state
from synthograph.training.stats import json_safe

OnSnapshot = Callable[[Path, int], None]
"""Called after a snapshot was written, with its path and the images seen."""


class Trainer:
    """Runs a session to its end and keeps its run directory.

    Args:
        session: what is trained.
        run: where it is kept.
        on_snapshot: called after every snapshot, before the state is saved.
    """

    def __init__(
        self, session: Session, run: RunDirectory, *, on_snapshot: OnSnapshot | None = None
    ) -> None:
        self.session, self.run = session, run
        self.on_snapshot = on_snapshot
        self.grid = Grid(session.spec, session.stream, session.info.classes)
        self.board = Board(run.path, session.state.progress.images)
        self.saved = self.ticked = time.monotonic()
        self.maintenance = 0.0

    def train(self) -> None:
        """Train until all images were shown.

        Raises:
            StoppedError: a signal or the time limit; the state is saved.
            DivergedError: numbers that cannot be trusted; the last state is kept.
        """
        config, progress = self.session.config.training, self.session.state.progress
        limit = None if config.max_hours is None else time.monotonic() + config.max_hours * 3600
        if progress.images == 0:
            self.start()
        with StopRequest() as stop:
            while progress.images < config.images:
                alarm = self.session.step()
                if alarm is not None:
                    self.run.say(alarm)
                last = progress.images >= config.images
                if last or self.tick_due():
                    self.tick(last)
                elif time.monotonic() - self.saved > config.save_every * 60:
                    self.save(boundary=False)
                if not last and (stop.requested or (limit and time.monotonic() > limit)):
                    self.stop(stop.reason or f"--max-hours {config.max_hours}")
        self.board.close()
        self.run.say(f"done: {self.run.snapshots}")

    def start(self) -> None:
        """Pictures of the data and of the untrained generator."""
        self.run.picture("reals.png", self.grid.reals())
        self.run.picture("fakes-init.png", self.grid.fakes(self.session))

    def tick_due(self) -> bool:
        """Whether a status line is due: after the first step and every so many images."""
        progress = self.session.state.progress
        every = self.session.config.training.tick_kimg * 1000
        return progress.ticks == 0 or progress.images - progress.tick_images >= every

    def tick(self, last: bool) -> None:
        """Status line and statistics; every `snap` ticks and at the end pictures, snapshot, metrics
        and state.
        """
        progress = self.session.state.progress
        self.report()
        progress.ticks += 1
        progress.tick_images = progress.images
        start = time.monotonic()
        if last or (
            progress.ticks > 1 and (progress.ticks - 1) % self.session.config.training.snap == 0
        ):
            self.snapshot()
            self.save(boundary=True)
        self.ticked = time.monotonic()
        self.maintenance = self.ticked - start

    def report(self) -> None:
        """One line for people, one JSON line for programs; statistics start anew."""
        progress, moments = self.session.state.progress, self.session.state.moments
        now = time.monotonic()
        seconds, shown = now - self.ticked, progress.images - progress.tick_images
        progress.seconds += seconds + self.maintenance
        per_kimg = seconds / max(shown / 1000, 1e-9)
        left = per_kimg * max(self.session.config.training.images - progress.images, 0) / 1000
        entry = {name: json_safe(values) for name, values in moments.summary().items()}
        extra = {
            "Progress/tick": progress.ticks,
            "Progress/kimg": progress.images / 1000,
            "Progress/augment": self.session.state.controller.p,
            "Timing/total_sec": progress.seconds,
            "Timing/sec_per_tick": seconds,
            "Timing/sec_per_kimg": per_kimg,
            "Timing/maintenance_sec": self.maintenance,
            "Resources/cpu_mem_gb": peak_memory_gb(),
        }
        entry |= {name: {"num": 1, "mean": float(v), "std": 0.0} for name, v in extra.items()}
        self.board.add(entry, progress.images)
        self.run.record(STATS, {**entry, "timestamp": time.time()})
        scores = [moments.mean(f"Loss/scores/{kind}") for kind in ("real", "fake")]
        shown_scores = "  ".join(
            f"{kind} {score:+.2f}"
            for kind, score in zip(("real", "fake"), scores, strict=True)
            if score is not None
        )
        self.run.say(
            f"tick {progress.ticks:<4} kimg {progress.images / 1000:<8.1f} "
            f"sec/kimg {per_kimg:<7.2f} time {duration(progress.seconds):<9} "
            f"left {duration(left):<9} memory {peak_memory_gb():.1f} GB  "
            f"augment {self.session.state.controller.p:.3f}  scores {shown_scores}"
        )
        moments.clear()

    def snapshot(self) -> None:
        """Pictures, weights and whatever `on_snapshot` measures."""
        session, images = self.session, self.session.state.progress.images
        self.run.picture(f"fakes-{images // 1000:06d}.png", self.grid.fakes(session))
        info = session.info.model_copy(update={"images_seen": images})
        path = save_snapshot(self.run.snapshots, info, session.state.ema, session.state.networks)
        self.run.say(f"snapshot {path}")
        if self.on_snapshot is not None:
            self.on_snapshot(path, images)

    def save(self, *, boundary: bool) -> None:
        """Save the state that a resumed run starts from."""
        progress = self.session.state.progress
        surroundings = Surroundings.here(self.session.config.precision)
        numbers = SavedNumbers(progress, self.run.lengths(), boundary, surroundings)
        save_state(self.run.states, self.session.state, numbers)
        self.saved = time.monotonic()

    def stop(self, reason: str) -> None:
        """Save and leave, so that the run can go on."""
        self.save(boundary=False)
        images = self.session.state.progress.images
        raise StoppedError(
            f"stopped on request ({reason}) after {images} images; the state is saved. "
            f"Go on with: synthograph train --resume {self.run.path}"
        )


def duration(seconds: float) -> str:
    """Seconds as `1d 03h`, `2h 05m` or `3m 20s`."""
    whole = round(seconds)
    if whole >= 86400:
        return f"{whole // 86400}d {whole % 86400 // 3600:02d}h"
    if whole >= 3600:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 60}m {whole % 60:02d}s"


def peak_memory_gb() -> float:
    """Peak memory of this process in GB; 0 where the system does not tell."""
    with contextlib.suppress(ImportError):
        import resource
        import sys

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 2**30 if sys.platform == "darwin" else peak / 2**20
    return 0.0
