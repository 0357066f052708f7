"""The rule that says what is noticed."""

import pytest

from synthograph.metrics.defects import blur
from synthograph.metrics.sensitivity_table import DefectNumbers, cells_of, unfit
from synthograph.results.measures import Direction
from synthograph.results.sensitivity import Outcome


def found(
    damaged: list[float | None], floor: list[float | None], sigma: float = 1.0, part: str = ""
) -> DefectNumbers:
    return DefectNumbers(
        blur(sigma),
        [9] * len(floor),
        [{("m", part): value} for value in damaged],
        [{("m", part): value} for value in floor],
    )


@pytest.mark.parametrize(
    ("better", "damaged", "noticed"),
    [
        (Direction.LOW, [5, 5, 5, 0], True),
        (Direction.LOW, [5, 5, 0, 0], False),  # half of the splits are not most of them
        (Direction.LOW, [4, 4, 4, 4], False),  # not beyond the most extreme
        (Direction.LOW, [0, 0, 0, 0], False),  # better is not worse
        (Direction.HIGH, [0, 0, 0, 5], True),
        (Direction.HIGH, [5, 5, 5, 5], False),
        (Direction.LOW, [5, 5, None, None], False),  # no value is not noticed
        (Direction.LOW, [5, 5, 5, None], True),
    ],
)
def test_rule(better: Direction, damaged: list[float | None], noticed: bool) -> None:
    (cell,) = cells_of([found(damaged, [1, 2, 3, 4])], {"m": better})
    assert cell.verdict is (Outcome.NOTICED if noticed else Outcome.UNNOTICED)
    assert cell.text == ("sigma 1" if noticed else "not measurable")
    assert cell.trials[0].floor == (1, 2.5, 4)


def test_the_smallest_grade_counts_and_all_are_kept() -> None:
    grades = [
        found([0, 0, 0], [1, 1, 1], 0.5),
        found([2, 2, 0], [1, 1, 1], 1.0),
        found([3, 3, 3], [1, 1, 1], 2.0),
    ]
    (cell,) = cells_of(grades, {"m": Direction.LOW})
    assert cell.text == "sigma 1"
    assert [trial.beyond for trial in cell.trials] == [0, 2, 3]
    assert [trial.value for trial in cell.trials] == [0, 2, 3]


def test_the_part_that_notices_most_is_named() -> None:
    one = DefectNumbers(
        blur(1.0),
        [9, 9, 9],
        [{("m", "a"): 0.0, ("m", "b"): 5.0}, {("m", "a"): 5.0, ("m", "b"): 5.0}, {("m", "b"): 0.0}],
        [{("m", "a"): 1.0, ("m", "b"): 1.0}] * 3,
    )
    (cell,) = cells_of([one], {"m": Direction.LOW})
    assert cell.text == "sigma 1 (b)"


def test_a_measure_without_any_value_is_not_measurable() -> None:
    empty = DefectNumbers(blur(1.0), [2, 2], [{}, {}], [{}, {}])
    (cell,) = cells_of([empty], {"m": Direction.LOW})
    assert cell.verdict is Outcome.UNNOTICED
    assert cell.trials[0].value is None
    assert cell.trials[0].floor is None


def test_kinds_that_images_cannot_have() -> None:
    cells = unfit(
        [(blur(1.0), "why"), (blur(2.0), "why")], {"m": Direction.LOW, "n": Direction.LOW}
    )
    assert [(cell.kind, cell.measure, cell.reason) for cell in cells] == [
        ("blur", "m", "why"),
        ("blur", "n", "why"),
    ]
