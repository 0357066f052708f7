"""The training loop, to be read aloud: step, report, draw, save, stop when asked."""

import contextlib
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from synthograph.core.devices import is_gpu
from synthograph.core.errors import StoppedError
from synthograph.core.signals import StopRequest
from synthograph.core.untrusted.documents import JsonObject
from synthograph.models.snapshot import save_snapshot
from synthograph.models.snapshot_files import snapshot_number
from synthograph.training import alarms, model_selection
from synthograph.training.distributed import broadcast_progress
from synthograph.training.grids import ImageGrid
from synthograph.training.model_selection import Measured
from synthograph.training.recovery import MAX_NON_FINITE, roll_back
from synthograph.training.run import CONFIG, METRICS, STATS, RunDirectory
from synthograph.training.session import Session
from synthograph.training.state import (
    SavedNumbers,
    Surroundings,
    TrainingProgress,
    list_states,
    save_state,
)
from synthograph.training.stats import json_safe
from synthograph.training.trackers import followers
from synthograph.training.trackers.base import Trackers

TICK, ALARM = "tick ", "alarm: "
"""How lines of the log begin."""
OnSnapshot = Callable[[Path, int], Measured | None]
"""Called after a snapshot was written, with its path and the images seen; returns its measures."""


class Trainer:
    """Runs a session to its end and keeps its run directory; `on_snapshot` is called after every
    snapshot, before the state is saved.
    """

    def __init__(
        self, session: Session, run: RunDirectory, *, on_snapshot: OnSnapshot | None = None
    ) -> None:
        self.session, self.run, self.team = session, run, session.team
        self.on_snapshot = on_snapshot
        self.grid = ImageGrid(session.spec, session.stream, session.info.classes)
        follow = followers(session.config.tracking) if self.team.is_main else []
        self.trackers = Trackers(follow, run.log)
        self.saved = self.ticked = time.monotonic()
        self.saved_images: int | None = None
        self.maintenance = 0.0

    def train(self) -> None:
        """Train until all images were shown or patience is exhausted.

        Raises:
            StoppedError: a signal or the time limit; the state is saved.
            DivergedError: numbers that cannot be trusted; the last state is kept.
        """
        config = self.session.config.training
        limit = None if config.max_hours is None else self.ends_at(config.max_hours)
        with StopRequest() as stop, self.trackers:
            tree = self.session.config.tree()
            self.trackers.start(self.run.path, tree, self.progress.images)
            self.trackers.file(self.run.path / CONFIG)
            if self.progress.images == 0:
                self.start()
            while self.progress.images < config.images and not self.patience_exhausted:
                resolution = self.session.stage.resolution
                for alarm in self.session.step():
                    self.alarm(alarm)
                last = self.progress.images >= config.images
                grows = not last and self.session.stage.resolution != resolution
                late = time.monotonic() - self.saved > config.save_every * 60
                over = limit is not None and time.monotonic() > limit
                stopping, saving = self.team.any(stop.requested or over, late and self.team.is_main)
                if self.progress.non_finite > MAX_NON_FINITE:
                    self.roll_back(f"{self.progress.non_finite} phases gave no finite gradients")
                elif last or grows or self.tick_due():
                    self.tick(last or grows)
                    if grows:
                        self.run.log(describe_stage(self.session))
                elif saving and self.ensure_finite_or_roll_back():
                    self.save(boundary=False)
                if stopping and not last and not self.patience_exhausted:
                    over_limit = f"--max-hours {config.max_hours}" if over else "another process"
                    self.stop(stop.reason or over_limit)
        self.finish()

    def ends_at(self, max_hours: float) -> float:
        """When the time is over, as `time.monotonic()` counts."""
        return time.monotonic() + max_hours * 3600 - self.run.trained_for()

    @property
    def progress(self) -> TrainingProgress:
        """How far the run is."""
        return self.session.state.progress

    @property
    def patience_exhausted(self) -> bool:
        """Whether the configured number of snapshots brought no better one."""
        return model_selection.patience_exhausted(
            self.progress, self.session.config.metrics.patience
        )

    def finish(self) -> None:
        """Log why the run ends, and write the alarms of the last snapshot to `stats.jsonl`."""
        if self.progress.alarms:
            entry = _single({"Progress/kimg": self.progress.images / 1000})
            self.record_statistics(entry)
        if self.patience_exhausted and self.progress.images < self.session.config.training.images:
            best = model_selection.describe_best(self.progress)
            patience = self.session.config.metrics.patience
            self.run.log(
                f"ended after {self.progress.images} images: {best}, which is as many as "
                f"--patience {patience} waits for; --resume with a larger one continues"
            )
        self.run.log(f"done: {self.run.snapshots}")

    def start(self) -> None:
        """Pictures of the data and of the untrained generator, and a state to roll back to."""
        with self.team.barrier():
            if self.team.is_main:
                self.run.picture("reals.png", self.grid.draw(self.grid.reals))  # stays here
                self.picture("fakes-init.png", self.grid.synthetic(self.session))
        if not self.team.broadcast_object(len(list_states(self.run.states))):
            self.save(boundary=True)

    def picture(self, name: str, pixels: np.ndarray) -> None:
        """Draw images [n, c, h, w] for the run directory and the trackers."""
        png = self.grid.draw(pixels)
        self.run.picture(name, png)
        self.trackers.picture(name, png, self.progress.images)

    def alarm(self, text: str) -> None:
        """Log a warning now, and keep it for the next line of `stats.jsonl`."""
        self.run.log(f"{ALARM}{text}")
        self.progress.alarms.append(text)

    def ensure_finite_or_roll_back(self) -> bool:
        """Whether every tensor of the state is finite; if not, the run has been rolled back."""
        odd = self.session.state.non_finite()
        if odd is not None:
            self.roll_back(f"{odd} is not finite")
        return odd is None

    def roll_back(self, reason: str) -> None:
        """Return to the last state of a snapshot, with a remedy, and save that at once."""
        self.alarm(roll_back(self.session, self.run, reason))
        self.save(boundary=True)

    def tick_due(self) -> bool:
        """Whether a status line is due: after the first step and every so many images."""
        progress = self.progress
        every = self.session.config.training.tick_kimg * 1000
        return progress.ticks == 0 or progress.images - progress.tick_images >= every

    def tick(self, last: bool) -> None:
        """Status line and statistics; every `snap` ticks and at the end, of the run or of images of
        one size, pictures, snapshot, metrics and state.
        """
        progress = self.progress
        for alarm in alarms.of_tick(progress, self.session.state.moments):
            self.alarm(alarm)
        self.report()
        progress.non_finite, progress.alarms = 0, []
        progress.ticks += 1
        progress.tick_images = progress.images
        start = time.monotonic()
        due = progress.ticks > 1 and (progress.ticks - 1) % self.session.config.training.snap == 0
        if (last or due) and self.ensure_finite_or_roll_back():
            self.snapshot()
            self.save(boundary=True)
        self.ticked = time.monotonic()
        self.maintenance = self.ticked - start

    def report(self) -> None:
        """Log a status line, append the statistics to `stats.jsonl`, and reset them."""
        progress, moments = self.progress, self.session.state.moments
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
        on_device = device_memory_gb(self.session.device)
        if on_device is not None:
            extra["Resources/gpu_mem_gb"] = on_device
        entry |= _single(extra)
        self.trackers.scalars({n: each["mean"] for n, each in entry.items()}, progress.images)
        self.record_statistics(entry)
        scores = {kind: moments.mean(f"Loss/scores/{kind}") for kind in ("real", "fake")}
        shown_scores = "  ".join(f"{k} {v:+.2f}" for k, v in scores.items() if v is not None)
        self.run.log(
            f"{TICK}{progress.ticks:<4} kimg {progress.images / 1000:<8.1f} "
            f"sec/kimg {per_kimg:<7.2f} time {duration(progress.seconds):<9} "
            f"left {duration(left):<9} memory {describe_memory(self.session.device)}  "
            f"augment {self.session.state.controller.p:.3f}  scores {shown_scores}"
        )
        moments.clear()

    def record_statistics(self, entry: JsonObject) -> None:
        """Append a line to `stats.jsonl`, with the alarms since the last one."""
        line = {**entry, "alarms": self.progress.alarms, "timestamp": time.time()}
        self.run.record(STATS, line)

    def snapshot(self) -> None:
        """The main process saves and measures a snapshot; all get the changed progress."""
        if self.team.is_main:
            self.save_snapshot()
        self.session.state.progress = broadcast_progress(self.team, self.progress)

    def save_snapshot(self) -> None:
        """Write pictures and weights, and have `on_snapshot` measure them."""
        session, images = self.session, self.progress.images
        pixels = self.grid.synthetic(session)
        self.picture(f"fakes-{snapshot_number(self.run.snapshots, images)}.png", pixels)
        spreads = alarms.spread(pixels), alarms.spread(self.grid.reals)
        for alarm in alarms.of_pictures(self.progress, *spreads):
            self.alarm(alarm)
        reached = {"images_seen": images, "augment_p": session.state.controller.p}
        info = session.info.model_copy(update=reached)
        path = save_snapshot(self.run.snapshots, info, session.state.ema, session.state.networks)
        self.trackers.file(path)
        self.run.log(f"snapshot {path}")
        found = None if self.on_snapshot is None else self.on_snapshot(path, images)
        if found is not None:
            self.record_scores(path, found)

    def record_scores(self, path: Path, found: Measured) -> None:
        """Record a snapshot's measures and which snapshot is now the best."""
        for entry in found.lines:
            self.run.record(METRICS, entry.tree())
        grown = self.session.grown
        model_selection.record_scores(self.progress, path, found.scores, grown=grown)
        model_selection.write_best(self.run, self.session.config, self.progress)
        scalars = {f"Metrics/{score.title}": score.value for score in found.scores}
        self.trackers.scalars(scalars, self.progress.images)
        for line in (*found.log_lines, model_selection.describe_best(self.progress)):
            if line is not None:
                self.run.log(line)
        if found.scores:
            for alarm in alarms.of_measures(self.progress):
                self.alarm(alarm)

    def save(self, *, boundary: bool) -> None:
        """Save the state that a resumed run starts from; `boundary` if right after a snapshot."""
        session = self.session
        here = Surroundings.here(session.config.precision, self.team.size, session.device)
        with self.team.barrier():
            if self.team.is_main:
                lengths = self.run.lengths()
                digests = session.data, session.held_out_digest
                environments = [each.tree() for each in session.info.environments]
                numbers = SavedNumbers(
                    self.progress, lengths, boundary, here, *digests, environments
                )
                save_state(self.run.states, session.state, numbers)
        self.saved, self.saved_images = time.monotonic(), self.progress.images

    def stop(self, reason: str) -> None:
        """Save and stop, so that the run can be resumed."""
        images = self.progress.images
        if self.saved_images != images:  # that of a snapshot would lose its mark
            self.save(boundary=False)
        raise StoppedError(
            f"stopped on request ({reason}) after {images} images; the state is saved. "
            f"Continue with: synthograph train --resume {self.run.path}"
        )


def _single(values: Mapping[str, float]) -> JsonObject:
    """Values that stand for themselves, in the form of the moments of many."""
    return {name: {"num": 1, "mean": float(v), "std": 0.0} for name, v in values.items()}


def describe_stage(session: Session) -> str:
    """What a run does from now on that its images have another size."""
    stage = session.stage
    return (
        f"grows: the longer side is {stage.resolution} now, a step has {session.batch_size} images"
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
    """Peak memory of this process in GB; 0 where the system does not report it."""
    with contextlib.suppress(ImportError):
        import resource  # which Windows lacks

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 2**30 if sys.platform == "darwin" else peak / 2**20
    return 0.0


def device_memory_gb(device: torch.device) -> float | None:
    """Peak memory of tensors on a GPU in GB, by this process; None where the device is none."""
    if not is_gpu(device):
        return None
    return torch.cuda.max_memory_allocated(device) / 2**30


def describe_memory(device: torch.device) -> str:
    """Peak memory of this process, and on its GPU, as `1.2 GB` or `1.2 GB, GPU 3.4 GB`."""
    on_device = device_memory_gb(device)
    gpu = "" if on_device is None else f", GPU {on_device:.1f} GB"
    return f"{peak_memory_gb():.1f} GB{gpu}"
