"""The JSON beside a page of `report`, and the verdicts in it."""

import enum
from typing import Literal

import pydantic

from synthograph.results.base import Document, Many, Schema


class Answer(enum.StrEnum):
    """What a question is answered with."""

    YES = "yes"
    NO = "no"
    INDICATIVE_YES = "indicative yes"
    INDICATIVE_NO = "indicative no"
    PARTLY = "partly"
    INDICATIVE_PARTLY = "indicative partly"
    NONE_FOUND = "none found"
    INDICATIVE_NONE = "indicative none found"
    FOUND = "found"
    NOT_SHOWN = "not shown"
    UNDECIDED = "undecided"
    WITHHELD = "withheld"
    MISSING = "not studied yet"


_GOOD = (Answer.YES, Answer.NONE_FOUND)
_BAD = (Answer.NO, Answer.PARTLY, Answer.FOUND)


class Verdict(Schema):
    """The answer to one question.

    Attributes:
        headline: the answer in a few words.
        rule: that gave it.
        reasons: what it rests on here.
        limits: what it does not say.
    """

    question: str
    answer: Answer
    headline: str
    rule: str
    reasons: Many[str] = ()
    limits: Many[str] = ()

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def tone(self) -> str:
        """How it is shown."""
        if self.answer.startswith("indicative"):
            return "hint"
        return "good" if self.answer in _GOOD else "bad" if self.answer in _BAD else "open"


class Missing(Schema):
    """What a page lacks, and the command that would add it."""

    what: str
    text: str
    command: str


class Known(Schema):
    """A sentence on an item of a checklist, and the files that it comes from."""

    text: str
    files: str = ""


class ChecklistItem(Schema):
    """An item of a checklist for manuscripts.

    Attributes:
        number: such as `12c`.
        section: of the manuscript.
        topic: in words of our own.
        known: what the files say; nothing where only the author can tell.
        author: what is left to the author beside that; empty for all of it.
    """

    number: str
    section: str
    topic: str
    known: Many[Known] = ()
    author: str = ""


class Checklist(Schema):
    """A checklist for manuscripts, filled in as far as the files know.

    Attributes:
        title: its name; `what` says what it is for.
        citation: where its words stand, which count.
        file: beside the page.
    """

    title: str
    what: str
    citation: str
    doi: str
    file: str
    items: Many[ChecklistItem]

    @property
    def known(self) -> int:
        """Items that the files say something on."""
        return sum(bool(each.known) for each in self.items)


class ReportContent(Document, extra="allow"):
    """What stands on a page; its sections are further entries.

    Attributes:
        summary: what the set is, in one paragraph.
        for_everybody: whether it leaves out what is private.
        pictures_left_out: why it lacks synthetic images, and of which runs where not of all; empty
            where it has them.
        problems: what could not be read.
        checklists: that were asked for.
    """

    kind: Literal["report"] = "report"
    title: str
    summary: str
    for_everybody: bool = pydantic.Field(default=False, alias="public")
    pictures_left_out: str = ""
    verdicts: Many[Verdict]
    missing: Many[Missing] = ()
    problems: Many[str] = ()
    checklists: Many[Checklist] = ()
