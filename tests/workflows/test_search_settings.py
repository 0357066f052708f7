"""What a search file may hold, and how it is refused."""

from pathlib import Path

import pytest

from synthograph.core.errors import UserError
from synthograph.workflows.search_requests import SearchRequest
from synthograph.workflows.search_settings import Searched, SearchSettings, read_search


def test_a_file_names_its_search_and_its_paths(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("data: cells.zip\nspace: {a.b: [1, 2], c: {low: 1, high: 4, log: true}}\n")
    settings = read_search(path, {"trials": 3})
    assert settings.name == "mine" and settings.trials == 3
    assert settings.data == (tmp_path / "cells.zip").resolve()
    assert isinstance(settings.space, dict) and settings.space["a.b"] == Searched(choices=[1, 2])
    assert settings.measures == ["kernel", "recall"]
    typed = read_search(path, {"space": "published"})
    assert typed.space == "published", "what is typed goes before the file"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("space: {a: {low: 3, high: 2}}", "space.a': low must be below high, got 3 and 2"),
        ("space: {a: {low: 0, high: 2, log: true}}", "needs values above 0"),
        ("space: {a: {times: [0, 2]}}", "needs values above 0"),
        ("space: {a: {low: 1}}", "a range needs both low and high"),
        ("space: {a: {choices: [1], low: 1, high: 2}}", "give one of low and high, times, or"),
        ("space: {a: [1, 1]}", "one is named twice"),
        ("space: {a: {low: 1, high: 2, log: true, step: 1}}", "step needs low and high"),
        ("space: {a: 3}", "must be a range {low: 1, high: 2} or a list of values, got 3"),
        ("space: {a: {lo: 3}}", "did you mean 'low'"),
        ("space: {}", "names nothing to search"),
        ("objectives: [kernel, kernel]", "one is named twice"),
        ("constraints: {kernel: 1}", "kernel is an objective already"),
        ("trails: 3", "did you mean 'trials'"),
        ("trials: 0", "must be at least 1, got 0"),
    ],
)
def test_a_file_that_breaks_a_rule(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(f"data: x.zip\n{text}\n")
    with pytest.raises(UserError) as caught:
        read_search(path, {})
    assert said in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "objectives: [recall]"])
def test_the_default_constraint_is_none_where_it_is_an_objective(text: str, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(f"data: x.zip\n{text}\n")
    typed = {} if text else {"objectives": ["kernel", "recall"]}
    settings = read_search(path, typed)
    assert settings.constraints == {} and settings.measures == settings.objectives


def test_images_are_needed() -> None:
    with pytest.raises(UserError, match="which images"):
        read_search(None, {})


def test_what_is_typed_is_told_from_what_is_not() -> None:
    asked = SearchRequest.parse({"data": "x.zip", "trials": 0, "settings": ["a=1"], "seed": 0})
    assert asked.typed() == {
        "data": "x.zip", "trials": 0, "settings": ["a=1"], "seed": 0,
    }  # fmt: skip
    words = SearchRequest.parse({"data": "x.zip", "objectives": "kernel,recall", "preset": "tiny"})
    line = "search --data x.zip --cfg tiny --objective kernel --objective recall"
    assert words.command_words() == line.split()


def test_budgets_may_change_on_the_way() -> None:
    one = SearchSettings(data=Path("/a/x.zip"), trials=3)
    other = SearchSettings(data=Path("/b/x.zip"), trials=30, hours=2)
    assert one.frozen() == other.frozen()
    assert one.frozen() != SearchSettings(data=Path("/a/x.zip"), kimg=3).frozen()


def test_a_password_is_in_no_command_that_is_written_down() -> None:
    url = "postgresql://ann:s3cret@host/db"
    asked = SearchRequest.parse({"data": "cells.zip", "storage": url})
    (warning,), line = asked.warnings(), asked.command_line()
    assert "SYNTHOGRAPH_STORAGE" in warning and "s3cret" not in warning
    assert "--storage" in line and "host/db" in line and "s3cret" not in line
