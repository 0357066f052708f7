"""What names and tables of a BIDS folder say (Gorgolewski et al. 2016): `sub-01/ses-2/...`."""

import csv
import io
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import PurePosixPath

from synthograph.core.record import UnreadableError
from synthograph.core.untrusted.containers import Container
from synthograph.sources.base import SourceFile

PARTICIPANTS = "participants.tsv"
_SUBJECT = re.compile(r"(?:^|/)(sub-[A-Za-z0-9]+)(?=[_/])")
_SESSION = re.compile(r"(?:^|[/_])ses-([A-Za-z0-9]+)(?=[_/])")
_ID = "participant_id"
_MISSING = ("", "n/a")


def subject_of(name: str) -> str | None:
    """The patient that a relative name gives, such as `sub-01`."""
    found = _SUBJECT.search(name)
    return found[1] if found else None


def columns_of(file: SourceFile) -> dict[str, str]:
    """Session of a file, and the row of its patient in participants.tsv."""
    subject = subject_of(file.name)
    if subject is None:
        return {}
    session = _SESSION.search(file.name)
    above = PurePosixPath(file.name).parents
    tables = (_participants(file.container, str(folder / PARTICIPANTS)) for folder in above)
    row = next((table[subject] for table in tables if subject in table), {})
    return {**row, **({"session": session[1]} if session else {})}


@lru_cache(maxsize=64)
def _participants(container: Container, name: str) -> Mapping[str, Mapping[str, str]]:
    """Patient -> further columns; nothing where there is no such table."""
    try:
        text = container.read(name).decode("utf-8-sig", "replace")
    except UnreadableError:
        return {}
    rows = csv.DictReader(io.StringIO(text), delimiter="\t")
    return {
        row[_ID]: {
            key: value
            for key, value in row.items()
            if isinstance(key, str) and isinstance(value, str) and key != _ID
            if value not in _MISSING
        }
        for row in rows
        if row.get(_ID)
    }
