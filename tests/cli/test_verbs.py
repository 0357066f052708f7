"""Dataclasses as options of verbs."""

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from synthograph.cli.verbs import spelled_out


@dataclass(frozen=True, kw_only=True)
class Options:
    """Of all kinds."""

    source: Annotated[str, typer.Argument()]
    size: Annotated[int, typer.Option(min=1, help="side of squares")]
    words: Annotated[list[str] | None, typer.Option("--word")] = None
    quick: Annotated[bool, typer.Option("--quick")] = False


@spelled_out
def verb(options: Options) -> None:
    """Tell what was asked."""
    typer.echo(f"{options}")


app = typer.Typer()
app.command()(verb)


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("--size 4 here", Options(source="here", size=4)),
        (
            "here --size 4 --word a --word b --quick",
            Options(source="here", size=4, words=["a", "b"], quick=True),
        ),
    ],
)
def test_every_field_is_an_option(line: str, options: Options) -> None:
    assert CliRunner().invoke(app, line.split()).output == f"{options}\n"


@pytest.mark.parametrize("line", ["here", "--size 4", "here --size 0", "here --size 4 --wrod a"])
def test_refusals_are_those_of_the_library(line: str) -> None:
    result = CliRunner().invoke(app, line.split())
    assert result.exit_code == 2


def test_help() -> None:
    text = CliRunner().invoke(app, ["--help"]).output
    for words in ("Tell what was asked.", "source", "--size", "side of squares", "--quick"):
        assert words in text
