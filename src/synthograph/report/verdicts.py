"""The verdicts on a synthetic set: questions, answers and rules. What extractors conclude of it
stands in `conclusions.py`.
"""

from collections.abc import Sequence

from synthograph.report.commands import audit_command, evaluate_command
from synthograph.report.conclusions import Conclusion, Distinction, conclude
from synthograph.report.numbers import Numbers
from synthograph.report.words import count, listed, scope_name, several
from synthograph.results.audit import Audit, AuditAnswer
from synthograph.results.evaluation import LABEL
from synthograph.results.measures import about
from synthograph.results.report import Answer, Verdict

FAITHFUL = ("frechet", "kernel", "precision")
"""Measures that answer whether synthetic images look real."""
DIVERSE = ("recall", "coverage")
"""Measures that answer whether they are as varied as real ones."""


def verdicts(numbers: Numbers, audit: Audit | None, why: str = "") -> tuple[Verdict, ...]:
    """The four verdicts.

    Args:
        numbers: of the set.
        audit: of the same set.
        why: the reason that there is none, where one of another set was given; or that it is one
            of several.
    """
    return (
        faithful_verdict(numbers, audit, why),
        diverse_verdict(numbers),
        copies_verdict(audit, numbers, why),
        useful_verdict(),
    )


# --- the questions -------------------------------------------------------------------------------

_DISTINGUISHED = (
    " An extractor distinguishes images where more than half of these measures lie beyond what "
    "real images reach, at least one of them with its whole 95 % interval. Where classes have "
    "other shares than among the real images they are judged one by one. More of them must then "
    "be distinguishable than chance explains (5 % of classes, in 5 % of sets); up to half of them "
    "are 'partly'."
)
_BOTH = (
    " One extractor, or fewer than 100 images, gives an indication. Where extractors disagree, or "
    "chance explains the difference, it is undecided."
)
FAITHFUL_RULE = (
    "Yes, if at least two feature extractors, one of them trained, find the Fréchet distance, the "
    "kernel distance and the precision within what real images reach against each other, and the "
    "search for copies found none. No, if they distinguish synthetic from real images."
    + _DISTINGUISHED
    + _BOTH
)
DIVERSE_RULE = (
    "Yes, if at least two feature extractors, one of them trained, find recall and coverage within "
    "what real images reach against each other. No, if both measures distinguish synthetic from "
    "real images, or if a class has no synthetic image at all." + _DISTINGUISHED + _BOTH
)
COPIES_RULE = (
    "The answer of the audit. It plants copies of training images to learn what it can find, and "
    "compares with patients whom the generator never saw."
)
USEFUL_RULE = (
    "To be decided by studies: a classifier or segmenter is trained with and without the synthetic "
    "images, compared with simple duplicates, and tested on patients of another hospital."
)
_FLOOR_LIMIT = (
    "The floor comes from a few cuts of the real images. Images that cannot be distinguished at "
    "this number need not be equal, and small differences can be real without mattering."
)

_DECIDED = {
    Distinction.UNMEASURED: (Answer.MISSING, Answer.MISSING),
    Distinction.UNCLEAR: (Answer.UNDECIDED, Answer.UNDECIDED),
    Distinction.NO: (Answer.YES, Answer.INDICATIVE_YES),
    Distinction.PARTLY: (Answer.PARTLY, Answer.INDICATIVE_PARTLY),
    Distinction.YES: (Answer.NO, Answer.INDICATIVE_NO),
}
"""What a conclusion answers where it decides, and where it indicates."""
_FAITHFUL = {
    Distinction.NO: ("Not distinguishable from real images", "not distinguishable"),
    Distinction.YES: ("Distinguishable from real images", "distinguishable"),
    Distinction.PARTLY: ("Distinguishable in some classes", "distinguishable in some classes"),
}
_DIVERSE = {
    Distinction.NO: ("As varied as real images", "as varied"),
    Distinction.YES: ("Less varied than real images", "less varied"),
    Distinction.PARTLY: ("Less varied in some classes", "less varied in some classes"),
}
_COPIES = {
    AuditAnswer.CLEAN: (Answer.NONE_FOUND, "No copies found"),
    AuditAnswer.COPIES: (Answer.FOUND, "Copies found"),
    AuditAnswer.SUSPICIOUS: (Answer.NOT_SHOWN, "Suspicious"),
    AuditAnswer.UNDECIDABLE: (Answer.NOT_SHOWN, "Cannot be decided"),
}


def _answer(
    found: Distinction, headlines: dict[Distinction, tuple[str, str]], *, decides: bool
) -> tuple[Answer, str]:
    """The answer and its headline."""
    decided, indicated = headlines.get(found, ("Undecided", ""))
    headline = decided if decides or not indicated else f"Indication: {indicated}"
    return _DECIDED[found][not decides], headline


def faithful_verdict(numbers: Numbers, audit: Audit | None, why: str = "") -> Verdict:
    """Do synthetic images look like real ones?"""
    question = "Faithful? Do synthetic images look like real ones?"
    found = conclude(numbers, FAITHFUL)
    if found.together is Distinction.UNMEASURED:
        return _missing(question, FAITHFUL_RULE)
    limits, reasons = [*found.caveats, _FLOOR_LIMIT], [*_disagreement(found), *found.reasons]
    alike, decides = found.together is Distinction.NO, found.decides
    if alike and decides and audit is not None and audit.verdict.indicative:
        decides = False
        limits.insert(0, "Indicative only: the audit used features of untrained networks alone.")
    answer, headline = _answer(found.together, _FAITHFUL, decides=decides)
    if alike and (audit is None or audit.verdict.answer is not AuditAnswer.CLEAN):
        answer, headline = Answer.WITHHELD, "Withheld: no clean audit"
        reasons.insert(0, _not_clean(numbers, audit, why))
        limits.append("Copies of training images would look faithful, too.")
    return _verdict(question, answer, headline, FAITHFUL_RULE, reasons, limits)


def _not_clean(numbers: Numbers, audit: Audit | None, why: str) -> str:
    if audit is None:
        return why or f"There is no audit yet. It is made by: {audit_command(numbers)}"
    return f"The audit says: {audit.verdict.answer}. {why}".rstrip()


def _disagreement(conclusion: Conclusion) -> list[str]:
    if len(set(conclusion.findings.values())) < 2:
        return []
    said = [f"{name} says {found.value}" for name, found in conclusion.findings.items()]
    return [f"The extractors disagree: {listed(said)}."]


def diverse_verdict(numbers: Numbers) -> Verdict:
    """Are synthetic images as varied as real ones?"""
    question = "Diverse? Are they as varied as real images?"
    named = [s for s in numbers.shares if s.column is None or s.level]
    absent = [scope_name(s) for s in named if s.n_real and s.n_generated == 0]
    found = conclude(numbers, DIVERSE)
    if found.together is Distinction.UNMEASURED and not absent:
        return _missing(question, DIVERSE_RULE)
    answer, headline = _answer(found.together, _DIVERSE, decides=found.decides)
    reasons = [*_disagreement(found), *found.reasons]
    if absent:
        answer, headline = Answer.NO, "A part is missing"
        reasons = [f"No synthetic image at all: {listed(absent)}.", *found.reasons]
    limits = [
        *found.caveats,
        "Copies of training images would be as varied as these; see the question on copies.",
        *_unlabelled(numbers),
        _FLOOR_LIMIT,
    ]
    return _verdict(question, answer, headline, DIVERSE_RULE, reasons, limits)


def _unlabelled(numbers: Numbers) -> list[str]:
    """Images whose class or level nobody named, which are no part that a generator could lack."""
    return [
        f"{several(s.n_real, 'real image')} and {several(s.n_generated or 0, 'synthetic image')} "
        f"have no {'class' if s.column == LABEL else s.column} and count in no class."
        for s in numbers.shares
        if s.column is not None and not s.level and (s.n_real or s.n_generated)
    ]


def copies_verdict(audit: Audit | None, numbers: Numbers, why: str = "") -> Verdict:
    """Are there copies of training images among them?"""
    question = "Copies? Are training images among them?"
    sign = _sign(numbers)
    if audit is None:
        reasons = [_not_clean(numbers, None, why), *sign]
        return _verdict(question, Answer.MISSING, "Not audited yet", COPIES_RULE, reasons)
    verdict, alone = audit.verdict, []
    answer, headline = _COPIES[verdict.answer]
    if verdict.indicative and verdict.answer is AuditAnswer.CLEAN:
        answer, headline = Answer.INDICATIVE_NONE, "Indication: no copies found"
        alone = ["Indicative only: measured with networks of random weights."]
    sets = (audit.sets.train, audit.sets.holdout, audit.sets.synthetic)
    searched = [f"{count(each.images)} images in {each.name}" for each in sets]
    reasons = [*verdict.reasons, *filter(None, [why]), f"Searched: {listed(searched)}."]
    if not verdict.reasons:
        reasons += [test.sentence for test in audit.tests if test.flagged]
    rule, limits = verdict.rule or COPIES_RULE, [*alone, *audit.all_limits]
    return _verdict(question, answer, headline, rule, [*reasons, *sign], limits)


def _sign(numbers: Numbers) -> list[str]:
    places = [
        f"{about(e.name).title}, {scope_name(e.scope)}"
        for e in numbers.entries
        if e.nearer_to_training
    ]
    if not places:
        return []
    return [
        "Synthetic images are nearer to training images than to the reference, beyond both "
        f"intervals, which can be a sign of memorisation: {listed(places)}."
    ]


def useful_verdict() -> Verdict:
    """Do they help a downstream task? No study is read yet."""
    question = "Useful? Do they help to train something?"
    reason = "No study was given. How good images look does not tell whether they help."
    return _verdict(question, Answer.MISSING, "Not studied yet", USEFUL_RULE, [reason])


def _missing(question: str, rule: str) -> Verdict:
    reason = f"No numbers for this question were given. They are made by: {evaluate_command()}"
    return _verdict(question, Answer.MISSING, "Not measured yet", rule, [reason])


def _verdict(
    question: str,
    answer: Answer,
    headline: str,
    rule: str,
    reasons: list[str],
    limits: Sequence[str] = (),
) -> Verdict:
    return Verdict(
        question=question,
        answer=answer,
        headline=headline,
        rule=rule,
        reasons=tuple(reasons),
        limits=tuple(limits),
    )
