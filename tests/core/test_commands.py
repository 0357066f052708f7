"""Unfinished work tells whose it is; destinations named like files are refused."""

import json

import pytest

from synthograph.core.commands import TYPED, other_command

RECORDED = {TYPED: "synthograph prepare 'my in' o.zip", "prepare": "/in", "options": {"size": [8]}}


def test_the_same_command_however_it_was_typed() -> None:
    wanted = {**RECORDED, TYPED: "synthograph prepare ./in o.zip"}
    assert other_command(json.loads(json.dumps(RECORDED)), wanted) is None
    assert other_command({**RECORDED, "options": {}}, {**RECORDED, "options": {}}) is None


def test_another_command_is_named_as_it_was_typed() -> None:
    wanted = {TYPED: "synthograph prepare b o.zip", "prepare": "/b", "options": {"size": [8]}}
    assert other_command(RECORDED, wanted) == "`synthograph prepare 'my in' o.zip`"


def test_without_its_line_the_differences_are_told() -> None:
    old = {name: value for name, value in RECORDED.items() if name != TYPED}
    wanted = {**old, "prepare": "/b", "options": {"size": None}, "more": "x" * 90}
    told = other_command(old, wanted)
    assert told == (
        "prepare was /in, now /b, options.size was [8], now nothing, "
        f"more was nothing, now {'x' * 57}..."
    )
    told = other_command(RECORDED, {**RECORDED, "prepare": "/b"})
    assert told == "typed like this one, but prepare was /in, now /b"


@pytest.mark.parametrize("damaged", [None, [], "x", 3])
def test_a_record_that_is_none(damaged: object) -> None:
    assert other_command(damaged, RECORDED) == "which one cannot be read any more"
