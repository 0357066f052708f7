"""What an archive says of the public cohort that it was made of."""

from collections.abc import Iterator

import pydantic

from synthograph.core.config import Config


class CohortNote(Config):
    """A public cohort, its official split and known traps.

    Attributes:
        name: the cohort, as `prepare --cohort` knows it.
        title: what it is.
        home: official page.
        paper: where it is described.
        group: what a group is.
        official_split: which one it has, and what is known about it.
        groups_in_several_splits: how many groups that split has in several of its parts.
        traps: what is known to make results wrong, a sentence and its source each.
    """

    name: str
    title: str = ""
    home: str = ""
    paper: str = ""
    group: str = ""
    official_split: str = ""
    groups_in_several_splits: int = pydantic.Field(0, ge=0)
    traps: list[str] = []

    def lines(self) -> Iterator[str]:
        """The same in words, for consoles."""
        yield f"  cohort {self.name}: {self.title}; official split: {self.official_split}"
        yield from (f"  known trap: {trap}" for trap in self.traps)
