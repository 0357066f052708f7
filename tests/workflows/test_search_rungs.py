"""When a trial is ended early."""

import math
from pathlib import Path

import pytest

from synthograph.core.interval import Interval
from synthograph.results.evaluation import Entry
from synthograph.results.search import Rung, SearchConstraint, SearchObjective, TrialValue
from synthograph.workflows.search_rungs import beats, goes_on, misses, rungs_of, values_of
from synthograph.workflows.search_settings import SearchSettings

SMALL = SearchObjective(measure="kernel", title="kernel", smaller=True)
LARGE = SearchObjective(measure="recall", title="recall", smaller=False)


def rung(kernel: float | None, recall: float | None = None) -> Rung:
    pairs = {"kernel": kernel, "recall": recall}
    values = tuple(TrialValue(measure=name, value=value) for name, value in pairs.items())
    return Rung(kimg=1.0, values=values)


@pytest.mark.parametrize(
    ("first", "halving", "expected"),
    [(0.3, 2, [3, 6, 10]), (0.25, 2, [2.5, 5, 10]), (0.3, 1, [10]), (1, 2, [10])],
)
def test_the_first_rung_is_late(first: float, halving: int, expected: list[float]) -> None:
    settings = SearchSettings(data=Path("x"), first_rung=first, halving=halving)
    assert rungs_of(settings, 10) == pytest.approx(expected)


def test_one_in_two_goes_on() -> None:
    def going(of: int, halving: int, finalists: int) -> int:
        settings = SearchSettings(data=Path("x"), halving=halving, finalists=finalists)
        rungs = (Rung(kimg=1.0, better=better, of=of) for better in range(of + 1))
        return sum(goes_on(rung, settings) for rung in rungs)

    assert [going(of, 2, 1) for of in range(6)] == [1, 1, 2, 2, 3, 3]
    assert [going(of, 2, 3) for of in range(7)] == [1, 2, 3, 3, 3, 3, 4], "finalists at least"
    assert going(8, 3, 1) == 3 and going(8, 1, 1) == 9


def test_better_in_one_and_worse_in_none() -> None:
    assert beats(rung(1), rung(2), [SMALL]) and not beats(rung(2), rung(1), [SMALL])
    assert not beats(rung(1), rung(1), [SMALL])
    assert beats(rung(9), rung(None), [SMALL]), "what has no value is worst"
    both = [SMALL, LARGE]
    assert beats(rung(1, 0.5), rung(1, 0.4), both)
    assert not beats(rung(1, 0.4), rung(2, 0.5), both), "neither is better"
    assert beats(rung(9), rung(1), [SMALL], (True, False)), "constraints go before"


def test_constraints_by_number_and_by_the_preset() -> None:
    fixed, own = (SearchConstraint(measure="recall", at_least=each) for each in (0.3, None))
    value = TrialValue(measure="recall", value=0.2, interval=Interval(0.1, 0.35))
    preset = [TrialValue(measure="recall", value=0.3)]
    assert misses([value], [fixed])["recall"] == pytest.approx(0.1)
    assert misses([value], [own], preset)["recall"] == pytest.approx(-0.05), "within noise"
    assert misses([value], [own]) == {}, "nobody knows what the preset reaches"
    assert misses([], [fixed]) == {"recall": math.inf}
    spread = TrialValue(measure="recall", value=0.1, spread=0.05)
    assert misses([spread], [own], preset)["recall"] == pytest.approx(0.1)


def test_mean_and_spread_over_seeds() -> None:
    runs = [{"kernel": Entry(name="kernel", value=v)} for v in (1.0, 2.0, 4.0)]
    (found,) = values_of(["kernel"], runs)
    assert found.value == pytest.approx(7 / 3) and found.spread == pytest.approx(1.5275252)
    (lacking,) = values_of(["recall"], runs)
    assert lacking.value is None
    ends = Interval(0.5, 1.5)
    (one,) = values_of(["kernel"], [{"kernel": Entry(name="kernel", value=1.0, interval=ends)}])
    assert (one.value, one.spread, one.interval) == (1.0, None, ends)
