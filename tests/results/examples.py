"""An example of any schema, with something in every field."""

import enum
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pydantic

from synthograph.core.interval import Interval
from synthograph.results.base import Schema

SECRET = "Muellerward"
PLACES = (
    f"/data/{SECRET}/x.zip",
    f"/data/dr {SECRET}/onco {SECRET}/x.zip",
    f"{SECRET}/deep/x.zip",
    f"my {SECRET}/x.zip",
    f"../{SECRET}/x.zip",
    rf"C:\Users\Anna {SECRET}\x.zip",
    f"file:///{SECRET}/x.zip",
    rf"\\server\{SECRET}\x",
)
"""Paths whose folder no public form may tell."""
PLAIN = {"text": "TEXT", "deep": ["TEXT", 1, None, {"number": 0.5}]}


def example(kind: Any, text: str = "a text") -> Any:
    """A value of a type.

    Args:
        kind: schema, or annotation of a field.
        text: what stands in every text that may be any.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return example(inner[0], text)
    if origin in (Union, types.UnionType):
        return example(next(each for each in inner if each is not type(None)), text)
    if origin is Literal:
        return inner[0]
    if origin is tuple:
        return tuple(example(each, text) for each in inner if each is not ...)
    if origin is dict:
        return {example(inner[0], text): example(inner[1], text)}
    if isinstance(kind, type) and issubclass(kind, Schema):
        return _of(kind, text)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return next(iter(kind))
    if kind is pydantic.JsonValue:
        return {**PLAIN, "text": text, "deep": [text, 1, None, {text: 0.5}]}
    plain = {str: text, int: 0, float: 0.5, bool: True, Interval: Interval(0.25, 0.75, 0.9)}
    return plain[kind]


def _of(schema: type[Schema], text: str) -> Schema:
    values = {}
    for name, field in schema.model_fields.items():
        fixed = name in ("schema_version", "format")
        values[name] = field.default if fixed else example(field.annotation, text)
    if schema.model_config.get("extra") == "allow":
        more = schema.__dict__.get("__annotations__", {}).get("__pydantic_extra__")
        values["more"] = example(get_args(more)[1] if more else pydantic.JsonValue, text)
    return schema(**values)
