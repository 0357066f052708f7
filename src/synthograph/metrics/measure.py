"""What a measure is: one object per measure, declared in the file that computes it."""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from synthograph.core.spec import ImageSpec
from synthograph.results.evaluation import Floor, Value
from synthograph.results.measures import About, about
from synthograph.stats.sample import Sample

Estimate = Callable[[Sample, Sample, int], Mapping[str, Value]]
"""Rows of real images, rows of synthetic ones and a seed (which groups share a block or a part) to
values with intervals, by name. Of a source that real images lack both are of synthetic ones."""
Plain = Callable[[Sample, Sample], Mapping[str, float]]
"""The same as bare numbers; a name is absent where there are too few images for it."""


class Source(enum.Enum):
    """What a measure is computed from: the rows that it gets, one per image."""

    FEATURES = "features of an extractor"
    PROBABILITIES = "class probabilities of an extractor that gives any"
    SPECTRA = "power in rings of frequencies, from pixels"
    SIMILARITIES = "similarity of an image to its partner, from pixels"
    NOISE = "every image, and its latent with fixed noise, from pixels; of synthetic images"


@dataclass(frozen=True)
class Measure:
    """A measure of synthetic images.

    Attributes:
        name: as users write it, and as it stands in results.
        source: what it needs.
        estimate: computes it; measures that share it are computed at once.
        plain: computes bare numbers, from which floors come; None for measures that say something
            of synthetic images without real ones.
        own_floor: the floor of a measure without `plain`, where it has one.
        of_real_parts: whether it can be had for a part of the real images without knowing which
            synthetic ones belong to it.
        refusal: why images of a kind have no value; None where they can be measured.
        described: title and direction of a measure that `results.measures` does not know.
    """

    name: str
    source: Source
    estimate: Estimate
    plain: Plain | None = None
    own_floor: Callable[[Sample, Sample, int], Floor | None] | None = None
    of_real_parts: bool = False
    refusal: Callable[[ImageSpec], str | None] = lambda spec: None
    described: About | None = None

    @property
    def about(self) -> About:
        """Title, direction and what it says."""
        return self.described or about(self.name)

    @property
    def chooses(self) -> bool:
        """Whether it can choose between networks: it compares with real images, and says which
        values are better.
        """
        return self.about.better is not None and not self.about.alone
