"""What a search can be asked. Keys of a search file that are options, too, are declared there."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pydantic
from pydantic import Field

from synthograph.core.addresses import hidden
from synthograph.core.request import Flag, Positional, Request, Words
from synthograph.workflows.followed import SIDE_BY_SIDE, Followed
from synthograph.workflows.search_settings import SearchSettings

TYPED: dict[str, Any] = {
    "data": Path,
    "space": str,
    "preset": str,
    "cond": bool,
    "fold": int,
    "settings": tuple[str, ...],
    "kimg": float,
    "trials": int,
    "hours": float,
    "total_kimg": float,
    "objectives": Words,
    "seeds": int,
    "seed": int,
}
"""Keys of a search file that may be typed, and what is typed."""
STORAGE = "SYNTHOGRAPH_STORAGE"
"""Environment variable: address of a database, whose password nobody else sees there."""
ABSENT: dict[Any, Any] = {bool: False, Words: (), tuple[str, ...]: ()}
"""What stands for what was not typed, where it is not nothing."""


def _options() -> Iterator[tuple[str, Any]]:
    """Option of every such key: not given unless typed; the key itself has range and default."""
    for name, kind in TYPED.items():
        field = SearchSettings.model_fields[name]
        flags = [mark for mark in field.metadata if isinstance(mark, Flag)]
        default = ABSENT.get(kind)
        optional = kind if default is not None else kind | None
        marked = Annotated[optional, *flags] if flags else optional
        yield name, (marked, Field(default, description=field.description))


if TYPE_CHECKING:
    _Typed = Request
else:
    _Typed = pydantic.create_model("SearchRequest", __base__=Request, **dict(_options()))


class SearchRequest(Followed, _Typed):
    """Search settings of training. Every trial is a run, and bad ones are ended early. The best are
    trained again with fresh seeds before a winner is named.
    """

    search: Annotated[Path | None, Positional("SEARCH.yaml")] = Field(
        None, description="file of data, space, objectives, budget; keys: docs/formats.md"
    )
    outdir: Path | None = Field(
        None,
        description="folder of the search; by default the file's name without ending, or search",
    )
    storage: str | None = Field(
        None,
        description="database in which processes share trials, such as postgresql://HOST/NAME, or "
        f"the environment variable {STORAGE}; a journal in the folder unless given",
    )
    gpus: int = Field(1, ge=1, le=1024, description=SIDE_BY_SIDE)
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    dry_run: Annotated[bool, Flag("--dry-run", "-n")] = Field(
        False, description="check everything and print the plan, and how long it takes"
    )

    def shared_storage(self) -> str | None:
        """Address of the database in which processes share trials; None for a journal."""
        return self.storage or os.environ.get(STORAGE) or None

    def warnings(self) -> Iterator[str]:
        """What a user should know of these options."""
        if self.storage is not None and hidden(self.storage) != self.storage:
            yield (
                "other users of this machine can read the password in --storage; name the "
                f"database by the environment variable {STORAGE} instead"
            )

    def command_line(self) -> str:
        """See `Request`; without a password of the database, since it is written down."""
        return hidden(super().command_line())

    def typed(self) -> dict[str, Any]:
        """Keys of a search file that were typed."""
        tree = self.model_dump(mode="json", include=set(TYPED))
        return {k: v for k, v in tree.items() if v is not None and v is not False and v != []}
