"""What feature extractors see of a set: which parts of it they tell from real images.

A part of the images is judged by one extractor through the measures of a question that have a
floor (real images against real images, cut by group). All at their floor: "alike". More than half
beyond it, and one of these with its own 95 % interval wholly beyond it: "apart"; a floor is the
range of a few cuts, which chance alone leaves in a fifth of all cases. Anything between: "unclear".

Where classes are mixed in other proportions than in the reference, the classes are judged, not the
whole, whose distances would show the mix. Chance then has as many tries as there are classes, so
more classes must be apart than chance explains; up to half of them are "partly".
"""

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from synthograph.report.evaluations import LABEL, SMALL, WHOLE, Entry, Evaluation, Part
from synthograph.report.words import amount, listed, percent, words_of

MIX = 0.05
"""Difference of a class's share, generated against real, from which the whole is not compared."""
EXTRACTORS = 2
"""Extractors that have to agree."""
CHANCE = 0.05
"""How often chance may tell a part apart, and how often a set of which nothing is true."""


class Finding(enum.Enum):
    """What one extractor sees."""

    ALIKE = "alike"
    APART = "apart"
    PARTLY = "partly apart"
    UNCLEAR = "unclear"
    NOTHING = "nothing measured"


def judge(entries: Sequence[Entry], measures: Sequence[str]) -> Finding:
    """What the measures of one part by one extractor say together; "alike" needs all of them."""
    seen = [e for e in entries if e.measure in measures and e.at_floor is not None]
    if not seen:
        return Finding.NOTHING
    beyond = [e for e in seen if not e.at_floor]
    if not beyond and len(seen) >= len(measures):
        return Finding.ALIKE
    firm = any(e.interval_beyond for e in beyond)
    return Finding.APART if firm and 2 * len(beyond) > len(measures) else Finding.UNCLEAR


def least_apart(parts: int) -> int:
    """Parts out of so many that must be apart before chance does not explain them: chance that
    tells one apart in 5 % of cases tells as many apart in at most 5 % of sets.

    Args:
        parts: that were judged, 1 or more.
    """
    tail = 1.0
    for number in range(parts + 1):
        if tail <= CHANCE + 1e-12:
            return number
        tail -= math.comb(parts, number) * CHANCE**number * (1 - CHANCE) ** (parts - number)
    return parts


def over_parts(found: Sequence[Finding]) -> Finding:
    """What an extractor says of all parts together."""
    seen = [each for each in found if each is not Finding.NOTHING]
    if not seen:
        return Finding.NOTHING
    apart = seen.count(Finding.APART)
    if apart >= least_apart(len(seen)):
        return Finding.APART if 2 * apart > len(seen) else Finding.PARTLY
    return Finding.ALIKE if set(seen) == {Finding.ALIKE} else Finding.UNCLEAR


def other_mix(evaluation: Evaluation) -> tuple[str, float, float] | None:
    """The class whose share differs most, with its shares in generated and real images; None where
    the classes are mixed alike. Images without a class do not count.
    """
    shares = [
        s
        for s in evaluation.shares
        if s.part.column == LABEL and s.part.level and s.fake is not None
    ]
    fakes, reals = sum(s.fake or 0 for s in shares), sum(s.real for s in shares)
    if not fakes or not reals:
        return None
    pairs = [(str(s.part), (s.fake or 0) / fakes, s.real / reals) for s in shares]
    worst = max(pairs, key=lambda pair: abs(pair[1] - pair[2]))
    return worst if abs(worst[1] - worst[2]) > MIX else None


def judged_parts(evaluation: Evaluation) -> list[Part]:
    """All images, or every class where classes are mixed otherwise than in the reference."""
    classes = [part for part in evaluation.parts() if part.column == LABEL and part.level]
    return classes if classes and other_mix(evaluation) else [WHOLE]


@dataclass(frozen=True)
class Seen:
    """What the extractors see for one question."""

    findings: dict[str, Finding]
    trained: int
    small: bool
    reasons: tuple[str, ...]

    @property
    def together(self) -> Finding:
        """What they agree on; unclear where they do not."""
        found = set(self.findings.values())
        if not found:
            return Finding.NOTHING
        if found == {Finding.APART, Finding.PARTLY}:
            return Finding.PARTLY
        return found.pop() if len(found) == 1 else Finding.UNCLEAR

    @property
    def decides(self) -> bool:
        """Whether there are enough extractors and images for more than an indication."""
        return len(self.findings) >= EXTRACTORS and self.trained > 0 and not self.small

    @property
    def caveats(self) -> list[str]:
        """Why this is an indication only."""
        found = []
        if len(self.findings) < EXTRACTORS:
            untrained = "a network of random weights alone" if not self.trained else "one extractor"
            found.append(f"Indicative only: measured with {untrained}; {EXTRACTORS} must agree.")
        elif not self.trained:
            found.append("Indicative only: none of the networks behind the numbers was trained.")
        if self.small:
            found.append(
                f"Indicative only: a part has fewer than {SMALL} images of a kind, or too few for "
                "a floor."
            )
        return found


def see(evaluation: Evaluation, measures: Sequence[str]) -> Seen:
    """What every extractor sees, with the numbers that decided."""
    parts = judged_parts(evaluation)
    names = dict.fromkeys(e.extractor for e in evaluation.entries if e.extractor)
    findings: dict[str, Finding] = {}
    reasons: list[str] = []
    trained, small = 0, False
    for name in names:
        by_part = {part: evaluation.of(part, name) for part in parts}
        each = [judge(entries, measures) for entries in by_part.values()]
        found = over_parts(each)
        if found is Finding.NOTHING:
            continue
        small = small or Finding.NOTHING in each
        findings[name or ""] = found
        used = [e for entries in by_part.values() for e in entries if e.measure in measures]
        trained += not any(entry.indicative for entry in used)
        small = small or any(entry.small for entry in used)
        reasons.insert(len(findings) - 1, _lead(str(name), by_part, measures))
        reasons += [
            _reason(str(name), part, entries, measures) for part, entries in by_part.items()
        ]
    mixed = other_mix(evaluation)
    if parts != [WHOLE] and mixed:
        reasons.insert(
            len(findings),
            f"Judged class by class, since the mix differs: {mixed[0]} makes up "
            f"{percent(mixed[1])} of the generated and {percent(mixed[2])} of the real images.",
        )
    return Seen(findings, trained, small, tuple(reason for reason in reasons if reason))


def _lead(name: str, by_part: Mapping[Part, Sequence[Entry]], measures: Sequence[str]) -> str:
    """What an extractor says of which parts."""
    said = []
    for finding, words in (
        (Finding.APART, "sees a difference from real images in"),
        (Finding.UNCLEAR, "is torn over"),
        (Finding.ALIKE, "sees no more than between real images in"),
        (Finding.NOTHING, "has too few images for a floor in"),
    ):
        parts = [str(p) for p, entries in by_part.items() if judge(entries, measures) is finding]
        said += [f"{words} {listed(parts)}"] if parts else []
    return f"{name} {'; it '.join(said)}."


def _reason(name: str, part: Part, entries: Sequence[Entry], measures: Sequence[str]) -> str:
    said = []
    for entry in entries:
        floor = entry.floor
        if entry.measure not in measures or entry.at_floor is None or floor is None:
            continue
        low = words_of(entry.measure).better == "low"
        limit = (
            f"at most {amount(entry.measure, floor.high)}"
            if low
            else (f"at least {amount(entry.measure, floor.low)}")
        )
        side = "at its floor" if entry.at_floor else "beyond its floor"
        if entry.interval_beyond:
            side += ", as is its whole interval"
        said.append(
            f"{words_of(entry.measure).title} {amount(entry.measure, floor.same)} is {side} "
            f"(real images: {limit})"
        )
    return f"{name}, {part}: {'; '.join(said)}." if said else ""
