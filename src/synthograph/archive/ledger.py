"""Who looked at the test images of an archive: a file beside it that only grows, a JSON object in
every line.

A test split that is looked at often is no test any more: whoever reports a number can say how often
it was.
"""

import getpass
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from synthograph.core.files import open_own
from synthograph.core.untrusted.documents import parse_json, read_text
from synthograph.core.version import VERSION

ENDING = ".looked.jsonl"


@dataclass(frozen=True)
class Look:
    """One look at test images.

    Attributes:
        when: date and time, with the zone.
        who: user and machine.
        what: command, or study and the hash that it was frozen with.
        images: how many, of how many `groups`.
    """

    when: str
    who: str
    what: str
    images: int
    groups: int


def ledger_path(archive: Path) -> Path:
    """The file beside an archive."""
    return archive.resolve().with_name(f"{archive.resolve().name}{ENDING}")


def note_look(archive: Path, what: str, *, images: int, groups: int) -> str | None:
    """Write down that test images are looked at.

    Returns:
        A warning where it cannot be written, such as in a folder that is read-only.
    """
    line: Mapping[str, object] = {
        "when": datetime.now().astimezone().isoformat(timespec="seconds"),
        "who": f"{_user()}@{platform.node()}",
        "what": what,
        "images": images,
        "groups": groups,
        "version": VERSION,
    }
    path = ledger_path(archive)
    data = (json.dumps(line) + "\n").encode()
    try:  # one write that appends: several processes do not mix their lines
        handle = open_own(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(handle, data)
        finally:
            os.close(handle)
    except OSError as error:
        return (
            f"{path}: who looks at the test images cannot be written down ({error.strerror}); "
            "keep a record yourself"
        )
    return None


def looks(archive: Path) -> list[Look]:
    """All looks that were written down; lines that cannot be read are left out."""
    path = ledger_path(archive)
    if not path.is_file():
        return []
    found = []
    for line in read_text(path, "it holds JSON lines").splitlines():
        try:
            tree = parse_json(line, str(path))
            found.append(
                Look(
                    str(tree["when"]),
                    str(tree["who"]),
                    str(tree["what"]),
                    int(tree["images"]),
                    int(tree["groups"]),
                )
            )
        except (ValueError, KeyError, TypeError):
            continue
    return found


def told(archive: Path) -> list[str]:
    """How often test images were looked at, for people; nothing where nobody did."""
    found = looks(archive)
    if not found:
        return []
    last, often = found[-1], "once" if len(found) == 1 else f"{len(found)} times"
    return [
        f"test images of {archive.name} were looked at {often} before, last on "
        f"{last.when[:10]} by {last.what}"
    ]


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        return "somebody"
