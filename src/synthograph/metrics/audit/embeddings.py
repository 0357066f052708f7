"""Pairs of vectors: how closely a generator can reproduce a given image, by cosine distance.

A pair is an image and its projection (the image of the generator that comes nearest to it), or an
image and its nearest synthetic image. The distance is 1 - cos: 0 for the same direction, 2 for the
opposite one. A small distance hints at memorisation only where it is small compared with something:
so beside the pairs stands the distance of every image to the nearest other image of its kind, and
where the table has a column `split`, every split is summarised by itself. Source: the comparison of
real and projected skin lesions, "Assessing GAN-Based Generative Modeling on Skin Lesions Images"
(doi 10.1007/978-3-031-37649-8_10).

Which two vectors are a pair follows from the first of these that is there: the columns `pair` and
`kind` (`real` for the image, anything else for its partner); names such as `X.class.0.from.png` and
`X.class.0.to.png`; the order: image, partner, image, ...
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.metrics.audit.vectors import Metadata, read_metadata, read_vectors
from synthograph.results.pairs import Histogram, Pair, PairDistances, Spread
from synthograph.stats.sample import chunks

# n pair, d feature

BINS = 20
QUARTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
_NAMED = re.compile(r"(?P<name>.*)\.(?P<role>from|to)(\.[A-Za-z]+)?")


def pair_distances(tensors: Path, metadata: Path) -> PairDistances:
    """Cosine distances of the pairs of two files.

    Args:
        tensors: `tensors.tsv`; see `vectors` for both.
        metadata: `metadata.tsv`.

    Raises:
        UserError: a file that cannot be read, a cell that is no finite number, lines of different
            lengths, a vector of zeros, or vectors that do not form pairs; file and line are named.
    """
    rows = read_metadata(metadata)
    values = read_vectors(tensors)
    if len(rows.cells) != len(values):
        raise UserError(
            f"{tensors} has {len(values)} vectors, {metadata} describes {len(rows.cells)}: give a "
            "line of metadata for every vector"
        )
    pairs, pairing = _pairs(rows, metadata)
    zero = (values == 0).all(dim=1)
    if bool(zero.any()):
        raise UserError(
            f"{tensors}, line {int(zero.int().argmax()) + 1}: all numbers are 0, so there is no "
            "direction to compare; leave the pair out"
        )
    ours, theirs = (list(side) for side in zip(*pairs, strict=True))
    return paired(
        values[ours],
        values[theirs],
        names=[rows.cells[i].get("image_name") or f"line {rows.line(i)}" for i in ours],
        labels=[rows.cells[i].get("label", "") for i in ours],
        splits=[rows.cells[i].get("split", "") for i in ours],
        pairing=pairing,
        notes=_different(rows, pairs),
    )


def paired(
    images: Float[Tensor, "n d"],
    partners: Float[Tensor, "n d"],
    *,
    names: Sequence[str],
    labels: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    pairing: str = "the order of both sets",
    notes: Sequence[str] = (),
) -> PairDistances:
    """Cosine distances of images to given partners.

    Args:
        images: their features.
        partners: features of the partner of every image.
        names: of the images.
        labels: their classes.
        splits: theirs.
        pairing: how it is known which two are a pair, for the reader.
        notes: what else to say.

    Raises:
        UserError: a vector has no direction.
    """
    one, other = _directions(images), _directions(partners)
    distances = (1 - (one * other).sum(1)).clamp(0, 2)
    labels = labels or [""] * len(images)
    summaries = {"all pairs": spread(distances)}
    for what, each in (("class", labels), ("split", splits or ())):
        for level in sorted(set(each) - {""}):
            chosen = torch.tensor([name == level for name in each])
            summaries[f"{what} {level}"] = spread(distances[chosen])
    nearer = None
    if len(images) > 1:
        others = _nearest_other(one)
        summaries["to nearest other"] = spread(others)
        nearer = float((distances < others).to(torch.float64).mean())
    top = max(float(distances.max()), 1e-12)
    counts, edges = np.histogram(distances.numpy(), bins=BINS, range=(0.0, top))
    every = zip(names, labels, distances.tolist(), strict=True)
    return PairDistances(
        pairing=pairing,
        summaries=summaries,
        share_nearer_than_other_images=nearer,
        histogram=Histogram(counts=tuple(counts.tolist()), edges=tuple(edges.tolist())),
        pairs=tuple(Pair(image=name, label=label, distance=far) for name, label, far in every),
        notes=tuple(notes),
    )


def spread(values: Float64[Tensor, " n"]) -> Spread:
    """Of at least one number; quartiles by linear interpolation."""
    quartiles = np.quantile(values.numpy(), QUARTILES).tolist()
    return Spread(
        count=len(values),
        mean=float(values.mean()),
        deviation=float(values.std()) if len(values) > 1 else 0.0,
        **dict(zip(("min", "q1", "median", "q3", "max"), quartiles, strict=True)),
    )


def _directions(values: Float[Tensor, "n d"]) -> Float64[Tensor, "n d"]:
    """Vectors of length 1."""
    found = values.to(torch.float64)
    found = found / found.abs().amax(1, keepdim=True)  # squares of large numbers would overflow
    found = found / found.norm(dim=1, keepdim=True)
    bad = ~found.isfinite().all(dim=1)
    if bool(bad.any()):
        raise UserError(
            f"vector {int(bad.int().argmax())}: it has no direction; its numbers are all 0 or not "
            "finite"
        )
    return found


def _nearest_other(directions: Float64[Tensor, "n d"]) -> Float64[Tensor, " n"]:
    """Distance of every image to the nearest other one."""
    parts, start = [], 0
    for some in chunks(directions):
        cosines = some @ directions.T
        cosines[:, start : start + len(some)].fill_diagonal_(-torch.inf)
        parts.append(cosines.amax(1))
        start += len(some)
    return (1 - torch.cat(parts)).clamp(0, 2)


def _pairs(rows: Metadata, path: Path) -> tuple[list[tuple[int, int]], str]:
    """Places of the image and its partner in every pair, and how that is known."""
    columns = rows.cells[0].keys()
    if {"pair", "kind"} <= columns:
        roles = [(row["pair"], row["kind"] == "real") for row in rows.cells]
        return _matched(roles, rows, path), "the columns 'pair' and 'kind'"
    found = [_NAMED.fullmatch(row.get("image_name", "")) for row in rows.cells]
    named = [(match["name"], match["role"] == "from") for match in found if match]
    if "kind" in columns and None in found:
        raise UserError(
            f"{path}: has a column 'kind' but none 'pair', so it is not known which two are a "
            "pair: give the two of a pair the same text in a column 'pair'"
        )
    if named:
        if None in found:
            i = found.index(None)
            raise UserError(
                f"{path}, line {rows.line(i)}: {rows.cells[i]['image_name']!r} has neither .from. "
                "nor .to. in its name as others have; name all of them alike, or add columns "
                "'pair' and 'kind'"
            )
        return _matched(named, rows, path), "names with .from. and .to."
    if len(found) % 2:
        raise UserError(
            f"{path}: {len(found)} vectors are no pairs: they must come as image, partner, image, "
            "partner, or be named by columns 'pair' and 'kind'"
        )
    return [(i, i + 1) for i in range(0, len(found), 2)], "their order: image, partner"


def _matched(
    roles: Sequence[tuple[str, bool]], rows: Metadata, path: Path
) -> list[tuple[int, int]]:
    """Places of both sides of every pair, from the name of its pair and its side."""
    sides: dict[str, dict[bool, int]] = {}
    for i, (name, real) in enumerate(roles):
        found = sides.setdefault(name, {})
        if real in found:
            raise UserError(
                f"{path}, line {rows.line(i)}: pair {name!r} has its "
                f"{'image' if real else 'partner'} already in line {rows.line(found[real])}; a "
                "pair is one of each"
            )
        found[real] = i
    for name, found in sides.items():
        if len(found) < 2:
            ((real, place),) = found.items()
            raise UserError(
                f"{path}, line {rows.line(place)}: pair {name!r} has no "
                f"{'partner' if real else 'image'}; a pair is one of each"
            )
    return [(found[True], found[False]) for found in sides.values()]


def _different(rows: Metadata, pairs: Sequence[tuple[int, int]]) -> list[str]:
    """A sentence where labels do not fit: then the order of the lines may be wrong."""
    labels = {tuple(rows.cells[place].get("label", "") for place in pair) for pair in pairs}
    if len(labels) == len({label for label, _ in labels}):
        return []  # every class goes with one label of its partners, such as 0 with 2
    return ["partners of one class have several labels: look whether lines are in the right order"]
