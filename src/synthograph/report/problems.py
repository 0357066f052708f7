"""What could not be read."""

from dataclasses import dataclass
from pathlib import Path

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
