"""The latent model behind every phantom set: patients, factors, labels, best possible AUROC.

Each factor z is standard normal over the population and has a part that all images of one patient
share; the score s is a weighted sum of factors, scaled to N(0, 1). With noise e, also N(0, 1) and
also partly shared by a patient,

    liability = a s + sqrt(1 - a^2) e,    label = liability > t,

which is the probit (liability threshold) model of Falconer 1965. The threshold t follows from the
prevalence, a from the wanted AUROC. The patient's share changes neither marginal distribution, so
the population AUROC of s is the one that was asked for; it is the largest that any function of a
single image's factors reaches, because the label depends on them through s alone and its
probability rises with s. `separation` then moves s of the positive class up by half of it, and
that of the other down, with the factors along the weights: classes that are plain to see, whose
AUROC is larger than the one that was asked for.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri

from synthograph.sources.phantoms.options import PhantomOptions

STREAMS_PER_KIND = 16
SCORED_PREVALENCE = 0.4
INTEGRATION_LIMIT = 9.0
INTEGRATION_POINTS = 4001


class Stream(enum.IntEnum):
    """What is drawn; streams of one seed are independent of each other."""

    SIZES = 0
    PATIENT = 1
    IMAGE = 2
    RENDER = 3


@dataclass(frozen=True, slots=True)
class Key:
    """Root of all random numbers of one set: the user's seed and the number of the phantom kind."""

    seed: int
    kind: int

    def generator(self, stream: Stream, index: int) -> np.random.Generator:
        """The generator of one thing, whatever else is drawn, in whatever order or process."""
        number = self.kind * STREAMS_PER_KIND + int(stream)
        return np.random.default_rng(np.random.SeedSequence([self.seed, number, index]))


@dataclass(frozen=True, slots=True)
class Factor:
    """One property of the object that is shown; its value is uniform on [low, high] unless
    classes are moved apart.

    Attributes:
        name: manifest column.
        low: smallest value.
        high: largest value.
        meaning: what it is, with its unit.
        weight: weight of the standardised factor in the score; 0 where the label ignores it.
        share: part of the variance between patients, 0 to 1; None follows the set's patient effect.
    """

    name: str
    low: float
    high: float
    meaning: str
    weight: float = 0.0
    share: float | None = None

    def value(self, z: np.ndarray) -> np.ndarray:
        """The physical value [n] of a standardised factor [n]."""
        return self.low + (self.high - self.low) * ndtr(z)


@dataclass(frozen=True, slots=True)
class Confounder:
    """Something that disturbs pictures; of some it is absent, and of none it exceeds a limit.

    Attributes:
        name: manifest column.
        offset: mean of the standardised strength, below 0 of which it is absent.
        gain: value per unit of strength.
        limit: largest value.
    """

    name: str
    offset: float
    gain: float
    limit: float = np.inf

    def value(self, z: np.ndarray, strength: float) -> np.ndarray:
        """The value [n] of standard normal numbers [n]; `strength` 0 is none, 1 is usual."""
        return np.clip(self.gain * strength * np.clip(z + self.offset, 0, None), 0, self.limit)


@dataclass(frozen=True, slots=True)
class Population:
    """Everything that is drawn before any picture; all arrays have one entry per image.

    Attributes:
        patient: number of the patient, rising with the image's number.
        ordinal: which image of its patient it is, from 0.
        values: physical value of every factor and confounder.
        positive: the label.
        score: noiseless score, N(0, 1) in the population before `separation`; None where no factor
            has a weight.
        probability: probability of the positive class given the score.
    """

    patient: np.ndarray
    ordinal: np.ndarray
    values: Mapping[str, np.ndarray]
    positive: np.ndarray
    score: np.ndarray | None
    probability: np.ndarray


def _probability(score: np.ndarray, signal: float, prevalence: float) -> np.ndarray:
    threshold = ndtri(1 - prevalence)
    return ndtr((signal * score - threshold) / np.sqrt(max(1 - signal**2, 1e-12)))


def _separated(
    score: np.ndarray, signal: float, prevalence: float, separation: float
) -> np.ndarray:
    """Probability of the positive class at a score whose classes were moved apart (Bayes)."""
    half = separation / 2
    # normal densities at the scores before, without the factor that both have
    positive = np.exp(half * score) * _probability(score - half, signal, prevalence)
    negative = np.exp(-half * score) * (1 - _probability(score + half, signal, prevalence))
    return positive / (positive + negative)


def population_auroc(signal: float, prevalence: float) -> float:
    """AUROC of the noiseless score against the label in an infinite population.

    P(s+ > s-) = integral of phi(s) p(s) F(s) ds / (pi (1 - pi)), with p the probability of the
    positive class at s and F(s) the mass of negatives below s; by the trapezoidal rule, error below
    1e-5.

    Args:
        signal: correlation of score and liability, in [0, 1).
        prevalence: share of the positive class pi, in (0, 1).
    """
    s = np.linspace(-INTEGRATION_LIMIT, INTEGRATION_LIMIT, INTEGRATION_POINTS)
    step = s[1] - s[0]
    density = np.exp(-0.5 * s**2) / np.sqrt(2 * np.pi) * step
    positives = density * _probability(s, signal, prevalence)
    negatives = density - positives
    below = np.cumsum(negatives) - 0.5 * negatives
    return float(np.sum(positives * below) / (positives.sum() * negatives.sum()))


@lru_cache(maxsize=64)
def calibrate_signal(auroc: float, prevalence: float) -> float:
    """The correlation of score and liability at which the score's population AUROC is `auroc`.

    Args:
        auroc: above 0.5 (chance), at most 0.999.
        prevalence: within (0, 1), as both classes must occur.
    """
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        if population_auroc(middle, prevalence) < auroc:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def draw_population(
    key: Key, factors: Sequence[Factor], confounders: Sequence[Confounder], options: PhantomOptions
) -> Population:
    """Draw patients, factors, confounders and labels; a larger `count` only appends images.

    The label is a noisy threshold of the score, or of noise alone, drawn image by image, where no
    factor has a weight.
    """
    weights = np.array([f.weight for f in factors])
    scored = bool(weights.any())
    usual = SCORED_PREVALENCE if scored else 0.5
    prevalence = usual if options.prevalence is None else options.prevalence
    signal = calibrate_signal(options.auroc, prevalence) if scored else 0.0
    effect = options.patient_effect
    shares = [effect if f.share is None else f.share for f in factors]
    share = np.array([*shares, effect if scored else 0.0])

    patient, ordinal = _assign_patients(key, options.count, options.images_per_patient)
    own = _normals(key, Stream.IMAGE, options.count, len(share) + len(confounders))
    of_patient = _normals(key, Stream.PATIENT, int(patient[-1]) + 1, len(share))[patient]
    mixed = np.sqrt(share) * of_patient + np.sqrt(1 - share) * own[:, : len(share)]
    # Summed elementwise: a matrix product could round otherwise for another number of images.
    unit = weights / np.linalg.norm(weights) if scored else weights
    score = np.sum(mixed[:, :-1] * unit, axis=1)
    liability = signal * score + np.sqrt(1 - signal**2) * mixed[:, -1]
    positive = liability > ndtri(1 - prevalence)
    apart = options.separation * np.where(positive, 0.5, -0.5)
    mixed[:, :-1] += apart[:, None] * unit
    score += apart
    c = options.confounder_correlation
    z = c * liability[:, None] + np.sqrt(1 - c**2) * own[:, len(share) :]
    values = {f.name: f.value(mixed[:, j]) for j, f in enumerate(factors)}
    values |= {f.name: f.value(z[:, j], options.confounders) for j, f in enumerate(confounders)}
    return Population(
        patient=patient,
        ordinal=ordinal,
        values=values,
        positive=positive,
        score=score if scored else None,
        probability=_separated(score, signal, prevalence, options.separation),
    )


def _assign_patients(key: Key, count: int, mean: float) -> tuple[np.ndarray, np.ndarray]:
    """Patient number and place within the patient of every image.

    Sizes are 1 + Poisson(mean - 1), drawn one after the other, so that a larger count only appends.
    """
    generator = key.generator(Stream.SIZES, 0)
    sizes: list[int] = []
    total = 0
    while total < count:
        sizes.append(1 + int(generator.poisson(mean - 1)))
        total += sizes[-1]
    patient = np.repeat(np.arange(len(sizes)), sizes)[:count]
    ordinal = np.concatenate([np.arange(n) for n in sizes])[:count]
    return patient, ordinal


def _normals(key: Key, stream: Stream, rows: int, width: int) -> np.ndarray:
    """Standard normal numbers [rows, width]; every row has its own generator."""
    return np.stack([key.generator(stream, i).standard_normal(width) for i in range(rows)])
