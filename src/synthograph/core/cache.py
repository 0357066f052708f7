"""Where the cache of this user is."""

import os
from pathlib import Path

from synthograph.core.errors import BlockedError, UserError
from synthograph.core.files import disk_errors

CACHE, XDG, LOCAL = "SYNTHOGRAPH_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"
WAY_OUT = f"set {CACHE}=FOLDER to a folder that can be written"


def cache_folder() -> Path:
    """The cache: `$SYNTHOGRAPH_CACHE`, else the user's cache folder. Variables of the system that
    are empty or relative count as not set, as its rules say.

    Raises:
        UserError: nothing says where.
    """
    chosen = os.environ.get(CACHE)
    if chosen:
        try:
            return Path(chosen).expanduser()
        except RuntimeError:
            raise UserError(f"{CACHE}={chosen}: there is no such user; {WAY_OUT}") from None
    windows = os.name == "nt"
    given = _absolute(LOCAL if windows else XDG)
    if given is None:
        given = _home() if windows else _home() / ".cache"
    return given / "synthograph" / "cache" if windows else given / "synthograph"


def weights_folder() -> Path:
    """Where weights of others are kept; it need not be there, nor be writable."""
    return cache_folder() / "weights"


def cache_part(name: str) -> Path:
    """A folder within the cache, which is made.

    Raises:
        UserError: it cannot be made, or nothing says where.
    """
    folder = cache_folder() / name
    try:
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
    except BlockedError as error:
        raise BlockedError(f"{error}: the cache cannot be written; {WAY_OUT}") from error
    return folder


def _absolute(variable: str) -> Path | None:
    given = os.environ.get(variable, "")
    return Path(given) if os.path.isabs(given) else None


def _home() -> Path:
    """The user's own folder.

    Raises:
        UserError: there is none.
    """
    if os.name != "nt":
        import pwd

        given = _absolute("HOME")
        if given is not None:
            return given
        try:
            own = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            own = ""
        found = Path(own)
    else:
        try:
            found = Path.home()
        except RuntimeError:
            found = Path()
    if not found.is_absolute():
        raise UserError(f"this user has no home folder, so nothing says where to cache; {WAY_OUT}")
    return found
