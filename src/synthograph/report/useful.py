"""The verdict on use: what studies say."""

from collections.abc import Sequence

from synthograph.report.claims import difference_words
from synthograph.report.words import as_sentence, listed
from synthograph.results.report import Answer, Verdict
from synthograph.results.study import ArmKind, Finding, Study

QUESTION = "Useful? Do they help to train something?"
RULE = (
    "Studies decide. A classifier or segmenter is trained with and without the synthetic images, "
    "with equal steps, and tested on patients that neither it nor its generator saw. Yes, if the "
    "primary condition is better than the best arm without synthetic images, and nothing else "
    "explains it. It needs two draws of the generator, patients as groups, a control of repeated "
    "real images, and an external set in which it is not worse. Where one of these is missing, the "
    "answer is an indication. No, if it is worse. Else it is not shown."
)
HEADLINES = {
    Answer.YES: "They help",
    Answer.INDICATIVE_YES: "Indication: they help",
    Answer.PARTLY: "They help here, not elsewhere",
    Answer.NO: "They harm",
    Answer.INDICATIVE_NO: "Indication: they harm",
    Answer.NOT_SHOWN: "No gain is shown",
    Answer.UNDECIDED: "Undecided",
}
TRAINED_WITH = {
    ArmKind.REAL: "real images alone",
    ArmKind.BALANCED: "real images, classes balanced",
    ArmKind.DUPLICATES: "real images, some of them repeated",
    ArmKind.AUGMENTED: "real images that were changed at random",
    ArmKind.MIXED: "real and synthetic images",
    ArmKind.SYNTHETIC: "synthetic images alone",
    ArmKind.SHUFFLED: "real images and synthetic ones under wrong labels",
}


def useful_verdict(studies: Sequence[Study] = ()) -> Verdict:
    """Do they help a downstream task? Undecided where studies disagree."""
    given, studies = studies, [each for each in studies if each.synthetic]
    if not studies:
        first = "Studies of real images alone were given." if given else "No study was given."
        reason = f"{first} How good images look does not tell whether they help."
        return Verdict(
            question=QUESTION,
            answer=Answer.MISSING,
            headline="Not studied yet",
            rule=RULE,
            reasons=(reason,),
        )
    answers = [_answer(each) for each in studies]
    agreed = set(answers)
    answer = agreed.pop() if len(agreed) == 1 else Answer.UNDECIDED
    said = [f"{name}: {each.value}" for name, each in zip(_names(studies), answers, strict=True)]
    disagree = [f"The studies disagree: {listed(said)}."] if agreed else []
    limits = [text for each in studies for text in (*_lacking(each), each.may_not)]
    return Verdict(
        question=QUESTION,
        answer=answer,
        headline=_headline(answer, studies),
        rule=RULE,
        reasons=(*disagree, *(f"{as_sentence(each.may)} {_arms(each)}" for each in studies)),
        limits=tuple(limits),
    )


def _names(studies: Sequence[Study]) -> list[str]:
    """What to call the studies; those of one name by their place and archive, too."""
    names = [each.about.name for each in studies]
    return [
        name if names.count(name) == 1 else f"{name} (study {place}, of {each.about.data})"
        for place, (name, each) in enumerate(zip(names, studies, strict=True), start=1)
    ]


def _arms(study: Study) -> str:
    """What the two arms are that the sentence compares."""
    kinds = {arm.name: TRAINED_WITH[arm.kind] for arm in study.internal.arms}
    pair = (study.decided.arm, study.decided.against)
    return " ".join(f"'{name}' was trained with {kinds[name]}." for name in pair)


def _headline(answer: Answer, studies: Sequence[Study]) -> str:
    findings = {each.decided.finding for each in studies}
    if answer is Answer.NOT_SHOWN and findings == {Finding.NON_INFERIOR}:
        return "Not worse; no gain is shown"
    return HEADLINES[answer]


def _answer(study: Study) -> Answer:
    found, lacking = study.decided.finding, _lacking(study)
    if found is Finding.UNDECIDED:
        return Answer.UNDECIDED
    if found is Finding.WORSE:
        return Answer.INDICATIVE_NO if lacking else Answer.NO
    if found is not Finding.BETTER:
        return Answer.NOT_SHOWN
    if _worse_elsewhere(study):
        return Answer.PARTLY
    return Answer.INDICATIVE_YES if lacking else Answer.YES


def _worse_elsewhere(study: Study) -> bool:
    found = [each.difference(study.primary) for each in study.external]
    return any(each is not None and each.finding is Finding.WORSE for each in found)


def _lacking(study: Study) -> list[str]:
    """What keeps an answer from being more than an indication."""
    kinds = {arm.kind for arm in study.internal.arms}
    away = [each.difference(study.primary) for each in study.external]
    decided = any(each is not None and each.finding is not Finding.UNDECIDED for each in away)
    lacking = {
        "There was one draw of the generator.": study.decided.trainings is None,
        "No external set was studied.": not (study.external or study.about.tested),
        "No external set is large enough to decide.": bool(away)
        and not (decided or study.about.tested),
        f"Groups are {study.about.units}, not patients.": not study.about.unit_is_patient,
        "Repeated real images were not studied.": ArmKind.DUPLICATES not in kinds,
    }
    unbeaten = [
        f"It is not shown to be better than '{each.against}' ({difference_words(each)})."
        for each in study.internal.to_others
        if study.decided.finding is Finding.BETTER and each.finding is not Finding.BETTER
    ]
    return [*(text for text, missing in lacking.items() if missing), *unbeaten]
