"""Values: their JSON form, and what they refuse."""

import json

import pytest

from synthograph.core.errors import UserError
from synthograph.core.interval import Interval
from synthograph.metrics.result import Value

VALUE = Value(
    "recall", 0.5, Interval(0.4, 0.6), 100, 200, 20, ("a note",), {"hits": 50}, (1.0, 2.5)
)


def test_json_and_back() -> None:
    assert Value.from_json(json.loads(json.dumps(VALUE.json(), allow_nan=False))) == VALUE
    missing = Value("recall", None, notes=("too few",))
    assert Value.from_json(json.loads(json.dumps(missing.json()))) == missing


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite_are_refused(number: float) -> None:
    with pytest.raises(UserError, match="finite"):
        Value("recall", number)
    with pytest.raises(UserError, match="finite"):
        Interval(0.0, number)
    with pytest.raises(UserError, match="finite"):
        Value("spectrum", 1.0, curve=(0.0, number))
    with pytest.raises(UserError, match="finite"):
        Value.from_json({**VALUE.json(), "value": number})


def test_a_missing_value_needs_a_reason_and_has_no_interval() -> None:
    with pytest.raises(UserError, match="why"):
        Value("recall", None)
    with pytest.raises(UserError, match="without a value"):
        Value("recall", None, Interval(0, 1), notes=("why",))
    with pytest.raises(UserError, match="swapped"):
        Interval(1.0, 0.0)


def test_a_broken_entry_is_refused() -> None:
    broken = VALUE.json()
    del broken["n_real"]
    with pytest.raises(UserError, match="n_real"):
        Value.from_json(broken)


def test_notes_are_added_at_the_end() -> None:
    assert VALUE.noted("another").notes == ("a note", "another")
