"""What results of classifiers, segmenters, studies, audits, ... say on items of checklists: a
sentence or two each, on lines of their own, empty where they say nothing.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from synthograph.report.classifications import AT as THRESHOLDS
from synthograph.report.classifications import SHOWN as SCORES
from synthograph.report.facts_data import MOST, sized
from synthograph.report.searches import sentence
from synthograph.report.studies import set_name
from synthograph.report.tables import score_cell, three, with_ends
from synthograph.report.useful import TRAINED_WITH
from synthograph.report.validations import settings_text
from synthograph.report.words import as_sentence, count, listed, number, score_words, several
from synthograph.results.audit import Audit
from synthograph.results.authenticity import Authenticity
from synthograph.results.classification import ClassifierEvaluation, ClassRisk, ScoreValue
from synthograph.results.domain_gap import DomainGap
from synthograph.results.environment import told
from synthograph.results.search import Search
from synthograph.results.segmentation import MEAN, SegmenterEvaluation
from synthograph.results.study import Study, StudySet

EVEN = 1e-6
"""Difference of shares that is none."""

Scored = ClassifierEvaluation | SegmenterEvaluation


# --- classifiers and segmenters -------------------------------------------------------------------


def network(found: Scored) -> str:
    """Which network it is."""
    if isinstance(found, ClassifierEvaluation):
        return f"Classifier {found.model.file}: backbone {found.model.backbone}."
    return f"Segmenter {found.model.file}: network {found.model.network}."


def version(found: Scored | Study) -> str:
    """Software and machine that trained and tested it, as far as they are known."""
    if isinstance(found, Study):
        text = f"Results of study '{found.about.name}' computed by synthograph {found.version}."
        known = told(found.environments)
        return f"{text}\nWhat it tested was trained with {known}." if known else text
    fit, file, here = found.model.fit, found.model.file, found.environment
    by = f"by synthograph {found.version}" if here is None else f"with {here}"
    text = f"Results of {file} computed {by}."
    trained = told(fit.environments) if fit else ""
    return f"{text}\n{file} was trained with {trained}." if trained else text


def first_weights(found: Scored) -> str:
    """What its training began with."""
    fit = found.model.fit
    return f"{found.model.file} {fit.start}." if fit else ""


def settings(found: Scored) -> str:
    """How it was trained."""
    fit = found.model.fit
    return f"{found.model.file}: {settings_text(fit)}." if fit else ""


def training_images(found: Scored) -> str:
    """How many real and synthetic images it was trained on."""
    kinds = Counter[str]()
    if isinstance(found, ClassifierEvaluation):
        for of_class in found.model.counts.values():
            kinds.update(of_class)
    else:
        kinds.update(found.model.counts)
    said = [f"{count(n)} {kind}" for kind, n in kinds.items()]
    return f"{found.model.file} was trained on {listed(said)} images of {found.model.data}."


def chosen(found: Scored) -> str:
    """What chose its weights."""
    history = found.model.history
    if history is None:
        return ""
    return (
        f"{found.model.file}: of {several(len(history.tried), 'validation')} the one after "
        f"{several(history.chosen.step, 'step')}, with the best {score_words(history.score)} on "
        "validation images."
    )


def predictions(found: Scored) -> str:
    """Which file computed them."""
    return (
        f"Predictions are those of {found.model.file} (sha256 {found.model.sha256}), by "
        f"synthograph {found.version}."
    )


def output(found: ClassifierEvaluation) -> str:
    """What it says, and from when on it decides."""
    text = f"Probabilities of the classes {listed(found.classes, MOST)}. "
    threshold = found.model.threshold
    even = isinstance(threshold, tuple) and max(threshold) - min(threshold) < EVEN
    if threshold is None or even:
        return f"{text}The class with the largest one is decided."
    if isinstance(threshold, float):
        return (
            f"{text}{found.classes[-1]} is decided from {three(threshold)} on, the value with the "
            "largest sum of sensitivity and specificity on validation images."
        )
    shares = [f"{c} {three(s)}" for c, s in zip(found.classes, threshold, strict=False)]
    return (
        f"{text}The class is decided whose probability is the largest multiple of these shares, "
        f"which make up for how often the training weighed a class: {listed(shares, MOST)}."
    )


def measures(found: Scored) -> str:
    """Names of the scores."""
    if isinstance(found, SegmenterEvaluation):
        return f"Of {found.model.file}: {'; '.join(found.titles.values())}."
    names = dict.fromkeys(score_words(each.score) for each in found.scores)
    more = ", calibration slope and intercept, standardised net benefit" if found.risks else ""
    return f"Of {found.model.file}: {listed(list(names), MOST)}, calibration error{more}."


def intervals(found: Scored) -> str:
    """What intervals are over."""
    if not any(each.interval for each in found.scores):
        return ""
    return f"Of {found.model.file}: 95 % intervals over {several(found.groups, 'group')}."


def tested_inside(found: Scored) -> str:
    """Whether it was tested on the archive that it was trained on, by the names of both."""
    if found.data != found.model.data or not found.split:
        return ""
    return (
        f"{found.model.file} was tested on split {found.split} of {found.data}, as the archive is "
        "called that it was trained on, too: "
        f"{sized(found.images, found.groups)} that it never saw."
    )


def parts(found: Scored) -> str:
    """The first score by the values of columns, such as sites."""
    names: Sequence[str] = SCORES
    scores: Iterable[ScoreValue] = found.scores
    if isinstance(found, SegmenterEvaluation):
        names, scores = ("dice",), [each for each in found.scores if each.of_class == MEAN]
    columns: dict[str, list[ScoreValue]] = {}
    for each in scores:
        if each.column and each.unit == "image":
            columns.setdefault(each.column, []).append(each)
    said = [_by_column(own, names) for own in columns.values() if len({e.level for e in own}) > 1]
    return "\n".join(f"{found.model.file}: {each}" for each in said if each)


def _by_column(scores: Sequence[ScoreValue], names: Sequence[str]) -> str:
    known = {each.score for each in scores if each.value is not None}
    name = next((n for n in names if n in known), None)
    said = [
        f"{each.level or '(none)'} {score_cell(each)} in {sized(each.images, each.groups)}"
        for each in scores
        if each.score == name
    ]
    if name is None:
        return ""
    more = f"; and {len(said) - MOST} more" if len(said) > MOST else ""
    return f"{score_words(name)} by {scores[0].column}: {'; '.join(said[:MOST])}{more}."


def _where(found: Scored) -> str:
    split = f":{found.split}" if found.split else ""
    return f"{found.model.file} on {found.data}{split}, {sized(found.images, found.groups)}"


def accuracy(found: ClassifierEvaluation) -> str:
    """Scores by image and by group, and calibration."""
    whole = [each for each in found.scores if not each.column and each.score in SCORES]
    text = _where(found)
    for unit in dict.fromkeys(each.unit for each in whole):
        own = [f"{score_words(e.score)} {score_cell(e)}" for e in whole if e.unit == unit]
        text += f"; by {unit}: {', '.join(own)}"
    text += f"; expected calibration error {three(found.calibration.error)}"
    for each in found.risks[:MOST]:
        slope, shift = (with_ends(e.value, e.interval) for e in (each.slope, each.intercept))
        text += f"; {each.of_class}: calibration slope {slope}, intercept {shift}, gain in "
        text += f"standardised net benefit over acting on all or none {_gains(each)}"
    return f"{text}."


def _gains(risk: ClassRisk) -> str:
    points = [(at, risk.gain[risk.nearest(at)]) for at in THRESHOLDS]
    said = [f"{with_ends(each.value, each.interval)} from {at:g} on" for at, each in points]
    return listed(said)


def dice(found: SegmenterEvaluation) -> str:
    """Dice, the mean and of every class."""
    values = [found.score("dice", name) for name in (MEAN, *found.classes)]
    said = [
        f"{f'class {each.of_class}' if each.of_class else 'mean'} {score_cell(each)}"
        for each in values
        if each is not None
    ]
    return f"{_where(found)}; Dice: {listed(said, MOST)}." if said else ""


def confused(found: ClassifierEvaluation) -> str:
    """Images of every class that were decided otherwise."""
    said = []
    for name, row in zip(found.classes, found.confusion, strict=True):
        wrong = {other: n for other, n in zip(found.classes, row, strict=True) if other != name}
        text = f"{count(sum(wrong.values()))} of {several(sum(row), 'image')} of {name}"
        if len(wrong) > 1 and any(wrong.values()):
            text += f" (most often as {max(wrong, key=wrong.__getitem__)})"
        said.append(text)
    return f"Decided otherwise by {found.model.file}: {listed(said, MOST)}."


def missed(found: SegmenterEvaluation) -> str:
    """Images in which a class was missed or seen in vain."""
    said = [
        f"class {each.of_class} missed in {several(each.missed, 'image')}, false alarm in "
        f"{count(each.false_alarms)}"
        for each in found.cases[:MOST]
    ]
    return f"{found.model.file}: {'; '.join(said)}." if said else ""


def identity(found: Scored) -> str:
    """What tells a model from others."""
    return f"Model {found.model.file}: sha256 {found.model.sha256}."


# --- studies --------------------------------------------------------------------------------------


def _sets(study: Study, *, outside: bool) -> list[StudySet]:
    """Sets of test images of other archives, or of the same one."""
    tested = [study.internal] if bool(study.about.tested) is outside else []
    return [*tested, *(study.external if outside else ())]


def _set(study: Study, part: StudySet) -> str:
    groups = several(part.groups, study.about.unit, study.about.units)
    size = several(part.images, "image")
    return f"Study '{study.about.name}', {set_name(study, part)}, {size} of {groups}"


def folds(study: Study) -> str:
    """Sizes of the test folds."""
    found = study.internal.arms[0].folds if study.internal.arms else ()
    if len(found) < 2:
        return ""
    of = [
        f"{several(each.images, 'image')} of "
        f"{several(each.groups, study.about.unit, study.about.units)}"
        for each in found
    ]
    return f"Study '{study.about.name}', test folds of {study.about.data}: {'; '.join(of)}."


def unit(study: Study) -> str:
    """What a group is, and whether models saw those they were tested on."""
    text = f"Study '{study.about.name}': groups are {study.about.units}"
    if study.about.tested:
        return f"{text}."
    return f"{text}, each tested by a {study.about.model} that never saw it."


def generators(study: Study) -> str:
    """How its generators were trained."""
    said = study.about.generator.rstrip(".")
    return f"Generators of study '{study.about.name}': {said}." if said else ""


def trained_on(study: Study) -> str:
    """What the arms were trained on."""
    said = []
    for arm in study.internal.arms:
        more = arm.ratio is not None and not arm.kind.real_only
        ratio = f", {number(arm.ratio)} synthetic per real one" if more else ""
        said.append(f"'{arm.name}': {TRAINED_WITH[arm.kind]}{ratio}")
    return f"Study '{study.about.name}', training images. {'; '.join(said[:MOST])}."


def reference(study: Study) -> str:
    """What arms are compared with, and why."""
    return f"Study '{study.about.name}', reference: {study.reference_rule}"


def compared(study: Study) -> str:
    """The measure, the comparison that counts and its margin."""
    text = f"Study '{study.about.name}': {study.measure_title}"
    if study.primary:
        text += f"; primary comparison '{study.primary}' with '{study.reference}'"
    return f"{text}." if study.margin is None else f"{text}; margin {study.margin:g}."


def tests(study: Study) -> str:
    """Intervals and tests of its differences."""
    found = (*study.internal.differences, *study.internal.to_others)
    if not any(each.interval for each in found):
        return ""
    said = {
        f"95 % intervals of differences over {study.about.units}": True,
        "with draws of the generator": any(each.trainings is not None for each in found),
        "two-sided p values": any(each.p is not None for each in found),
        "Holm's correction": any(each.adjusted_p is not None for each in found),
    }
    others = list(dict.fromkeys(each.test for one in found for each in one.others))
    second = f"; beside it {listed(others)}" if others else ""
    words = ", ".join(text for text, so in said.items() if so)
    return f"Study '{study.about.name}': {words}{second}."


def tested_within(study: Study) -> str:
    """Test images of the archive that it is about."""
    return "\n".join(f"{_set(study, part)}." for part in _sets(study, outside=False))


def tested_outside(study: Study) -> str:
    """Test images of other archives."""
    found = [f"{_set(study, part)}." for part in _sets(study, outside=True)]
    return "\n".join(found) or f"Study '{study.about.name}' has no external set."


def values(study: Study) -> str:
    """The measure of every arm on every set."""
    return "\n".join(_values(study, part) for part in (study.internal, *study.external))


def _values(study: Study, part: StudySet) -> str:
    said = [f"'{arm.name}' {with_ends(arm.value, arm.interval)}" for arm in part.arms]
    return f"{_set(study, part)}, {study.measure_title}: {listed(said, MOST)}."


def may(study: Study) -> str:
    """What may be claimed."""
    return as_sentence(study.may)


def may_not(study: Study) -> str:
    """What may not be claimed."""
    return as_sentence(study.may_not)


def plan(study: Study) -> str:
    """The plan that was frozen before results were seen."""
    name, frozen = study.about.name, study.about.plan_sha256
    if not frozen:
        return ""
    text = f"The plan of study '{name}' was frozen before the first test prediction"
    return f"{text} (sha256 {frozen})."


# --- others ---------------------------------------------------------------------------------------


def copies(audit: Audit) -> str:
    """Whether synthetic images repeat training images."""
    hint = ", an indication only" if audit.verdict.indicative else ""
    name = audit.sets.synthetic.name
    return f"Search for copies of training images in {name}: {audit.verdict.answer.value}{hint}."


def recovered(found: Authenticity) -> str:
    """Whether a generator reaches its training images more closely."""
    return as_sentence(found.sentence)


def apart(gap: DomainGap) -> str:
    """How far sets lie apart."""
    said = [as_sentence(pair.sentence).rstrip(".") for pair in gap.pairs[:MOST] if pair.sentence]
    return "\n".join(f"{each}." for each in said)


def searched(search: Search) -> str:
    """How settings were chosen."""
    return f"Search of settings, {several(len(search.trials), 'trial')}. {sentence(search)}"
