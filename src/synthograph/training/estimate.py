"""How long training will take, measured on the machine that will do it."""

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from synthograph.archive.batches import ArchiveRows
from synthograph.core.devices import synchronise
from synthograph.models.registry import family
from synthograph.training.augmentation import set_strength
from synthograph.training.config import AugmentMode, RunConfig
from synthograph.training.ema import update_ema
from synthograph.training.session import Session
from synthograph.training.setup import make_session

MIN_SECONDS = 0.5
"""Seconds that a part is repeated for, so that a hiccup does not count."""
MAX_REPEATS = 8
MAX_IMAGES = {"cpu": 128, "cuda": 512}
"""Images that are computed to time a step; a larger batch takes as much longer as it is larger."""
STRONG = 0.5
"""Augmentation strength that small sets typically reach."""


NARROW = (8, 4, 2)
"""What channels are divided by to time large networks; each takes up to four times as long as the
one before.
"""
SMALL_PIXELS = 64 * 64
LARGE_PIXELS = 256 * 256
"""Images above which as few as can be are timed, not a group that is compared."""
LONG = 1.0
"""Seconds of a first call on a processor that stand for themselves; the next takes as long."""
CALLS = 7
"""Steps that `estimate` takes the time of, at most: parts that are seldom due, twice, at two
strengths.
"""


@dataclass(frozen=True)
class Estimate:
    """Seconds for a thousand images.

    Attributes:
        augmented: with adaptive augmentation at p = `STRONG`; None where it is not adaptive.
        images: how many images the timed step had: the batch, or as many as `MAX_IMAGES` allows.
        narrow: what the channels of the timed networks were divided by; 1 where they were those
            that will train, else the time is scaled.
    """

    sec_per_kimg: float
    augmented: float | None
    images: int
    narrow: int = 1


def estimate(session: Session) -> Estimate:
    """Time every part of a step once warm and weigh it by how often it is due.

    The session's weights change: it must not be used for anything else afterwards.
    """
    return _measured(session, timed_images(session), MIN_SECONDS)


def _measured(session: Session, images: int, least: float) -> Estimate:
    adaptive = session.config.augment.mode is AugmentMode.ADA
    first = _over_stages(session, session.state.controller.p, images, least)
    augmented = _over_stages(session, STRONG, images, least) if adaptive else None
    return Estimate(first, augmented, images)


def _over_stages(session: Session, p: float, images: int, least: float) -> float:
    """Seconds for a thousand images, over all stages of the run by their shares of its images."""
    starts = session.family.stage_starts(session.config.model, session.spec)
    whole, seconds = session.config.training.images, 0.0
    begun = [start for start in starts if start < whole]
    for start, end in zip(begun, [*begun[1:], whole], strict=True):
        session.state.progress.images = start
        each = _sec_per_kimg(session, p, images, least / len(begun))
        seconds += each * (end - start) / whole
    return seconds


def quick_estimate(config: RunConfig, data: ArchiveRows, seconds: float) -> Estimate | None:
    """The time by networks with fewer channels, scaled, in about so many seconds; None where the
    networks are too narrow for that, and quickly timed themselves.

    Args:
        config: resolved.
        data: the images.
        seconds: how long to measure; whatever is begun is finished.
    """
    start, shares = time.monotonic(), list[tuple[float, Estimate]]()
    kind, spec = family(config.model.family), data.archive.info.spec
    for factor in NARROW:
        model = kind.narrower(spec, config.model, factor)
        if model is None:
            continue
        if spec.height * spec.width > LARGE_PIXELS and model.group_setting:
            model = model.model_copy(update={model.group_setting: 1})
        begun = time.monotonic()
        session = make_session(config.model_copy(update={"model": model}), data)
        left = (seconds - (begun - start)) / 8  # wider networks tell more than larger batches
        shares.append((1 / factor, _of_batch(session, left)))
        now = time.monotonic()
        if now - start + 4 * (now - begun) > seconds:
            break
    return _scaled(shares) if shares else None


def coarse_estimate(config: RunConfig, data: ArchiveRows, seconds: float) -> Estimate:
    """The time of small networks: of a single group of images, by the networks themselves up to
    `SMALL_PIXELS`, else as `quick_estimate` does.
    """
    spec = data.archive.info.spec
    large = spec.height * spec.width > SMALL_PIXELS
    quick = quick_estimate(config, data, seconds) if large else None
    return quick or _of_batch(make_session(config, data), seconds)


def _of_batch(session: Session, seconds: float) -> Estimate:
    """The time of a whole batch by that of one group, and of as many images as about so many
    seconds allow: a part of it grows with the images, and one, such as the optimiser's, is the
    same for every step.
    """
    few, whole, start = session.config.group, timed_images(session), time.monotonic()
    less = _measured(session, few, least=0)
    took = time.monotonic() - start
    many = whole if took * whole <= seconds * few else 2 * few
    if many > whole or many == few:
        return less
    more = _measured(session, many, least=0)

    def at_batch(low: float, high: float) -> float:
        step = max(low - high, 0.0) / (1 / few - 1 / many)  # of low = image + step / few
        return high - step * (1 / many - 1 / session.config.training.batch)

    augmented = None
    if less.augmented is not None and more.augmented is not None:
        augmented = at_batch(less.augmented, more.augmented)
    found = at_batch(less.sec_per_kimg, more.sec_per_kimg)
    return Estimate(found, augmented, more.images)


def _scaled(shares: Sequence[tuple[float, Estimate]]) -> Estimate:
    """Time at all channels by that at two shares of them: a part grows with the channels, as
    activations do, and one with their square, as convolutions do; augmentation knows no channels.
    """
    (few, less), (many, more) = shares[-2:] if len(shares) > 1 else (*shares, *shares)

    def at_one(low: float, high: float) -> float:
        squared = (high / many - low / few) / (many - few) if many > few else 0.0
        linear = high / many - squared * many
        if squared <= 0:
            return high / many
        return high / many**2 if linear < 0 else squared + linear

    augmented, found = None, at_one(less.sec_per_kimg, more.sec_per_kimg)
    if more.augmented is not None:
        augmented = found + max(more.augmented - more.sec_per_kimg, 0.0)
    return Estimate(found, augmented, more.images, narrow=round(1 / many))


def bounded_estimate(config: RunConfig, data: ArchiveRows, seconds: float) -> Estimate:
    """`estimate` where that takes at most about so many seconds, else `quick_estimate`."""
    start = time.monotonic()
    quick = quick_estimate(config, data, seconds / 2)
    session = make_session(config, data)
    left = seconds - (time.monotonic() - start)
    if quick is None:
        return estimate(session)
    longest = quick.augmented or quick.sec_per_kimg
    if CALLS * longest / 1000 * timed_images(session) <= left:
        return estimate(session)
    return quick


def timed_images(session: Session) -> int:
    """Size of the step that is timed: whole groups, at most the batch."""
    group = session.config.group
    most = MAX_IMAGES.get(session.device.type, min(MAX_IMAGES.values()))
    return min(session.config.training.batch, max(most // group, 1) * group)


def _sec_per_kimg(session: Session, p: float, count: int, least: float) -> float:
    set_strength(session.pipe, p)
    device = session.device
    batch = session.batch(count)
    average, generator = session.state.ema, session.state.networks.generator
    seconds = median_seconds(lambda: session.batch(count), device, least)
    for phase in session.phases:
        run = functools.partial(session.run_phase, phase, batch)
        seconds += median_seconds(run, device, least) / phase.interval
    once = median_seconds(lambda: update_ema(average, generator, 0.9), device, least)
    return (seconds / count + once / session.batch_size) * 1000


def median_seconds(
    work: Callable[[], object], device: torch.device, least: float = MIN_SECONDS
) -> float:
    """Median time of a call, after one to warm up; repeated for at least so many seconds. On a
    processor a first call of at least `LONG` is enough where nothing has to be repeated.
    """
    start = time.perf_counter()
    work()
    first = time.perf_counter() - start
    if device.type == "cpu" and not least and first >= LONG:
        return first
    times: list[float] = []
    while len(times) < MAX_REPEATS and (not times or sum(times) < least):
        synchronise(device)
        start = time.perf_counter()
        work()
        synchronise(device)
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]
