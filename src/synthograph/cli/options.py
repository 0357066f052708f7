"""Options of a verb, derived from the fields of its request.

    app.command()(verb(SplitRequest, lambda asked: show(run(asked, progress=Conversation()))))

Name, help, range and default of an option are those of the field (see `core/request.py`). Every
verb also takes `--config FILE`, a YAML or JSON file of the request; what is typed goes before it.
"""

import enum
import inspect
import json
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import pydantic
import typer
from pydantic.fields import FieldInfo

from synthograph.core.config import calling, choices, read_tree, refuse_truth
from synthograph.core.console import say
from synthograph.core.errors import SynthographError, UserError
from synthograph.core.names import nearest
from synthograph.core.progress import Conversation
from synthograph.core.request import Flag, Positional, Request, Result, marked, spelled
from synthograph.workflows import run

R = TypeVar("R", bound=Request)
_CONTEXT = "context_of_verb"
FILE = "config_of_verb"
"""Parameter with the file of a verb."""
FROM_FILE = "DEFAULT_MAP"
"""Source of the values that the file holds."""
_GIVEN = ("COMMANDLINE", FROM_FILE)


def verb(request: type[R], work: Callable[[R], None]) -> Callable[..., None]:
    """A function of a request as one that the command-line library can read.

    Its help is the docstring of the job's request.
    """

    def spelled_out(**options: Any) -> None:  # noqa: ANN401 - what each field holds
        context = options.pop(_CONTEXT)
        file = options.pop(FILE, None)
        sources = {n: context.get_parameter_source(n) for n in options}
        given = {n: v for n, v in options.items() if sources[n].name in _GIVEN}
        names = {
            name: f"{file}: {name}" if sources[name].name == FROM_FILE else flag
            for name, flag in request.flags().items()
        }
        with calling(names):
            work(request.parse(given))

    parameters = list(_parameters(request))
    spelled_out.__name__ = request.job()
    spelled_out.__doc__ = " ".join((request.declared().__doc__ or "").split())
    spelled_out.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    spelled_out.__annotations__ = {p.name: p.annotation for p in parameters}
    return spelled_out


def plain_verb(request: type[Request]) -> Callable[..., None]:
    """The verb that does what is asked and prints the lines of the result, if there is one."""
    return verb(request, _answer)


def json_verb(request: type[Request]) -> Callable[..., None]:
    """The same with an option `--json`, to print the result for programs."""
    flag = (
        Annotated[bool, Flag("--json")],
        pydantic.Field(False, description="print JSON, complete"),
    )
    options = pydantic.create_model("JsonOptions", __base__=request, as_json=flag)

    def work(asked: Request) -> None:
        as_json = bool(getattr(asked, "as_json"))  # noqa: B009 - a field that is made above
        _answer(asked, as_json=as_json)

    return verb(options, work)


def _answer(asked: Request, *, as_json: bool = False) -> None:
    """Do what is asked and print the result, even if it cannot be written."""
    try:
        result = run(asked, progress=Conversation())
    except SynthographError as error:
        if isinstance(error.result, Result):
            show(error.result, as_json=as_json)
        raise
    show(result, as_json=as_json)


def show(result: Result | None, *, as_json: bool = False) -> None:
    """Print a result, if there is one, for people or as JSON.

    Raises:
        UserError: what the result says is refused, after it is printed.
    """
    if result is not None:
        for line in [json.dumps(result.json(), indent=2)] if as_json else result.lines():
            say(line)
        if result.refused is not None:
            raise result.refused


def _parameters(request: type[Request]) -> Iterator[inspect.Parameter]:
    yield _keyword(_CONTEXT, typer.Context)
    for name, field in request.model_fields.items():
        default = inspect.Parameter.empty if field.is_required() else _plain(field.default)
        yield _keyword(name, Annotated[_kind(field.annotation), _option(name, field)], default)
    if request.model_fields and "--config" not in request.flags().values():
        read = typer.Option(
            "--config",
            callback=lambda context, path: _read_config(request, context, path),
            is_eager=True,
            help="YAML or JSON file of these options",
        )
        yield _keyword(FILE, Annotated[Path | None, read], None)


def _keyword(
    name: str,
    annotation: Any,  # noqa: ANN401 - a type as `typing` makes them
    default: Any = inspect.Parameter.empty,  # noqa: ANN401
) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _option(name: str, field: FieldInfo) -> Any:  # noqa: ANN401 - the library's own types
    """Spelling, help and range of a field."""
    place = marked(field, Positional)
    if place is not None:
        return typer.Argument(help=field.description, metavar=place.metavar)
    own = marked(field, Flag)
    names = (spelled(name, field),) if own is None else own.names
    bounds = {
        word: getattr(mark, of)
        for mark in field.metadata
        for word, of in (("min", "ge"), ("max", "le"))
        if hasattr(mark, of)
    }
    return typer.Option(*names, help=field.description, metavar=_words(field.annotation), **bounds)


def _words(annotation: Any) -> str | None:  # noqa: ANN401 - types as `typing` makes them
    """The words that an option takes, for its help; None where they are not a few."""
    if isinstance(annotation, types.UnionType):
        return _words(next(one for one in get_args(annotation) if one is not types.NoneType))
    fixed = get_origin(annotation) is Literal or (
        isinstance(annotation, type) and issubclass(annotation, enum.Enum)
    )
    return f"<{choices(annotation)}>" if fixed else None


def _kind(annotation: Any) -> Any:  # noqa: ANN401 - types as `typing` makes them
    """The type that the command-line library reads; lists are options that may be repeated, and
    one of several words is a text that the request looks at.
    """
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(inner[0])
    if origin in (list, tuple):
        return list[inner[0]]  # type: ignore[valid-type]
    if isinstance(annotation, types.UnionType) and types.NoneType in inner:
        return _kind(next(one for one in inner if one is not types.NoneType)) | None
    if origin is Literal or (isinstance(annotation, type) and issubclass(annotation, enum.Enum)):
        return str
    return annotation


def _repeats(annotation: Any) -> bool:  # noqa: ANN401 - types as `typing` makes them
    """Whether an option may be repeated."""
    kind = _kind(annotation)
    return list in (get_origin(one) for one in (kind, *get_args(kind)))


def _plain(default: Any) -> Any:  # noqa: ANN401 - the default of any field
    if isinstance(default, enum.Enum):
        return default.value
    return (list(default) or None) if isinstance(default, tuple) else default


def _read_config(request: type[Request], context: typer.Context, path: Path | None) -> Path | None:
    """Take what a file says for what is not typed.

    Raises:
        UserError: the file cannot be read, or holds what the verb does not know.
    """
    if path is not None:
        tree = read_tree(path)
        for name, value in tree.items():
            if name not in request.model_fields:
                near = nearest(str(name), list(request.model_fields))
                raise UserError(f"{path}: {name}: unknown setting, {near}")
            annotation = request.model_fields[name].annotation
            with calling({name: f"{path}: {name}"}):
                refuse_truth(name, value, annotation)
            if _repeats(annotation):
                if isinstance(value, Mapping):
                    raise UserError(f"{path}: {name}: must be a list, such as [a, b]")
                tree[name] = value if isinstance(value, list | None) else [value]
        context.default_map = {**(context.default_map or {}), **tree}
    return path
