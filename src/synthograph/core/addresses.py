"""Addresses of servers and databases, which may hold a password that nobody else should read."""

import re
from pathlib import Path

_SQLITE = re.compile(r"(sqlite(?:\+\w+)?:///)(?!/)(.+)")
_CREDENTIALS = re.compile(r"(?<=://)\S*@")
_SECRETS = re.compile(r"(?i)((?:password|passwd|pwd|token|secret|key)=)[^&\s'\"]+")


def hidden(text: str) -> str:
    """A text with the credentials of every address in it replaced by stars."""
    return _SECRETS.sub(r"\1***", _CREDENTIALS.sub("***@", text))


def writable_address(address: str) -> str:
    """An address that may be written down; a relative path of an SQLite file becomes absolute.

    Raises:
        ValueError: it holds credentials.
    """
    if hidden(address) != address:
        raise ValueError(
            "holds a user or password, which would be written into the run: give the whole address "
            "by the environment variable MLFLOW_TRACKING_URI instead"
        )
    local = _SQLITE.fullmatch(address)
    return address if local is None else f"{local[1]}{Path(local[2]).resolve().as_posix()}"
