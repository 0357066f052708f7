"""Pairs of images a small step apart on the way between two latents, for path length.

Source: Karras et al. 2019, "A style-based generator architecture", section 4.1.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor, nn

from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams
from synthograph.models.base import NoiseMode
from synthograph.models.snapshot import Snapshot
from synthograph.sampling.latents import one_hot_labels

# n pair, m image of two pairs' ends, z latent, s style row, w width of a style


@dataclass(frozen=True)
class Walk:
    """Which pairs to generate. Pair i depends on the seed and on i alone, not on the batch.

    Attributes:
        labels: class of every pair, None for an unconditional generator; both images of a pair have
            it.
        spherical: whether the way goes between latents along the sphere; else straight between
            their styles.
        anywhere: whether a step begins anywhere on the way; else at its start.
        epsilon: length of the step, as part of the way.
        seed: of latents, places and noise.
        batch: pairs at once.
        device: where to compute.
    """

    labels: Sequence[str | None]
    spherical: bool = False
    anywhere: bool = False
    epsilon: float = 1e-4
    seed: int = 0
    batch: int = 16
    device: str = "cpu"


def check_walk(snapshot: Snapshot, walk: Walk) -> None:
    """Refuse a walk that cannot be generated.

    Raises:
        UserError: a generator without mapping and synthesis, one that needs more than a class, an
            unknown class, or a batch or a step of nothing.
    """
    if walk.batch < 1:
        raise UserError(f"--batch {walk.batch}: at least one pair at a time")
    if not 0 < walk.epsilon < 1:
        raise UserError(f"a step of {walk.epsilon:g}: it is a part of the way, above 0 and below 1")
    for part in ("mapping", "synthesis"):
        if not isinstance(getattr(snapshot.generator, part, None), nn.Module):
            raise UserError(
                f"{snapshot.path}: a generator of kind {snapshot.info.family} has no {part}, so no "
                "way between two styles; leave path lengths out"
            )
    condition = snapshot.info.condition
    if condition.width and not condition.classes:
        raise UserError(
            f"{snapshot.path}: was trained on label vectors, which a class cannot give; leave path "
            "lengths out"
        )
    for name in dict.fromkeys(walk.labels):
        if condition.width or name is not None:
            condition.one_hot(name or "")


def step_pairs(
    snapshot: Snapshot, walk: Walk
) -> Iterator[tuple[Float32[Tensor, "n c h w"], Float32[Tensor, "n c h w"]]]:
    """The two images of every step, in batches, in the order of `walk.labels`.

    They are fractional numbers on the scale 0 ... 255 that nothing cuts or rounds, as a step
    changes less than a grey level; fp32 whatever the precision of training was. No truncation. The
    noise of a synthesis that takes its maps from outside (`noise_pixels` of them per image) is
    drawn anew for every pair, any other has its fixed maps; both images of a pair share it.

    Args:
        snapshot: whose images.
        walk: which pairs.

    Raises:
        UserError: see `check_walk`.
    """
    check_walk(snapshot, walk)
    generator = snapshot.generator.to(walk.device)
    streams = Streams(walk.seed).under("sampling/paths")
    for start in range(0, len(walk.labels), walk.batch):
        names = walk.labels[start : start + walk.batch]
        numbers = torch.arange(start, start + len(names), device=walk.device)
        label = one_hot_labels(snapshot, names, walk.device)
        with torch.no_grad():
            styles = _styles(snapshot, walk, numbers, label, streams)
            synthesis = generator.get_submodule("synthesis")
            noise = _noise(synthesis, streams, numbers)
            images: Tensor = synthesis(styles, force_fp32=True, **noise)
        first, second = ((images.float() + 1) * 127.5).chunk(2)
        yield first, second


def _styles(
    snapshot: Snapshot,
    walk: Walk,
    numbers: Int64[Tensor, " n"],
    label: Float[Tensor, "n c"] | None,
    streams: Streams,
) -> Float32[Tensor, "m s w"]:
    """Styles of both ends of every step: first those where steps begin."""
    width = int(snapshot.info.config["model"]["z_dim"])
    ends = [streams.normal(name, numbers, (width,)) for name in ("start", "goal")]
    place = streams.uniform("place", numbers) if walk.anywhere else torch.zeros(len(numbers))
    place = place.to(numbers.device, torch.float64)
    places = torch.cat((place, place + walk.epsilon))
    mapping = snapshot.generator.get_submodule("mapping")
    both = None if label is None else torch.cat((label, label))
    # in float64, as float32 would keep three digits of a step only
    if walk.spherical:
        start, goal = (torch.cat((each, each)).double() for each in ends)
        styles: Tensor = mapping(on_sphere(start, goal, places).float(), both)
        return styles.float()
    start, goal = mapping(torch.cat(ends), both).double().chunk(2)
    part = places[:, None, None]
    return torch.lerp(torch.cat((start, start)), torch.cat((goal, goal)), part).float()


def on_sphere(
    start: Float64[Tensor, "n z"], goal: Float64[Tensor, "n z"], place: Float64[Tensor, " n"]
) -> Float64[Tensor, "n z"]:
    """Points on the great circle from `start` to `goal`, at a part of the angle between them.

    Lengths are those that normal latents have in the mean square, so that they are latents that the
    mapping knows; published code leaves them at 1, which a mapping that normalises cannot tell.
    Source: Shoemake 1985, "Animating rotation with quaternion curves".
    """
    one, other = map(_unit, (start, goal))
    cosine = (one * other).sum(1, keepdim=True).clamp(-1, 1)
    across = _unit(other - cosine * one)
    angle = place[:, None] * cosine.acos()
    return (one * angle.cos() + across * angle.sin()) * math.sqrt(start.shape[1])


def _unit(points: Float64[Tensor, "n z"]) -> Float64[Tensor, "n z"]:
    """Brought to length 1; zeros stay, as between two latents of one direction."""
    return points / points.norm(dim=1, keepdim=True).clamp(min=torch.finfo(points.dtype).tiny)


def _noise(
    synthesis: nn.Module, streams: Streams, numbers: Int64[Tensor, " n"]
) -> Mapping[str, object]:
    """Arguments of the synthesis that give both images of a pair the same noise."""
    pixels = getattr(synthesis, "noise_pixels", 0)
    if not pixels:
        return {"noise_mode": NoiseMode.CONST}
    drawn = streams.normal("noise", numbers, (pixels,))
    return {"noise_mode": NoiseMode.RANDOM, "noise": torch.cat((drawn, drawn))}
