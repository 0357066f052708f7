"""Checklists for manuscripts, filled in as far as the files know. The lists are data, one file
`templates/NAME.toml` each; what fills their items stands in `facts.py`.
"""

import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import pydantic

from synthograph.core.config import Config
from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.report.facts import FACTS
from synthograph.report.gather import Inputs
from synthograph.report.words import listed
from synthograph.results.report import Checklist, ChecklistItem, Known

ENDING = ".toml"
_FOLDER = resources.files("synthograph.report").joinpath("templates")


class Item(Config):
    """An item: its number, what it is about in words of our own, which of `FACTS` fill it, and what
    is left to the author where they do.
    """

    number: str
    topic: str
    facts: tuple[str, ...] = ()
    author: str = ""

    @pydantic.field_validator("facts")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in FACTS:
                raise ValueError(f"{name!r} is none of the facts: {nearest(name, list(FACTS))}")
        return names


class Section(Config):
    """Items under one heading of a manuscript."""

    name: str
    items: tuple[Item, ...]


class ChecklistForm(Config):
    """A checklist before it is filled in, and where its words stand, which count."""

    title: str
    what: str
    citation: str
    doi: str
    sections: tuple[Section, ...]


def checklist_names() -> list[str]:
    """All checklists that are known."""
    names = (file.name for file in _FOLDER.iterdir())
    return sorted(name.removesuffix(ENDING) for name in names if name.endswith(ENDING))


def load_checklist(name: str) -> ChecklistForm:
    """A checklist by its name.

    Raises:
        UserError: there is none of this name.
    """
    if name not in checklist_names():
        raise UserError(
            f"--checklist {name}: is no checklist that is known; {nearest(name, checklist_names())}"
        )
    text = _FOLDER.joinpath(name + ENDING).read_text(encoding="utf-8")
    return ChecklistForm.parse(tomllib.loads(text))


def beside(page: Path, name: str) -> Path:
    """Where a checklist goes."""
    return page.with_stem(f"{page.stem}-{name}")


def fill(form: ChecklistForm, inputs: Inputs, file: str = "") -> Checklist:
    """The checklist with what the files know, to be written to `file`; for everybody of the public
    form of the inputs.
    """
    found = {
        name: tuple(known for fact in facts for known in fact(inputs))
        for name, facts in FACTS.items()
    }
    return Checklist(
        title=form.title,
        what=form.what,
        citation=form.citation,
        doi=form.doi,
        file=file,
        items=tuple(
            _filled(item, section.name, [each for name in item.facts for each in found[name]])
            for section in form.sections
            for item in section.items
        ),
    )


def _filled(item: Item, section: str, known: Sequence[Known]) -> ChecklistItem:
    """An item, a sentence once with all its files; without any all is left to the author."""
    files: dict[str, list[str]] = {}
    for each in known:
        files.setdefault(each.text, []).append(each.files)
    return ChecklistItem(
        number=item.number,
        section=section,
        topic=item.topic,
        known=tuple(Known(text=t, files=listed([*filter(None, of)])) for t, of in files.items()),
        author=item.author if known else "",
    )
