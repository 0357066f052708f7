"""Verbs with many options: one dataclass, spelled out as the command-line library reads them."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, get_type_hints


def spelled_out(verb: Callable[[Any], None]) -> Callable[..., None]:
    """A verb that takes one dataclass, as a function with a keyword for each of its fields.

    Args:
        verb: its only parameter is annotated with the dataclass.
    """
    (parameter,) = inspect.signature(verb).parameters.values()
    options = parameter.annotation
    hints = get_type_hints(options, include_extras=True)

    @functools.wraps(verb)
    def spelled(**given: Any) -> None:  # noqa: ANN401 - what each field holds
        verb(options(**given))

    keywords = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(options)
    ]
    spelled.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    spelled.__annotations__ = hints
    return spelled
