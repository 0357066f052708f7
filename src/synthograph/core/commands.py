"""The running command, as unfinished work records it: only the same command continues it."""

from collections.abc import Mapping

from synthograph.core.config import flatten
from synthograph.core.names import first_few
from synthograph.core.untrusted.documents import JsonObject

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
    then, now = flatten(_without_line(recorded)), flatten(_without_line(wanted))
    differ = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    if not differ:
        return None
    line = recorded.get(TYPED)
    if isinstance(line, str) and line != wanted.get(TYPED):
        return f"`{line[:_MAX_LINE]}`"
    same = isinstance(line, str)
    changes = (f"{name} was {_cut(then.get(name))}, now {_cut(now.get(name))}" for name in differ)
    return f"{'typed like this one, but ' if same else ''}{first_few(changes)}"


def _without_line(command: Mapping[str, object]) -> JsonObject:
    return {name: value for name, value in command.items() if name != TYPED}


def _cut(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 3]}..."
