"""What the tests of memorisation say together: numbers with intervals, and sentences.

Intervals of all tests of all extractors hold together in 95 of 100 audits of a generator that
memorised nothing (Westfall and Young 1993, "Resampling-based multiple testing", on the largest
deviation over all tests): a set is not suspected for one of many tests.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor

from synthograph.results.audit import NeighbourTest
from synthograph.stats.permutation import p_value

# t test, b exchange

DRAWS = 20
LEVEL = 0.95


@dataclass(frozen=True)
class Rule:
    """How a test is read: what it says, with fields for the numbers, the number expected with
    nothing memorised, the sign of a deviation by memorising, and the range of the number.

    The number of a `ratio` is its logarithm until it is shown.
    """

    name: str
    text: str
    expected: float = 0.0
    sign: int = 1
    ratio: bool = False
    low: float = -math.inf
    high: float = math.inf


WITHOUT = "without memorising it would be"
RULES = (
    Rule(
        "closer_to_training",
        "{value:.1%} of the synthetic images ({low:.1%} to {high:.1%}) are closer to a training "
        f"image than to any of as many held-out images; {WITHOUT} 50 %",
        expected=0.5,
        low=0.0,
        high=1.0,
    ),
    Rule(
        "distance_ratio",
        "on average the nearest training image is {value:.3f} times as far away ({low:.3f} to "
        f"{{high:.3f}}) as the nearest of as many held-out images; {WITHOUT} 1",
        sign=-1,
        ratio=True,
    ),
    Rule(
        "much_closer",
        "synthetic images at least twice as close to a training image as to a held-out one, less "
        f"those the other way round, are {{value:.2%}} ({{low:.2%}} to {{high:.2%}}); {WITHOUT} 0",
        low=-1.0,
        high=1.0,
    ),
    Rule(
        "adversarial_accuracy",
        "by its nearest neighbour a held-out image is told from synthetic ones more often than a "
        f"training image, by {{value:.3f}} ({{low:.3f}} to {{high:.3f}}); {WITHOUT} 0",
        low=-1.0,
        high=1.0,
    ),
    Rule(
        "authenticity",
        "compared with training images, {value:.1%} fewer synthetic images ({low:.1%} to "
        f"{{high:.1%}}) count as new than compared with held-out images; {WITHOUT} 0",
        low=-1.0,
        high=1.0,
    ),
    Rule(
        "data_copying",
        "the score of data copying (C_T) is {value:.2f} ({low:.2f} to {high:.2f}); it is below 0 "
        f"where images lie too close to training images; {WITHOUT} 0",
        sign=-1,
    ),
)
NAMES = tuple(rule.name for rule in RULES)


@dataclass(frozen=True)
class PermutedTests:
    """All tests of one extractor, as they are and under every exchange, before they are judged
    together.

    Beside them further numbers of every test, quartiles and histogram of nearest distances, how
    many synthetic images took part, and in words what did not.
    """

    extractor: str
    found: Float64[Tensor, " t"]
    permuted: Float64[Tensor, "b t"]
    detail: dict[str, dict[str, Any]]
    distances: dict[str, Any]
    images: int
    notes: tuple[str, ...] = ()


def judge(measured: Sequence[PermutedTests]) -> list[NeighbourTest]:
    """Findings of all tests of all extractors, with intervals that hold together.

    Args:
        measured: what `measure` gave for the same sets and the same seed.
    """
    if not measured:
        return []
    signs = torch.tensor([rule.sign for rule in RULES] * len(measured), dtype=torch.float64)
    found = torch.cat([each.found for each in measured])
    null = torch.cat([each.permuted for each in measured], dim=1)
    centres = torch.tensor([rule.expected for rule in RULES] * len(measured), dtype=torch.float64)
    images = torch.tensor([each.images for each in measured], dtype=torch.float64)
    least = (1 / images).repeat_interleave(len(RULES))  # a share moves by whole images
    # what is judged is one of the exchanges, or chance would seem smaller than it is
    every = torch.cat((null, found[None]))
    spread = (every - centres).square().mean(0).sqrt().maximum(least)
    largest = (signs * (null - centres) / spread).amax(1).sort().values
    # half of what may be beyond the intervals is beyond on the side of memorising
    place = math.ceil((1 + LEVEL) / 2 * (len(largest) + 1)) - 1
    limit = float(largest[min(place, len(largest) - 1)])
    findings = []
    tests = [(each, rule) for each in measured for rule in RULES]
    for (each, rule), value, scale in zip(tests, found.tolist(), spread.tolist(), strict=True):
        shift, width = rule.sign * (value - rule.expected) / scale, limit * scale
        numbers = (value, rule.expected, value - width, value + width)
        p = p_value(shift, largest)
        findings.append(_finding(each, rule, numbers, p, flagged=shift > limit))
    return findings


def _finding(
    measured: PermutedTests, rule: Rule, numbers: Sequence[float], p: float, *, flagged: bool
) -> NeighbourTest:
    value, expected, *ends = (math.exp(each) if rule.ratio else each for each in numbers)
    low, high = (min(max(end, rule.low), rule.high) for end in ends)
    sentence = rule.text.format(value=value, expected=expected, low=low, high=high)
    sentence += "; chance does not explain this" if flagged else "; chance explains this"
    return NeighbourTest(
        test=rule.name,
        extractor=measured.extractor,
        value=value,
        expected=expected,
        interval=(low, high),
        level=LEVEL,
        p=p,
        flagged=flagged,
        draws=DRAWS,
        exchanges=len(measured.permuted),
        sentence=sentence,
        detail=measured.detail.get(rule.name, {}),
    )
