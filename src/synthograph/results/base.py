"""What all schemas share: frozen models that read files of others with bounds, refuse them in one
line, and know which of their fields are private.
"""

import enum
import json
import re
import shlex
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar, get_args, get_origin

import pydantic

from synthograph.core.errors import UserError
from synthograph.core.files import write_json
from synthograph.core.interval import Interval
from synthograph.core.untrusted.documents import parse_json, read_text

SCHEMA_VERSION = 1
MAX_JSON_BYTES = 32 << 20
MAX_LINES_BYTES = 256 << 20
MAX_ITEMS = 100_000
"""Entries of a list."""
MAX_COUNT = 2**53
WAY_OUT = "write the file anew with the command that made it"
UNREADABLE = "(a command that cannot be read)"
WITHHELD = "(left out: it may name files or groups)"

T = TypeVar("T")


class Absence(enum.Enum):
    """When a key is left out of the file; one without a mark always stands there."""

    UNGIVEN = "where nothing was given for it"
    EMPTY = "where its value is empty"


class Privacy(enum.Enum):
    """What becomes of a field in `Schema.public`; one without a mark is a name, of which a path
    keeps its last part.
    """

    PRIVATE = "takes its default: folders, groups, files of real images"
    PATH = "a file, perhaps with its folders; keeps its last part"
    COMMAND = "a command; keeps names in place of paths"
    PROSE = "a sentence; loses its `EXAMPLES`, and is withheld where it names a path all the same"


IfGiven = Annotated[T, Absence.UNGIVEN]
UnlessEmpty = Annotated[T, Absence.EMPTY]
Private = Privacy.PRIVATE
FileName = Annotated[str, Privacy.PATH]
Command = Annotated[str, Privacy.COMMAND]
Prose = Annotated[str, Privacy.PROSE]
Count = Annotated[int, pydantic.Field(ge=0, le=MAX_COUNT)]
Kimg = Count | Annotated[float, pydantic.Field(ge=0, le=MAX_COUNT)]
"""Thousands of images; whole, unless that does not tell the snapshots of a run apart."""
Share = Annotated[float, pydantic.Field(ge=0, le=1)]
Many = Annotated[tuple[T, ...], pydantic.Field(max_length=MAX_ITEMS)]
Tree = dict[str, Any]
"""An object of JSON."""
Plain = pydantic.JsonValue
"""Plain data of no fixed form, such as what an extractor says of its preprocessing."""


def _ends(value: object) -> Interval:
    if isinstance(value, Interval):
        return value
    numbers = value if isinstance(value, list | tuple) else []
    if not 2 <= len(numbers) <= 3 or not {*map(type, numbers)} <= {int, float}:
        raise ValueError(f"is {kind_of(value)}, expected a lower and an upper end, and the level")
    _ordered(numbers)
    return Interval(*map(float, numbers))


def _ordered(ends: Sequence[float]) -> Sequence[float]:
    if ends[0] > ends[1]:
        raise ValueError(f"is {list(ends)}, expected a lower and an upper end")
    return ends


Ends = Annotated[
    Interval,
    pydantic.PlainValidator(_ends),
    pydantic.PlainSerializer(lambda ends: [ends.low, ends.high, ends.level]),
]
"""An interval, in files a list of low end, high end and level."""
Range = Annotated[tuple[float, float], pydantic.AfterValidator(_ordered)]
"""Low and high end, where the level stands elsewhere."""


if TYPE_CHECKING:
    _Model = pydantic.BaseModel
else:

    class _Construct(type(pydantic.BaseModel)):
        """Lets a value that breaks a rule of its schema be our kind of error."""

        def __call__(cls, **values: Any) -> Any:  # noqa: ANN401
            try:
                return super().__call__(**values)
            except pydantic.ValidationError as error:
                raise UserError(explain(error, cls.__name__)) from None

    class _Model(pydantic.BaseModel, metaclass=_Construct):
        pass


class Schema(_Model):
    """A part of a file. Unknown keys are left alone; wrong types and numbers that are not finite
    are refused.
    """

    model_config = pydantic.ConfigDict(
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        populate_by_name=True,
        serialize_by_alias=True,
    )

    @pydantic.model_serializer(mode="wrap")
    def _tree(self, inner: pydantic.SerializerFunctionWrapHandler) -> Tree:
        tree: Tree = inner(self)
        for name, field in type(self).model_fields.items():
            ungiven = Absence.UNGIVEN in field.metadata and name not in self.model_fields_set
            if ungiven or (Absence.EMPTY in field.metadata and not getattr(self, name)):
                tree.pop(name, None)  # which `include` may have left out
        return tree

    def tree(self) -> Tree:
        """Plain data, as it stands in the file."""
        return self.model_dump(mode="json")

    @classmethod
    def parse(cls, tree: object, where: str) -> Self:
        """From plain data.

        Args:
            tree: as read from JSON.
            where: file, and place in it, for messages.

        Raises:
            UserError: an entry is missing or of another type than it should be.
        """
        try:
            return cls.model_validate_json(json.dumps(tree))
        except pydantic.ValidationError as error:
            raise UserError(f"{where}: {explain(error)}; {WAY_OUT}") from None

    def replace(self, **changes: Any) -> Self:  # noqa: ANN401
        """The same with other values of some fields."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self)(**{**given, **(self.model_extra or {}), **changes})

    def public(self) -> Self:
        """The same without what is private."""
        fields = type(self).model_fields
        values = {
            name: public_form(getattr(self, name), fields[name].annotation, fields[name])
            for name in self.model_fields_set
            if name in fields
        }
        more = {name: public_form(value) for name, value in (self.model_extra or {}).items()}
        return self.model_construct(**values, **more)


class Document(Schema):
    """A whole file."""

    schema_version: int = SCHEMA_VERSION
    format: int = SCHEMA_VERSION
    """The same for readers from before the schema had its name."""

    @pydantic.model_validator(mode="after")
    def _known(self) -> Self:
        newest = max(self.schema_version, self.format)
        if newest > SCHEMA_VERSION:
            raise ValueError(
                f"schema_version is {newest}, a newer synthograph wrote it; {SCHEMA_VERSION} is "
                "what can be read here"
            )
        return self

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a file.

        Raises:
            UserError: too large, not JSON, or an entry is missing or of another type.
        """
        path = Path(path)
        return cls.parse(read_tree(path), path.name)

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        write_json(path, self.tree())


# --- public form ----------------------------------------------------------------------------------

SEPARATORS = re.compile(r"[/\\]")
ARCHIVE = re.compile(r".+\.zip(:.*)?", re.IGNORECASE)
_ROOTED = re.compile(r"[^\w/\\~.]*(?:~|\.{1,2}|[A-Za-z]:)?[/\\]\S|file:", re.ASCII)
_FILE = re.compile(r".*[/\\].*\.[A-Za-z]\w*(?:[:\W].*)?")
_HARMLESS = re.compile(r"\W*(?:\d{4,}|\w{1,3})(?:/(?:\d{4,}|\w{1,3}))+\W*|/")
"""Words of sentences that are no paths, such as 3/8 and N/A."""
LEFT_OUT = {
    "--outdir": "(folder)",
    **dict.fromkeys(("--tracking-uri", "tracking.uri"), "(server)"),
    **dict.fromkeys(("--experiment", "tracking.experiment"), "(experiment)"),
    **dict.fromkeys(("--tracking-parent", "tracking.parent"), "(run)"),
}
"""Options and settings of which nobody needs the value, which may name a person or a place -> what
stands in its place.
"""
FOLDER = LEFT_OUT["--outdir"]
EXAMPLES = ", such as "
"""What a sentence names after these words are groups and files, to its end."""
_NAMING = re.compile(r"(?:such as|not) (?:['\"]|\S+\.png)")
"""How older sentences name them."""


def is_path(word: str) -> bool:
    """Whether a name is a path: it begins at a root, or ends in a file."""
    return bool(SEPARATORS.search(word) and (_ROOTED.match(word) or _FILE.fullmatch(word)))


def short_name(path: str) -> str:
    """The last part of a path; from the archive on where a class of it is named."""
    parts = [part for part in SEPARATORS.split(path) if part]
    if len(parts) < 2:
        return parts[0] if parts else path
    archive = next((i for i, part in enumerate(parts) if ARCHIVE.fullmatch(part)), len(parts) - 1)
    return "/".join(parts[archive:])


def public_name(text: str) -> str:
    """A name, without the folders of a path."""
    return short_name(text) if any(map(is_path, (text, *text.split()))) else text


def public_prose(text: str) -> str:
    """A sentence without its examples, or that it was left out."""
    said = text.partition(EXAMPLES)[0]
    words = (word for word in said.split() if SEPARATORS.search(word))
    paths = any(not _HARMLESS.fullmatch(word) for word in words)
    return WITHHELD if paths or _NAMING.search(said) else said


def public_command(line: str) -> str:
    """A command with names in place of paths; backslashes are separators. A folder for results, and
    where and by whom a run was followed, are left out.
    """
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.escape, lexer.commenters = True, "", ""
    try:
        words = list(lexer)
    except ValueError:
        return UNREADABLE
    found: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        option, equals, value = word.rpartition("=")
        name = word.partition("=")[0]
        if before in LEFT_OUT:
            found.append(LEFT_OUT[before])
        elif equals and name in LEFT_OUT:
            found.append(f"{name}={LEFT_OUT[name]}")
        else:
            shown = FOLDER if SEPARATORS.search(value[-1:]) else short_name(value)
            found.append(f"{option}{equals}{shown}")
    return shlex.join(found)


_PUBLIC = {Privacy.PATH: short_name, Privacy.COMMAND: public_command, Privacy.PROSE: public_prose}


def public_form(value: Any, kind: Any = None, field: Any = None) -> Any:  # noqa: ANN401
    """The public form of a value.

    Args:
        value: of a field, or a part of it.
        kind: its annotation.
        field: pydantic's record of the field, for a mark on the whole of it.
    """
    if field is not None and Private in field.metadata:
        return field.get_default(call_default_factory=True)
    marks = () if field is None else field.metadata
    if get_origin(kind) is Annotated:
        kind, *more = get_args(kind)
        marks = (*marks, *more)
    if isinstance(value, Schema):
        return value.public()
    if isinstance(value, enum.Enum):
        return value
    if isinstance(value, str):
        marks = (*marks, *_optional_marks(kind))
        say = next((_PUBLIC[mark] for mark in marks if mark in _PUBLIC), public_name)
        return say(value)
    inner = [each for each in get_args(kind) if each not in (type(None), ...)]
    if len(inner) == 1 and isinstance(value, tuple | list) and not _holds_items(kind):
        return public_form(value, inner[0])  # None or a list
    if isinstance(value, Mapping):
        kinds = inner if len(inner) == 2 else (None, None)
        return {public_form(k, kinds[0]): public_form(v, kinds[1]) for k, v in value.items()}
    if isinstance(value, tuple | list):
        of = inner[0] if inner else None
        return type(value)(public_form(each, of) for each in value)
    return value


def _optional_marks(kind: object) -> Iterator[object]:
    """Marks of a text that may be None: they stand inside of the union."""
    for each in get_args(kind):
        if get_origin(each) is Annotated:
            yield from get_args(each)[1:]


def _holds_items(kind: object) -> bool:
    return get_origin(kind) in (tuple, list)


# --- reading --------------------------------------------------------------------------------------


def kind_of(value: object) -> str:
    """What a value of JSON is, in words."""
    names = {bool: "true or false", str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value), "nothing" if value is None else "a number")


_EXPECTED = {
    "string": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "tuple": "a list",
    "dict": "an object",
    "model": "an object",
}


def explain(error: pydantic.ValidationError, root: str = "") -> str:
    """What is wrong, in one line: place, value and rule. Missing entries come last, since one of
    another type says more.
    """
    problems = error.errors(include_url=False)
    first = next((each for each in problems if each["type"] != "missing"), problems[0])
    place = root
    for part in first["loc"]:
        if isinstance(part, int):
            place += f"[{part}]"
        elif not part.startswith("<"):  # which form of a line it is
            place += f".{part}" if place else part
    return f"{place} {_rule(first)}".strip()


def _rule(problem: Any) -> str:  # noqa: ANN401
    given, kind, context = problem["input"], problem["type"], problem.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return str(context["error"])
    if kind in ("enum", "literal_error"):
        known = ", ".join(re.findall(r"'([^']*)'", context["expected"]))
        return f"{given!r:.80} is none of {known or context['expected']}"
    if kind == "finite_number":
        return "is not a finite number"
    if "ge" in context:
        return f"is {given}, expected a whole number, 0 or more"
    if "le" in context:
        return f"is {given}, expected at most {context['le']}"
    if kind == "too_long":
        return f"has more than {context['max_length']} entries, which are not read"
    words = _EXPECTED.get(kind.partition("_")[0])
    return f"is {kind_of(given)}, expected {words}" if words else str(problem["msg"])


def refuse_large(path: Path, most: int) -> None:
    """Stop before a file is read that is larger than anything of its kind.

    Raises:
        UserError: it is, or it is no file.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{path}: is no file; give a run directory, an archive or a JSON file")
    if status.st_size > most:
        raise UserError(
            f"{path}: {status.st_size >> 20} MiB; a file of its kind has at most {most >> 20} MiB"
        )


def read_tree(path: Path) -> Tree:
    """A JSON file that holds an object.

    Raises:
        UserError: too large, not JSON, or no object.
    """
    refuse_large(path, MAX_JSON_BYTES)
    return _object(parse_json(read_text(path, "give a JSON file"), str(path)), str(path))


def _object(tree: object, where: str) -> Tree:
    if not isinstance(tree, dict):
        raise UserError(f"{where}: holds {kind_of(tree)}, expected an object")
    return tree


def read_lines(path: Path, parse: Callable[[object, str], T]) -> tuple[list[T], list[str]]:
    """The objects of a file with one JSON object a line, and what is wrong with other lines.

    Args:
        path: the file.
        parse: makes the object of plain data and its place, such as `Statistics.parse`.

    Raises:
        UserError: the file is too large or no text.
    """
    refuse_large(path, MAX_LINES_BYTES)
    found, broken = [], []
    text = read_text(path, "it holds a JSON object in every line")
    for number, line in enumerate(text.split("\n"), start=1):
        where = f"{path.name}, line {number}"
        if not line.strip():
            continue
        try:
            if len(line) > MAX_JSON_BYTES:  # as much as a file of the same may have
                raise UserError(f"{where}: is {len(line)} characters long")
            found.append(parse(_object(parse_json(line, where), where), where))
        except UserError as error:
            broken.append(str(error))
    return found, broken


def lines_of(results: Iterable[Schema]) -> str:
    """Text for a file with one JSON object a line."""
    return "".join(json.dumps(each.tree(), allow_nan=False) + "\n" for each in results)
