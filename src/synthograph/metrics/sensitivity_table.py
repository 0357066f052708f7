"""What came of planted defects: the smallest grade of each kind that each measure notices."""

import dataclasses
import enum
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synthograph.metrics.defects import Defect
from synthograph.metrics.probes import Direction, Numbers

RULE = (
    "in more than half of the splits the damaged half lies beyond the most extreme undamaged half "
    "of any split"
)


class Verdict(enum.Enum):
    """What became of a kind of defect under a measure."""

    NOTICED = "noticed"
    UNSEEN = "not measurable"
    UNFIT = "not applicable"


@dataclass(frozen=True)
class Trial:
    """One grade of damage under one measure.

    Attributes:
        grade: in the unit of the kind.
        amount: the grade in words.
        part: of the measure, the one that left the floor in most splits; "" for the whole.
        images: fewest images in a damaged half.
        value: median over the damaged halves; None where the measure has no value.
        floor: lowest, median and highest value of undamaged halves of as many images.
        beyond: splits in which the damaged half lies beyond all of these.
        noticed: whether these are more than half of the splits.
    """

    grade: float
    amount: str
    part: str
    images: int
    value: float | None
    floor: tuple[float, float, float] | None
    beyond: int
    noticed: bool


@dataclass(frozen=True)
class Cell:
    """One kind of defect under one measure.

    Attributes:
        kind: of the defect.
        measure: column of the table.
        verdict: noticed at some grade, at none, or not planted at all.
        trials: every grade from weak to strong.
        reason: why the defect was not planted.
    """

    kind: str
    measure: str
    verdict: Verdict
    trials: tuple[Trial, ...]
    reason: str = ""

    @property
    def smallest(self) -> Trial | None:
        """The smallest grade that leaves the floor."""
        return next((trial for trial in self.trials if trial.noticed), None)

    @property
    def text(self) -> str:
        """What stands in the table."""
        found = self.smallest
        if found is None:
            return self.verdict.value
        return found.amount + (f" ({found.part})" if found.part else "")


@dataclass(frozen=True)
class Sensitivity:
    """What measures notice on one set of images.

    Attributes:
        cells: for every kind of defect all measures.
        splits: how often the images were halved.
        images: real images used.
        groups: patients among them.
        half: fewest images in a half.
        damaged: images whose pixels were damaged.
        seed: of halves, choices and damage.
        extractor: what the extractor says of itself; empty where it says nothing.
        notes: sentences for the reader.
    """

    cells: tuple[Cell, ...]
    splits: int
    images: int
    groups: int
    half: int
    damaged: int
    seed: int
    extractor: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def cell(self, kind: str, measure: str) -> Cell:
        """The cell of a row and a column; both must exist."""
        return next(c for c in self.cells if (c.kind, c.measure) == (kind, measure))

    def json(self) -> dict[str, Any]:
        """Plain numbers, lists and dictionaries for a JSON file."""
        document = dataclasses.asdict(self)
        for cell, entry in zip(self.cells, document["cells"], strict=True):
            entry["verdict"] = cell.verdict.value
            entry["smallest"] = cell.text if cell.smallest else None
        return {"rule": RULE, **document}

    def rows(self) -> list[list[str]]:
        """The table: a head, then a row for every kind of defect."""
        measures = list(dict.fromkeys(cell.measure for cell in self.cells))
        kinds = dict.fromkeys(cell.kind for cell in self.cells)
        body = [[kind, *(self.cell(kind, m).text for m in measures)] for kind in kinds]
        return [["defect", *measures], *body]

    def table(self) -> str:
        """The table for a console, and below it what it rests on."""
        rows = self.rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        rows.insert(1, ["-" * width for width in widths])
        lines = [
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, "", *self.remarks()]) + "\n"

    def markdown(self) -> str:
        """The same for a document."""
        rows = [[text.replace("|", "\\|") for text in row] for row in self.rows()]
        rows.insert(1, ["---"] * len(rows[0]))
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([*lines, "", *(f"- {remark}" for remark in self.remarks())]) + "\n"

    def remarks(self) -> list[str]:
        """Sentences on what the table rests on."""
        name = self.extractor.get("extractor")
        return [
            f"Entries are the smallest grade that leaves the floor: {RULE}.",
            "The weakest grade tried may not be the weakest that would be noticed.",
            f"{self.images} real images of {self.groups} groups in {self.splits} splits into "
            f"halves of {self.half} images and more, seed {self.seed}"
            + (f", features of {name}." if name else "."),
            f"Pixels of {self.damaged} of them were damaged.",
            f"{Verdict.UNSEEN.value}: no grade tried leaves the floor with these images; the "
            "defect may be there all the same.",
            *self.notes,
        ]


@dataclass(frozen=True)
class Found:
    """Numbers of one defect.

    Attributes:
        defect: what was planted.
        images: in the damaged half of every split.
        damaged: numbers of the damaged halves.
        floor: numbers of undamaged halves of as many images.
    """

    defect: Defect
    images: list[int]
    damaged: list[Numbers]
    floor: list[Numbers]


def judged(found: Sequence[Found], columns: Mapping[str, Direction]) -> list[Cell]:
    """Apply `RULE`.

    Args:
        found: the defects, each kind from weak to strong.
        columns: measures, and which of their values are worse.

    Returns:
        A cell for every kind and measure.
    """
    cells = []
    for kind in dict.fromkeys(each.defect.kind for each in found):
        grades = [each for each in found if each.defect.kind == kind]
        for column, worse in columns.items():
            trials = tuple(_trial(each, column, worse) for each in grades)
            seen = any(trial.noticed for trial in trials)
            cells.append(Cell(kind, column, Verdict.NOTICED if seen else Verdict.UNSEEN, trials))
    return cells


def unfit(refused: Iterable[tuple[Defect, str]], columns: Iterable[str]) -> list[Cell]:
    """Cells of the kinds that these images cannot have, with the reason."""
    reasons = {defect.kind: reason for defect, reason in refused}
    return [
        Cell(kind, column, Verdict.UNFIT, (), reason)
        for column in columns
        for kind, reason in reasons.items()
    ]


def _trial(found: Found, column: str, worse: Direction) -> Trial:
    """The part of a column that leaves the floor in most splits; the first of equals."""
    parts = [key for numbers in found.floor for key in numbers if key[0] == column]
    trials = [_part(found, key, worse) for key in dict.fromkeys(parts or [(column, "")])]
    return max(trials, key=lambda trial: trial.beyond)


def _part(found: Found, key: tuple[str, str], worse: Direction) -> Trial:
    sign = 1 if worse is Direction.LARGER else -1
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
