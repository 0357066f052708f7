"""The class of an image by the rule of its cohort."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.sources.cells import value_of
from synthograph.sources.cohorts.record import Cohort, Label

POSITIVE, NEGATIVE, UNCERTAIN = "1", "0", "-1"
"""What cells of findings mean, `1.0` as pandas writes it as well; empty ones say nothing."""
SEVERAL = "they have several findings; --column label=FINDING makes two classes of one"
NOTHING = "no finding is certain; --column label=FINDING makes two classes of one"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The class of an image, and otherwise why it is left out or why it has none.

    Attributes:
        label: the class.
        left_out: why the rule takes no such images; empty where it does.
        mark: the cell, where that is a mark for a missing value.
    """

    label: str | None
    left_out: str = ""
    mark: str = ""


class LabelRule(Protocol):
    """What makes a class of the columns of an image."""

    def verdict(self, columns: Mapping[str, str], marks: Collection[str]) -> Verdict:
        """The class; `marks` are cells that hold no value."""
        ...


@dataclass(frozen=True, slots=True)
class ByColumn:
    """The class is a cell."""

    column: str
    values: Mapping[str, str]

    def verdict(self, columns: Mapping[str, str], marks: Collection[str]) -> Verdict:
        """The class as written, or as the cohort calls it."""
        cell = columns.get(self.column, "").strip()
        value = value_of(cell, marks)
        if value is None:
            return Verdict(None, mark=cell)
        return Verdict(self.values.get(value, value))


@dataclass(frozen=True, slots=True)
class OnlyFinding:
    """The class is the one finding that an image has; images with several are left out."""

    rule: Label

    def verdict(self, columns: Mapping[str, str], marks: Collection[str]) -> Verdict:
        """The only positive finding where none is uncertain."""
        states = _states(self.rule, columns)
        if not states:
            return Verdict(None)
        positive = [name for name, state in states.items() if state == POSITIVE]
        if len(positive) > 1:
            return Verdict(None, left_out=SEVERAL)
        if not positive or UNCERTAIN in states.values():
            return Verdict(None, left_out=NOTHING)
        return Verdict(self.rule.values.get(positive[0], positive[0]))


@dataclass(frozen=True, slots=True)
class OneFinding:
    """Two classes: images with a finding, and those without it."""

    rule: Label
    finding: str

    def verdict(self, columns: Mapping[str, str], marks: Collection[str]) -> Verdict:
        """Positive, or negative: written so, in no list of findings, or there is no finding."""
        states = _states(self.rule, columns)
        if not states:
            return Verdict(None)
        state = states.get(self.finding, "")
        normal = states.get(self.rule.normal or "") == POSITIVE
        if state == POSITIVE:
            return Verdict(self.finding)
        if state == NEGATIVE or (not state and normal):
            return Verdict(f"no {self.finding}")
        said = "is uncertain" if state == UNCERTAIN else "is not mentioned"
        return Verdict(None, left_out=f"whether they show {self.finding} {said}")


def _states(rule: Label, columns: Mapping[str, str]) -> dict[str, str]:
    """Finding -> positive, negative, uncertain or nothing; no finding where nothing is known."""
    if rule.separator is not None:
        listed = columns.get(rule.column, "")
        words = {word.strip() for word in listed.split(rule.separator) if word.strip()}
        known = {name: POSITIVE if name in words else NEGATIVE for name in rule.findings}
        return {**known, **dict.fromkeys(words, POSITIVE)} if words else {}
    if not any(name in columns for name in rule.findings):
        return {}
    cells = {name: columns.get(name, "").strip() for name in rule.findings}
    return {name: cell.removesuffix(".0") for name, cell in cells.items()}


def label_rule(cohort: Cohort, column: str | None, known: Collection[str]) -> LabelRule:
    """The rule of a cohort, or what a user wants instead.

    Args:
        cohort: whose rule it is.
        column: a finding or a column that a user names.
        known: columns that an image has.

    Raises:
        UserError: there is no such finding or column.
    """
    rule = cohort.label
    if column is not None and column in rule.findings:
        return OneFinding(rule, column)
    if column is not None and column not in known:
        raise UserError(
            f"--column label={column}: --cohort {cohort.name} has no such finding or column: "
            f"{nearest(column, [*rule.findings, *sorted(set(known) - {*rule.findings})])}"
        )
    if column is not None:
        return ByColumn(column, {})
    return OnlyFinding(rule) if rule.findings else ByColumn(rule.column, rule.values)
