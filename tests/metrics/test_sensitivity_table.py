"""The rule that says what is noticed."""

import pytest

from synthograph.metrics.defects import Blur
from synthograph.metrics.probes import Direction
from synthograph.metrics.sensitivity_table import Found, Verdict, judged, unfit


def found(
    damaged: list[float | None], floor: list[float | None], sigma: float = 1.0, part: str = ""
) -> Found:
    return Found(
        Blur(sigma),
        [9] * len(floor),
        [{("m", part): value} for value in damaged],
        [{("m", part): value} for value in floor],
    )


@pytest.mark.parametrize(
    ("worse", "damaged", "noticed"),
    [
        (Direction.LARGER, [5, 5, 5, 0], True),
        (Direction.LARGER, [5, 5, 0, 0], False),  # half of the splits are not most of them
        (Direction.LARGER, [4, 4, 4, 4], False),  # not beyond the most extreme
        (Direction.LARGER, [0, 0, 0, 0], False),  # better is not worse
        (Direction.SMALLER, [0, 0, 0, 5], True),
        (Direction.SMALLER, [5, 5, 5, 5], False),
        (Direction.LARGER, [5, 5, None, None], False),  # no value is not noticed
        (Direction.LARGER, [5, 5, 5, None], True),
    ],
)
def test_rule(worse: Direction, damaged: list[float | None], noticed: bool) -> None:
    (cell,) = judged([found(damaged, [1, 2, 3, 4])], {"m": worse})
    assert cell.verdict is (Verdict.NOTICED if noticed else Verdict.UNSEEN)
    assert cell.text == ("sigma 1" if noticed else "not measurable")
    assert cell.trials[0].floor == (1, 2.5, 4)


def test_the_smallest_grade_counts_and_all_are_kept() -> None:
    grades = [
        found([0, 0, 0], [1, 1, 1], 0.5),
        found([2, 2, 0], [1, 1, 1], 1.0),
        found([3, 3, 3], [1, 1, 1], 2.0),
    ]
    (cell,) = judged(grades, {"m": Direction.LARGER})
    assert cell.text == "sigma 1"
    assert [trial.beyond for trial in cell.trials] == [0, 2, 3]
    assert [trial.value for trial in cell.trials] == [0, 2, 3]


def test_the_part_that_notices_most_is_named() -> None:
    one = Found(
        Blur(1.0),
        [9, 9, 9],
        [{("m", "a"): 0.0, ("m", "b"): 5.0}, {("m", "a"): 5.0, ("m", "b"): 5.0}, {("m", "b"): 0.0}],
        [{("m", "a"): 1.0, ("m", "b"): 1.0}] * 3,
    )
    (cell,) = judged([one], {"m": Direction.LARGER})
    assert cell.text == "sigma 1 (b)"


def test_a_measure_without_any_value_is_not_measurable() -> None:
    empty = Found(Blur(1.0), [2, 2], [{}, {}], [{}, {}])
    (cell,) = judged([empty], {"m": Direction.LARGER})
    assert cell.verdict is Verdict.UNSEEN
    assert cell.trials[0].value is None
    assert cell.trials[0].floor is None


def test_kinds_that_images_cannot_have() -> None:
    cells = unfit(
        [(Blur(1.0), "why"), (Blur(2.0), "why")], {"m": Direction.LARGER, "n": Direction.LARGER}
    )
    assert [(cell.kind, cell.measure, cell.reason) for cell in cells] == [
        ("blur", "m", "why"),
        ("blur", "n", "why"),
    ]
