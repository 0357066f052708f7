"""Which defects each measure notices, from its numbers for damaged and undamaged halves."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from synthograph.metrics.defects import Defect
from synthograph.metrics.probes import Numbers
from synthograph.results.measures import Direction
from synthograph.results.sensitivity import Cell, Outcome, Trial


@dataclass(frozen=True)
class DefectNumbers:
    """What the measures say of one defect."""

    defect: Defect
    images: list[int]  # in the damaged half of every split
    damaged: list[Numbers]  # of the damaged halves
    floor: list[Numbers]  # of undamaged halves of as many images


def cells_of(found: Sequence[DefectNumbers], columns: Mapping[str, Direction]) -> list[Cell]:
    """Apply the rule of `results.sensitivity`.

    Args:
        found: the defects, each kind from weak to strong.
        columns: measures, and which of their values are better.

    Returns:
        A cell for every kind and measure.
    """
    cells = []
    for kind in dict.fromkeys(each.defect.kind for each in found):
        grades = [each for each in found if each.defect.kind == kind]
        for column, better in columns.items():
            trials = tuple(_trial(each, column, better) for each in grades)
            seen = any(trial.noticed for trial in trials)
            verdict = Outcome.NOTICED if seen else Outcome.UNNOTICED
            cells.append(Cell(kind=kind, measure=column, verdict=verdict, trials=trials))
    return cells


def unfit(refused: Iterable[tuple[Defect, str]], columns: Iterable[str]) -> list[Cell]:
    """Cells of the kinds that these images cannot have, with the reason."""
    reasons = {defect.kind: reason for defect, reason in refused}
    return [
        Cell(kind=kind, measure=column, verdict=Outcome.UNFIT, reason=reason)
        for column in columns
        for kind, reason in reasons.items()
    ]


def _trial(found: DefectNumbers, column: str, better: Direction) -> Trial:
    """The part of a column that leaves the floor in most splits; the first of equals."""
    parts = [key for numbers in found.floor for key in numbers if key[0] == column]
    trials = [_part(found, key, better) for key in dict.fromkeys(parts or [(column, "")])]
    return max(trials, key=lambda trial: trial.beyond)


def _part(found: DefectNumbers, key: tuple[str, str], better: Direction) -> Trial:
    sign = 1 if better is Direction.LOW else -1  # larger is worse
    damaged, floor = (
        [value for numbers in side if (value := numbers.get(key)) is not None]
        for side in (found.damaged, found.floor)
    )
    beyond = 0
    if floor:
        limit = max(sign * value for value in floor)
        beyond = sum(sign * value > limit for value in damaged)
    return Trial(
        grade=found.defect.grade,
        amount=found.defect.amount,
        part=key[1],
        images=min(found.images),
        value=statistics.median(damaged) if damaged else None,
        floor=(min(floor), statistics.median(floor), max(floor)) if floor else None,
        beyond=beyond,
        noticed=2 * beyond > len(found.damaged),
    )
