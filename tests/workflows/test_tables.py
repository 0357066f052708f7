"""Tables in terminals of any width."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from rich.console import Group
from rich.table import Table
from rich.text import Text

from synthograph.workflows.split import SplitResult
from synthograph.workflows.tables import table_lines

CLASSES = [f"{kind} red blood cell" for kind in "abcdefghijkl"]


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")


def plain(lines: Iterable[str]) -> list[str]:
    return [re.sub("\x1b[^m]*m", "", line) for line in lines]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("folds", [0, 5, 20])
def test_every_number_of_a_split_can_be_read(
    monkeypatch: pytest.MonkeyPatch, width: int, folds: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    names = ["train", "val", "test", *(f"fold {fold}" for fold in range(folds))]
    numbers = iter(range(10_000, 99_999))
    counts = [{name: next(numbers) for name in CLASSES} for _ in names]
    parts = [
        (name, next(numbers), next(numbers), count)
        for name, count in zip(names, counts, strict=True)
    ]
    lines = plain(SplitResult(Path("a.zip"), CLASSES, parts, grouped=True).lines())
    text = "\n".join(lines)
    assert all(len(line) <= width for line in lines) and "…" not in text
    assert all(str(number) in text for count in counts for number in count.values())
    assert all(name in text for name in (*names, *CLASSES, "images", "groups"))


def test_long_texts_are_broken_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    table = Table("name", "value", "meaning", title="settings")
    table.add_row("model.r1_gamma", "0.123456789", "weight of the penalty on the gradients " * 4)
    lines = plain(table_lines(Group(table, Text("- a sentence"))))
    text = "\n".join(lines)
    assert all(len(line) <= 50 for line in lines) and "…" not in text
    assert "model.r1_gamma" in text and "0.123456789" in text and lines[-1] == "- a sentence"


def test_a_table_that_fits_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    table = Table("name", "value")
    table.add_row("a", "1")
    assert len(list(table_lines(table))) == 5
