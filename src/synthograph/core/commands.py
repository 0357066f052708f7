"""The running command, as unfinished work records it: only the same command continues it."""

from collections.abc import Mapping

from synthograph.core.config import flatten
from synthograph.core.names import first_few

TYPED = "typed"
"""Key of a recorded command: the line as it was typed, which is not compared."""
LINE = "SYNTHOGRAPH_LINE"
"""Environment variable: the command line that started this process as one of several."""
_MAX_LINE, _MAX_VALUE = 400, 60  # characters of a command, and of a setting, in a message


def other_command(recorded: object, wanted: Mapping[str, object]) -> str | None:
    """Which other command unfinished work belongs to, for error messages.

    Args:
        recorded: the command that was written down when the work began, as read from JSON.
        wanted: the command that is running, as JSON data.

    Returns:
        The line that was typed, or how the commands differ; None where they are the same.
    """
    if not isinstance(recorded, Mapping):
        return "which one cannot be read any more"
    then, now = flatten(recorded), flatten(wanted)
    names = dict.fromkeys((*then, *now))
    differ = [name for name in names if name != TYPED and then.get(name) != now.get(name)]
    if not differ:
        return None
    line = recorded.get(TYPED)
    if isinstance(line, str) and line != wanted.get(TYPED):
        return f"`{line[:_MAX_LINE]}`"
    changes = (f"{name} was {_cut(then.get(name))}, now {_cut(now.get(name))}" for name in differ)
    same = "typed like this one, but " if isinstance(line, str) else ""
    return f"{same}{first_few(changes)}"


def _cut(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 3]}..."
