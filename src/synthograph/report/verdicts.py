"""The verdicts on a synthetic set, all rules in one place.

A part of the images is judged by one extractor through the measures of a question that have a
floor (real images against real images, cut by group): all at their floor means "alike", more than
half beyond it "apart", anything between "unclear". Where classes are mixed in other proportions
than in the reference, the classes are judged, not the whole, whose distances would show the mix.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synthograph.report.commands import audit_command, evaluate_command
from synthograph.report.evaluations import LABEL, SMALL, WHOLE, Entry, Evaluation, Part
from synthograph.report.findings import Answer as Audited
from synthograph.report.findings import Audit
from synthograph.report.words import DIVERSE, FAITHFUL, amount, count, listed, percent, words_of

MIX = 0.05
"""Difference of a class's share, generated against real, from which the whole is not compared."""
EXTRACTORS = 2
"""Extractors that have to agree."""


class Answer(enum.Enum):
    """What a question is answered with."""

    YES = "yes"
    NO = "no"
    INDICATIVE_YES = "indicative yes"
    INDICATIVE_NO = "indicative no"
    UNDECIDED = "undecided"
    WITHHELD = "withheld"
    MISSING = "not studied yet"


class Finding(enum.Enum):
    """What one extractor sees."""

    ALIKE = "alike"
    APART = "apart"
    UNCLEAR = "unclear"
    NOTHING = "nothing measured"


TONES = {
    Answer.YES: "good",
    Answer.NO: "bad",
    Answer.INDICATIVE_YES: "hint",
    Answer.INDICATIVE_NO: "hint",
    Answer.UNDECIDED: "open",
    Answer.WITHHELD: "open",
    Answer.MISSING: "open",
}


@dataclass(frozen=True)
class Verdict:
    """The answer to one question.

    Attributes:
        question: for readers.
        answer: the kind of answer.
        headline: the answer in a few words.
        rule: that gave it.
        reasons: what it rests on here.
        limits: what it does not say.
    """

    question: str
    answer: Answer
    headline: str
    rule: str
    reasons: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()

    @property
    def tone(self) -> str:
        """How it is shown."""
        return TONES[self.answer]

    def json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "question": self.question,
            "answer": self.answer.value,
            "tone": self.tone,
            "headline": self.headline,
            "rule": self.rule,
            "reasons": list(self.reasons),
            "limits": list(self.limits),
        }


def verdicts(evaluation: Evaluation | None, audit: Audit | None, why: str = "") -> list[Verdict]:
    """The four verdicts.

    Args:
        evaluation: of the set.
        audit: of the same set.
        why: the reason that there is none, where one of another set was given.
    """
    copies = copies_verdict(audit, evaluation, why)
    return [
        faithful_verdict(evaluation, audit, why),
        diverse_verdict(evaluation),
        copies,
        useful_verdict(),
    ]


# --- what one extractor sees ---------------------------------------------------------------------


def judge(entries: Sequence[Entry], measures: Sequence[str]) -> Finding:
    """What the measures of one part by one extractor say together; "alike" needs all of them."""
    seen = [e.at_floor for e in entries if e.measure in measures and e.at_floor is not None]
    if not seen:
        return Finding.NOTHING
    beyond = seen.count(False)
    if not beyond and len(seen) >= len(measures):
        return Finding.ALIKE
    return Finding.APART if 2 * beyond > len(measures) else Finding.UNCLEAR


def over_parts(found: Sequence[Finding]) -> Finding:
    """What an extractor says of all parts: apart in one is apart."""
    seen = [each for each in found if each is not Finding.NOTHING]
    if not seen:
        return Finding.NOTHING
    if Finding.APART in seen:
        return Finding.APART
    return Finding.UNCLEAR if Finding.UNCLEAR in seen else Finding.ALIKE


def other_mix(evaluation: Evaluation) -> tuple[str, float, float] | None:
    """The class whose share differs most, with its shares in generated and real images; None where
    the classes are mixed alike.
    """
    shares = [s for s in evaluation.shares if s.part.column == LABEL and s.fake is not None]
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
        said.append(
            f"{words_of(entry.measure).title} {amount(entry.measure, floor.same)} is {side} "
            f"(real images: {limit})"
        )
    return f"{name}, {part}: {'; '.join(said)}." if said else ""


# --- the questions -------------------------------------------------------------------------------

FAITHFUL_RULE = (
    "Yes, if at least two feature extractors, one of them trained, find the Fréchet distance, the "
    "kernel distance and the precision within what real images reach against each other, and the "
    "search for copies came out clean. No, if they find more than half of these beyond it. One "
    "extractor, or fewer than 100 images, gives an indication. Where extractors disagree it is "
    "undecided."
)
DIVERSE_RULE = (
    "Yes, if at least two feature extractors, one of them trained, find recall and coverage within "
    "what real images reach against each other. No, if they find both below it, or if a class was "
    "not generated at all. One extractor, or fewer than 100 images, gives an indication. Where "
    "extractors disagree it is undecided."
)
COPIES_RULE = (
    "The answer of the audit, which plants copies of training images to learn what it can find, "
    "and compares with people whom the generator never saw."
)
USEFUL_RULE = (
    "To be decided by studies: a classifier or segmenter trained with and without the synthetic "
    "images, tested on patients of a hospital that gave none of them, against simple duplicates."
)
_FLOOR_LIMIT = (
    "The floor is drawn from a few cuts of the real images; not being told apart at this number of "
    "images is no proof of equality, and small differences can be real without mattering."
)


def _answer(seen: Seen) -> Answer:
    together = seen.together
    if together is Finding.NOTHING:
        return Answer.MISSING
    if together is Finding.UNCLEAR:
        return Answer.UNDECIDED
    if together is Finding.ALIKE:
        return Answer.YES if seen.decides else Answer.INDICATIVE_YES
    return Answer.NO if seen.decides else Answer.INDICATIVE_NO


def faithful_verdict(evaluation: Evaluation | None, audit: Audit | None, why: str = "") -> Verdict:
    """Do generated images look like real ones?"""
    question = "Faithful? Do generated images look like real ones?"
    seen = None if evaluation is None else see(evaluation, FAITHFUL)
    answer = Answer.MISSING if seen is None else _answer(seen)
    if seen is None or answer is Answer.MISSING:
        return _missing(question, FAITHFUL_RULE)
    limits = [*seen.caveats, _FLOOR_LIMIT]
    clean = audit is not None and audit.answer is Audited.CLEAN
    if answer is Answer.YES and audit is not None and audit.indicative:
        answer = Answer.INDICATIVE_YES
        limits.insert(0, "Indicative only: the audit saw features of untrained networks alone.")
    if answer in (Answer.YES, Answer.INDICATIVE_YES) and not clean:
        reason = _not_clean(evaluation, audit, why)
        limits.append("Copies of training images would look faithful, too.")
        return Verdict(
            question,
            Answer.WITHHELD,
            "Withheld: no clean audit",
            FAITHFUL_RULE,
            (reason, *seen.reasons),
            tuple(limits),
        )
    headlines = {
        Answer.YES: "Not told apart from real images",
        Answer.INDICATIVE_YES: "Indication: not told apart",
        Answer.NO: "Told apart from real images",
        Answer.INDICATIVE_NO: "Indication: told apart",
        Answer.UNDECIDED: "Undecided",
    }
    reasons = (*_disagreement(seen), *seen.reasons)
    return Verdict(question, answer, headlines[answer], FAITHFUL_RULE, reasons, tuple(limits))


def _not_clean(evaluation: Evaluation | None, audit: Audit | None, why: str) -> str:
    if audit is None:
        return why or f"There is no audit yet. It is made by: {audit_command(evaluation)}"
    return f"The audit says: {audit.answer.value}."


def _disagreement(seen: Seen) -> list[str]:
    if len(set(seen.findings.values())) < 2:
        return []
    said = [f"{name} says {found.value}" for name, found in seen.findings.items()]
    return [f"The extractors disagree: {listed(said)}."]


def diverse_verdict(evaluation: Evaluation | None) -> Verdict:
    """Are generated images as varied as real ones?"""
    question = "Diverse? Are they as varied as real images?"
    if evaluation is None:
        return _missing(question, DIVERSE_RULE)
    absent = [str(s.part) for s in evaluation.shares if s.real and s.fake == 0]
    limits = (
        "Copies of training images would be as varied as these; see the question on copies.",
        _FLOOR_LIMIT,
    )
    seen = see(evaluation, DIVERSE)
    if absent:
        reason = f"No generated image at all: {listed(absent)}."
        return Verdict(
            question,
            Answer.NO,
            "A part is missing",
            DIVERSE_RULE,
            (reason, *seen.reasons),
            (*seen.caveats, *limits),
        )
    answer = _answer(seen)
    if answer is Answer.MISSING:
        return _missing(question, DIVERSE_RULE)
    headlines = {
        Answer.YES: "As varied as real images",
        Answer.INDICATIVE_YES: "Indication: as varied",
        Answer.NO: "Less varied than real images",
        Answer.INDICATIVE_NO: "Indication: less varied",
        Answer.UNDECIDED: "Undecided",
    }
    reasons = (*_disagreement(seen), *seen.reasons)
    return Verdict(
        question, answer, headlines[answer], DIVERSE_RULE, reasons, (*seen.caveats, *limits)
    )


def copies_verdict(audit: Audit | None, evaluation: Evaluation | None, why: str = "") -> Verdict:
    """Are there copies of training images among them?"""
    question = "Copies? Are training images among them?"
    sign = _sign(evaluation)
    if audit is None:
        reason = why or f"There is no audit yet. It is made by: {audit_command(evaluation)}"
        headline = "Not audited yet"
        return Verdict(question, Answer.MISSING, headline, COPIES_RULE, (reason, *sign))
    answers = {
        Audited.CLEAN: (Answer.YES, "No copies found"),
        None: (Answer.INDICATIVE_YES, "Indication: no copies found"),
        Audited.COPIES: (Answer.NO, "Copies found"),
        Audited.SUSPICIOUS: (Answer.UNDECIDED, "Suspicious"),
        Audited.UNDECIDABLE: (Answer.UNDECIDED, "Cannot be decided"),
    }
    hint = audit.indicative and audit.answer is Audited.CLEAN
    answer, headline = answers[None if hint else audit.answer]
    alone = ["Indicative only: measured with networks of random weights."] if hint else []
    flagged = [test["sentence"] for test in audit.tests if test["flagged"] and test["sentence"]]
    return Verdict(
        question,
        answer,
        headline,
        audit.rule or COPIES_RULE,
        (*audit.reasons, *_searched(audit), *(flagged if not audit.reasons else ()), *sign),
        (*alone, *audit.limits),
    )


def _searched(audit: Audit) -> list[str]:
    sets = [
        f"{count(about.get('images'))} images in {about.get('name') or role}"
        for role, about in audit.sets.items()
        if about.get("images") is not None
    ]
    return [f"Searched: {listed(sets)}."] if sets else []


def _sign(evaluation: Evaluation | None) -> list[str]:
    near = [] if evaluation is None else [e for e in evaluation.entries if e.nearer_to_training]
    places = [f"{words_of(e.measure).title}, {e.part}" for e in near]
    if not places:
        return []
    return [
        "Generated images are nearer to training images than to the reference, beyond both "
        f"intervals, which can be a sign of memorisation: {listed(places)}."
    ]


def useful_verdict() -> Verdict:
    """Do they help a downstream task? No study is read yet."""
    return Verdict(
        "Useful? Do they help to train something?",
        Answer.MISSING,
        "Not studied yet",
        USEFUL_RULE,
        ("No study was given. How good images look does not tell whether they help.",),
    )


def _missing(question: str, rule: str) -> Verdict:
    reason = f"No numbers of this question were given. They are made by: {evaluate_command()}"
    return Verdict(question, Answer.MISSING, "Not measured yet", rule, (reason,))
