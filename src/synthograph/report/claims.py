"""What may be claimed of a study, and what may not, in words."""

from synthograph.report.words import listed, number, several
from synthograph.results.study import ArmKind, Finding, Study, StudyDifference, StudySet

FOUND = {
    Finding.BETTER: "is better than",
    Finding.NON_INFERIOR: "is not worse than",
    Finding.NO_DIFFERENCE: "is not shown to differ from",
    Finding.WORSE: "is worse than",
    Finding.UNDECIDED: "cannot be compared with",
}


def units(study: Study, value: int) -> str:
    """A number of groups, by the name of one."""
    return several(value, study.about.unit)


def caveat(study: Study) -> str:
    """What every table must say where groups are not patients; else empty."""
    if study.about.unit_is_patient:
        return ""
    return (
        f"Groups are {study.about.unit}s, not patients: images of one patient may be in training "
        "and test, so scores may be too good and intervals too narrow."
    )


def difference_words(found: StudyDifference) -> str:
    """A difference with its interval."""
    if found.interval is None:
        return f"difference {number(found.value)}, without an interval"
    low, high = number(found.interval.low), number(found.interval.high)
    return f"difference {number(found.value)}, 95 % interval {low} to {high}"


def claims(study: Study) -> tuple[str, str]:
    """What may be claimed, and what may not."""
    return _may(study), _may_not(study)


def _may(study: Study) -> str:
    found = study.decided
    within = ""
    if found.finding is Finding.NON_INFERIOR:
        within = f" by {number(study.margin)} or more"
    given = "Given this generator, " if found.trainings is None else ""
    said = f"{study.primary!r} {FOUND[found.finding]} {study.reference!r}{within}"
    where = f"{study.measure_title}, {difference_words(found)}"
    sample = f"{units(study, study.internal.groups)} of {study.about.data}"
    return f"{given}{said} ({where}; {sample}).{_outside(study)}"


def _outside(study: Study) -> str:
    """What external sets say of the primary condition."""
    said = [
        f"{each.name}: {found.finding} ({difference_words(found)}; {units(study, each.groups)})"
        for each in study.external
        if (found := each.difference(study.primary)) is not None
    ]
    return f" On external images: {'; '.join(said)}." if said else ""


def _may_not(study: Study) -> str:
    found = study.decided
    said = [
        *_beyond(study, found),
        *_controls(study.internal),
        *_elsewhere(study),
    ]
    return " ".join(each for each in (*said, caveat(study)) if each)


def _beyond(study: Study, found: StudyDifference) -> list[str]:
    """What the interval does not hold."""
    said = []
    if found.finding is Finding.NO_DIFFERENCE:
        said.append("That both are equally good is not shown: no difference shown is not equality.")
    if found.finding is Finding.NON_INFERIOR:
        said.append("That it is better is not shown.")
    if found.finding is Finding.UNDECIDED:
        said.append(f"Nothing may be claimed of the difference: {found.reason}.")
    if found.trainings is None and found.p is not None:
        said.append("One draw says nothing of other generators: a second draw per fold would tell.")
    disagree = [each.test for each in found.others if each.agrees is False]
    if disagree:
        said.append(f"It does not rest on every test: {listed(disagree)} decides otherwise.")
    return said


def _controls(internal: StudySet) -> list[str]:
    """Arms that do as well without the synthetic images' content."""
    kinds = {arm.name: arm.kind for arm in internal.arms}
    same = [each.against for each in internal.to_others if each.finding is not Finding.BETTER]
    noise = [name for name in same if kinds[name] is ArmKind.SHUFFLED]
    said = []
    if noise:
        said.append(
            "That labels of the synthetic images matter is not shown: with shuffled labels it is "
            "not shown to be worse."
        )
    rest = [name for name in same if name not in noise]
    if rest:
        said.append(f"That it is better than {listed([repr(each) for each in rest])} is not shown.")
    return said


def _elsewhere(study: Study) -> list[str]:
    if not study.external:
        return ["Other hospitals and devices were not studied."]
    return []
