"""Names: one Unicode form, the nearest known name, and short lists for messages."""

import contextlib
import difflib
import unicodedata
from collections.abc import Iterable
from pathlib import Path


def nfc(name: str) -> str:
    """A name in Unicode normal form C."""
    # macOS writes accents as two characters into file names and zips, tables usually hold one
    return unicodedata.normalize("NFC", name)


_BREAKS = frozenset(("Cc", "Zl", "Zp"))
_INVISIBLE = "Cf"
_JOINERS = "\u200c\u200d"
"""Invisible characters that some scripts are not spelled without."""


def without_controls(name: str) -> str:
    """A name as one line: line breaks, tabs and other control characters become spaces, invisible
    ones, which steer a terminal or make two names of one, are left out.
    """
    kinds = {char: unicodedata.category(char) for char in set(name) - set(_JOINERS)}
    if not {*_BREAKS, _INVISIBLE} & set(kinds.values()):
        return name
    shown = (" " if kinds.get(char) in _BREAKS else char for char in name)
    return " ".join("".join(c for c in shown if kinds.get(c) != _INVISIBLE).split())


def nearest(name: str, known: Iterable[str]) -> str:
    """What to say about an unknown name, as the end of an error message.

    Args:
        name: what the user wrote.
        known: the names that exist.

    Returns:
        `did you mean 'x'?` when one name is close, upper or lower case, else the list of all names.
    """
    candidates = [str(k) for k in known]
    close = closest(name, candidates)
    if close is not None:
        return f"did you mean '{close}'?"
    return f"known are: {', '.join(candidates)}" if candidates else "there are none"


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is close to an unknown one, upper or lower case; None where none is."""
    candidates = list(known)
    plain = {candidate.casefold(): candidate for candidate in reversed(candidates)}
    if name.casefold() in plain:
        return plain[name.casefold()]
    close = difflib.get_close_matches(name, candidates, n=1, cutoff=0.6) or [
        plain[key] for key in difflib.get_close_matches(name.casefold(), plain, n=1, cutoff=0.6)
    ]
    return close[0] if close else None


def misspelt(path: Path, others: Iterable[str] = ()) -> str:
    """What to say after the message that a path is not there: `; did you mean 'x'?` where what lies
    in its folder, or one of the other names, is called nearly so; else nothing.
    """
    with contextlib.suppress(OSError):
        if path.exists():
            return ""
        folder = next((each for each in path.parents if each.is_dir()), path)
        first, *rest = path.relative_to(folder).parts
        close = closest(first, [*others, *sorted(each.name for each in folder.iterdir())])
        if close is not None and close != first:
            whole = folder.joinpath(close, *rest)
            return f"; did you mean '{whole if whole.exists() else folder / close}'?"
    return ""


def first_few(names: Iterable[str], limit: int = 3, *, separator: str = ", ") -> str:
    """The first few names for a message, and how many more there are."""
    everything = list(names)
    more = len(everything) - limit
    return separator.join(everything[:limit]) + (f" and {more} more" if more > 0 else "")
