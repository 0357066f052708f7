"""Requests as options of verbs."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer
from pydantic import Field
from typer.testing import CliRunner

from synthograph.cli.options import verb
from synthograph.core.errors import UserError
from synthograph.core.request import Flag, Positional, Request


class AnyRequest(Request):
    """Tell what was asked."""

    source: Annotated[str, Positional()] = Field(description="what to read")
    size: int = Field(ge=1, description="side of squares")
    words: Annotated[tuple[str, ...], Flag("--word")] = Field((), description="some")
    kind: Literal["png", "jpeg"] = Field("png", description="of file")
    strength: float = Field(1.0, gt=0, description="of effect")
    quick: bool = Field(False, description="hurry")


def show(request: AnyRequest) -> None:
    typer.echo(f"{request}")


app = typer.Typer()
app.command()(verb(AnyRequest, show))


def typed(line: str) -> str:
    result = CliRunner().invoke(app, line.split())
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(
    ("line", "request_of_line"),
    [
        ("--size 4 here", AnyRequest(source="here", size=4)),
        (
            "here --size 4 --word a --word b --quick --kind jpeg",
            AnyRequest(source="here", size=4, words=("a", "b"), quick=True, kind="jpeg"),
        ),
    ],
)
def test_every_field_is_an_option(line: str, request_of_line: AnyRequest) -> None:
    assert typed(line) == f"{request_of_line}\n"


@pytest.mark.parametrize("line", ["here", "--size 4", "here --size 0", "here --size 4 --wrod a"])
def test_refusals_of_the_library(line: str) -> None:
    assert CliRunner().invoke(app, line.split()).exit_code == 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("here --size 4 --kind jpg", "--kind: 'jpg' is unknown: did you mean 'jpeg'"),
        ("here --size 4 --strength 0", "--strength 0: must be greater than 0"),
    ],
)
def test_refusals_of_the_request_name_the_flag(line: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        typed(line)


def test_what_is_typed_goes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("source: there\nsize: 8\nwords: [a, b]\nquick: true\n")
    wanted = AnyRequest(source="there", size=1, words=("a", "b"), quick=True)
    assert typed(f"--config {file} --size 1") == f"{wanted}\n"


@pytest.mark.parametrize(("text", "words"), [("ab", ("ab",)), ("7", ("7",)), ("", ())])
def test_a_word_in_a_file_is_a_list_of_one(
    tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    (tmp_path / "a.yaml").write_text(f"words: {text}\n")
    wanted = AnyRequest(source="here", size=4, words=words)
    assert typed(f"here --size 4 --config {tmp_path / 'a.yaml'}") == f"{wanted}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("szie: 8", "a.yaml: szie: unknown setting, did you mean 'size'"),
        ("strength: -1", "a.yaml: strength -1: must be greater than 0"),
        ("size: true", "a.yaml: size true: must be a whole number"),
        ("strength: false", "a.yaml: strength false: must be a number"),
        ("source: yes", "a.yaml: source true: must be text"),
        ("words: [a, no]", "a.yaml: words false: must be text"),
        ("words: {a: 1}", r"a.yaml: words: must be a list, such as \[a, b\]"),
    ],
)
def test_refusals_of_a_file_name_it(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UserError, match=words):
        typed(f"here --size 4 --config {tmp_path / 'a.yaml'}")


def test_help() -> None:
    text = CliRunner().invoke(app, ["--help"]).output
    for words in ("Tell what was asked.", "source", "--size", "side of squares", "--quick"):
        assert words in text
    assert "x>=1" in text
