"""The verdicts on a synthetic set: questions, answers and rules. What extractors see of the set is
judged in `seeing.py`.
"""

import enum
from dataclasses import dataclass
from typing import Any

from synthograph.report.commands import audit_command, evaluate_command
from synthograph.report.evaluations import LABEL, Evaluation
from synthograph.report.findings import Answer as Audited
from synthograph.report.findings import Audit
from synthograph.report.seeing import Finding, Seen, see
from synthograph.report.words import DIVERSE, FAITHFUL, count, listed, several, words_of


class Answer(enum.Enum):
    """What a question is answered with."""

    YES = "yes"
    NO = "no"
    INDICATIVE_YES = "indicative yes"
    INDICATIVE_NO = "indicative no"
    PARTLY = "partly"
    INDICATIVE_PARTLY = "indicative partly"
    NONE_FOUND = "none found"
    INDICATIVE_NONE = "indicative none found"
    FOUND = "found"
    NOT_SHOWN = "not shown"
    UNDECIDED = "undecided"
    WITHHELD = "withheld"
    MISSING = "not studied yet"


TONES = {
    Answer.YES: "good",
    Answer.NO: "bad",
    Answer.INDICATIVE_YES: "hint",
    Answer.INDICATIVE_NO: "hint",
    Answer.PARTLY: "bad",
    Answer.INDICATIVE_PARTLY: "hint",
    Answer.NONE_FOUND: "good",
    Answer.INDICATIVE_NONE: "hint",
    Answer.FOUND: "bad",
    Answer.NOT_SHOWN: "open",
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
        why: the reason that there is none, where one of another set was given; or that it is one
            of several.
    """
    copies = copies_verdict(audit, evaluation, why)
    return [
        faithful_verdict(evaluation, audit, why),
        diverse_verdict(evaluation),
        copies,
        useful_verdict(),
    ]


# --- the questions -------------------------------------------------------------------------------

_APART = (
    " An extractor tells images apart where more than half of these measures lie beyond what real "
    "images reach and at least one of them with its whole 95 % interval. Where classes are mixed "
    "otherwise than in the real images they are judged one by one: more of them must be told apart "
    "than chance explains (5 % of classes, in 5 % of sets), and up to half of them are 'partly'."
)
_BOTH = (
    " One extractor, or fewer than 100 images, gives an indication. Where extractors disagree, or "
    "a difference is within what chance explains, it is undecided."
)
FAITHFUL_RULE = (
    "Yes, if at least two feature extractors, one of them trained, find the Fréchet distance, the "
    "kernel distance and the precision within what real images reach against each other, and the "
    "search for copies came out clean. No, if they tell generated from real images."
    + _APART
    + _BOTH
)
DIVERSE_RULE = (
    "Yes, if at least two feature extractors, one of them trained, find recall and coverage within "
    "what real images reach against each other. No, if they tell generated from real images by "
    "both, or if a class was not generated at all." + _APART + _BOTH
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
    if together is Finding.PARTLY:
        return Answer.PARTLY if seen.decides else Answer.INDICATIVE_PARTLY
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
        Answer.PARTLY: "Told apart in some classes",
        Answer.INDICATIVE_PARTLY: "Indication: told apart in some classes",
        Answer.UNDECIDED: "Undecided",
    }
    reasons = (*_disagreement(seen), *seen.reasons)
    return Verdict(question, answer, headlines[answer], FAITHFUL_RULE, reasons, tuple(limits))


def _not_clean(evaluation: Evaluation | None, audit: Audit | None, why: str) -> str:
    if audit is None:
        return why or f"There is no audit yet. It is made by: {audit_command(evaluation)}"
    said = f"The audit says: {audit.answer.value}."
    return f"{said} {why}" if why else said


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
    named = [s for s in evaluation.shares if s.part.column is None or s.part.level]
    absent = [str(s.part) for s in named if s.real and s.fake == 0]
    limits = (
        "Copies of training images would be as varied as these; see the question on copies.",
        *_unlabelled(evaluation),
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
        Answer.PARTLY: "Less varied in some classes",
        Answer.INDICATIVE_PARTLY: "Indication: less varied in some classes",
        Answer.UNDECIDED: "Undecided",
    }
    reasons = (*_disagreement(seen), *seen.reasons)
    return Verdict(
        question, answer, headlines[answer], DIVERSE_RULE, reasons, (*seen.caveats, *limits)
    )


def _unlabelled(evaluation: Evaluation) -> list[str]:
    """Images whose class or level nobody named, which are no part that a generator could lack."""
    return [
        f"{several(s.real, 'real image')} and {several(s.fake or 0, 'generated image')} have no "
        f"{'class' if s.part.column == LABEL else s.part.column} and count in no class."
        for s in evaluation.shares
        if s.part.column is not None and not s.part.level and (s.real or s.fake)
    ]


def copies_verdict(audit: Audit | None, evaluation: Evaluation | None, why: str = "") -> Verdict:
    """Are there copies of training images among them?"""
    question = "Copies? Are training images among them?"
    sign = _sign(evaluation)
    if audit is None:
        reason = why or f"There is no audit yet. It is made by: {audit_command(evaluation)}"
        headline = "Not audited yet"
        return Verdict(question, Answer.MISSING, headline, COPIES_RULE, (reason, *sign))
    answers = {
        Audited.CLEAN: (Answer.NONE_FOUND, "No copies found"),
        None: (Answer.INDICATIVE_NONE, "Indication: no copies found"),
        Audited.COPIES: (Answer.FOUND, "Copies found"),
        Audited.SUSPICIOUS: (Answer.NOT_SHOWN, "Suspicious"),
        Audited.UNDECIDABLE: (Answer.NOT_SHOWN, "Cannot be decided"),
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
        (
            *audit.reasons,
            *filter(None, [why]),
            *_searched(audit),
            *(flagged if not audit.reasons else ()),
            *sign,
        ),
        (*alone, *audit.all_limits),
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
