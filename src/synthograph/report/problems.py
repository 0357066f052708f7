"""What could not be read."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from synthograph.core.errors import UserError
from synthograph.results.base import public_prose


@dataclass(frozen=True)
class Problem:
    """Something that was left out of the page, and the path of its file, as the text names it."""

    text: str
    path: Path | None = None

    def __str__(self) -> str:
        return self.text

    def public(self) -> "Problem":
        """With the name of the file only."""
        if self.path is None:
            return Problem(public_prose(self.text))
        rest = self.text.replace(str(self.path), "").lstrip(": ")
        return Problem(f"{self.path.name}: {public_prose(rest)}")


@contextlib.contextmanager
def gathered(problems: list[Problem], path: Path | None = None) -> Iterator[None]:
    """What cannot be read inside is left out and becomes a problem."""
    try:
        yield
    except UserError as error:
        problems.append(Problem(str(error), path))
