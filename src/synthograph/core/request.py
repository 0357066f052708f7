"""What a job can be asked and what it answers.

A request is declared once. Each field has its description, default and range; from them follow
the options of the command line (`cli/options.py`), the keys of `--config FILE` and the keywords of
the Python call (`workflows/__init__.py`):

    class PrepareRequest(Request):
        '''Turn image files into an archive.'''

        source: Annotated[Path, Positional()] = Field(description="folder with images")
        classes: Annotated[tuple[str, ...], Flag("--class")] = Field((), description="by name")
        features: Words = Field((), description="extractors, with commas between")
        batch: int = Field(32, ge=1, description="images at once")
        quick: bool = Field(False, description="read no images")
"""

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

import pydantic
from pydantic.fields import FieldInfo

from synthograph.core.commands import LINE
from synthograph.core.config import Config, leaves
from synthograph.core.errors import SynthographError, UserError

M = TypeVar("M")


class Flag:
    """How an option is spelled, where it is not `--` and the field's name, as `--out -o`."""

    def __init__(self, *names: str) -> None:
        self.names = names


@dataclass(frozen=True)
class Positional:
    """A field that is given by its place.

    Attributes:
        metavar: its name in the usage line, where it is not the field's in capitals.
    """

    metavar: str | None = None


def _split(given: Any) -> Any:  # noqa: ANN401 - whatever a caller gives
    """Words of texts with commas; what is no text is left to pydantic."""
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        return given
    return [word.strip() for text in texts for word in text.split(",") if word.strip()]


def _as_text(given: Any) -> Any:  # noqa: ANN401 - whatever a caller gives
    """Paths as text, also those in a list; all else as it is."""
    if isinstance(given, list | tuple):
        return [_as_text(one) for one in given]
    return os.fspath(given) if isinstance(given, os.PathLike) else given


Place = Annotated[Path, Positional()]
"""A path that is given by its place."""
Words = Annotated[tuple[str, ...], pydantic.BeforeValidator(_split)]
"""A list of words, which may also be given as texts with commas: `--metrics frechet,kernel`."""


class Request(Config):
    """What a job can be asked, frozen. Its class is called after the job: `DomainGapRequest`.

    Attributes:
        group: command that the job's verb is one of, as `classify` of `classify train`.
    """

    group: ClassVar[str] = ""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _take_paths(cls, tree: Any) -> Any:  # noqa: ANN401 - whatever is given
        """A path where text is wanted, which may name a file, such as `ARCHIVE:split`."""
        if not isinstance(tree, Mapping):
            return tree
        fields = {name: set(leaves(field.annotation)) for name, field in cls.model_fields.items()}
        texts = {name for name, kinds in fields.items() if str in kinds and Path not in kinds}
        return {name: _as_text(one) if name in texts else one for name, one in tree.items()}

    @classmethod
    def flags(cls) -> dict[str, str]:
        """Field -> what people call it: `--batch`, or `SOURCE` where it is given by its place."""
        return {name: spelled(name, field) for name, field in cls.model_fields.items()}

    @classmethod
    def positional(cls) -> list[str]:
        """Fields that are given by their place, in order."""
        return [n for n, field in cls.model_fields.items() if marked(field, Positional)]

    @classmethod
    def declared(cls) -> "type[Request]":
        """The request of the job, of which this one may be derived."""
        return next(c for c in cls.__mro__ if c.__name__.endswith("Request"))

    @classmethod
    def job(cls) -> str:
        """Name of the job: `domain_gap` for `DomainGapRequest`."""
        name = cls.declared().__name__.removesuffix("Request")
        return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).removeprefix("_")

    def place(self, name: str) -> Path:
        """A path that nothing but a dry run goes without.

        Raises:
            UserError: it was not given.
        """
        path: Path | None = getattr(self, name)
        if path is None:
            field = type(self).model_fields[name]
            raise UserError(
                f"{spelled(name, field)} is missing: {field.description}; --dry-run needs none"
            )
        return path

    def changed(self, names: Iterable[str]) -> list[str]:
        """What people call those of these fields that are not as by default, in their order."""
        fields, flags = type(self).model_fields, self.flags()
        return [flags[n] for n in names if getattr(self, n) != fields[n].default]

    def command_line(self) -> str:
        """The request as a command that can be typed, without what is as by default; that of the
        process which started this one for a part of its work.
        """
        return os.environ.get(LINE) or self.own_line()

    def own_line(self) -> str:
        """The request as a command that can be typed, whoever started this process."""
        return shlex.join(["synthograph", *self.command_words()])

    def command_words(self) -> list[str]:
        """The words of `command_line` behind the program's name."""
        verb = self.job().removeprefix(f"{self.group}_").replace("_", "-")
        words, last = [self.group, verb] if self.group else [verb], list[str]()
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if value is None or (not field.is_required() and value == field.default):
                continue
            # an empty list instead of a default that is not empty is given as an empty text
            values = (list(value) or [""]) if isinstance(value, list | tuple) else [value]
            if marked(field, Positional):
                last += map(str, values)
            elif isinstance(value, bool):
                words.append(spelled(name, field))
            else:
                words += [w for one in values for w in (spelled(name, field), str(one))]
        return [*words, *(["--"] if any(w.startswith("-") for w in last) else []), *last]


def marked(field: FieldInfo, mark: type[M]) -> M | None:
    """The mark of this kind that a field bears."""
    return next((one for one in field.metadata if isinstance(one, mark)), None)


def spelled(name: str, field: FieldInfo) -> str:
    """What people call a field of a request."""
    if (place := marked(field, Positional)) is not None:
        return place.metavar or name.upper()
    own = marked(field, Flag)
    return f"--{name.replace('_', '-')}" if own is None else own.names[0]


class Result:
    """What a job answers: facts in fields, and `lines` that say them to people.

    In a notebook the lines are what is shown of it.

    Attributes:
        refused: what the command ends with once the result is printed.
    """

    refused: UserError | None = None

    def lines(self) -> Iterable[str]:
        """The result in words."""
        raise NotImplementedError

    def json(self) -> Any:  # noqa: ANN401 - JSON data
        """The result as JSON data, of jobs whose command has `--json`."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return "\n".join(self.lines())


@contextmanager
def keeping(result: Result) -> Iterator[None]:
    """Around the last writes of a job: an error of theirs takes along what was found (`result`),
    which a command prints before it.
    """
    try:
        yield
    except SynthographError as error:
        error.result = result
        error.add_note("what was found is kept: `result` of this error")
        raise
