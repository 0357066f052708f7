"""How long training will take, measured on the machine that will do it."""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from synthograph.core.devices import synchronise
from synthograph.training.augmentation import set_strength
from synthograph.training.config import AugmentMode
from synthograph.training.ema import update_ema
from synthograph.training.session import Session

MIN_SECONDS = 0.5
"""Seconds that a part is repeated for, so that a hiccup does not count."""
MAX_REPEATS = 8
MAX_IMAGES = {"cpu": 128, "cuda": 512}
"""Images that are computed to time a step; a larger batch takes as much longer as it is larger."""
STRONG = 0.5
"""Augmentation strength that small sets typically reach."""


@dataclass(frozen=True)
class Estimate:
    """Seconds for a thousand images.

    Attributes:
        augmented: with adaptive augmentation at p = `STRONG`; None where it is not adaptive.
        images: how many images the timed step had: the batch, or as many as `MAX_IMAGES` allows.
    """

    sec_per_kimg: float
    augmented: float | None
    images: int


def estimate(session: Session) -> Estimate:
    """Time every part of a step once warm and weigh it by how often it is due.

    The session's weights change: it must not be used for anything else afterwards.
    """
    adaptive = session.config.augment.mode is AugmentMode.ADA
    images = timed_images(session)
    first = _sec_per_kimg(session, session.state.controller.p, images)
    augmented = _sec_per_kimg(session, STRONG, images) if adaptive else None
    return Estimate(first, augmented, images)


def timed_images(session: Session) -> int:
    """Size of the step that is timed: whole groups, at most the batch."""
    group = session.config.group
    most = MAX_IMAGES.get(session.device.type, min(MAX_IMAGES.values()))
    return min(session.batch_size, max(most // group, 1) * group)


def _sec_per_kimg(session: Session, p: float, count: int) -> float:
    set_strength(session.pipe, p)
    device = session.device
    batch = session.batch(count)
    average, generator = session.state.ema, session.state.networks.generator
    seconds = median_seconds(lambda: session.batch(count), device)
    for phase in session.phases:
        run = functools.partial(session.run_phase, phase, batch)
        seconds += median_seconds(run, device) / phase.interval
    once = median_seconds(lambda: update_ema(average, generator, 0.9), device)
    return (seconds / count + once / session.batch_size) * 1000


def median_seconds(work: Callable[[], object], device: torch.device) -> float:
    """Median time of a call, after one to warm up."""
    work()
    times: list[float] = []
    while len(times) < MAX_REPEATS and (not times or sum(times) < MIN_SECONDS):
        synchronise(device)
        start = time.perf_counter()
        work()
        synchronise(device)
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]
