"""The verdicts on a synthetic set: questions, answers and rules. What extractors conclude of it
stands in `conclusions.py`.
"""

from collections.abc import Sequence

from synthograph.report.commands import ALONE, Beside, audit_command
from synthograph.report.conclusions import (
    DIVERSE,
    FAITHFUL,
    Conclusion,
    Distinction,
    Question,
    conclude,
)
from synthograph.report.lacking import lacking, measured, second_extractor
from synthograph.report.numbers import WHOLE, Numbers
from synthograph.report.repeating import alike, described, within_classes
from synthograph.report.words import as_sentence, count, listed, scope_name, several
from synthograph.results.audit import Audit, AuditAnswer
from synthograph.results.diversity import (
    LEAST_SPREAD,
    MOST_NOISE,
    MOST_REPEATED,
    NOISE_SHARE,
    REPEATING,
)
from synthograph.results.evaluation import LABEL
from synthograph.results.measures import about
from synthograph.results.provenance import weakness
from synthograph.results.report import Answer, Verdict


def verdicts(
    numbers: Numbers, audit: Audit | None, why: str = "", beside: Beside = ALONE
) -> tuple[Verdict, ...]:
    """The verdicts on how images look; that on use stands in `useful.py`.

    Args:
        numbers: of the set.
        audit: of the same set.
        why: the reason that there is none, where one of another set was given; or that it is one
            of several.
        beside: what else is known, where the numbers do not answer.
    """
    return (
        faithful_verdict(numbers, audit, why, beside),
        diverse_verdict(numbers, beside),
        copies_verdict(audit, numbers, why, beside),
    )


# --- the questions -------------------------------------------------------------------------------

_DIFFERENCE = (
    " An extractor finds a difference where more than half of these measures are worse than "
    "between real images. At least one must be clearly worse, with its whole 95 % interval. Where "
    "the classes are not equally frequent in both sets, each class is judged by itself. More "
    "classes must then differ than chance would give (one in twenty). 'Partly' means that at most "
    "half of the classes differ."
)
_BOTH = (
    " One extractor alone, or fewer than 100 images, gives only an indication. So does a "
    "difference that a trained extractor finds and an untrained one does not. The answer is "
    "'undecided' where extractors disagree otherwise, or where chance may explain the difference."
)
_EXTRACTORS = "A feature extractor is a network that describes every image by numbers. "
FAITHFUL_RULE = (
    f"{_EXTRACTORS}Yes, if at least two of them, one of them trained, find Fréchet distance, "
    "kernel distance and precision as good as between two halves of the real images. The search "
    "for copies must have found none. No, if they find a difference." + _DIFFERENCE + _BOTH
)
DIVERSE_RULE = (
    f"{_EXTRACTORS}Yes, if at least two of them, one of them trained, find recall and coverage as "
    "good as between two halves of the real images. No, if they find both worse, or if a class "
    "has no synthetic image at all. No, or 'partly', too, if by any one of them images of all or "
    f"of some classes repeat themselves: two of them lie on average less than {LEAST_SPREAD:g} "
    f"times as far apart as two real ones, or more than {100 * MOST_REPEATED:g} % have a near "
    f"duplicate in the set. The same if more than {100 * MOST_NOISE:g} % of their variety is lost "
    "when all have the same noise inputs, which are random numbers beside the latent. Each time "
    "the whole 95 % interval must say so." + _DIFFERENCE + _BOTH
)
COPIES_RULE = (
    "The answer of the audit. It plants known copies of training images to learn which copies it "
    "can find. It compares with patients whom the generator never saw."
)
_HALVES_LIMIT = (
    "Real images were compared with each other in a few random halves only. With more images a "
    "difference may show that is not seen here. A small difference may not matter."
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
    Distinction.NO: "not distinguishable from real images",
    Distinction.YES: "distinguishable from real images",
    Distinction.PARTLY: "distinguishable in some classes",
}
_DIVERSE = {
    Distinction.NO: "as varied as real images",
    Distinction.YES: "less varied than real images",
    Distinction.PARTLY: "less varied in some classes",
}
_REPEATED = {
    Distinction.YES: "images repeat themselves",
    Distinction.PARTLY: "a class repeats itself",
}
_BY_NOISE = {
    Distinction.YES: "much of the variety comes from noise inputs",
    Distinction.PARTLY: "much of the variety of a class comes from noise inputs",
}
_ALIKE = {
    Distinction.YES: "images are too much alike",
    Distinction.PARTLY: "images of some classes are too much alike",
}
_COPIES = {
    AuditAnswer.CLEAN: (Answer.NONE_FOUND, "No copies found"),
    AuditAnswer.COPIES: (Answer.FOUND, "Copies found"),
    AuditAnswer.SUSPICIOUS: (Answer.NOT_SHOWN, "Suspicious, but no copy was shown"),
    AuditAnswer.UNDECIDABLE: (Answer.NOT_SHOWN, "Cannot be decided"),
}


def _answer(
    found: Distinction, headlines: dict[Distinction, str], *, decides: bool
) -> tuple[Answer, str]:
    """The answer and its headline."""
    headline = "Undecided"
    if (said := headlines.get(found)) is not None:
        headline = said.capitalize() if decides else f"Indication: {said}"
    return _DECIDED[found][not decides], headline


def faithful_verdict(
    numbers: Numbers, audit: Audit | None, why: str = "", beside: Beside = ALONE
) -> Verdict:
    """Do synthetic images look like real ones?"""
    question = "Faithful? Do synthetic images look like real ones?"
    found = conclude(numbers, FAITHFUL)
    if found.together is Distinction.UNMEASURED:
        return _unmeasured(question, FAITHFUL_RULE, numbers, FAITHFUL, beside)
    alike, decides = found.together is Distinction.NO, found.decides
    limits = [*found.caveats, _HALVES_LIMIT]
    reasons = _reasons(found, numbers, FAITHFUL, beside)
    if alike and decides and audit is not None and audit.verdict.indicative:
        decides = False
        weak = weakness(audit.distances)
        limits.insert(0, f"Only an indication: the networks behind the audit were {weak}.")
    answer, headline = _answer(found.together, _FAITHFUL, decides=decides)
    if alike and (audit is None or audit.verdict.answer is not AuditAnswer.CLEAN):
        answer, headline = Answer.WITHHELD, "No answer without a clean audit"
        reasons.insert(0, _not_clean(numbers, audit, why, beside))
        limits.append("Copies of training images would look faithful, too.")
    return _verdict(question, answer, headline, FAITHFUL_RULE, reasons, limits)


def _not_clean(numbers: Numbers, audit: Audit | None, why: str, beside: Beside) -> str:
    if audit is None:
        return (
            why
            or f"There is no audit yet. This command makes one: {audit_command(numbers, beside)}"
        )
    return f"The audit says: {audit.verdict.answer}. {why}".rstrip()


def _reasons(found: Conclusion, numbers: Numbers, asked: Question, beside: Beside) -> list[str]:
    """What extractors conclude, and what is missing where that decides nothing."""
    unclear = found.together is Distinction.UNCLEAR
    return [
        *(lacking(numbers, asked, beside) if unclear else []),
        *_disagreement(found),
        *found.reasons,
        *second_extractor(numbers, asked, beside),
    ]


def _disagreement(conclusion: Conclusion) -> list[str]:
    if len(set(conclusion.findings.values())) < 2:
        return []
    said = [f"{name} finds them {found.value}" for name, found in conclusion.findings.items()]
    return [f"The extractors disagree: {listed(said)}."]


def diverse_verdict(numbers: Numbers, beside: Beside = ALONE) -> Verdict:
    """Are synthetic images as varied as real ones?"""
    question = "Diverse? Are they as varied as real images?"
    named = [s for s in numbers.shares if s.column is None or s.level]
    if numbers.drawn is not None:  # whoever measured drew the classes, and may have missed one
        named = [s for s in named if s.column != LABEL]
    absent = [scope_name(s) for s in named if s.n_real and s.n_generated == 0]
    found, within = conclude(numbers, DIVERSE), within_classes(numbers, REPEATING)
    by_noise = within_classes(numbers, [NOISE_SHARE])
    same, noisy = alike(within), alike(by_noise)
    if found.together is Distinction.UNMEASURED and not (absent or same or noisy):
        return _unmeasured(question, DIVERSE_RULE, numbers, DIVERSE, beside)
    answer, headline = _answer(found.together, _DIVERSE, decides=found.decides)
    reasons = _reasons(found, numbers, DIVERSE, beside)
    reasons += [*described(within), *described(by_noise)]
    by_noise_inputs = _BY_NOISE[Distinction.YES].capitalize()
    for parts, said in ((noisy, by_noise_inputs), (same, "Images repeat themselves")):
        if parts:
            reasons.insert(0, f"{said}: {listed(list(map(scope_name, parts)))}.")
    if (same or noisy) and found.together is not Distinction.YES:
        words = _REPEATED if not noisy else _BY_NOISE if not same else _ALIKE
        every = {*same, *noisy} >= {*within, *by_noise} or same == [WHOLE]
        extent = Distinction.YES if every else Distinction.PARTLY
        answer, headline = _answer(extent, words, decides=found.decides)
    if absent:
        answer, headline = Answer.NO, "A part is missing"
        reasons = [f"No synthetic image at all: {listed(absent)}.", *found.reasons]
    limits = [
        *found.caveats,
        "Copies of the training images would pass this question; see the question on copies.",
        *([] if within else ["Whether images of a class repeat themselves was not measured."]),
        *_unlabelled(numbers),
        _HALVES_LIMIT,
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


def copies_verdict(
    audit: Audit | None, numbers: Numbers, why: str = "", beside: Beside = ALONE
) -> Verdict:
    """Are there copies of training images among them?"""
    question = "Copies? Are training images among them?"
    sign = [*_sign(numbers), *filter(None, [beside.remembered])]
    if audit is None:
        reasons = [_not_clean(numbers, None, why, beside), *sign]
        return _verdict(question, Answer.MISSING, "Not audited yet", COPIES_RULE, reasons)
    verdict, alone = audit.verdict, []
    answer, headline = _COPIES[verdict.answer]
    if verdict.indicative and verdict.answer is AuditAnswer.CLEAN:
        answer, headline = Answer.INDICATIVE_NONE, "Indication: no copies found"
        weak = weakness(audit.distances)
        alone = [f"Only an indication: the networks behind this search were {weak}."]
    if beside.remembered and answer in (Answer.NONE_FOUND, Answer.INDICATIVE_NONE):
        answer, headline = _COPIES[AuditAnswer.SUSPICIOUS]
    train, holdout, synthetic = audit.sets.train, audit.sets.holdout, audit.sets.synthetic
    searched = (
        f"{count(synthetic.images)} synthetic images ({synthetic.name}) were compared with "
        f"{count(train.images)} training images ({train.name}). {count(holdout.images)} held-out "
        f"images ({holdout.name}) show what chance gives."
    )
    reasons = [*verdict.reasons, *filter(None, [why]), searched]
    if not verdict.reasons:
        reasons += [test.sentence for test in audit.tests if test.flagged]
    rule, limits = verdict.rule or COPIES_RULE, [*alone, *audit.all_limits]
    return _verdict(question, answer, headline, rule, [*reasons, *sign], limits)


def _sign(numbers: Numbers) -> list[str]:
    several = len({e.extractor for e in numbers.entries if e.extractor}) > 1
    places = [
        f"{about(e.name).title}{f' by {e.extractor}' * several}, {scope_name(e.scope)}"
        for e in numbers.entries
        if e.nearer_to_training
    ]
    if not places:
        return []
    return [
        "Synthetic images are closer to training images than to held-out real images, and chance "
        f"does not explain it. This can be a sign of memorising: {listed(places)}."
    ]


def _unmeasured(
    question: str, rule: str, numbers: Numbers, asked: Question, beside: Beside
) -> Verdict:
    """No number can be compared; the reasons say what was measured, and what is missing."""
    reasons = lacking(numbers, asked, beside)
    if measured(numbers, asked):
        return _verdict(question, Answer.UNDECIDED, "Undecided: numbers are missing", rule, reasons)
    return _verdict(question, Answer.MISSING, "Not measured yet", rule, reasons)


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
        reasons=tuple(map(as_sentence, reasons)),
        limits=tuple(map(as_sentence, limits)),
    )
