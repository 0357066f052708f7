"""What the pages tell readers to type exists: verbs, options, functions and their keywords."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

import synthograph
from synthograph.cli.main import app
from tests.docs.test_markdown import ROOT, pages

CODE = re.compile(r"^```(\w*)\n(.*?)^```|`([^`]+)`", re.MULTILINE | re.DOTALL)
MAIN = typer.main.get_command(app)
HANDBOOK = [page for page in pages() if page.name != "CHANGELOG.md"]


def verbs(command: click.Command = MAIN, name: str = "") -> dict[str, set[str]]:
    """Words of a verb -> its options."""
    found: dict[str, set[str]] = {}
    for word, one in getattr(command, "commands", {}).items():
        full = f"{name} {word}".strip()
        found[full] = {o for each in one.params for o in (*each.opts, *each.secondary_opts)}
        found |= verbs(one, full)
    return found


VERBS = verbs()


def commands(text: str) -> Iterator[list[str]]:
    """Words of every command of a page, without the program's name."""
    for language, block, inline in CODE.findall(text):
        if language in ("python", "diff", "yaml", "mermaid"):
            continue
        for line in (block or inline).replace("\\\n", " ").splitlines():
            _, program, words = line.partition("synthograph ")
            first = line.split(" ")[0]
            if program and not line.startswith(("#", "python docs", "python bench")):
                yield words.split()
            elif inline and first in VERBS:
                yield line.split()


def unknown(words: list[str]) -> list[str]:
    """Words of a command that are no verb or option; what follows a `#` or `|` is not of it."""
    stop = next((i for i, word in enumerate(words) if word.startswith(("#", "|", ";"))), len(words))
    words = words[:stop]
    verb = next((v for v in (" ".join(words[:2]), words[0]) if v in VERBS), None)
    if verb is None:
        return [] if not words[0].isalpha() or words[0].isupper() else words[:1]
    flags = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return [flag for flag in flags if flag not in (*VERBS[verb], "--help", "-h")]


@pytest.mark.parametrize("page", HANDBOOK, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page_exist(page: Path) -> None:
    wrong = {" ".join(c): unknown(c) for c in commands(page.read_text()) if c and unknown(c)}
    assert not wrong


def test_commands_are_found_and_mistakes_too() -> None:
    text = (
        "```\nsynthograph split mine.zip --tset 1 \\\n    --val 2  # --x\n```\nor `trian --kimg 1`"
    )
    assert [unknown(words) for words in commands(text)] == [["--tset"]]
    assert unknown(["spilt", "mine.zip"]) == ["spilt"]
    assert len(list(commands((ROOT / "README.md").read_text()))) > 8


@pytest.mark.parametrize("name", ["README.md", "docs/guide.md"])
def test_calls_in_python_fit_the_functions(name: str) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / name).read_text(), re.M | re.S)
    calls = [node for block in blocks for node in ast.walk(ast.parse(block))]
    checked = 0
    for node in calls:
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name("sg" | "synthograph"), attr=job)):
                call = getattr(synthograph, job)
                keywords = {each.arg: None for each in node.keywords}
                inspect.signature(call).bind(*node.args, **keywords)
                checked += 1
    assert checked
