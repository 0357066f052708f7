"""The base of every configuration: a frozen pydantic tree that refuses what it does not know.

A Config stands beside what it configures; `training/config.py` joins them to the root that
`config.json` holds.
"""

import enum
import json
import re
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

import pydantic
import pydantic_core
import yaml

from synthograph.core.errors import UserError
from synthograph.core.names import nearest

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

    @classmethod
    def parse(cls: type[T], tree: Mapping[str, Any]) -> T:
        """Build the config from plain data.

        Args:
            tree: nested mapping, as read from JSON or YAML.

        Returns:
            The frozen config.

        Raises:
            UserError: an unknown key (with the nearest known one), a missing key or a value out of
                range.
        """
        try:
            return cls.model_validate(tree)
        except pydantic.ValidationError as error:
            raise UserError(_explain(error, cls, tree)) from None

    def tree(self) -> dict[str, Any]:
        """The config as plain JSON data."""
        return self.model_dump(mode="json")


def _explain(error: pydantic.ValidationError, root: type[Config], tree: Mapping[str, Any]) -> str:
    """The first problem of a validation error as `path: rule, got value; way out`."""
    first = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in first["loc"]) or "configuration"
    if first["type"] == "extra_forbidden":
        *parents, key = first["loc"]
        return f"unknown setting '{path}': {nearest(str(key), _known_keys(root, tree, parents))}"
    if first["type"] == "missing":
        return f"setting '{path}' is missing"
    given = first["input"]
    if first["type"] in ("enum", "literal_error"):
        known = re.findall(r"'([^']*)'", first["ctx"]["expected"])
        if known:
            return f"setting '{path}': {_show(given)} is unknown: {nearest(_show(given), known)}"
    inner = first.get("ctx", {}).get("error")
    if isinstance(inner, UserError):  # a part that was parsed by itself: its path goes on ours
        return str(inner).replace("setting '", f"setting '{path}.", 1)
    message = first["msg"].removeprefix("Value error, ")
    if isinstance(given, Mapping | Config):  # a rule between several settings
        return f"setting '{path}': {message}" if first["loc"] else message
    return f"setting '{path}': {message}, got {_show(given)}"


def _show(value: object) -> str:
    """A bounded repr."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # Python prints no integer of more than 4300 digits
        return "a huge number"


def _known_keys(root: type[Config], tree: Mapping[str, Any], parents: Iterable[Any]) -> list[str]:
    """Field names of the config that sits at `parents` below `root`."""
    current: Any = root
    for part in parents:
        field = current.model_fields.get(str(part)) if hasattr(current, "model_fields") else None
        if field is None:
            return []
        options = [field.annotation, *get_args(field.annotation)]
        current = next((o for o in options if hasattr(o, "model_fields")), None)
    return list(current.model_fields) if current is not None else []


@dataclass(frozen=True)
class Setting:
    """One leaf of a configuration: dotted path, type, default, rule and meaning, all in words."""

    path: str
    kind: str
    default: Any
    rule: str
    meaning: str


def describe(config: type[Config], prefix: str = "") -> list[Setting]:
    """Every setting of a configuration and of those inside it, in order."""
    found: list[Setting] = []
    for name, field in config.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Config):
            found += describe(inner, f"{prefix}{name}.")
            continue
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        plain = pydantic_core.to_jsonable_python(default)
        rule = ", ".join(filter(None, map(_rule, field.metadata)))
        kind = getattr(inner, "__name__", str(inner)) if isinstance(inner, type) else str(inner)
        if isinstance(inner, type) and issubclass(inner, enum.Enum):
            rule = " | ".join(str(member.value) for member in inner)
        text = kind.replace("typing.", "").replace("synthograph.", "")
        found.append(Setting(f"{prefix}{name}", text, plain, rule, field.description or ""))
    return found


def _rule(constraint: object) -> str:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    words = [f"{s} {getattr(constraint, n)}" for n, s in signs.items() if hasattr(constraint, n)]
    return ", ".join(words)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with every leaf of `over` on top; nested mappings are merged, all else is replaced."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return result


def set_path(tree: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:  # noqa: ANN401
    """`tree` with `value` at the dotted `path`."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return merge(tree, value)


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Turn `--set a.b=value` arguments into a nested mapping; values are read as YAML scalars.

    Raises:
        UserError: an argument without `=` or with an empty name.
    """
    tree: dict[str, Any] = {}
    for text in assignments:
        path, sign, value = text.partition("=")
        if not sign or not all(path.split(".")):
            raise UserError(
                f"--set {text!r} is not of the form name.name=value, for example --set "
                f"training.batch=16"
            )
        tree = set_path(tree, path.strip(), _scalar(value, text))
    return tree


def _scalar(value: str, origin: str) -> Any:  # noqa: ANN401
    """YAML value, with `1e-3` read as a number, which YAML 1.1 takes for a string."""
    try:
        parsed = _load_yaml(value)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"--set {origin!r}: the value is not valid YAML ({error})") from None
    return float(value) if _EXPONENT.fullmatch(value.strip()) else parsed


class _Loader(yaml.SafeLoader):
    """YAML without aliases, of which a few bytes can stand for gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not supported, write the value out")
        return super().compose_node(parent, index)


def _load_yaml(text: str) -> Any:  # noqa: ANN401
    return yaml.load(text, Loader=_Loader)


def read_tree(path: Path) -> dict[str, Any]:
    """Read a JSON or YAML file that holds one mapping.

    Raises:
        UserError: the file is missing, not valid or holds something else than a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        tree = json.loads(text) if path.suffix == ".json" else _load_yaml(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read as configuration ({error})") from None
    if not isinstance(tree, dict):
        raise UserError(f"{path}: holds {type(tree).__name__}, a configuration is a mapping")
    return tree
