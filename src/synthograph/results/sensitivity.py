"""What came of planted defects: the smallest grade of each kind that each measure notices."""

import enum

import pydantic

from synthograph.results.base import Count, Document, Many, Prose, Schema
from synthograph.results.provenance import Features

RULE = (
    "damage counts as noticed if the damaged half is worse than every undamaged half, in more than "
    "half of the random splits"
)


class Outcome(enum.StrEnum):
    """What became of a kind of defect under a measure."""

    NOTICED = "noticed"
    UNNOTICED = "not measurable"
    UNFIT = "not applicable"


class Trial(Schema):
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
    images: Count
    value: float | None
    floor: tuple[float, float, float] | None
    beyond: Count
    noticed: bool


class Cell(Schema):
    """One kind of defect under one measure.

    Attributes:
        measure: column of the table.
        verdict: noticed at some grade, at none, or not planted at all.
        trials: every grade from weak to strong.
        reason: why the defect was not planted.
    """

    kind: str
    measure: str
    verdict: Outcome
    trials: Many[Trial] = ()
    reason: Prose = ""

    @property
    def smallest_trial(self) -> Trial | None:
        """The smallest grade that leaves the floor."""
        return next((trial for trial in self.trials if trial.noticed), None)

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def smallest(self) -> str | None:
        """The same in words, with the part of the measure that noticed it."""
        found = self.smallest_trial
        if found is None:
            return None
        return found.amount + (f" ({found.part})" if found.part else "")

    @property
    def text(self) -> str:
        """What stands in the table."""
        return self.smallest or self.verdict.value


class Sensitivity(Document):
    """What measures notice on one set of images.

    Attributes:
        rule: when a measure notices a defect.
        cells: for every kind of defect all measures.
        splits: how often the real images were halved.
        half: fewest images in a half.
        damaged: images whose pixels were damaged.
        seed: of halves, choices and damage.
    """

    rule: str = RULE
    cells: Many[Cell]
    splits: Count
    images: Count
    groups: Count
    half: Count
    damaged: Count
    seed: int
    extractor: Features = Features()
    notes: Many[Prose] = ()

    def cell(self, kind: str, measure: str) -> Cell:
        """The cell of a row and a column; both must exist."""
        return next(c for c in self.cells if (c.kind, c.measure) == (kind, measure))

    def rows(self) -> list[list[str]]:
        """The table: a head, then a row for every kind of defect."""
        found: dict[str, dict[str, str]] = {}
        for cell in self.cells:
            found.setdefault(cell.kind, {})[cell.measure] = cell.text
        measures = list(dict.fromkeys(cell.measure for cell in self.cells))
        body = [[kind, *(row.get(name, "") for name in measures)] for kind, row in found.items()]
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

    def remarks(self) -> list[str]:
        """Sentences on what the table rests on."""
        name = self.extractor.extractor
        return [
            f"Entries are the smallest damage that was noticed: {self.rule}.",
            "Smaller damage than was tried might be noticed, too.",
            f"{self.images} real images of {self.groups} groups in {self.splits} splits into "
            f"halves of {self.half} images and more, seed {self.seed}"
            + (f", features of {name}." if name else "."),
            f"Pixels of {self.damaged} of them were damaged.",
            f"{Outcome.UNNOTICED}: none of the damage that was tried was noticed with these "
            "images; such a defect may be there all the same.",
            *self.notes,
        ]
