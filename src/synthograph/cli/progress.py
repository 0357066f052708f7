"""Progress as the rooms want it: a callable that gets an iterable and its length."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from synthograph.core.progress import track


def tracker(what: str) -> Callable[[Iterable[Any], int], Iterable[Any]]:
    """Show the progress of `what`."""
    return partial(_track, what)


def _track(what: str, items: Iterable[Any], total: int) -> Iterable[Any]:
    return track(items, total=total, what=what)
