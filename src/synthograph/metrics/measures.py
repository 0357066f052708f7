"""The registry of measures, and their values for two sets of rows: with intervals, as bare numbers,
and as floors.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence

from synthograph.core.seeds import Streams
from synthograph.metrics.diversity import REPETITION, SPREAD
from synthograph.metrics.frechet import FRECHET
from synthograph.metrics.kernel import KERNEL
from synthograph.metrics.manifold import COVERAGE, DENSITY, PRECISION, RECALL
from synthograph.metrics.measure import Measure, Source
from synthograph.metrics.noise import NOISE
from synthograph.metrics.scores import INCEPTION_SCORE
from synthograph.metrics.spectrum import SPECTRUM
from synthograph.metrics.ssim import MS_SSIM
from synthograph.results.evaluation import Floor, Value
from synthograph.stats.intervals import halve
from synthograph.stats.sample import Sample

MEASURES: tuple[Measure, ...] = (
    FRECHET,
    KERNEL,
    PRECISION,
    RECALL,
    DENSITY,
    COVERAGE,
    SPREAD,
    REPETITION,
    NOISE,
    INCEPTION_SCORE,
    SPECTRUM,
    MS_SSIM,
)
"""In the order in which they are shown. A new measure is a file of its own and a line here."""
BY_NAME = {measure.name: measure for measure in MEASURES}
SPLITS = 3
"""Cuts into halves whose mean is a floor."""
MAX_HALF = 5000
"""Images in a half at most: the time grows with its square."""


def chosen(names: Collection[str], *sources: Source) -> list[Measure]:
    """The measures of these names, of some sources or of all, in their order."""
    return [
        measure
        for measure in MEASURES
        if measure.name in names and measure.source in (sources or Source)
    ]


def compare(real: Sample, fake: Sample, names: Collection[str], *, seed: int = 0) -> list[Value]:
    """Measures with intervals.

    Args:
        real: rows of real images.
        fake: rows of synthetic images.
        names: of measures of one source.
        seed: as for `Estimate`.

    Raises:
        UserError: sets that cannot be compared.
    """
    measures, found = chosen(names), dict[str, Value]()
    for estimate in dict.fromkeys(measure.estimate for measure in measures):
        found |= estimate(real, fake, seed)
    return [found[measure.name] for measure in measures]


def plain(real: Sample, fake: Sample, names: Collection[str]) -> dict[str, float]:
    """The same measures as bare numbers, where there are images enough."""
    measures, found = chosen(names), dict[str, float]()
    for bare in dict.fromkeys(measure.plain for measure in measures if measure.plain):
        found |= bare(real, fake)
    return {measure.name: found[measure.name] for measure in measures if measure.name in found}


def floors(
    real: Sample, fake: Sample, names: Collection[str], *, seed: int = 0
) -> dict[str, Floor]:
    """The floor of every measure that has one: its value between halves of the real images, or, for
    a measure of one set, its value for the real images. Arguments as for `compare`.
    """
    found = {}
    for measure in chosen(names):
        floor = None if measure.own_floor is None else measure.own_floor(real, fake, seed)
        if floor is not None:
            found[measure.name] = floor
    compared = [measure.name for measure in chosen(names) if measure.plain]
    if real.group_count < 2 or not compared:
        return found
    streams = Streams(seed)
    between, same = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    sizes = []
    for split in range(SPLITS):
        second = halve(real.groups, streams, split)
        one, other = (real.subset(half.nonzero()[:MAX_HALF, 0]) for half in (~second, second))
        sizes.append((len(one), len(other)))
        for name, number in plain(one, other, compared).items():
            between[name].append(number)
        if len(fake) >= len(other):
            order = streams.permutation("metrics/floor", split, len(fake))[: len(other)]
            for name, number in plain(one, fake.subset(order.sort().values), compared).items():
                same[name].append(number)
    n = (sum(a for a, _ in sizes) // SPLITS, sum(b for _, b in sizes) // SPLITS)
    for name, numbers in between.items():
        found[name] = Floor(
            value=_mean(numbers),
            low=min(numbers),
            high=max(numbers),
            same_n=_mean(same[name]) if name in same else None,
            n=n,
            splits=SPLITS,
        )
    return found


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


def matched(sample: Sample, count: int, *, seed: int = 0) -> Sample:
    """At most `count` images of a sample, group by group in random order: measures of different
    numbers of images do not compare, nor do those of more patients. Of the last group a part.
    """
    if len(sample) <= count:
        return sample
    found, inverse = sample.groups.unique(return_inverse=True)
    place = Streams(seed).permutation("metrics/matched", 0, len(found))
    return sample.subset(place[inverse].argsort(stable=True)[:count].sort().values)
