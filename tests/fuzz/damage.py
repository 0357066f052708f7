"""Damage as files suffer it, by accident or on purpose, and what a reader may do then."""

import contextlib
import sys
import tracemalloc
from collections.abc import Callable
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from synthograph.core.errors import UserError

LONGEST = timedelta(seconds=20)
"""Far above what any example takes on a busy core: what is longer hangs."""


def fuzz(examples: int) -> settings:
    """So many examples, on the generous time limit."""
    return settings(
        max_examples=examples,
        deadline=LONGEST,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@st.composite
def damaged(draw: st.DrawFn, samples: tuple[bytes, ...], tokens: tuple[bytes, ...] = ()) -> bytes:
    """A valid file with bytes flipped, cut out, put in, doubled, or cut short."""
    data = bytearray(draw(st.sampled_from(samples)))
    pieces = st.binary(max_size=12)
    if tokens:
        pieces = st.one_of(st.sampled_from(tokens), pieces)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        end = min(len(data), place + draw(st.integers(0, 12)))
        kind = draw(st.sampled_from(["flip", "cut", "put", "replace", "double", "end"]))
        if kind == "flip" and place < len(data):
            data[place] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del data[place:end]
        elif kind == "put":
            data[place:place] = draw(pieces)
        elif kind == "replace":
            data[place:end] = draw(pieces)
        elif kind == "double":
            data[end:end] = data[place:end]
        elif kind == "end":
            del data[place:]
    return bytes(data)


def answers(call: Callable[[], object], limit: int | None = None) -> object:
    """The result of a reader, or None where it refuses; every other exception fails the test.

    Args:
        call: the reader.
        limit: bytes that Python and numpy may take meanwhile; None where nothing is measured.
    """
    if limit is None:
        return _answer(call)
    result, taken = _measured(call)
    if taken >= limit:  # a table of the process itself may have grown meanwhile, but not twice
        result, taken = _measured(call)
    assert taken < limit, f"{taken} bytes were taken"
    return result


def _measured(call: Callable[[], object]) -> tuple[object, int]:
    tracemalloc.start()
    try:
        return _answer(call), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _answer(call: Callable[[], object]) -> object:
    try:
        return call()
    except UserError as error:
        text = str(error)
        assert len(text) < 2000, "a message is for people"
        text.encode()
        return None


def peak_bytes() -> int:
    """Most memory that this process ever had; 0 where the system does not tell."""
    with contextlib.suppress(ImportError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return 0
