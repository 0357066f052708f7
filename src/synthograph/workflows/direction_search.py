"""Finds a direction in the style space and measures what moves along it."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from synthograph.archive.batches import ArchiveRows, ImageSet, group_numbers, open_rows
from synthograph.core.errors import UserError
from synthograph.core.names import first_few
from synthograph.core.progress import Progress
from synthograph.core.seeds import Streams
from synthograph.downstream import classifier
from synthograph.downstream.classifier import Classifier
from synthograph.features.base import Extractor
from synthograph.features.packaged import TRAINED
from synthograph.features.registry import feature_folder
from synthograph.metrics.columns import features_of
from synthograph.metrics.evaluate import check_kind
from synthograph.models.snapshot import Snapshot
from synthograph.report.words import duration
from synthograph.results.directions import Directions, Moved
from synthograph.results.provenance import Features, Provenance
from synthograph.sampling import latents
from synthograph.sampling.directions import (
    CLASS,
    Direction,
    Reading,
    Scorer,
    Trait,
    changes,
    moved,
    other_traits,
    rendered_set,
    shuffled_vectors,
    small_pixels,
    spread_along,
    trait_of,
)
from synthograph.sampling.latents import FoundOn, Latents, Rendering, Space, render, styles
from synthograph.stats.intervals import parts
from synthograph.workflows.classifying import extractor_of, open_backbone, predict
from synthograph.workflows.latent_inputs import class_of, open_styled
from synthograph.workflows.latent_requests import DirectionsRequest
from synthograph.workflows.projected import ProjectedSet

TIMED = 8
"""Samples by which the time is told."""
JUDGED = 200
"""Samples that are read only to see whether both readers agree."""
SHUFFLED = 20
"""Directions of shuffled values, along which the column is measured, too."""
SHUFFLED_FRESH = 25
"""Samples that are moved along each of them."""


@dataclass(frozen=True)
class _Found:
    """Latents that directions are found on.

    Attributes:
        styles: mean over their rows.
        groups: of every latent.
        what: they are, in words.
        values: of every column of the search on every latent; NaN where unknown.
        found_on: the images that they are projections of.
    """

    styles: Float[Tensor, "n w"]
    groups: Int64[Tensor, " n"]
    what: str
    values: list[Float64[Tensor, " n"]]
    found_on: FoundOn = FoundOn()

    def directions(self, usual: Float[Tensor, "m w"], seed: int) -> list[Direction | None]:
        """Of every column; None where too few are known, or all are the same."""
        found: list[Direction | None] = []
        for values in self.values:
            known = ~values.isnan()
            try:
                one = Direction.of(
                    self.styles[known], values[known], self.groups[known], usual, seed
                )
            except UserError:
                one = None
            found.append(one)
        return found


@dataclass(frozen=True)
class DirectionSearch:
    """The inputs of a direction, checked.

    Attributes:
        rows: real images with the column.
        trait: the column; `others` are those looked at beside it.
        extractor: whose features the columns are read from; None for pixels.
        model: classifier that scores samples; None without one.
        projections: that the direction is found on; None for samples.
    """

    request: DirectionsRequest
    progress: Progress
    snapshot: Snapshot
    rendering: Rendering
    rows: ArchiveRows
    trait: Trait
    others: list[Trait]
    extractor: Extractor | None
    model: Classifier | None
    projections: ProjectedSet | None

    @classmethod
    def open(cls, request: DirectionsRequest, progress: Progress) -> "DirectionSearch":
        """Open all that is named.

        Raises:
            UserError: a file that does not fit the others.
        """
        snapshot, rendering = open_styled(request, request.network, progress)
        rows = open_rows(request.archive, "train").real()
        none = torch.zeros(0, 1, 1)
        check_kind(rows.images, rendered_set(snapshot, none, (), rendering, snapshot.path.name))
        trait = trait_of(rows.ordered, request.column, request.level)
        model = None if request.classifier is None else _classifier(request.classifier, trait)
        given = request.projections
        found = None if given is None else _projections(given, snapshot, rows)
        if found is not None and model is not None:
            raise UserError(
                "--projections and --classifier are two ways to find a direction: leave one out"
            )
        class_of(snapshot, request.of_class)
        return cls(
            request,
            progress,
            snapshot,
            rendering,
            rows,
            trait,
            other_traits(rows.ordered, trait, request.others),
            None if request.features is None else open_backbone(request.features, request.device),
            model,
            found,
        )

    def plan(self) -> Iterator[str]:
        """What will be done."""
        request, values = self.request, self.trait.values[self.trait.known]
        yield f"{self.rows.name}: {len(values)} images with a value of {self.trait.title}"
        yield f"found on: {self._how}"
        yield f"measured on: {request.fresh} fresh samples at {request.steps} steps"
        drawn = JUDGED if self.projections is not None else request.num
        images = drawn + request.fresh * request.steps + 2 * SHUFFLED * SHUFFLED_FRESH
        yield f"images to draw: {images}, read by {self._reads_by}"
        yield f"drawing and reading them will take about {duration(images * self._pace() / 3600)}"
        if self.others:
            yield f"other columns: {', '.join(each.title for each in self.others)}"

    def _pace(self) -> float:
        """Seconds per image, by a few of them; the first ones warm up."""
        _, ws = self.drawn(0, TIMED)
        for _ in range(2):
            start = time.perf_counter()
            batch = np.stack([*render(self.snapshot, ws, range(TIMED), self.rendering)])
            (self.extractor or small_pixels)(torch.from_numpy(batch))
        return (time.perf_counter() - start) / TIMED

    @property
    def _how(self) -> str:
        count = self.request.num
        if self.projections is not None:
            return f"{len(self.projections.found.projections)} projections"
        if self.model is not None:
            return f"{count} samples, scored by the classifier"
        if self._by_class:
            return f"{count} samples, by the class that they were drawn with"
        return f"{count} samples, read by a fit to one half of the groups"

    @property
    def _reads_by(self) -> str:
        return "16x16 pixels" if self.extractor is None else f"features of {self.extractor.name}"

    @property
    def _other_reader(self) -> str:
        if self.extractor is None:
            return f"try --features {TRAINED}"
        return "try without --features unless that failed already"

    @property
    def _by_class(self) -> bool:
        """Whether the samples' own class is the column."""
        free = self.model is None and self.projections is None and self.request.of_class is None
        return free and self.trait.column == CLASS and self.trait.level in self._classes

    @property
    def _classes(self) -> Sequence[str]:
        return self.snapshot.info.condition.classes

    @property
    def _traits(self) -> list[Trait]:
        return [self.trait, *self.others]

    # --- latents and what is read of images -----------------------------------------------------

    def drawn(self, first: int, count: int) -> tuple[Latents, Float[Tensor, "n s w"]]:
        """Samples by seed, classes taking turns, and their styles."""
        wanted = class_of(self.snapshot, self.request.of_class)
        names: Sequence[str | None] = [wanted] if wanted else list(self._classes) or [None]
        seeds = range(first, first + count)
        labels = [names[seed % len(names)] for seed in seeds]
        found = latents.of_seeds(self.snapshot, seeds, labels)
        return found, styles(self.snapshot, found, self.rendering)

    @cached_property
    def samples(self) -> tuple[Latents, Float[Tensor, "n s w"]]:
        """Those that the direction is found on, and that say how long a step is."""
        return self.drawn(0, self.request.num)

    def _read(self, images: ImageSet) -> Float[Tensor, "n d"]:
        tracks = self.progress.track
        if self.extractor is not None:
            folder = feature_folder()
            return features_of(images, self.extractor, folder=folder, tracks=tracks).values
        count = -(-images.count // images.batch)
        shown = tracks(images.name)(images.batches(), count)
        return torch.cat([small_pixels(batch) for batch in shown])

    def _read_styles(
        self, ws: Float[Tensor, "n s w"], seeds: Sequence[int], name: str
    ) -> Float[Tensor, "n d"]:
        return self._read(rendered_set(self.snapshot, ws, seeds, self.rendering, name))

    @cached_property
    def _real(self) -> Float[Tensor, "n d"]:
        return self._read(self.rows.images)

    def _scorers(self, half: int) -> list[Scorer | None]:
        """What reads every column, fitted to one half of the groups."""
        groups, seed = group_numbers(self.rows.ordered), self.request.seed
        inside = parts(groups, 2, seed=seed) == half
        real, owners = self._real[inside], groups[inside]
        cut = [Trait(each.column, each.level, each.values[inside]) for each in self._traits]
        return [Scorer.of(real, each, owners, seed) for each in cut]

    @cached_property
    def _readings(self) -> list[Reading | None]:
        """Of every column; None where it cannot be read."""
        some = self.samples[1][: self.request.num if self.projections is None else JUDGED]
        images = self._read_styles(some, self.samples[0].seeds[: len(some)], "samples")
        halves = zip(self._scorers(0), self._scorers(1), strict=True)
        return [Reading.of(one, other, images) for one, other in halves]

    # --- finding --------------------------------------------------------------------------------

    @property
    def found_on(self) -> FoundOn:
        """The images whose projections give the direction, and with it all that moves along it."""
        return self._found.found_on

    @cached_property
    def _found(self) -> _Found:
        if self.projections is not None:
            return self._projected(self.projections)
        drawn, ws = self.samples
        unknown = torch.full((len(ws),), torch.nan, dtype=torch.float64)
        values = [unknown if each is None else each.found for each in self._readings]
        if self.model is not None:
            images = rendered_set(self.snapshot, ws, drawn.seeds, self.rendering, "samples")
            by = extractor_of(self.model, self.request.device)
            said = predict(self.model, by, images, self.progress.track).probabilities
            values[0] = said[:, list(self.model.info.classes).index(self.trait.level)]
        elif self._by_class:
            own = [float(label == self.trait.level) for label in drawn.labels]
            values[0] = torch.tensor(own, dtype=torch.float64)
        return _Found(ws.mean(1), torch.arange(len(ws)), self._how, values)

    def _projected(self, given: ProjectedSet) -> _Found:
        """Projections of the archive's images, with what the manifest says of these."""
        places = {row.file: place for place, row in enumerate(self.rows.ordered)}
        chosen = [each for each in given.found.projections if each.file in places]
        if not chosen:
            raise UserError(
                f"{given.path}: none of its images is in {self.rows.name}: name the "
                "archive and split that were projected"
            )
        read = latents.joined(
            [latents.read(given.beside(each.latent), self.snapshot, Space.W) for each in chosen]
        )
        rows = torch.tensor([places[each.file] for each in chosen])
        groups = group_numbers(self.rows.ordered)[rows]
        values = [trait.values[rows] for trait in self._traits]
        what = f"{len(chosen)} projections"
        return _Found(read.values.mean(1), groups, what, values, read.found_on)

    # --- measuring ------------------------------------------------------------------------------

    def measure(self) -> tuple[Directions, Direction]:
        """The direction, and what moves along it.

        Raises:
            UserError: the column cannot be read from images, or cannot be fitted.
        """
        request, readings = self.request, self._readings
        if (first := readings[0]) is None:
            raise UserError(
                f"{self.trait.title} cannot be read from images by {self._reads_by}: two fits to "
                f"halves of {self.rows.name} do little better than chance in held-out groups, or "
                f"contradict each other on samples; {self._other_reader}, more images or another "
                "column"
            )
        found, usual = self._found, self.samples[1].mean(1)
        own = found.directions(usual, request.seed)
        if (direction := own[0]) is None:
            raise UserError(
                f"{self.trait.title} cannot be fitted on {found.what}: too few have a value, or "
                "all have the same; give more, or another column"
            )
        unread = [t.title for t, each in zip(self._traits, readings, strict=True) if each is None]
        document = Directions(
            network=self.snapshot.path.name,
            data=self.rows.name,
            column=self.trait.column,
            level=self.trait.level,
            found_on=found.what,
            fit=direction.quality,
            spread=direction.spread,
            moved=tuple(self._moved(direction, own)),
            chance=self._chance(first.reader, found, direction),
            shuffled=SHUFFLED,
            fresh=request.fresh,
            left_out=tuple(unread),
            settings={
                "samples": request.num,
                "class": request.of_class,
                "truncation": self.rendering.truncation,
                "noise": self.rendering.noise.value,
            },
            notes=tuple(self._notes(direction, unread)),
            provenance=Provenance(
                features=None if self.extractor is None else Features(**self.extractor.describe()),
                seed=request.seed,
                command=request.command_line(),
            ),
        )
        return document, direction

    @property
    def lengths(self) -> list[float]:
        """Steps, from one end to the other; one of them is 0."""
        reach = self.request.reach
        found: list[float] = np.linspace(-reach, reach, self.request.steps).round(6).tolist()
        return found

    def _moved(self, direction: Direction, own: Sequence[Direction | None]) -> Iterator[Moved]:
        """Every column that can be read, on fresh samples."""
        drawn, ws = self.drawn(self.request.num, self.request.fresh)
        lengths = self.lengths
        ways = moved(ws, direction.vector, [step * direction.spread for step in lengths])
        seeds = np.repeat(drawn.seeds, len(lengths)).tolist()
        features = self._read_styles(ways, seeds, "moved samples")
        for trait, reading, other in zip(self._traits, self._readings, own, strict=True):
            if reading is None:
                continue
            reader = reading.reader
            steps, total = changes(reader(features).reshape(-1, len(lengths)), lengths)
            yield Moved(
                column=trait.column,
                level=trait.level,
                scorer=reader.quality,
                agreement=reading.agreement,
                spread=reader.spread,
                cosine=None if other is None else direction.cosine(other),
                steps=tuple(steps),
                change=total.change,
                interval=total.interval,
            )

    def _chance(self, reader: Scorer, found: _Found, direction: Direction) -> float:
        """The largest change of the column from end to end of directions of shuffled values."""
        known = ~found.values[0].isnan()
        streams, usual = Streams(self.request.seed).under("directions"), self.samples[1].mean(1)
        vectors = shuffled_vectors(
            found.styles[known], found.values[0][known], direction.penalty, SHUFFLED, streams
        )
        drawn, ws = self.drawn(self.request.num, min(self.request.fresh, SHUFFLED_FRESH))
        ends = [self.lengths[0], self.lengths[-1]]
        ways = [moved(ws, v, [end * spread_along(usual, v) for end in ends]) for v in vectors]
        seeds = np.repeat(drawn.seeds, 2).tolist() * len(vectors)
        scores = reader(self._read_styles(torch.cat(ways), seeds, "shuffled values"))
        apart = scores.reshape(len(vectors), -1, 2).diff(dim=2).mean((1, 2))
        return float(apart.abs().max())

    def _notes(self, direction: Direction, unread: Sequence[str]) -> Iterator[str]:
        apart = self.projections is None and self.model is None
        groups = "of other groups than those" if apart else "which may be of the groups"
        yield (
            f"columns are read by a linear fit to {self._reads_by} of real images, {groups} that "
            "found the direction; what it cannot see is not measured"
        )
        fit = direction.quality
        if fit.interval is None or fit.interval.low <= fit.chance:
            yield "the fit on latents is not better than chance in held-out groups"
        if unread:
            yield f"not measured, since images do not show them: {first_few(unread)}"
        if self._classes and self.request.of_class is None and self.trait.column != CLASS:
            yield "samples of all classes were taken: name --class for a direction within one"


def _classifier(path: Path, trait: Trait) -> Classifier:
    model = classifier.load(path)
    if trait.level not in model.info.classes:
        raise UserError(
            f"--classifier {path}: knows {', '.join(model.info.classes)}, but not "
            f"{trait.title}; leave it out"
        )
    return model


def _projections(path: Path, snapshot: Snapshot, rows: ArchiveRows) -> ProjectedSet:
    """Projections of the archive's images into the network.

    Raises:
        UserError: they are of another network or of other images, or to no common space.
    """
    given = ProjectedSet.open(path)
    found = given.found
    if found.network_sha256 != snapshot.sha256:
        raise UserError(
            f"{path}: projections of {found.network} ({found.network_sha256:.16}), which "
            f"{snapshot.path.name} ({snapshot.sha256:.16}) is not; give the network of both"
        )
    if found.data.images_hash != rows.archive.images_hash:
        raise UserError(
            f"{path}: holds projections of {found.data.archive}, whose images are others than "
            f"those of {rows.archive.path}: project the images of --archive, or name the archive "
            "that was projected"
        )
    if found.method.space == "pti":
        raise UserError(
            f"{path}: tuned a generator for every image, so its styles say little of this one; "
            "give projections to w or w+"
        )
    return given
