"""The base of every configuration: a frozen pydantic tree that refuses what it does not know.

A Config stands beside what it configures; `training/config.py` joins them to the root that
`config.json` holds.
"""

import contextlib
import enum
import re
import reprlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import pydantic
import pydantic_core

from synthograph.core.errors import SettingError, UserError
from synthograph.core.names import nearest
from synthograph.core.untrusted.documents import JsonObject, parse_json, parse_yaml, read_text

T = TypeVar("T", bound="Config")

_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlevel = 2


class Config(pydantic.BaseModel):
    """A frozen part of the configuration tree. Unknown keys and values out of range are refused."""

    model_config = pydantic.ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _refuse_truth(cls, tree: Any) -> Any:  # noqa: ANN401 - whatever is given
        for name, value in tree.items() if isinstance(tree, Mapping) else ():
            if name in cls.model_fields:
                refuse_truth(name, value, cls.model_fields[name].annotation)
        return tree

    @classmethod
    def parse(cls: type[T], tree: Mapping[str, object]) -> T:
        """Build the config from plain data.

        Args:
            tree: nested mapping, as read from JSON or YAML.

        Returns:
            The frozen config.

        Raises:
            SettingError: an unknown key (with the nearest known one), a missing key or a value out
                of range.
        """
        try:
            return cls.model_validate(tree)
        except pydantic.ValidationError as error:
            raise _explain(error, cls) from None

    @classmethod
    def check_sections(cls, tree: Mapping[str, object]) -> None:
        """Refuse a value where this configuration has a section, before trees are merged.

        Raises:
            SettingError: there is one, such as `training=4`.
        """
        for name, field in cls.model_fields.items():
            section = isinstance(field.annotation, type) and issubclass(field.annotation, Config)
            if section and name in tree and not isinstance(tree[name], Mapping):
                rule = f"is a group of settings: give them one by one, as {name}.NAME=VALUE"
                raise SettingError(name, rule, value=_show(tree[name]))

    def tree(self) -> JsonObject:
        """The config as plain JSON data."""
        return self.model_dump(mode="json")


def refuse_truth(name: str, value: object, annotation: object) -> None:
    """Refuse true and false where a number or text is wanted; to Python true is the number 1.

    Args:
        name: of the setting.
        value: what it is given; lists and mappings are looked into.
        annotation: its type.

    Raises:
        SettingError: it holds true or false, and its type has none.
    """
    inner = value.values() if isinstance(value, Mapping) else value
    values = inner if isinstance(inner, Collection) and not isinstance(inner, str) else [value]
    truth = next((one for one in values if isinstance(one, bool)), None)
    if truth is None:
        return
    kinds = set(leaves(annotation))
    rule = next((words for kind, words in _NO_TRUTH.items() if kind in kinds), None)
    if rule is not None and not kinds & {bool, object, Any}:
        raise SettingError(name, f"must be {rule}", value=str(truth).lower())


def leaves(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 - types as `typing` makes them
    """The types that a type is made of, such as int and None of `tuple[int, ...] | None`."""
    inner = get_args(annotation)
    yield from (leaf for one in inner for leaf in leaves(one))
    if not inner:
        yield annotation


_NO_TRUTH = {int: "a whole number", float: "a number", str: "text", Path: "a path"}


def _explain(error: pydantic.ValidationError, root: type[Config]) -> SettingError:
    """The first problem of a validation error, as setting, rule and value."""
    first = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        *parents, key = first["loc"]
        known = _known_keys(root, parents)
        return SettingError(path, nearest(str(key), known), unknown=True)
    given = first.get("input")
    if first["type"] in ("enum", "literal_error"):
        known = re.findall(r"'([^']*)'", first["ctx"]["expected"])
        if known:
            near = nearest(_show(given).strip("'"), known)
            return SettingError(path, f"{_show(given)} is unknown: {near}")
    inner = first.get("ctx", {}).get("error")
    if isinstance(inner, SettingError):  # a part that was parsed by itself
        return inner.under(path) if path else inner
    whole = isinstance(given, Config) or (isinstance(given, Mapping) and not path)
    enough = inner is not None or whole or first["type"] == "missing"  # the rule says it all
    return SettingError(path, describe_rule(first), value=None if enough else _show(given))


def describe_rule(problem: pydantic_core.ErrorDetails) -> str:
    """The rule that a value breaks, in words.

    Args:
        problem: one of `ValidationError.errors()`.
    """
    bounds = problem.get("ctx", {})
    given = problem.get("input")
    if isinstance(given, float | str) and repr(given)[:6].strip("'").lower() == "nan":
        return f"must be {_KINDS['finite']}"
    if problem["type"] in _BOUNDS:
        words, name = _BOUNDS[problem["type"]]
        bound = bounds[name]
        return f"must be {words} {f'{bound:g}' if isinstance(bound, float) else bound}"
    kind = problem["type"].partition("_")[0]
    if kind in _KINDS:
        return f"must be {_KINDS[kind]}"
    return str(problem["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")


_BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "text",
    "list": "a list, such as [a, b]",
    "dict": "a mapping of names to values, such as {name: value}",
    "model": "a mapping of settings, such as {name: value}",
    "missing": "given, it has no default",
}


def _show(value: object) -> str:
    """A short repr; numbers as people write them."""
    if value is None:
        return "nothing"
    if isinstance(value, float):
        return f"{value:g}"
    try:
        return _SHORT.repr(value)
    except ValueError:  # Python prints no integer of more than 4300 digits
        return "a huge number"


def _known_keys(root: type[Config], parents: Iterable[Any]) -> list[str]:
    """Field names of the config that sits at `parents` below `root`."""
    current: Any = root
    for part in parents:
        field = current.model_fields.get(str(part)) if hasattr(current, "model_fields") else None
        if field is None:
            return []
        options = [field.annotation, *get_args(field.annotation)]
        current = next((o for o in options if hasattr(o, "model_fields")), None)
    return list(current.model_fields) if current is not None else []


def takes_whole(config: Config, path: str) -> bool:
    """Whether a setting takes whole numbers and no others.

    Args:
        config: that has it.
        path: dotted; a key of a mapping takes what is there.
    """
    *parents, name = path.split(".")
    place: Any = config
    for key in parents:
        place = _inside(place, key)
    if isinstance(place, Config):
        field = type(place).model_fields.get(name)
        kinds = set() if field is None else set(leaves(field.annotation))
    else:
        kinds = {type(_inside(place, name))}
    return int in kinds and not kinds & {float, bool, object, Any}


def _inside(place: object, key: str) -> object:
    """What a configuration or a mapping holds; None where there is nothing of this name."""
    if isinstance(place, Mapping):
        return next((value for name, value in place.items() if str(name) == key), None)
    return getattr(place, key, None)


@dataclass(frozen=True)
class Setting:
    """One setting: dotted path, type, default, rule and meaning, all in words."""

    path: str
    kind: str
    default: Any
    rule: str
    meaning: str


def describe(config: type[Config], prefix: str = "") -> list[Setting]:
    """Every setting of a configuration and of those inside it, in order."""
    found: list[Setting] = []
    types = get_type_hints(config)  # without the bounds that stand inside a type
    for name, field in config.model_fields.items():
        inner = types[name]
        kind = inner if isinstance(inner, type) else None
        if kind is not None and issubclass(kind, Config):
            found += describe(kind, f"{prefix}{name}.")
            continue
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        plain = pydantic_core.to_jsonable_python(default)
        rule = ", ".join(filter(None, map(_rule, field.metadata)))
        rule = rule or choices(inner)
        text = str(inner) if kind is None else kind.__name__
        text = text.replace("typing.", "").replace("synthograph.", "")
        found.append(Setting(f"{prefix}{name}", text, plain, rule, field.description or ""))
    return found


def choices(annotation: Any) -> str:  # noqa: ANN401 - types as `typing` makes them
    """The values of a type that has few, or the ranges inside the groups that a mapping holds."""
    inner = get_args(annotation)
    if get_origin(annotation) is Literal:
        return " | ".join(map(str, inner))
    kind = inner[-1] if inner else annotation
    if not isinstance(kind, type) or kind is type(None):
        return ""
    if kind is bool:
        return "true | false"
    if issubclass(kind, enum.Enum):
        return " | ".join(str(member.value) for member in kind)
    if issubclass(kind, Config):
        return "each: " + ", ".join(f"{s.path} {s.rule}".rstrip() for s in describe(kind))
    return ""


def _rule(constraint: object) -> str:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    words = [f"{s} {getattr(constraint, n)}" for n, s in signs.items() if hasattr(constraint, n)]
    return ", ".join(words)


def merge(base: Mapping[str, object], over: Mapping[str, object]) -> JsonObject:
    """`base` with every leaf of `over` on top; nested mappings are merged, all else is replaced.
    Keys are texts, as YAML may read some as numbers.
    """
    result = {str(key): value for key, value in base.items()}
    for key, value in over.items():
        old = result.get(str(key))
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[str(key)] = merge(old, value) if both else value  # type: ignore[arg-type]
    return result


def set_path(tree: Mapping[str, object], path: str, value: Any) -> JsonObject:  # noqa: ANN401
    """`tree` with `value` at the dotted `path`."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return merge(tree, value)


def parse_assignments(assignments: Iterable[str]) -> JsonObject:
    """Turn `--set a.b=value` arguments into a nested mapping; values are read as YAML scalars.

    Raises:
        UserError: an argument without `=` or with an empty name.
    """
    tree: JsonObject = {}
    for text in assignments:
        path, sign, value = text.partition("=")
        if not sign or not all(path.split(".")):
            raise UserError(
                f"--set {text!r} is not of the form name.name=value, for example --set "
                f"training.batch=16"
            )
        tree = set_path(tree, path.strip(), _scalar(value, text))
    return tree


def refuse_decided(paths: Iterable[str], decided: Mapping[str, str], where: str, who: str) -> None:
    """Refuse settings that would be replaced in silence.

    Args:
        paths: dotted paths that are given.
        decided: dotted path of a setting or of a section -> what gives it.
        where: they are given, such as `settings`.
        who: decides, such as `search`.

    Raises:
        UserError: a path is decided elsewhere.
    """
    for path in paths:
        way = next((w for p, w in decided.items() if f"{path}.".startswith(f"{p}.")), None)
        if way is not None:
            raise UserError(f"{where}: {path} is decided by the {who}: give it as {way}")


def _scalar(value: str, origin: str) -> Any:  # noqa: ANN401
    """YAML value, with `1e-3` read as a number, which YAML 1.1 takes for a string."""
    parsed = parse_yaml(value, f"--set {origin!r}")
    return float(value) if _EXPONENT.fullmatch(value.strip()) else parsed


def read_tree(path: Path) -> JsonObject:
    """Read a JSON or YAML file that holds one mapping.

    Raises:
        UserError: the file is missing, not valid or holds something else than a mapping.
    """
    text = read_text(path, "a configuration is a YAML or JSON file")
    as_json = path.suffix == ".json"
    tree = parse_json(text, str(path), bounded=True) if as_json else parse_yaml(text, str(path))
    if not isinstance(tree, dict):
        raise UserError(
            f"{path}: holds {type(tree).__name__}, a configuration is a mapping of settings, such "
            "as 'training: {batch: 16}'"
        )
    return tree


def flatten(tree: Mapping[str, object], prefix: str = "", *, sections: bool = False) -> JsonObject:
    """Dotted path -> value of a tree; an empty mapping is a value.

    Args:
        tree: nested mappings.
        prefix: put before every path.
        sections: whether mappings that hold something are listed too, before what they hold.
    """
    found: JsonObject = {}
    for key, value in tree.items():
        inner = value if isinstance(value, Mapping) else {}
        if sections or not inner:
            found[f"{prefix}{key}"] = value
        found |= flatten(inner, f"{prefix}{key}.", sections=sections)
    return found


@contextlib.contextmanager
def calling(names: Mapping[str, str]) -> Iterator[None]:
    """Report refused settings under the flag or file that they came from.

    Args:
        names: dotted path -> name, such as `training.batch` -> `--batch`.

    Raises:
        UserError: whatever setting was refused inside.
    """
    try:
        yield
    except SettingError as error:
        raise error.called(names) from None


@contextlib.contextmanager
def built_from(names: Mapping[str, str]) -> Iterator[None]:
    """Lay refused settings to the fields of the request that they were built from.

    Args:
        names: dotted path -> field, such as `transform.fit` -> `transform`.

    Raises:
        SettingError: whatever setting was refused inside, of that field.
    """
    try:
        yield
    except SettingError as error:
        raise error.moved(names) from None
