"""What may be claimed of a study, and what may not, in words."""

from collections.abc import Iterator

from synthograph.report.tables import three
from synthograph.report.words import listed, several
from synthograph.results.study import ArmKind, Finding, Study, StudyArm, StudyDifference

ALPHA = 0.05


def signed(value: float | None) -> str:
    """A difference, with its sign."""
    return "–" if value is None else f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def units(study: Study, value: int) -> str:
    """A number of groups, by the name of one."""
    return several(value, study.about.unit, study.about.units)


def caveat(study: Study) -> str:
    """What every table must say where groups are not patients; else empty."""
    if study.about.unit_is_patient:
        return ""
    return (
        f"Groups are {study.about.units}, not patients: images of one patient may be in training "
        "and test, so scores may be too good and intervals too narrow."
    )


def difference_words(found: StudyDifference) -> str:
    """A difference with its interval."""
    if found.interval is None:
        return f"{signed(found.value)}, no interval"
    low, high = signed(found.interval.low), signed(found.interval.high)
    return f"{signed(found.value)}, 95 % interval {low} to {high}"


def claims(study: Study) -> tuple[str, str]:
    """What may be claimed, and what may not."""
    forbidden = "; ".join(_forbidden(study))
    return _allowed(study), f"It may not be claimed: {forbidden}. {caveat(study)}".rstrip()


def _allowed(study: Study) -> str:
    about = study.about
    source = about.tested or f"{about.data}, each tested by a {about.model} that never saw it"
    where = f"{units(study, study.internal.groups)} of {source}"
    if not study.primary:
        return _values(study, where)
    found = study.decided
    if found.finding is Finding.UNDECIDED:
        return f"Nothing: the difference cannot be decided ({found.reason}; {where})."
    generator = "this generator and " if study.synthetic else ""
    one = f"Given {generator}these trainings, " if found.trainings is None else ""
    again = "draws of the generator" if study.synthetic else "trainings per fold"
    draws = f"; {found.draws} {again}" if found.draws > 1 else ""
    numbers = f"{study.measure_title} {difference_words(found)}; {where}{draws}"
    outside = "".join(
        f" In {each.name}: {away.finding.value} ({difference_words(away)}; "
        f"{units(study, each.groups)})."
        for each in study.external
        if (away := each.difference(study.primary)) is not None
    )
    return f"{one}{_sentence(study, found)} ({numbers}).{outside}"


def _values(study: Study, where: str) -> str:
    """The value of every arm, where the study is about no difference."""
    sets = [(where, study.internal)]
    sets += [(f"{units(study, each.groups)} of {each.name}", each) for each in study.external]
    return " ".join(
        f"{listed([_value(arm) for arm in part.arms])} ({study.measure_title}; {there})."
        for there, part in sets
    )


def _value(arm: StudyArm) -> str:
    between = "no interval"
    if arm.interval is not None:
        between = f"95 % interval {three(arm.interval.low)} to {three(arm.interval.high)}"
    return f"'{arm.name}' reaches {three(arm.value)}, {between}"


def _sentence(study: Study, found: StudyDifference) -> str:
    arm, other = f"'{found.arm}'", f"'{found.against}'"
    return {
        Finding.BETTER: f"{arm} is better than {other}",
        Finding.NON_INFERIOR: f"{arm} is not worse than {other} by {study.margin} or more",
        Finding.WORSE: f"{arm} is worse than {other}",
        Finding.NO_DIFFERENCE: f"no difference between {arm} and {other} is shown",
    }[found.finding]


def _forbidden(study: Study) -> Iterator[str]:
    """What nobody may conclude, a clause each."""
    if study.primary:
        yield from _of_difference(study, study.decided)
    elif len(study.internal.arms) > 1:
        yield "that one of them is better, since no comparison was fixed before"
    if not study.synthetic:
        yield "that synthetic images help or harm, since the study is not about them"
    yield from _elsewhere(study)
    further = [
        f"'{each.arm}'" for each in study.internal.differences if each.adjusted_p is not None
    ]
    if further and study.primary:
        yield f"anything of {listed(further)} alone, since the study is about '{study.primary}'"
    yield f"that it holds for other images, tasks or {study.about.model}s than those studied"


def _of_difference(study: Study, found: StudyDifference) -> Iterator[str]:
    """What the difference that the study is about does not show."""
    if found.finding is Finding.NO_DIFFERENCE:
        yield "that both are equally good, since larger differences fit these images, too"
    if found.finding is Finding.NON_INFERIOR:
        worse = found.p is not None and found.p < ALPHA
        yield f"that '{found.arm}' is {'as good: it is worse, by less' if worse else 'better'}"
    if found.finding is Finding.BETTER:
        yield from _controls(study)
    if found.trainings is None and found.p is not None:
        another = "another generator" if study.synthetic else "another training"
        yield f"that it holds for {another}, since there was one"
    against = [each.test for each in found.others if each.agrees is False]
    if against:
        yield f"that every test says so: {listed(against)} decides otherwise"


def _controls(study: Study) -> Iterator[str]:
    """Controls that the primary condition is not shown to beat."""
    kinds = {arm.name: arm.kind for arm in study.internal.arms}
    unbeaten = [
        each.against for each in study.internal.to_others if each.finding is not Finding.BETTER
    ]
    for name in unbeaten:
        shuffled = kinds[name] is ArmKind.SHUFFLED
        why = ": the labels of synthetic images may not matter" if shuffled else ""
        yield f"that it is better than '{name}', which is not shown{why}"
    if study.synthetic and ArmKind.DUPLICATES not in kinds.values():
        yield "that synthetic images help more than repeated real ones, which were not studied"


def _elsewhere(study: Study) -> Iterator[str]:
    """Other hospitals and devices."""
    if not (study.external or study.about.tested):
        yield "that it holds for other hospitals or devices, which were not studied"
    for each in study.external:
        away = each.difference(study.primary)
        if away is not None and away.finding is not study.decided.finding:
            yield f"that the same holds in {each.name}"
