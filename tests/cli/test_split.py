"""`synthograph split` as it is typed."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import synthograph
from synthograph.archive.reader import open_archive
from synthograph.cli import main
from tests.conftest import make_archive

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)

    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["synthograph", "split", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main.run()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out + printed.err

    return call


def test_split_prints_the_parts_and_refuses_to_do_it_twice(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "skin.zip"
    synthograph.phantom("skin", path, count=80, size=16)
    code, text = run(path, "--folds", 2)
    assert code == 0
    rows = open_archive(path).rows
    lines = [line.replace("┃", " ").replace("│", " ").split() for line in text.splitlines()]
    counts = [str(sum(row.split == part for row in rows)) for part in ("train", "val", "test")]
    header = next(line for line in lines if line[:3] == ["train", "val", "test"])
    assert header[3:] == ["fold", "0", "fold", "1"]
    assert next(line for line in lines if line[:1] == ["images"])[1:4] == counts
    assert any(line[:1] == ["melanoma"] for line in lines)
    code, text = run(path)
    assert code == 2 and "add --force" in text
    assert run(path, "--force", "--seed", 3)[0] == 0
    assert open_archive(path).rows != rows


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--test", "0.5", "--val", "0.5"], "leave nothing to train on"),
        (["--test", "2"], "--test 2: must be less than 1"),
        (["--folds", "1"], "--folds 1: must be at least 2"),
        (["--folds", "90"], "groups cannot be cut into 90 parts"),
    ],
)
def test_refusals(run: Run, tmp_path: Path, arguments: list[str], words: str) -> None:
    path = tmp_path / "skin.zip"
    synthograph.phantom("skin", path, count=40, size=16)
    before = path.read_bytes()
    code, text = run(path, *arguments)
    assert code == 2 and words in text and path.read_bytes() == before


def test_class_names_are_printed_as_they_are(run: Run, tmp_path: Path) -> None:
    classes = ("knee [left]", "[b]knee", ":heart:")
    path = make_archive(tmp_path / "knees.zip", count=60, size=(8, 8), classes=classes)
    code, text = run(path)
    assert code == 0 and all(name in text for name in classes)


def test_what_is_no_archive(run: Run, tmp_path: Path) -> None:
    code, text = run(tmp_path / "missing.zip")
    assert code == 2 and "missing.zip" in text
