"""The verdicts on a synthetic set: questions, answers and rules. What extractors conclude of it
stands in `conclusions.py`.
"""

from collections.abc import Sequence

from synthograph.report.commands import audit_command, evaluate_command
from synthograph.report.conclusions import Conclusion, Distinction, conclude
from synthograph.report.numbers import Numbers
from synthograph.report.words import DIVERSE, FAITHFUL, count, listed, scope_name, several
from synthograph.results.audit import Audit, AuditAnswer
from synthograph.results.evaluation import LABEL
from synthograph.results.measures import about
from synthograph.results.report import Answer, Verdict


def verdicts(numbers: Numbers | None, audit: Audit | None, why: str = "") -> list[Verdict]:
    """The four verdicts.

    Args:
        numbers: of the set.
        audit: of the same set.
        why: the reason that there is none, where one of another set was given; or that it is one
            of several.
    """
    return [
        faithful_verdict(numbers, audit, why),
        diverse_verdict(numbers),
        copies_verdict(audit, numbers, why),
        useful_verdict(),
    ]


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
    Answer.YES: "Not distinguishable from real images",
    Answer.INDICATIVE_YES: "Indication: not distinguishable",
    Answer.NO: "Distinguishable from real images",
    Answer.INDICATIVE_NO: "Indication: distinguishable",
    Answer.PARTLY: "Distinguishable in some classes",
    Answer.INDICATIVE_PARTLY: "Indication: distinguishable in some classes",
    Answer.UNDECIDED: "Undecided",
}
_DIVERSE = {
    Answer.YES: "As varied as real images",
    Answer.INDICATIVE_YES: "Indication: as varied",
    Answer.NO: "Less varied than real images",
    Answer.INDICATIVE_NO: "Indication: less varied",
    Answer.PARTLY: "Less varied in some classes",
    Answer.INDICATIVE_PARTLY: "Indication: less varied in some classes",
    Answer.UNDECIDED: "Undecided",
}
_COPIES = {
    AuditAnswer.CLEAN: (Answer.NONE_FOUND, "No copies found"),
    AuditAnswer.COPIES: (Answer.FOUND, "Copies found"),
    AuditAnswer.SUSPICIOUS: (Answer.NOT_SHOWN, "Suspicious"),
    AuditAnswer.UNDECIDABLE: (Answer.NOT_SHOWN, "Cannot be decided"),
}


def _answer(conclusion: Conclusion) -> Answer:
    return _DECIDED[conclusion.together][not conclusion.decides]


def faithful_verdict(numbers: Numbers | None, audit: Audit | None, why: str = "") -> Verdict:
    """Do synthetic images look like real ones?"""
    question = "Faithful? Do synthetic images look like real ones?"
    found = None if numbers is None else conclude(numbers, FAITHFUL)
    answer = Answer.MISSING if found is None else _answer(found)
    if found is None or answer is Answer.MISSING:
        return _missing(question, FAITHFUL_RULE)
    limits, reasons = [*found.caveats, _FLOOR_LIMIT], [*_disagreement(found), *found.reasons]
    if answer is Answer.YES and audit is not None and audit.verdict.indicative:
        answer = Answer.INDICATIVE_YES
        limits.insert(0, "Indicative only: the audit used features of untrained networks alone.")
    headline = _FAITHFUL[answer]
    clean = audit is not None and audit.verdict.answer is AuditAnswer.CLEAN
    if answer in (Answer.YES, Answer.INDICATIVE_YES) and not clean:
        answer, headline = Answer.WITHHELD, "Withheld: no clean audit"
        reasons.insert(0, _not_clean(numbers, audit, why))
        limits.append("Copies of training images would look faithful, too.")
    return _verdict(question, answer, headline, FAITHFUL_RULE, reasons, limits)


def _not_clean(numbers: Numbers | None, audit: Audit | None, why: str) -> str:
    if audit is None:
        return why or f"There is no audit yet. It is made by: {audit_command(numbers)}"
    return f"The audit says: {audit.verdict.answer}. {why}".rstrip()


def _disagreement(conclusion: Conclusion) -> list[str]:
    if len(set(conclusion.findings.values())) < 2:
        return []
    said = [f"{name} says {found.value}" for name, found in conclusion.findings.items()]
    return [f"The extractors disagree: {listed(said)}."]


def diverse_verdict(numbers: Numbers | None) -> Verdict:
    """Are synthetic images as varied as real ones?"""
    question = "Diverse? Are they as varied as real images?"
    if numbers is None:
        return _missing(question, DIVERSE_RULE)
    named = [s for s in numbers.shares if s.column is None or s.level]
    absent = [scope_name(s) for s in named if s.n_real and s.n_generated == 0]
    found = conclude(numbers, DIVERSE)
    answer, reasons = _answer(found), [*_disagreement(found), *found.reasons]
    headline = _DIVERSE.get(answer, "")
    if absent:
        answer, headline = Answer.NO, "A part is missing"
        reasons = [f"No synthetic image at all: {listed(absent)}.", *found.reasons]
    elif answer is Answer.MISSING:
        return _missing(question, DIVERSE_RULE)
    limits = (
        *found.caveats,
        "Copies of training images would be as varied as these; see the question on copies.",
        *_unlabelled(numbers),
        _FLOOR_LIMIT,
    )
    return _verdict(question, answer, headline, DIVERSE_RULE, reasons, limits)


def _unlabelled(numbers: Numbers) -> list[str]:
    """Images whose class or level nobody named, which are no part that a generator could lack."""
    return [
        f"{several(s.n_real, 'real image')} and {several(s.n_generated or 0, 'synthetic image')} "
        f"have no {'class' if s.column == LABEL else s.column} and count in no class."
        for s in numbers.shares
        if s.column is not None and not s.level and (s.n_real or s.n_generated)
    ]


def copies_verdict(audit: Audit | None, numbers: Numbers | None, why: str = "") -> Verdict:
    """Are there copies of training images among them?"""
    question = "Copies? Are training images among them?"
    sign = _sign(numbers)
    if audit is None:
        reasons = (_not_clean(numbers, None, why), *sign)
        return _verdict(question, Answer.MISSING, "Not audited yet", COPIES_RULE, reasons)
    verdict, alone = audit.verdict, []
    answer, headline = _COPIES[verdict.answer]
    if verdict.indicative and verdict.answer is AuditAnswer.CLEAN:
        answer, headline = Answer.INDICATIVE_NONE, "Indication: no copies found"
        alone = ["Indicative only: measured with networks of random weights."]
    flagged = [test.sentence for test in audit.tests if test.flagged]
    sets = [
        f"{count(each.images)} images in {each.name}"
        for each in (audit.sets.train, audit.sets.holdout, audit.sets.synthetic)
    ]
    reasons = (
        *verdict.reasons,
        *filter(None, [why]),
        f"Searched: {listed(sets)}.",
        *(() if verdict.reasons else flagged),
        *sign,
    )
    limits = (*alone, *audit.all_limits)
    return _verdict(question, answer, headline, verdict.rule or COPIES_RULE, reasons, limits)


def _sign(numbers: Numbers | None) -> list[str]:
    near = [] if numbers is None else [e for e in numbers.entries if e.nearer_to_training]
    places = [f"{about(e.name).title}, {scope_name(e.scope)}" for e in near]
    if not places:
        return []
    return [
        "Synthetic images are nearer to training images than to the reference, beyond both "
        f"intervals, which can be a sign of memorisation: {listed(places)}."
    ]


def useful_verdict() -> Verdict:
    """Do they help a downstream task? No study is read yet."""
    return _verdict(
        "Useful? Do they help to train something?",
        Answer.MISSING,
        "Not studied yet",
        USEFUL_RULE,
        ("No study was given. How good images look does not tell whether they help.",),
    )


def _missing(question: str, rule: str) -> Verdict:
    reason = f"No numbers for this question were given. They are made by: {evaluate_command()}"
    return _verdict(question, Answer.MISSING, "Not measured yet", rule, (reason,))


def _verdict(
    question: str,
    answer: Answer,
    headline: str,
    rule: str,
    reasons: Sequence[str],
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
