"""What feature extractors conclude of a set: in which parts it is distinguishable from real images.

One extractor judges a part of the images by those measures of a question that have a floor: what
halves of the real images, cut by group, reach against each other. It cannot distinguish them where
all measures lie within their floors. It can where more than half lie beyond, at least one of them
with its whole 95 % interval: a floor is the range of a few cuts, which chance alone leaves in a
fifth of all cases. Anything between is unclear.

Where the classes have other shares than in the reference, each class is judged instead of the
whole, whose distances would show the shares. Chance then has one try per class, so more classes
must be distinguishable than chance explains; up to half of them make the set distinguishable in
part.
"""

import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from synthograph.report.numbers import WHOLE, Numbers
from synthograph.report.words import amount, listed, percent, scope_name
from synthograph.results.evaluation import LABEL, MIN_FOR_MORE, Entry, Scope
from synthograph.results.measures import Direction, about
from synthograph.results.provenance import weakness

MAX_SHARE_GAP = 0.05
"""Difference of a class's share, synthetic against real, above which classes are judged."""
MIN_EXTRACTORS = 2
"""Extractors that have to agree."""
ALPHA = 0.05
"""How often chance may make a part distinguishable, and how often a set that is like the real."""


@dataclass(frozen=True)
class Question:
    """What is asked of a set: the measures that answer it, and how an answer is said.

    Attributes:
        measures: all of them are needed for "not worse".
        worse: what it means that synthetic images are worse than real ones.
        alike: what it means that they are not.
    """

    measures: tuple[str, ...]
    worse: str
    alike: str


FAITHFUL = Question(
    ("frechet", "kernel", "precision"),
    "synthetic images differ from real ones more than real images differ from each other",
    "synthetic images differ from real ones no more than real images differ from each other",
)
"""Do synthetic images look real?"""
DIVERSE = Question(
    ("recall", "coverage"),
    "synthetic images show less variety than real ones",
    "synthetic images show as much variety as real ones",
)
"""Are they as varied as real ones?"""


class Distinction(enum.Enum):
    """What one extractor concludes."""

    NO = "not distinguishable"
    YES = "distinguishable"
    PARTLY = "distinguishable in part"
    UNCLEAR = "unclear"
    UNMEASURED = "not measured"


def judge(entries: Sequence[Entry], measures: Sequence[str]) -> Distinction:
    """What the measures of one part by one extractor say; "not distinguishable" needs them all."""
    judged = [e for e in entries if e.name in measures and e.at_floor is not None]
    if not judged:
        return Distinction.UNMEASURED
    beyond = [e for e in judged if not e.at_floor]
    if not beyond and len(judged) >= len(measures):
        return Distinction.NO
    firm = any(e.interval_beyond for e in beyond)
    return Distinction.YES if firm and 2 * len(beyond) > len(measures) else Distinction.UNCLEAR


def min_distinguishable(parts: int) -> int:
    """Of `parts` that were judged, those that must be distinguishable before chance does not
    explain them: where it does so in 5 % of parts, it reaches this number in at most 5 % of sets.
    """
    tail = 1.0
    for number in range(parts + 1):
        if tail <= ALPHA + 1e-12:
            return number
        tail -= math.comb(parts, number) * ALPHA**number * (1 - ALPHA) ** (parts - number)
    return parts


def over_parts(found: Sequence[Distinction]) -> Distinction:
    """What an extractor concludes of all parts together."""
    judged = [each for each in found if each is not Distinction.UNMEASURED]
    if not judged:
        return Distinction.UNMEASURED
    count = judged.count(Distinction.YES)
    if count >= min_distinguishable(len(judged)):
        return Distinction.YES if 2 * count > len(judged) else Distinction.PARTLY
    return Distinction.NO if set(judged) == {Distinction.NO} else Distinction.UNCLEAR


def shifted_class(numbers: Numbers) -> tuple[str, float, float] | None:
    """The class whose share differs most, with its shares in synthetic and real images; None where
    all shares are alike. Images without a class do not count.
    """
    shares = [
        (str(share), share.n_generated, share.n_real)
        for share in numbers.shares
        if share.column == LABEL and share.level and share.n_generated is not None
    ]
    synthetic, real = sum(n for _, n, _ in shares), sum(m for _, _, m in shares)
    if not synthetic or not real:
        return None
    found = [(name, n / synthetic, m / real) for name, n, m in shares]
    worst = max(found, key=lambda each: abs(each[1] - each[2]))
    return worst if abs(worst[1] - worst[2]) > MAX_SHARE_GAP else None


def judged_parts(numbers: Numbers) -> list[Scope]:
    """All images, or every class where classes have other shares than in the reference."""
    classes = [part for part in numbers.scopes() if part.column == LABEL and part.level]
    return classes if classes and shifted_class(numbers) else [WHOLE]


@dataclass(frozen=True)
class Conclusion:
    """What the extractors conclude on one question, and which of them were trained.

    Attributes:
        findings: by extractor.
        small: whether a part has few images, or too few for a floor.
        reasons: the numbers, in words.
    """

    findings: dict[str, Distinction]
    trained: tuple[str, ...]
    small: bool
    reasons: tuple[str, ...]

    @property
    def together(self) -> Distinction:
        """What they agree on; unclear where they do not."""
        if self.overruled:
            return _agreed(self.findings[name] for name in self.trained)
        return _agreed(self.findings.values())

    @property
    def overruled(self) -> bool:
        """Whether trained networks agree on a difference that only untrained ones do not find."""
        seen = _agreed(self.findings[name] for name in self.trained)
        different = seen in (Distinction.YES, Distinction.PARTLY)
        return different and _agreed(self.findings.values()) is Distinction.UNCLEAR

    @property
    def decides(self) -> bool:
        """Whether there are enough extractors and images for more than an indication."""
        enough = len(self.findings) >= MIN_EXTRACTORS and bool(self.trained)
        return enough and not self.overruled and not self.small

    @property
    def weak(self) -> str:
        """See `weakness`, of the others."""
        return weakness(name for name in self.findings if name not in self.trained)

    @property
    def caveats(self) -> list[str]:
        """Why this is an indication only."""
        found = []
        if len(self.findings) < MIN_EXTRACTORS:
            what = "one trained network" if self.trained else f"one network that was {self.weak}"
            found.append(
                f"Only an indication: the numbers come from {what}. An answer needs two networks "
                "that agree, one of them trained."
            )
        elif not self.trained:
            found.append(
                "Only an indication: none of the networks behind the numbers is a published one: "
                f"they were {self.weak}."
            )
        if self.overruled:
            found.append(
                f"Only an indication: a network that was {self.weak} does not confirm the "
                "difference, and may be blind to it."
            )
        if self.small:
            found.append(
                f"Only an indication: a part has fewer than {MIN_FOR_MORE} real or synthetic "
                "images, or too few real ones to compare with each other."
            )
        return found


def conclude(numbers: Numbers, question: Question) -> Conclusion:
    """What every extractor concludes, with the numbers that decided."""
    parts, measures = judged_parts(numbers), question.measures
    findings: dict[str, Distinction] = {}
    leads, reasons = [], []
    trained, small = [], False
    for name in dict.fromkeys(e.extractor for e in numbers.entries if e.extractor):
        by_part = {part: numbers.of(part, name) for part in parts}
        each = {part: judge(entries, measures) for part, entries in by_part.items()}
        found = over_parts(list(each.values()))
        if found is Distinction.UNMEASURED:
            continue
        findings[name] = found
        used = [e for entries in by_part.values() for e in entries if e.name in measures]
        trained += [] if any(entry.indicative for entry in used) else [name]
        small = small or Distinction.UNMEASURED in each.values() or any(e.small for e in used)
        leads.append(_lead(name, each, question))
        reasons += [_reason(name, part, entries, measures) for part, entries in by_part.items()]
    shifted = shifted_class(numbers)
    if parts != [WHOLE] and shifted:
        leads.append(
            "Each class is judged by itself, because the classes are not equally frequent: "
            f"{shifted[0]} makes up {percent(shifted[1])} of the synthetic and "
            f"{percent(shifted[2])} of the real images."
        )
    return Conclusion(findings, tuple(trained), small, (*leads, *filter(None, reasons)))


def _agreed(found: Iterable[Distinction]) -> Distinction:
    """What several extractors find together; unclear where they do not agree."""
    each = set(found) or {Distinction.UNMEASURED}
    if each == {Distinction.YES, Distinction.PARTLY}:
        return Distinction.PARTLY
    return each.pop() if len(each) == 1 else Distinction.UNCLEAR


def _lead(name: str, by_part: Mapping[Scope, Distinction], question: Question) -> str:
    """What an extractor concludes of which parts."""
    findings = {
        Distinction.YES: question.worse,
        Distinction.UNCLEAR: "the measures do not settle it",
        Distinction.NO: question.alike,
        Distinction.UNMEASURED: "there are too few images to tell",
    }
    said = []
    for finding, words in findings.items():
        parts = [part for part, each in by_part.items() if each is finding]
        all_of_them = len(parts) == len(by_part)
        names = "every class" if all_of_them else listed([scope_name(part) for part in parts])
        names = "" if parts == [WHOLE] else f" ({names})"
        said += [f"{words}{names}"] if parts else []
    return f"By the features of {name}, {'; '.join(said)}."


def _reason(name: str, part: Scope, entries: Sequence[Entry], measures: Sequence[str]) -> str:
    said = []
    for entry in entries:
        floor = entry.floor
        if entry.name not in measures or entry.at_floor is None or floor is None:
            continue
        low = entry.direction is Direction.LOW
        limit = amount(entry.name, floor.high if low else floor.low)
        side = "larger" if low else "lower"
        how = "no " if entry.at_floor else "clearly " if entry.interval_beyond else ""
        said.append(
            f"{about(entry.name).title} {amount(entry.name, floor.same_n)} is {how}{side} than "
            f"between real images (at {'most' if low else 'least'} {limit})"
        )
    return f"{name}, {scope_name(part)}: {'; '.join(said)}." if said else ""
