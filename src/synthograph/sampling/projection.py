"""Projection: the styles whose image is most like a given one.

Source: Karras et al. 2020, "Analyzing and improving the image quality of StyleGAN", appendix D (W:
start at the mean, noise on the styles that ends, a schedule of the rate, noise maps kept without
structure); Abdal et al. 2019, "Image2StyleGAN" (W+: a style per layer). Many images are projected
at once; what becomes of one depends neither on the others nor on its place among them.
"""

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from synthograph.core.devices import Precision, block_dtype, synchronise
from synthograph.core.seeds import Streams
from synthograph.models.base import Networks, NoiseMode
from synthograph.models.registry import style_family
from synthograph.models.snapshot import Snapshot
from synthograph.models.styles import LatentSpace, StyleFamily
from synthograph.sampling.target_distance import UNIT, Goal, TargetDistance

# n target, c channel, s style row, w width of a style, p pixels of all noise maps, k map of a size

MEAN_COUNT, MEAN_SEED = 10_000, 123
"""Latents behind a mean style, and the seed of their numbers, as published."""
COARSEST = 8
"""Side of the noise maps at which the penalty stops halving them."""


@dataclass(frozen=True)
class Schedule:
    """How a projection goes on; the defaults are those published.

    Attributes:
        steps: of Adam.
        rate: its largest learning rate.
        ramp_up: share of the steps in which the rate rises.
        ramp_down: share of the steps in which it falls to 0.
        jitter: deviation of the noise on styles at the start, as a share of the styles' spread.
        jitter_ends: share of the steps after which there is none.
        noise_penalty: weight of structure in the noise maps.
    """

    steps: int = 1000
    rate: float = 0.1
    ramp_up: float = 0.05
    ramp_down: float = 0.25
    jitter: float = 0.05
    jitter_ends: float = 0.75
    noise_penalty: float = 1e5

    def rate_at(self, step: int) -> float:
        """The learning rate of a step: rises in a line, falls as a cosine."""
        done = step / self.steps
        falling = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - done) / self.ramp_down))
        return self.rate * falling * min(1.0, done / self.ramp_up)

    def jitter_at(self, step: int) -> float:
        """The deviation of the noise on styles in a step."""
        return self.jitter * max(0.0, 1 - step / self.steps / self.jitter_ends) ** 2


@dataclass(frozen=True)
class Targets:
    """Images to be projected.

    Attributes:
        images: [n, c, h, w] in [-1, 1], of the network's size and channels.
        labels: the label of each, for a conditional network.
        keys: a number of each, >= 0, that alone decides its random numbers; see `key_of`.
    """

    images: Float[Tensor, "n c h w"]
    labels: Float[Tensor, "n l"] | None
    keys: Int64[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.keys)

    def padded(self, unit: int) -> "Targets":
        """With the last one repeated until their number is a multiple."""
        last = len(self) - 1
        return self.take([*range(last), *[last] * (1 + -len(self) % unit)])

    def take(self, some: slice | list[int]) -> "Targets":
        """Those of these places."""
        labels = None if self.labels is None else self.labels[some]
        return Targets(self.images[some], labels, self.keys[some])


@dataclass(frozen=True)
class StyleStart:
    """Where projections of one label start.

    Attributes:
        mean: style, mean over latents.
        spread: root of the mean squared distance to it, summed over the width of a style.
    """

    mean: Float[Tensor, " w"]
    spread: float


@dataclass(frozen=True)
class Cost:
    """Seconds of a step, and bytes that it keeps of each target until its gradients are there."""

    seconds: float
    kept: int


@dataclass(eq=False)
class Projector:
    """Projects images into the styles of one network.

    Attributes:
        snapshot: the network.
        distance: what is made small.
        schedule: how.
        rows_apart: find a style of its own for every row (W+), not one for all (W).
        seed: of all random numbers.
        device: where to compute.
        precision: arithmetic of the network blocks while searching.
        unit: targets go in multiples of it, the last repeated; in multiples of 4 the same target
            gets the same bits on a processor, whatever others are beside it. A difference in the
            last bit grows over a thousand steps until it can be seen in the styles.
    """

    snapshot: Snapshot
    distance: TargetDistance
    schedule: Schedule = field(default_factory=Schedule)
    rows_apart: bool = False
    seed: int = 0
    device: str = "cpu"
    precision: Precision = Precision.FP32
    unit: int = UNIT
    _starts: dict[tuple[float, ...], StyleStart] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.family: StyleFamily = style_family(self.snapshot.info.family)
        self.generator: nn.Module = self.snapshot.generator.to(self.device)
        self.space: LatentSpace = self.family.latent_space(self.generator)
        self._streams = Streams(self.seed).under("sampling/projection")

    def start(self, label: Tensor | None) -> StyleStart:
        """Mean and spread of the styles of a label [l], over the published latents."""
        key = () if label is None else tuple(label.tolist())
        if key not in self._starts:
            drawn = np.random.RandomState(MEAN_SEED).randn(MEAN_COUNT, self.space.z_dim)
            z = torch.from_numpy(drawn).float().to(self.device)
            labels = None if label is None else label.to(self.device).expand(MEAN_COUNT, -1)
            with torch.no_grad():
                styles = self.family.mapping(self.generator, z, labels)[:, 0].float()
            mean = styles.mean(0)
            spread = (styles - mean).square().sum(1).mean().sqrt()
            self._starts[key] = StyleStart(mean, float(spread))
        return self._starts[key]

    def project(
        self,
        targets: Targets,
        *,
        watch: Callable[[int, Float[Tensor, "n s w"]], None] = lambda step, ws: None,
    ) -> Float[Tensor, "n s w"]:
        """The styles of the targets, one row per layer, on the CPU.

        Args:
            targets: images, all at once.
            watch: gets the number of steps done and the styles so far.
        """
        count, rows = len(targets), self.space.rows if self.rows_apart else 1
        targets = targets.padded(self.unit)
        styles, spread = self._starts_of(targets)
        styles = styles.repeat(1, rows, 1).requires_grad_(True)
        maps = self._first_maps(targets.keys)
        goal = self.distance.prepare(targets.images.to(self.device))
        own = [styles] if maps is None else [styles, maps]
        adam = torch.optim.Adam(own, lr=0.0, betas=(0.9, 0.999))
        with self._searching():
            for step in range(self.schedule.steps):
                adam.param_groups[0]["lr"] = self.schedule.rate_at(step)
                deviation = self.schedule.jitter_at(step)
                moved = styles
                if deviation:
                    shape = (rows, self.space.w_dim)
                    drawn = self._streams.normal(f"jitter/{step}", targets.keys, shape)
                    moved = styles + drawn.to(self.device) * spread * deviation
                adam.zero_grad(set_to_none=True)
                # a sum, so that no target weighs more or less for being beside others
                self._losses(moved, maps, goal).sum().backward()
                adam.step()
                if maps is not None:
                    normalise_maps(maps, self.space.noise)
                watch(step + 1, self._rows(styles[:count]))
        return self._rows(styles[:count]).cpu()

    def _rows(self, styles: Float[Tensor, "n r w"]) -> Float[Tensor, "n s w"]:
        return styles.detach().expand(-1, self.space.rows, -1).clone()

    def trial(self, targets: Targets, steps: int = 1) -> Cost:
        """What steps with these targets cost, once the first is done.

        Args:
            targets: as many at once as are to be.
            steps: how many are timed.
        """
        kept: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        trial = replace(self, schedule=replace(self.schedule, steps=1))
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            trial.project(targets)
        begin = time.perf_counter()
        replace(trial, schedule=replace(self.schedule, steps=steps)).project(targets)
        synchronise(torch.device(self.device))
        count = len(targets.padded(self.unit))
        return Cost((time.perf_counter() - begin) / steps, sum(kept.values()) // count)

    def mean_styles(self, targets: Targets) -> Float[Tensor, "n s w"]:
        """Where targets start, one row per layer."""
        return self._starts_of(targets)[0].expand(-1, self.space.rows, -1)

    def _starts_of(self, targets: Targets) -> tuple[Float[Tensor, "n 1 w"], Float[Tensor, "n 1 1"]]:
        """Mean style and spread of each target's class."""
        labels = [None] * len(targets) if targets.labels is None else list(targets.labels)
        starts = [self.start(label) for label in labels]
        spread = torch.tensor([start.spread for start in starts], device=self.device)
        return torch.stack([start.mean for start in starts])[:, None], spread[:, None, None]

    def _losses(
        self, styles: Float[Tensor, "n r w"], maps: Tensor | None, goal: Goal
    ) -> Float[Tensor, " n"]:
        ws = styles.expand(-1, self.space.rows, -1)
        noise = NoiseMode.CONST if maps is None else NoiseMode.RANDOM
        images = self.family.synthesis(self.generator, ws, noise=noise, maps=maps)
        losses = self.distance(images, goal)
        if maps is None:
            return losses
        return losses + self.schedule.noise_penalty * structure(maps, self.space.noise)

    def _first_maps(self, keys: Int64[Tensor, " n"]) -> Float[Tensor, "n p"] | None:
        """Noise maps of each target to begin with; None for a network without noise."""
        if not self.space.noise_pixels:
            return None
        drawn = self._streams.normal("noise", keys, (self.space.noise_pixels,))
        maps = drawn.to(self.device)
        normalise_maps(maps, self.space.noise)
        return maps.requires_grad_(True)

    @contextmanager
    def _searching(self) -> Iterator[None]:
        """While searching, network blocks compute in `precision`; the weights get no gradients."""
        networks = Networks(self.generator, nn.ModuleDict())
        self.generator.requires_grad_(False)
        self.family.set_precision(networks, block_dtype(self.precision))
        try:
            yield
        finally:
            self.family.set_precision(networks, torch.float32)


def split_maps(
    maps: Float[Tensor, "n p"], sizes: Sequence[tuple[int, int]]
) -> list[Float[Tensor, "n k u v"]]:
    """Noise maps by size, all those of one size together, the coarsest first."""
    parts = maps.split([height * width for height, width in sizes], dim=1)
    found: dict[tuple[int, int], list[Tensor]] = {}
    for part, size in zip(parts, sizes, strict=True):
        found.setdefault(size, []).append(part.view(-1, *size))
    return [torch.stack(same, dim=1) for same in found.values()]


def structure(maps: Float[Tensor, "n p"], sizes: Sequence[tuple[int, int]]) -> Float[Tensor, " n"]:
    """How much noise maps are like themselves a pixel further, at every scale: squared correlation
    of neighbours along both sides, summed over maps and scales.

    Source: Karras et al. 2020, appendix D.

    Args:
        maps: of each target, one map behind the other.
        sizes: height and width of each map.
    """
    total = maps.new_zeros(len(maps))
    finer: Tensor | None = None  # larger maps that were halved, at this size
    for same in reversed(split_maps(maps, sizes)):
        level = same if finer is None else torch.cat((same, finer), dim=1)
        for axis in (2, 3):
            total = total + (level * level.roll(1, axis)).mean((2, 3)).square().sum(1)
        finer = avg_pool2d(level, 2) if min(level.shape[2:]) > COARSEST else None
    return total


def normalise_maps(maps: Float[Tensor, "n p"], sizes: Sequence[tuple[int, int]]) -> None:
    """Give every noise map mean 0 and mean square 1, in place."""
    with torch.no_grad():
        for part in maps.split([height * width for height, width in sizes], dim=1):
            part -= part.mean(1, keepdim=True)
            part *= part.square().mean(1, keepdim=True).rsqrt()


def key_of(pixels: np.ndarray) -> int:
    """The key of a target's random numbers: of its pixels, and nothing else."""
    return int.from_bytes(hashlib.sha256(pixels.tobytes()).digest()[:7], "little")
