"""Every verb has a help of one sentence or more, and every option a meaning."""

import pytest
from typer.main import get_command

from synthograph.cli.main import app

COMMANDS = get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_verb_and_option_is_explained(name: str) -> None:
    command = COMMANDS[name]
    assert (command.help or "").strip().endswith("."), command.help
    for parameter in command.params:
        assert parameter.help, f"{name} {parameter.name}"


def test_options_are_in_order_and_called_as_ever() -> None:
    spelled = [option for parameter in COMMANDS["generate"].params for option in parameter.opts]
    assert spelled[:6] == ["--network", "--seeds", "--num", "--per-class", "--class", "--outdir"]


def test_the_help_of_an_option_with_few_words_names_them() -> None:
    shown = {p.opts[0]: p.metavar for p in COMMANDS["interpolate"].params}
    assert shown["--scale-type"] == "<pad | padside | symm | symmside>"
    assert shown["--start"] is None
