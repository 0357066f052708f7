"""Latents at a stated distance of a given one.

In z, distances are angles between latents: a mapping network normalises z, so only its direction
counts, and independent latents of many dimensions are about 90 degrees apart. In w they are in
units of the spread, the root mean square distance of styles from their mean; independent styles are
about 1.4 apart.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams
from synthograph.models.snapshot import Snapshot
from synthograph.sampling.latents import (
    Latents,
    Rendering,
    Space,
    as_styles,
    joined,
    space_of,
    styles,
)

# n latent, k direction, z latent, s style row, w width of a style

STYLES = 4096
"""Fixed latents of the class that the mean and the spread of its styles come from."""
USUAL = {Space.Z: (10.0, 20.0, 40.0), Space.W: (0.25, 0.5, 1.0)}
MOST = {Space.Z: 180.0, Space.W: 100.0}
UNITS = {Space.Z: "degrees", Space.W: "spreads of w"}


def parse_distances(text: str | None, space: Space) -> tuple[float, ...]:
    """Distances from `10,20,40`; None are usual ones.

    Raises:
        UserError: one is no number, not above 0, or beyond what there is.
    """
    if text is None:
        return USUAL[space]
    found = []
    for word in text.split(","):
        try:
            number = float(word)
        except ValueError:
            number = math.nan
        if not 0 < number <= MOST[space]:
            raise UserError(
                f"--distance {text!r}: {word!r} is no number above 0 and up to {MOST[space]:g} "
                f"{UNITS[space]}, as in {','.join(f'{usual:g}' for usual in USUAL[space])}"
            )
        found.append(float(f"{number:g}"))  # as names and tables say it
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class Spread:
    """The styles of a class: their mean [w], and the root mean square distance from it."""

    mean: Float[Tensor, " w"]
    size: float


def spread_of(snapshot: Snapshot, label: str | None, rendering: Rendering) -> Spread:
    """Mean and spread over `STYLES` fixed latents, without truncation."""
    ws = styles(snapshot, _drawn(snapshot, "spread", STYLES, 0, label), _plain(rendering))[:, 0]
    mean = ws.mean(0)
    return Spread(mean, float((ws - mean).square().sum(1).mean().sqrt()))


def around(
    snapshot: Snapshot,
    centre: Latents,
    distances: Sequence[float],
    count: int,
    rendering: Rendering,
    *,
    seed: int = 0,
) -> Latents:
    """Latents at exactly these distances from `centre`, `count` of each; the same directions at
    every distance.

    In z they go along great circles to the sides, each to a direction drawn evenly, and keep the
    length of the centre. In w they go along the differences of random styles of the class from
    their mean, since most other directions lead to nothing that training has seen.

    Args:
        snapshot: the network.
        centre: one latent with its class.
        distances: see the module.
        count: directions.
        rendering: how styles are computed; its truncation is left out.
        seed: of the directions.

    Returns:
        Latents of the centre's space, those of the first distance first, called `20-003`.
    """
    ways = _drawn(snapshot, "directions", count, seed, centre.labels[0])
    if centre.space is Space.Z:
        values = on_cones(centre.values[0].double(), ways.values.double(), distances)
    else:
        spread = spread_of(snapshot, centre.labels[0], rendering)
        differ = styles(snapshot, ways, _plain(rendering))[:, :1] - spread.mean
        unit = differ / differ.norm(dim=2, keepdim=True)
        steps = [distance * spread.size * unit for distance in distances]
        values = centre.values + torch.cat(steps)
    names = tuple(f"{distance:g}-{k:03d}" for distance in distances for k in range(count))
    total = len(names)
    return replace(
        joined([centre] * total), values=values.float(), names=names, seeds=centre.seeds * total
    )


def on_cones(
    centre: Float64[Tensor, " z"], ways: Float64[Tensor, "k z"], degrees: Sequence[float]
) -> Float64[Tensor, "n z"]:
    """Points at these angles from `centre`, as long as it, on the great circles towards `ways`."""
    length = centre.norm()
    one = centre / length
    side = ways - (ways @ one)[:, None] * one
    side = side / side.norm(dim=1, keepdim=True)
    angles = [math.radians(each) for each in degrees]
    return torch.cat([(math.cos(a) * one + math.sin(a) * side) * length for a in angles])


def others(snapshot: Snapshot, centre: Latents, count: int, *, seed: int = 0) -> Latents:
    """Latents in z that have nothing to do with the centre but its class, to compare with."""
    return _drawn(snapshot, "others", count, seed, centre.labels[0])


def angles(centre: Float[Tensor, "1 z"], values: Float[Tensor, "n z"]) -> Float64[Tensor, " n"]:
    """Degrees between latents and the centre."""
    one, many = (x.double() / x.double().norm(dim=1, keepdim=True) for x in (centre, values))
    # the chord tells small angles better than the cosine does
    return torch.rad2deg(2 * ((many - one).norm(dim=1) / 2).clamp(max=1).asin())


def style_distances(
    centre: Float[Tensor, "1 s w"], values: Float[Tensor, "n s w"], spread: Spread
) -> Float[Tensor, " n"]:
    """Distances of styles from the centre in spreads, root mean square over the rows."""
    return (values - centre).square().sum(2).mean(1).sqrt() / spread.size


def _drawn(snapshot: Snapshot, use: str, count: int, seed: int, label: str | None) -> Latents:
    """Fresh latents for one use."""
    width = (space_of(snapshot).z_dim,)
    z = Streams(seed).under("sampling/neighbours").normal(use, torch.arange(count), width)
    names = tuple(f"{use}-{k:03d}" for k in range(count))
    return Latents(z, Space.Z, (label,) * count, names, tuple(range(count)))


def _plain(rendering: Rendering) -> Rendering:
    return replace(rendering, truncation=1.0)


def styled_centre(snapshot: Snapshot, centre: Latents, rendering: Rendering) -> Latents:
    """The centre in w, without truncation."""
    return as_styles(snapshot, [centre], _plain(rendering))
