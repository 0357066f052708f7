"""Requests and what follows from their fields."""

import shlex
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from synthograph.core.errors import DiskFullError, UserError
from synthograph.core.request import Flag, Positional, Request, Result, Words, keeping


class TwoWordsRequest(Request):
    """Of all kinds."""

    source: Annotated[Path, Positional("FOLDER")] = Field(description="what to read")
    out: Annotated[Path | None, Flag("--output", "-o")] = Field(None, description="what to write")
    batch_gpu: int = Field(4, ge=1, description="at once")
    real: str | None = Field(None, description="archive, or ARCHIVE:split")
    names: Annotated[tuple[str, ...], Flag("--name")] = Field((), description="one by one")
    measures: Words = Field(("a", "b"), description="with commas")
    quick: bool = Field(False, description="hurry")


def test_names() -> None:
    assert TwoWordsRequest.job() == "two_words"
    assert TwoWordsRequest.positional() == ["source"]
    assert TwoWordsRequest.flags() == {
        "source": "FOLDER",
        "out": "--output",
        "batch_gpu": "--batch-gpu",
        "real": "--real",
        "names": "--name",
        "measures": "--measures",
        "quick": "--quick",
    }


def test_a_derived_request_is_of_the_same_job() -> None:
    class MoreOptions(TwoWordsRequest):
        """With an option of the command line alone."""

        as_json: bool = False

    assert MoreOptions.job() == "two_words"


@pytest.mark.parametrize(
    ("given", "words"),
    [("a, b,,c", ("a", "b", "c")), (["a", "b,c"], ("a", "b", "c")), ((), ()), ("", ())],
)
def test_words(given: object, words: tuple[str, ...]) -> None:
    assert TwoWordsRequest.parse({"source": "x", "measures": given}).measures == words


def test_a_path_is_taken_where_text_may_name_a_file(tmp_path: Path) -> None:
    file, other = tmp_path / "a.zip", tmp_path / "b.zip"
    given = {"real": file, "names": [file, "c"], "measures": (other, "d,e"), "out": other}
    request = TwoWordsRequest.parse({"source": file, **given})
    assert request.real == str(file) and request.names == (str(file), "c")
    assert request.measures == (str(other), "d", "e")
    assert (request.source, request.out) == (file, other)
    assert TwoWordsRequest(source=file, measures=other).measures == (str(other),)
    with pytest.raises(UserError, match="setting 'batch_gpu': must be a whole number"):
        TwoWordsRequest.parse({"source": file, "batch_gpu": file})


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"source": "x", "quikc": True}, "unknown setting 'quikc': did you mean 'quick'"),
        ({"source": "x", "batch_gpu": 0}, "setting 'batch_gpu': must be at least 1, got 0"),
        ({"source": "x", "measures": 4}, "setting 'measures': must be"),
        ({}, "setting 'source': must be given"),
    ],
)
def test_refusals(tree: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        TwoWordsRequest.parse(tree)


@pytest.mark.parametrize(
    ("tree", "line"),
    [
        ({"source": "a b"}, "synthograph two-words 'a b'"),
        (
            {"source": "-x", "names": ["a", "b"], "quick": True, "batch_gpu": 2, "out": "y"},
            "synthograph two-words --output y --batch-gpu 2 --name a --name b --quick -- -x",
        ),
    ],
)
def test_command_lines(tree: dict, line: str) -> None:
    request = TwoWordsRequest.parse(tree)
    assert request.command_line() == line
    assert request.command_words() == shlex.split(line)[1:]


def test_a_verb_of_a_group_is_typed_as_two_words() -> None:
    class GroupedTryRequest(Request):
        """Try."""

        group = "grouped"
        quick: bool = Field(False, description="read nothing")

    assert GroupedTryRequest(quick=True).command_line() == "synthograph grouped try --quick"


class Found(Result):
    def lines(self) -> list[str]:
        return ["found"]


def test_an_error_of_the_last_write_takes_along_what_was_found() -> None:
    with pytest.raises(DiskFullError) as raised, keeping(Found()):
        raise DiskFullError("no space left")
    assert isinstance(raised.value.result, Found)
    assert UserError("another").result is None
