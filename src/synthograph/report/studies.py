"""A study in tables: the same words for the page and for the console."""

from collections.abc import Iterator, Sequence

from synthograph.report.claims import caveat, signed, units
from synthograph.report.curves import Curve, Panel, draw
from synthograph.report.forest import Line, forest
from synthograph.report.tables import TableText, three
from synthograph.report.words import as_sentence, count, number
from synthograph.results.base import Tree
from synthograph.results.study import (
    FoldValue,
    SecondOpinion,
    Study,
    StudyArm,
    StudyDifference,
    StudySet,
)

NONE = three(None)


def set_name(study: Study, part: StudySet) -> str:
    """Which test images these are."""
    outside = part.name or study.about.tested
    return f"external set {outside}" if outside else f"test folds of {study.about.data}"


def tables(study: Study) -> Iterator[TableText]:
    """Differences, values and folds of all sets, each with the caveat of groups."""
    for part in (study.internal, *study.external):
        where = f"{set_name(study, part)}, {_size(study, part)}"
        if part.differences:
            yield _differences(study, part, where)
        yield _values(study, part, where)
        if any(len(arm.folds) > 1 for arm in part.arms):
            yield _folds(study, part, where)


def _size(study: Study, part: StudySet | FoldValue, between: str = " of ") -> str:
    """Images and groups, once where every image is a group of its own."""
    groups = units(study, part.groups)
    own = study.about.unit == "image"
    return groups if own else f"{count(part.images)} images{between}{groups}"


def _notes(study: Study, *more: str) -> list[str]:
    return [each for each in (*more, caveat(study)) if each]


def _differences(study: Study, part: StudySet, where: str) -> TableText:
    found = (*part.differences, *part.to_others)
    tests = list(dict.fromkeys(each.test for one in found for each in one.others))
    head = ["arm", "compared with", "difference", "95 % interval", "p", "p (Holm)", "draws", "says"]
    head += [f"p ({test.partition(' (')[0]})" for test in tests]
    rows = [_difference_row(each, tests) for each in found]
    one = any(each.trainings is None and each.p is not None for each in found)
    notes = _notes(
        study,
        study.reference_rule,
        "With one draw an interval holds for these trainings alone." if one else "",
        "Every external set is tested by itself, unadjusted." if part.name else "",
        f"Tests: {'; '.join(tests)}." if tests else "",
        *dict.fromkeys(f"{each.arm}: {each.reason}" for each in found if each.reason),
        *dict.fromkeys(
            f"{one.arm}: no {each.test.partition(' (')[0]}, since {each.reason}"
            for one in found
            for each in one.others
            if each.reason
        ),
    )
    return TableText(f"Differences in {study.measure_title}: {where}", head, rows, notes)


def _difference_row(found: StudyDifference, tests: Sequence[str]) -> list[str]:
    others = {each.test: each for each in found.others}
    return [
        f"{found.arm} (primary)" if found.primary else found.arm,
        found.against,
        signed(found.value),
        ends(found),
        p_words(found.p),
        p_words(found.adjusted_p),
        str(found.draws),
        found.finding.value,
        *(_second(others[test]) if test in others else "–" for test in tests),
    ]


def _second(opinion: SecondOpinion) -> str:
    return f"{p_words(opinion.p)}{', disagrees' if opinion.agrees is False else ''}"


def p_words(p: float | None) -> str:
    """A p value; very small ones are only called small."""
    return "–" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def ends(found: StudyDifference | StudyArm) -> str:
    """An interval."""
    say = signed if isinstance(found, StudyDifference) else three
    if found.interval is None:
        return "–"
    return f"{say(found.interval.low)} to {say(found.interval.high)}"


def _values(study: Study, part: StudySet, where: str) -> TableText:
    further = [each.score.replace("_", " ") for each in part.arms[0].scores]
    head = ["arm", "training images", "ratio", study.measure.replace("_", " "), "95 % interval"]
    head += [f"by {study.about.unit}", *further, "calibration error", "validation"]
    rows = [
        [
            arm.name,
            arm.kind.value,
            number(arm.ratio),
            three(arm.value),
            ends(arm),
            three(arm.by_group),
            *(three(each.value) for each in arm.scores),
            three(None if arm.calibration is None else arm.calibration.error),
            three(arm.validation),
        ]
        for arm in part.arms
    ]
    told = [n for n, column in enumerate(zip(*rows, strict=True)) if set(column) != {NONE}]
    head, rows = [head[n] for n in told], [[row[n] for n in told] for row in rows]
    return TableText(f"Every arm: {where}", head, rows, _notes(study))


def _folds(study: Study, part: StudySet, where: str) -> TableText:
    """Differences by fold, the pooled one last; values of a single arm."""
    shown = [each for each in part.differences if each.folds] or part.arms
    folds = shown[0].folds
    head = ["arm", *(f"fold {each.fold}" for each in folds), "all folds"]
    sizes = [_size(study, each, ", ") for each in folds]
    rows = [["test images", *sizes, _size(study, part)]]
    rows += [_fold_row(each) for each in shown]
    what = f"Difference from {study.reference}" if part.differences else study.measure_title
    title = f"{as_sentence(what)} in every fold: {where}"
    return TableText(title, head, rows, _notes(study))


def _fold_row(found: StudyDifference | StudyArm) -> list[str]:
    if isinstance(found, StudyDifference):
        name, say = found.arm, signed
    else:
        name, say = found.name, three
    return [name, *(say(fold.value) for fold in found.folds), say(found.value)]


def study_tree(study: Study) -> Tree:
    """A study for the page."""
    about = study.about
    return {
        "name": about.name,
        "task": about.task,
        "data": about.data,
        "measure": study.measure_title,
        "margin": study.margin,
        "primary": study.primary,
        "reference": study.reference,
        "finding": study.decided.finding.value if study.primary else "",
        "may": study.may,
        "may_not": study.may_not,
        "plan_sha256": about.plan_sha256,
        "generator": about.generator,
        "notes": list(about.notes),
        "tables": [each.tree() for each in tables(study)],
    }


def reliability(study: Study, name: str) -> str:
    """Curves of the primary condition and of the reference; empty where classes were not
    predicted.
    """
    arms = {arm.name: arm.calibration for arm in study.internal.arms}
    curves = [
        Curve(arm, found.said, found.came)
        for arm in (study.primary, study.reference)
        if (found := arms.get(arm)) is not None
    ]
    if not curves:
        return ""
    return draw(Panel(curves, "share that was right", "probability that was said"), name)


def drawing(study: Study, name: str) -> str:
    """The forest plot of all differences, as SVG; empty where there is a single arm."""
    if not study.internal.differences:
        return ""
    lines = []
    for part in (study.internal, *study.external):
        lines.append(Line(set_name(study, part)))
        lines += [
            Line(
                each.arm,
                each.value,
                None if each.interval is None else (each.interval.low, each.interval.high),
                f"{signed(each.value)} ({ends(each)})",
                strong=each.primary,
            )
            for each in part.differences
        ]
    worst = None if study.margin is None else study.margin * (-1 if study.higher_is_better else 1)
    better = "right" if study.higher_is_better else "left"
    label = f"difference in {study.measure_title} from {study.reference}; {better} is better"
    return forest(lines, label=label, margin=worst, name=name)
