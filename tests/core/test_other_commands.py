"""Unfinished work tells whose it is; destinations named like files are refused."""

import json
from pathlib import Path

import pytest

from synthograph.core.errors import UserError
from synthograph.core.untrusted.containers import (
    TYPED,
    command_line,
    other_command,
    refuse_other_kinds,
)

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


def test_the_line_can_be_typed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["x", "generate", "--outdir", "a b"])
    assert command_line() == "synthograph generate --outdir 'a b'"


def test_destinations(tmp_path: Path) -> None:
    for name in ("x.zip", "x", "x.v2", "Bilder ö"):
        refuse_other_kinds(tmp_path / name, "DEST")
    with pytest.raises(UserError, match=r"DEST .*x\.tar: .* name it x\.zip, or x for a folder"):
        refuse_other_kinds(tmp_path / "x.tar", "DEST")
