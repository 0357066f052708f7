"""The type checker that jaxtyping's import hook applies under pytest: an int counts as a float.

A checked call takes longer than most of what it checks, so every function is checked in its first
calls of a test only.
"""

import contextlib
import functools
import inspect
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype

CALLS = 100
"""Arguments and results of a call are two checks."""
_beartype = beartype(conf=BeartypeConf(is_pep484_tower=True))
_calls: Counter[tuple[str, str]] = Counter()
_silent: list[Any] = []


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check a stand-in that jaxtyping made of a function's signature."""
    checked = _beartype(function)
    name = (function.__module__, function.__qualname__)

    @functools.wraps(checked)
    def counted(*args: Any, **kwargs: Any) -> Any:
        _calls[name] += 1
        if _calls[name] == CALLS:
            _silence(*name)
        return checked(*args, **kwargs)

    return counted


def check_anew() -> None:
    """Check all functions again."""
    for function in _silent:
        del function.__no_type_check__
    _silent.clear()
    _calls.clear()


def _silence(module: str, qualified: str) -> None:
    """Let jaxtyping leave a function alone; one that is defined inside another is not found."""
    found: Any = sys.modules[module]
    with contextlib.suppress(AttributeError):
        for part in qualified.split("."):
            found = inspect.getattr_static(found, part)
        for inner in ("__func__", "fget", "func"):
            found = getattr(found, inner, found)
        found.__no_type_check__ = True
        _silent.append(found)
