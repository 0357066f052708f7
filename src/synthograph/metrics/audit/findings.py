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
    """How a test is read.

    Attributes:
        name: of the test.
        expected: with nothing memorised.
        sign: 1 where memorising makes the number larger, -1 where smaller.
        ratio: whether the number is a logarithm inside and shown as a ratio.
        low: smallest possible number.
        high: largest possible number.
        text: what it says, with fields for the numbers.
    """

    name: str
    expected: float
    sign: int
    ratio: bool = False
    low: float = -math.inf
    high: float = math.inf
    text: str = ""


RULES = (
    Rule(
        "closer_to_training",
        0.5,
        1,
        low=0.0,
        high=1.0,
        text="{value:.1%} of synthetic images are closer to training images than to as many "
        "held-out ones ({low:.1%} to {high:.1%}); 50 % if nothing is memorised",
    ),
    Rule(
        "distance_ratio",
        0.0,
        -1,
        ratio=True,
        text="the nearest training image is {value:.3f} times as far as the nearest of as many "
        "held-out ones (mean; {low:.3f} to {high:.3f}); 1 if nothing is memorised",
    ),
    Rule(
        "much_closer",
        0.0,
        1,
        low=-1.0,
        high=1.0,
        text="{value:.2%} more synthetic images are at less than half the distance to training "
        "images than to held-out ones ({low:.2%} to {high:.2%}); 0 if nothing is memorised",
    ),
    Rule(
        "adversarial_accuracy",
        0.0,
        1,
        low=-1.0,
        high=1.0,
        text="a nearest neighbour tells held-out images from synthetic ones better than training "
        "images by {value:.3f} ({low:.3f} to {high:.3f}); 0 if nothing is memorised",
    ),
    Rule(
        "authenticity",
        0.0,
        1,
        low=-1.0,
        high=1.0,
        text="{value:.1%} fewer synthetic images are authentic against training than against "
        "held-out images ({low:.1%} to {high:.1%}); 0 if nothing is memorised",
    ),
    Rule(
        "data_copying",
        0.0,
        -1,
        text="C_T of training less that of held-out images is {value:.2f} ({low:.2f} to "
        "{high:.2f}), below 0 where training images were copied; 0 if nothing is memorised",
    ),
)
NAMES = tuple(rule.name for rule in RULES)


@dataclass(frozen=True)
class PermutedTests:
    """All tests of one extractor, before they are judged together.

    Attributes:
        extractor: its name.
        found: the tests as they are.
        permuted: the tests under every exchange.
        detail: further numbers, by test.
        distances: quartiles and histogram of nearest distances; plain data.
        images: synthetic images that took part.
        notes: what did not take part, in words.
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
    for place, value in enumerate(found.tolist()):
        each, rule = measured[place // len(RULES)], RULES[place % len(RULES)]
        shift = rule.sign * (value - float(centres[place])) / float(spread[place])
        p = p_value(shift, largest)
        width = limit * float(spread[place])
        numbers = (value, float(centres[place]), value - width, value + width)
        findings.append(_finding(each, rule, numbers, p, flagged=shift > limit))
    return findings


def _finding(
    measured: PermutedTests, rule: Rule, numbers: Sequence[float], p: float, *, flagged: bool
) -> NeighbourTest:
    shown = [math.exp(number) if rule.ratio else number for number in numbers]
    value, expected, low, high = (
        shown[0],
        shown[1],
        *(min(max(e, rule.low), rule.high) for e in shown[2:]),
    )
    sentence = rule.text.format(value=value, expected=expected, low=low, high=high)
    sentence += "; chance alone does not reach this" if flagged else "; this is within chance"
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
