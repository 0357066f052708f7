"""Pairs of vectors: how closely a generator can reproduce a given image, by cosine distance; and
files for the TensorBoard projector.

A pair is an image and its projection (the image of the generator that comes nearest to it), or an
image and its nearest synthetic image. The distance is 1 - cos: 0 for the same direction, 2 for the
opposite one. A small distance hints at memorisation only where it is small compared with something:
so beside the pairs stands the distance of every image to the nearest other image of its kind, and
where the table has a column `split`, training and other images are told apart. Source: the
comparison of real and projected skin lesions, "Assessing GAN-Based Generative Modeling on Skin
Lesions Images" (doi 10.1007/978-3-031-37649-8_10).

Files, as TensorBoard reads them:

- `tensors.tsv`: a vector per line, numbers with tabs between them, no header;
- `metadata.tsv`: a header and a line per vector, cells with tabs between them, no quotes. Columns
  `label` and `image_name` are expected; `pair` (the same text for the two of a pair), `kind`
  (`real` for the image, anything else for its partner) and `split` are used where they are there.
  A file of one column has no header: it holds the labels.

Who belongs to whom is told by the first of these that is there: the columns `pair` and `kind`;
names such as `X.class.0.from.png` and `X.class.0.to.png`; the order: image, partner, image, ...
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.metrics.audit.projector import Metadata, read_metadata, read_tensors
from synthograph.metrics.audit.projector import export as export
from synthograph.stats.sample import CHUNK

# n pair, m vector, d feature

BINS = 20
QUARTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
_NAMED = re.compile(r"(?P<name>.*)\.(?P<role>from|to)(\.[A-Za-z]+)?")


@dataclass(frozen=True)
class Summary:
    """Numbers in short.

    Attributes:
        count: how many.
        mean: of them.
        deviation: standard deviation; 0 for one number.
        quartiles: smallest, lower quartile, median, upper quartile, largest.
    """

    count: int
    mean: float
    deviation: float
    quartiles: tuple[float, float, float, float, float]

    @classmethod
    def of(cls, values: Float64[Tensor, " n"]) -> "Summary":
        """Of at least one number; quartiles by linear interpolation."""
        found = torch.from_numpy(np.quantile(values.numpy(), QUARTILES)).tolist()
        low, first, middle, third, high = found
        deviation = float(values.std()) if len(values) > 1 else 0.0
        ends = (low, first, middle, third, high)
        return cls(len(values), float(values.mean()), deviation, ends)

    def json(self) -> dict[str, Any]:
        """Plain data."""
        low, first, middle, third, high = self.quartiles
        return {
            "count": self.count,
            "mean": self.mean,
            "deviation": self.deviation,
            "min": low,
            "q1": first,
            "median": middle,
            "q3": third,
            "max": high,
        }


@dataclass(frozen=True)
class PairDistances:
    """Cosine distances of pairs.

    Attributes:
        distances: 1 - cos of every pair, 0..2.
        names: of the images.
        labels: class of every image; empty text where there is none.
        splits: split of every image; empty text where it is not known.
        others: distance of every image to the nearest other image; None for a single pair.
        partners: number of the partner of every image, where pairs were searched; else None.
        pairing: how it was found out who belongs to whom.
        notes: sentences for the reader.
    """

    distances: Float64[Tensor, " n"]
    names: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[str, ...]
    others: Float64[Tensor, " n"] | None
    pairing: str
    partners: Int64[Tensor, " n"] | None = None
    notes: tuple[str, ...] = ()

    @property
    def summaries(self) -> dict[str, Summary]:
        """Of all pairs, of every class and every split, and of distances to other images."""
        found = {"all pairs": Summary.of(self.distances)}
        for what, names in (("class", self.labels), ("split", self.splits)):
            levels = sorted(set(names) - {""})
            for level in levels:
                chosen = torch.tensor([name == level for name in names])
                found[f"{what} {level}"] = Summary.of(self.distances[chosen])
        if self.others is not None:
            found["to nearest other"] = Summary.of(self.others)
        return found

    @property
    def nearer_than_others(self) -> float | None:
        """Share of the images whose partner is nearer than every other image."""
        if self.others is None:
            return None
        return float((self.distances < self.others).to(torch.float64).mean())

    def json(self) -> dict[str, Any]:
        """Plain data: every distance, quartiles, and a histogram of `BINS` bins."""
        top = max(float(self.distances.max()), 1e-12)
        counts, edges = np.histogram(self.distances.numpy(), bins=BINS, range=(0.0, top))
        pairs: list[dict[str, Any]] = [
            {"image": name, "label": label, "distance": distance}
            for name, label, distance in zip(
                self.names, self.labels, self.distances.tolist(), strict=True
            )
        ]
        if self.partners is not None:
            for pair, partner in zip(pairs, self.partners.tolist(), strict=True):
                pair["partner"] = partner
        return {
            "distance": "1 - cosine",
            "pairing": self.pairing,
            "summaries": {name: each.json() for name, each in self.summaries.items()},
            "share_nearer_than_other_images": self.nearer_than_others,
            "histogram": {"counts": counts.tolist(), "edges": edges.tolist()},
            "pairs": pairs,
            "notes": list(self.notes),
        }

    def table(self) -> RenderableType:
        """Quartiles for a terminal."""
        result = Table(
            box=box.SIMPLE, pad_edge=False, title="cosine distance of pairs", title_justify="left"
        )
        result.add_column("pairs")
        for name in ("n", "min", "q1", "median", "q3", "max", "mean"):
            result.add_column(name, justify="right", no_wrap=True)
        for name, each in self.summaries.items():
            numbers = [f"{number:.3g}" for number in (*each.quartiles, each.mean)]
            result.add_row(Text(name), str(each.count), *numbers)
        lines = [f"pairs by {self.pairing}", *self.notes]
        if self.nearer_than_others is not None:
            share = self.nearer_than_others
            lines.insert(1, f"{share:.1%} of the images are nearer to their partner than to any "
                            "other image")  # fmt: skip
        return Group(result, *(Text(f"- {line}") for line in lines))


def pair_distances(tensors: Path, metadata: Path) -> PairDistances:
    """Cosine distances of the pairs of two files.

    Args:
        tensors: `tensors.tsv`; see the head of this module for both.
        metadata: `metadata.tsv`.

    Raises:
        UserError: a file that cannot be read, a cell that is no finite number, lines of different
            lengths, a vector of zeros, or vectors that do not form pairs; file and line are named.
    """
    rows = read_metadata(metadata)
    values = read_tensors(tensors)
    if len(rows) != len(values):
        raise UserError(
            f"{tensors} has {len(values)} vectors, {metadata} describes {len(rows)}: give a line "
            "of metadata for every vector"
        )
    pairs, pairing = _pairs(rows, metadata)
    zero = (values == 0).all(dim=1).nonzero()[:, 0]
    if len(zero):
        raise UserError(
            f"{tensors}, line {int(zero[0]) + 1}: all numbers are 0, so there is no direction to "
            "compare; leave the pair out"
        )
    ours, theirs = (list(side) for side in zip(*pairs, strict=True))
    notes = _different(rows, pairs)
    return paired(
        values[ours],
        values[theirs],
        names=[rows[i].get("image_name") or f"line {rows.line(i)}" for i in ours],
        labels=[rows[i].get("label", "") for i in ours],
        splits=[rows[i].get("split", "") for i in ours],
        pairing=pairing,
        notes=notes,
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
        images: features of images.
        partners: features of the partner of every image.
        names: of the images.
        labels: classes of the images.
        splits: splits of the images.
        pairing: how it is known who belongs to whom, for the reader.
        notes: what else to say.
    """
    one, other = _directions(images), _directions(partners)
    return PairDistances(
        distances=(1 - (one * other).sum(1)).clamp(0, 2),
        names=tuple(names),
        labels=tuple(labels or [""] * len(images)),
        splits=tuple(splits or [""] * len(images)),
        others=_nearest(one, one, apart=True)[0] if len(images) > 1 else None,
        pairing=pairing,
        notes=tuple(notes),
    )


def nearest_pairs(
    images: Float[Tensor, "n d"],
    candidates: Float[Tensor, "m d"],
    *,
    names: Sequence[str],
    labels: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
) -> PairDistances:
    """Cosine distances of images to the nearest of other images, such as synthetic ones.

    Args:
        images: features of images.
        candidates: features of those that are searched.
        names: of the images.
        labels: classes of the images.
        splits: splits of the images.
    """
    one = _directions(images)
    distances, places = _nearest(one, _directions(candidates))
    return PairDistances(
        distances=distances,
        names=tuple(names),
        labels=tuple(labels or [""] * len(images)),
        splits=tuple(splits or [""] * len(images)),
        others=_nearest(one, one, apart=True)[0] if len(images) > 1 else None,
        pairing=f"search for the nearest of {len(candidates)}",
        partners=places,
    )


def _directions(values: Float[Tensor, "m d"]) -> Float64[Tensor, "m d"]:
    """Vectors of length 1.

    Raises:
        UserError: a vector has none.
    """
    found = values.to(torch.float64)
    found = found / found.abs().amax(1, keepdim=True)  # squares of large numbers would overflow
    found = found / found.norm(dim=1, keepdim=True)
    good = found.isfinite().all(dim=1)
    if not bool(good.all()):
        raise UserError(
            f"vector {int((~good).nonzero()[0, 0])}: it has no direction; its numbers are all 0 or "
            "not finite"
        )
    return found


def _nearest(
    one: Float64[Tensor, "n d"], other: Float64[Tensor, "m d"], *, apart: bool = False
) -> tuple[Float64[Tensor, " n"], Int64[Tensor, " n"]]:
    """Distance to, and place of, the nearest row of `other`; with `apart` not that of its place."""
    parts = []
    for start in range(0, len(one), CHUNK):
        cosines = one[start : start + CHUNK] @ other.T
        if apart:
            cosines[:, start : start + CHUNK].fill_diagonal_(-torch.inf)
        parts.append(cosines.max(dim=1))
    values, places = (torch.cat(column) for column in zip(*parts, strict=True))
    return (1 - values).clamp(0, 2), places


def _pairs(rows: Metadata, path: Path) -> tuple[list[tuple[int, int]], str]:
    """Places of the image and its partner in every pair, and what told so."""
    if {"pair", "kind"} <= set(rows.columns):
        every = [rows[i] for i in range(len(rows))]
        told = [(row["pair"], row["kind"] == "real") for row in every]
        return _matched(told, rows, path), "the columns 'pair' and 'kind'"
    if "kind" in rows.columns:
        raise UserError(
            f"{path}: has a column 'kind' but none 'pair', so nothing tells who belongs to whom: "
            "give the two of a pair the same text in a column 'pair'"
        )
    if "image_name" in rows.columns:
        found = [_NAMED.fullmatch(rows[i]["image_name"]) for i in range(len(rows))]
        if any(found):
            named = []
            for i, match in enumerate(found):
                if match is None:
                    raise UserError(
                        f"{path}, line {rows.line(i)}: {rows[i]['image_name']!r} has neither "
                        ".from. nor .to. in its name as others have; name all of them alike, or "
                        "add columns 'pair' and 'kind'"
                    )
                named.append((match["name"], match["role"] == "from"))
            return _matched(named, rows, path), "names with .from. and .to."
    if len(rows) % 2:
        raise UserError(
            f"{path}: {len(rows)} vectors are no pairs: they must come as image, partner, image, "
            "partner, or be told by columns 'pair' and 'kind'"
        )
    return [(i, i + 1) for i in range(0, len(rows), 2)], "their order: image, partner"


def _matched(told: Sequence[tuple[str, bool]], rows: Metadata, path: Path) -> list[tuple[int, int]]:
    sides: dict[str, dict[bool, int]] = {}
    for i, (name, real) in enumerate(told):
        found = sides.setdefault(name, {})
        if real in found:
            what = "image" if real else "partner"
            raise UserError(
                f"{path}, line {rows.line(i)}: pair {name!r} has its {what} already in line "
                f"{rows.line(found[real])}; a pair is one of each"
            )
        found[real] = i
    for name, found in sides.items():
        if len(found) < 2:
            (place,) = found.values()
            what = "partner" if True in found else "image"
            raise UserError(
                f"{path}, line {rows.line(place)}: pair {name!r} has no {what}; a pair is one of "
                "each"
            )
    return [(found[True], found[False]) for found in sides.values()]


def _different(rows: Metadata, pairs: Sequence[tuple[int, int]]) -> list[str]:
    """A sentence where labels do not fit: then the order of the lines may be wrong."""
    if "label" not in rows.columns:
        return []
    labels = {(rows[i]["label"], rows[j]["label"]) for i, j in pairs}
    of_image = {label for label, _ in labels}
    if len(labels) == len(of_image):
        return []  # every class goes with one label of its partners, such as 0 with 2
    return ["partners of one class have several labels: look whether lines are in the right order"]
