"""Films of a generator: frames on a way between key latents or round a loop, and sweeps of the
truncation. A frame is a function of what is asked and of its number.

In z the way from one key to the next is an arc of the sphere (or straight), in w it is straight. A
class changes in w, whatever the way: a frame between two classes mixes the styles that both give.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams
from synthograph.models.base import TruncationCenter
from synthograph.models.registry import style_family
from synthograph.models.snapshot import Snapshot
from synthograph.models.styles import truncate
from synthograph.sampling.easing import Easing
from synthograph.sampling.latents import (
    Latents,
    Rendering,
    one_hot_labels,
    placed,
    render,
)
from synthograph.sampling.paths import on_sphere

# f frame, k key, z latent, s style row, w width of a style

BATCH = 8
"""Frames computed at once. It is fixed, so that frames have the same bytes whoever asks."""
MAX_FRAMES = 100_000
REACH = 20.0
"""Diameter units over which the noise of a noise loop stays alike: its standard length."""


class Way(StrEnum):
    """How latents between keys are found, as published scripts call it."""

    LINEAR = "linear"
    SLERP = "slerp"
    NOISE_LOOP = "noiseloop"
    CIRCULAR_LOOP = "circularloop"

    @property
    def is_loop(self) -> bool:
        """Whether latents come from the loop, not from keys."""
        return self in (Way.NOISE_LOOP, Way.CIRCULAR_LOOP)


class Process(StrEnum):
    """What a film shows, as published scripts call it."""

    IMAGE = "image"
    INTERPOLATION = "interpolation"
    TRUNCATION = "truncation"
    BOTH = "interpolation-truncation"

    @property
    def moves(self) -> bool:
        """Whether frames lie between key images, not only at them."""
        return self in (Process.INTERPOLATION, Process.BOTH)

    @property
    def sweeps(self) -> bool:
        """Whether psi changes from frame to frame."""
        return self in (Process.TRUNCATION, Process.BOTH)


@dataclass(frozen=True)
class Steps:
    """Where every frame stands.

    Attributes:
        start: key that it comes from.
        goal: key that it goes to.
        share: part of the way that is behind, in [0, 1].
        psi: its truncation.
        ways: number of ways between keys, all in all.
    """

    start: Int64[Tensor, " f"]
    goal: Int64[Tensor, " f"]
    share: Float64[Tensor, " f"]
    psi: Float64[Tensor, " f"]
    ways: int

    def __len__(self) -> int:
        return len(self.start)

    def take(self, some: slice) -> "Steps":
        """These frames."""
        start, goal = self.start[some], self.goal[some]
        return Steps(start, goal, self.share[some], self.psi[some], self.ways)

    @property
    def angle(self) -> Float64[Tensor, " f"]:
        """Place on a loop as a whole, in radians."""
        return (self.start + self.share) * (2 * math.pi / self.ways)


Path = Callable[[Steps], Float32[Tensor, "f z"]]
"""The latents z of frames."""


@dataclass(frozen=True)
class Film:
    """All that decides the frames.

    Attributes:
        keys: what the way runs by, in z or w; for a loop only their classes count.
        steps: where every frame stands; their psi goes before that of `rendering`.
        path: latents of frames in z; None where the way runs in w.
        rendering: how frames are drawn.
    """

    keys: Latents
    steps: Steps
    path: Path | None
    rendering: Rendering


# --- where frames stand ---------------------------------------------------------------------------


def steps_by_keys(
    keys: int, frames: int, psi: float, *, closed: bool = False, easing: Easing = Easing.LINEAR
) -> Steps:
    """Frames on the way by all keys, evenly in time, each key met by a frame exactly.

    Args:
        keys: how many.
        frames: how many in all.
        psi: truncation of all frames.
        closed: whether the way ends where it began; the last frame is then the one before that.
        easing: of every way from one key to the next.

    Raises:
        UserError: fewer frames than keys.
    """
    ways = keys if closed else max(keys - 1, 1)
    last = frames if closed else frames - 1
    if frames < keys:
        raise UserError(
            f"--frames {frames}: {keys} key images need a frame each; ask for at least {keys}"
        )
    met = torch.tensor([round(way * last / ways) for way in range(ways + 1)])
    number = torch.arange(frames)
    start = (torch.searchsorted(met, number, right=True) - 1).clamp(max=ways - 1)
    length = (met[start + 1] - met[start]).clamp(min=1)
    time = (number - met[start]).double() / length
    goal = (start + 1) % keys
    return Steps(start, goal, easing(time), torch.full((frames,), psi, dtype=torch.float64), ways)


def steps_at_keys(keys: int, psis: Float64[Tensor, " p"]) -> Steps:
    """A frame for every psi of every key, key by key."""
    at = torch.arange(keys).repeat_interleave(len(psis))
    return Steps(at, at, torch.zeros(len(at)).double(), psis.repeat(keys), keys)


def sweep(start: float, stop: float, increment: float) -> Float64[Tensor, " p"]:
    """Psi from `start` to `stop`, which is met where the increment, above 0, divides the way.

    Raises:
        UserError: more steps than a film has frames.
    """
    way = abs(stop - start)
    steps = way / increment + 1e-9
    if steps >= MAX_FRAMES:  # infinity among them
        raise UserError(
            f"--increment {increment:g}: more than {MAX_FRAMES} steps, as many as a film has; ask "
            f"for at least {way / (MAX_FRAMES - 1):g}"
        )
    count = math.floor(steps) + 1
    return start + torch.arange(count).double() * math.copysign(increment, stop - start)


def swinging(
    steps: Steps, start: float, stop: float, increment: float | None, *, closed: bool
) -> Steps:
    """The same frames with a psi that swings from `start` to `stop` and back.

    Args:
        steps: the frames.
        start: psi of the first frame.
        stop: where psi turns.
        increment: of psi per frame; None goes once to `stop`, and back where the way is closed.
        closed: whether the way ends where it began.
    """
    frames, span = len(steps), stop - start
    once = 2 / frames if closed else 1 / max(frames - 1, 1)
    pace = once if increment is None or not span else increment / abs(span)
    time = torch.arange(frames).double() * pace % 2
    return replace(steps, psi=start + span * (1 - (1 - time).abs()))


# --- latents of frames ----------------------------------------------------------------------------


def between(keys: Float32[Tensor, "k z"], *, spherical: bool) -> Path:
    """Along the sphere, or straight, from key to key; lengths change evenly, keys are met."""

    def path(steps: Steps) -> Float32[Tensor, "f z"]:
        start, goal = keys[steps.start].double(), keys[steps.goal].double()
        part = steps.share[:, None]
        straight = torch.lerp(start, goal, part)
        if not spherical:
            return straight.float()
        length = torch.lerp(start.norm(dim=1), goal.norm(dim=1), steps.share)[:, None]
        arc = on_sphere(start, goal, steps.share)
        met = (part == 0) | (part == 1)
        return torch.where(met, straight, arc / math.sqrt(keys.shape[1]) * length).float()

    return path


def noise_loop(width: int, diameter: float, seed: int) -> Path:
    """A circle through a field of smooth noise: every latent on it is standard normal, and two of
    them are the more alike the nearer they lie.

    The covariance at an angle a is exp(x (cos a - 1)) with x = (diameter / 2 `REACH`)^2, which a
    field with a squared exponential has on a circle; the power of each order is its Fourier series.
    Source: Rasmussen and Williams 2006, "Gaussian processes for machine learning", equation 4.31.

    Args:
        width: of latents.
        diameter: of the circle; the larger, the more different images on it.
        seed: of the noise.
    """
    x = (diameter / (2 * REACH)) ** 2
    orders = torch.arange(math.ceil(6 * math.sqrt(x)) + 9)
    around = torch.arange(4 * len(orders)).double() * (2 * math.pi / (4 * len(orders)))
    power = torch.fft.rfft((x * (around.cos() - 1)).exp()).real[: len(orders)].clamp(min=0)
    power[1:] *= 2
    streams = Streams(seed).under("sampling/noise loop")
    cosine, sine = (streams.normal(name, orders, (width,)).double() for name in ("cos", "sin"))
    scale = (power / power.sum()).sqrt()[:, None]

    def path(steps: Steps) -> Float32[Tensor, "f z"]:
        turns = steps.angle[:, None] * orders
        return (turns.cos() @ (scale * cosine) + turns.sin() @ (scale * sine)).float()

    return path


def circular_loop(centre: Float32[Tensor, " z"], diameter: float, seed: int) -> Path:
    """A circle around a latent, in a plane of two directions that are drawn, brought onto the
    sphere of latents.

    Args:
        centre: the latent.
        diameter: of the circle, in the units of z, whose length is about the root of its width.
        seed: of the directions.
    """
    width = len(centre)
    drawn = Streams(seed).normal("sampling/circular loop", torch.arange(2), (width,))
    directions, _ = torch.linalg.qr(drawn.double().T)

    def path(steps: Steps) -> Float32[Tensor, "f z"]:
        round_it = torch.stack((steps.angle.cos(), steps.angle.sin()), 1) @ directions.T
        points = centre.double() + diameter / 2 * round_it
        return (points / points.norm(dim=1, keepdim=True) * math.sqrt(width)).float()

    return path


# --- frames ---------------------------------------------------------------------------------------


def frames(snapshot: Snapshot, film: Film, *, first: int = 0) -> Iterator[np.ndarray]:
    """Pixels [channels, h, w] of every frame in turn, uint8 or uint16.

    Batches begin at multiples of `BATCH` whatever `first` is.

    Args:
        snapshot: whose images.
        film: which frames.
        first: number of the first frame that is given.
    """
    rendering = replace(film.rendering, batch=BATCH)
    means = _means(snapshot, film)
    for begin in range(first // BATCH * BATCH, len(film.steps), BATCH):
        steps = film.steps.take(slice(begin, begin + BATCH))
        ws = _styles(snapshot, film, steps, means)
        seeds = [film.keys.seeds[key] for key in steps.start.tolist()]
        drawn = list(render(snapshot, ws, seeds, rendering))
        yield from drawn[max(first - begin, 0) :]


def _means(snapshot: Snapshot, film: Film) -> Float[Tensor, "k w"] | None:
    """What truncation pulls every key to; None where nothing is truncated."""
    if bool((film.steps.psi == 1).all()):
        return None
    kind, rendering, label = style_family(snapshot.info.family), film.rendering, None
    if rendering.center is TruncationCenter.CLASS:
        label = one_hot_labels(snapshot, film.keys.labels, rendering.device)
    with torch.no_grad():
        generator = placed(snapshot, rendering)
        return kind.mean_styles(generator, len(film.keys), label, rendering.center)


def _styles(
    snapshot: Snapshot, film: Film, steps: Steps, means: Float[Tensor, "k w"] | None
) -> Float32[Tensor, "f s w"]:
    """Truncated styles of frames."""
    ends = [_end(snapshot, film, steps, keys, means) for keys in (steps.start, steps.goal)]
    part = steps.share.to(ends[0].device)[:, None, None]
    return torch.lerp(ends[0].double(), ends[1].double(), part).float().cpu()


def _end(
    snapshot: Snapshot,
    film: Film,
    steps: Steps,
    keys: Int64[Tensor, " f"],
    means: Float[Tensor, "k w"] | None,
) -> Float[Tensor, "f s w"]:
    """Styles that frames have if they are all of these keys: of their class, or in w themselves."""
    device, psi = film.rendering.device, steps.psi.float()[:, None, None]
    with torch.no_grad():
        if film.path is None:
            ws = film.keys.values[keys].to(device)
        else:
            labels = [film.keys.labels[key] for key in keys.tolist()]
            ws = style_family(snapshot.info.family).mapping(
                placed(snapshot, film.rendering),
                film.path(steps).to(device),
                one_hot_labels(snapshot, labels, device),
            )
        if means is None:
            return ws
        return truncate(ws, psi.to(device), means[keys.to(device)], film.rendering.cutoff)


def labels_of_keys(
    keys: int, classes: Sequence[str], known: Sequence[str]
) -> tuple[int, list[str | None]]:
    """How many key images there are, and the class of each.

    Args:
        keys: seeds or latents that are given.
        classes: that are asked for: none, one for all keys, one per key, or several for one key.
        known: classes of the generator; empty for an unconditional one.

    Raises:
        UserError: a class is missing, or their number does not fit.
    """
    if not classes:
        if known:
            raise UserError(
                f"the network is conditional: name a class, --class {' or '.join(known)}"
            )
        return keys, [None] * keys
    count = max(keys, len(classes))
    if min(keys, len(classes)) not in (1, count):
        raise UserError(
            f"--class: {len(classes)} classes for {keys} key images; name one for all of them, or "
            "one for each"
        )
    return count, [*classes] * (count // len(classes))
