"""Linear directions in the style space: along them a class or a column of the manifest changes.

A linear fit of the column on styles is a hyperplane; its normal is the direction. Source: Shen et
al. 2020, "Interpreting the latent space of GANs for semantic face editing". What moves along it is
then measured on fresh images, by scorers that read each column from images.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from synthograph.archive.batches import ImageSet
from synthograph.archive.manifest import Row
from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.core.seeds import Streams
from synthograph.core.untrusted.dataset_json import is_finite
from synthograph.models.snapshot import Snapshot
from synthograph.results.directions import FitQuality, Step
from synthograph.sampling.latents import Rendering, render
from synthograph.stats.intervals import undivided
from synthograph.stats.linear import (
    FOLDS,
    Calibration,
    Components,
    LinearFit,
    Quality,
    correlations,
    fit_linear,
    mean_interval,
    quality,
    slopes_at,
)

# n image, s style row, w width of a style, d feature, k step

CLASS = "class"
AGREEMENT = 0.7
"""Correlation of two readers on samples below which neither is believed."""
SIDE = 16
"""Pixels to a side of the images that columns are read from, without an extractor."""
MOST_LEVELS = 6
"""Values of a column that is looked at beside the one that is asked for."""
MOST_OTHERS = 12
"""Columns, or values of such, that are looked at beside it."""
FEW = 2
"""Numbers of so many different values are names of kinds, such as 0 and 1."""


@dataclass(frozen=True)
class Trait:
    """What the manifest says of images in one column.

    Attributes:
        column: its name.
        level: the value that is 1, all others 0; empty for numbers.
        values: of every row; NaN where its cell is empty.
    """

    column: str
    level: str
    values: Float64[Tensor, " n"]

    @property
    def known(self) -> Bool[Tensor, " n"]:
        """Which rows have a value."""
        return ~self.values.isnan()

    @property
    def title(self) -> str:
        """For readers."""
        return f"{self.column} {self.level}".rstrip()


def small_pixels(images: Tensor) -> Float[Tensor, "n d"]:
    """Images of integers at `SIDE` pixels or fewer, all numbers of one in a row."""
    whole = torch.from_numpy(images.numpy().astype(np.float32))
    height, width = whole.shape[2:]
    return adaptive_avg_pool2d(whole, (min(height, SIDE), min(width, SIDE))).flatten(1)


def trait_of(rows: Sequence[Row], column: str, level: str | None = None) -> Trait:
    """A column as numbers.

    Args:
        rows: of the archive.
        column: name of a column of the manifest; `class` for the labels.
        level: value that the direction leads to, for a column that holds no numbers.

    Raises:
        UserError: there is no such column or value, or a value must be named.
    """
    cells = _cells(rows, column)
    known = sorted({cell for cell in cells if cell})
    if not known:
        names = [CLASS, *dict.fromkeys(name for row in rows for name in row.columns)]
        raise UserError(f"--column {column}: the archive has none; {nearest(column, names)}")
    if level is None and _is_number(known):
        return Trait(column, "", _numbers(cells))
    if level is None and len(known) == FEW:
        level = known[-1]
    if level not in known:
        said = "is missing" if level is None else f"{level}: no image has this value"
        raise UserError(f"--level {said}: column {column} holds {', '.join(known[:8])}")
    return _trait(column, level, cells)


def other_traits(rows: Sequence[Row], asked: Trait, names: Sequence[str] = ()) -> list[Trait]:
    """Further columns, to see what moves along.

    Args:
        rows: of the archive.
        asked: the column that the direction is for.
        names: columns; by default the classes and all that hold numbers or a few values.

    Raises:
        UserError: there is no such column.
    """
    found = []
    for column in names or [CLASS, *dict.fromkeys(name for row in rows for name in row.columns)]:
        cells = _cells(rows, column)
        known = sorted({cell for cell in cells if cell})
        if names and not known:
            trait_of(rows, column)
        if len(known) < FEW:
            continue
        if _is_number(known):
            found.append(Trait(column, "", _numbers(cells)))
        elif len(known) <= MOST_LEVELS:
            levels = known[-1:] if len(known) == FEW else known
            found += [_trait(column, each, cells) for each in levels]
    others, seen = [], [asked.values]
    for each in found:  # a column that says the same under another name is left out
        if not any(torch.equal(each.values.nan_to_num(-1), v.nan_to_num(-1)) for v in seen):
            others.append(each)
            seen.append(each.values)
    return others if names else others[:MOST_OTHERS]


def _cells(rows: Sequence[Row], column: str) -> list[str]:
    if column == CLASS and not any(CLASS in row.columns for row in rows):
        return [row.label or "" for row in rows]
    return [row.columns.get(column, "") for row in rows]


def _is_number(known: Sequence[str]) -> bool:
    return len(known) > FEW and all(is_finite(cell) for cell in known)


def _numbers(cells: Sequence[str]) -> Float64[Tensor, " n"]:
    return torch.tensor([float(c) if c else float("nan") for c in cells], dtype=torch.float64)


def _trait(column: str, level: str, cells: Sequence[str]) -> Trait:
    values = [float(cell == level) if cell else float("nan") for cell in cells]
    return Trait(column, level, torch.tensor(values, dtype=torch.float64))


@dataclass(frozen=True)
class Scorer:
    """Reads a column from features of images."""

    components: Components
    fit: LinearFit
    calibration: Calibration
    quality: FitQuality
    spread: float

    @classmethod
    def of(
        cls, features: Float[Tensor, "n d"], trait: Trait, groups: Int64[Tensor, " n"], seed: int
    ) -> "Scorer | None":
        """Fitted to real images; None where their features do not tell the column: in held-out
        groups a correlation of 0.5 or an AUROC of 0.75 is wanted.

        Args:
            features: of all images.
            trait: the column of all.
            groups: patients of all.
            seed: of folds.
        """
        known = trait.known
        values, owners = trait.values[known], groups[known]
        if len(owners.unique()) < FOLDS or float(values.std()) == 0:
            return None
        components = Components.of(features[known])
        fit = fit_linear(components(features[known]), values, owners, seed=seed)
        calibration = Calibration.of(fit, values)
        found = quality(fit.held_out, values, owners, seed=seed)
        half_way = (1 + found.chance) / 2
        if not found.shown or found.value < half_way or calibration.slope <= 0:
            return None
        about = _on_record(found, owners)
        return cls(components, fit, calibration, about, float(values.std()))

    def __call__(self, features: Float[Tensor, "m d"]) -> Float64[Tensor, " m"]:
        """The column of images, on its own scale; for a class, 0 is the mean of other real images
        and 1 that of its own.
        """
        return self.calibration(self.fit.predict(self.components(features)))


@dataclass(frozen=True)
class Reading:
    """What two scorers, fitted to other patients each, read of samples of the generator.

    Real images say little of that: features that tell a column among real images may answer to
    what is odd about synthetic ones. So both must agree.

    Attributes:
        reader: the one that measures.
        found: what the other one reads of the samples.
        agreement: correlation of both on the samples.
    """

    reader: Scorer
    found: Float64[Tensor, " n"]
    agreement: float

    @classmethod
    def of(
        cls, finder: Scorer | None, reader: Scorer | None, images: Float[Tensor, "n d"]
    ) -> "Reading | None":
        """Of the features of samples; None where one cannot read, or they contradict each other."""
        if finder is None or reader is None:
            return None
        one, other = finder(images), reader(images)
        found = float(correlations(one, other, undivided(torch.arange(len(one))))[0])
        return cls(reader, one, found) if found >= AGREEMENT else None


@dataclass(frozen=True)
class Direction:
    """A unit vector in W, and the standard deviation of styles along it, which is a step."""

    vector: Float64[Tensor, " w"]
    spread: float
    quality: FitQuality
    penalty: float

    @classmethod
    def of(
        cls,
        styles: Float[Tensor, "n w"],
        values: Float64[Tensor, " n"],
        groups: Int64[Tensor, " n"],
        usual: Float[Tensor, "m w"],
        seed: int,
    ) -> "Direction":
        """Along which `values` grow.

        Args:
            styles: mean over their rows.
            values: the column of each.
            groups: patient of each; samples are their own.
            usual: styles of samples, by which steps are measured.
            seed: of folds.

        Raises:
            UserError: too few groups, or values that are all the same.
        """
        fit = fit_linear(styles, values, groups, seed=seed)
        found = quality(fit.held_out, values, groups, seed=seed)
        vector = fit.slopes / fit.slopes.norm().clamp(min=1e-300)
        about = _on_record(found, groups)
        return cls(vector, spread_along(usual, vector), about, fit.penalty)

    def cosine(self, other: "Direction") -> float:
        """1 for the same direction, 0 for one that has nothing to do with it."""
        return float(self.vector @ other.vector)


def spread_along(styles: Float[Tensor, "n w"], vector: Float64[Tensor, " w"]) -> float:
    """Standard deviation of styles along a unit vector."""
    return float((styles.double() @ vector).std())


def shuffled_vectors(
    styles: Float[Tensor, "n w"],
    values: Float64[Tensor, " n"],
    penalty: float,
    count: int,
    streams: Streams,
) -> list[Float64[Tensor, " w"]]:
    """Unit vectors that the same fit finds where values are dealt out at random: chance."""
    orders = (streams.permutation("shuffled", epoch, len(values)) for epoch in range(count))
    found = [slopes_at(styles, values[order], penalty) for order in orders]
    return [each / each.norm().clamp(min=1e-300) for each in found]


def moved(
    ws: Float[Tensor, "n s w"], vector: Float64[Tensor, " w"], lengths: Sequence[float]
) -> Float[Tensor, "nk s w"]:
    """Every style at every length along a vector: all of the first one, then of the second."""
    way = torch.tensor(lengths, dtype=torch.float64)[:, None] * vector
    return (ws[:, None] + way[None, :, None].to(ws)).flatten(0, 1)


def changes(scores: Float64[Tensor, "n k"], steps: Sequence[float]) -> tuple[list[Step], Step]:
    """Mean changes against step 0, and from the first step to the last.

    Args:
        scores: of every sample at every step.
        steps: lengths; one of them is 0.

    Returns:
        One entry per step, and one from end to end.
    """
    start = scores[:, list(steps).index(0.0)]
    found = []
    for place, step in enumerate(steps):
        mean, ends = mean_interval(scores[:, place] - start)
        found.append(Step(step=step, change=mean, interval=ends))
    mean, ends = mean_interval(scores[:, -1] - scores[:, 0])
    return found, Step(step=steps[-1] - steps[0], change=mean, interval=ends)


def rendered_set(
    snapshot: Snapshot,
    ws: Float[Tensor, "n s w"],
    seeds: Sequence[int],
    rendering: Rendering,
    name: str,
) -> ImageSet:
    """Images of styles as a set that can be measured, drawn while it is read.

    Args:
        snapshot: whose images.
        ws: styles.
        seeds: of random noise, one per image.
        rendering: how they are drawn.
        name: of the set, for progress.
    """

    def batches() -> Iterator[Tensor]:
        for start in range(0, len(ws), rendering.batch):
            part = slice(start, start + rendering.batch)
            drawn = list(render(snapshot, ws[part], seeds[part], rendering))
            yield torch.from_numpy(np.stack(drawn))

    about = [snapshot.sha256, rendering.noise.value, str(list(seeds))]
    about += [rendering.precision.value, rendering.device.partition(":")[0]]
    digest = hashlib.sha256(repr(about).encode() + ws.contiguous().numpy().tobytes())
    return ImageSet(
        name=name,
        spec=snapshot.info.spec,
        count=len(ws),
        batches=batches,
        batch=rendering.batch,
        groups=torch.arange(len(ws)),
        key=digest.hexdigest(),
    )


def _on_record(found: Quality, groups: Int64[Tensor, " n"]) -> FitQuality:
    """The quality of a fit as a results file has it, with the groups of all its images."""
    return FitQuality(
        value=found.value,
        chance=found.chance,
        interval=found.interval,
        images=len(groups),
        groups=len(groups.unique()),
    )
