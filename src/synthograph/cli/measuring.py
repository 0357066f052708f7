"""What all verbs that measure images have in common: extractors by name, where their features are
kept, and how a table is shown.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from synthograph.core.devices import Precision
    from synthograph.features.base import Extractor

WIDTH = 150
"""Columns of a table where the output is no terminal."""


def words(lists: Sequence[str] | None) -> list[str]:
    """Words of lists with commas."""
    return [word.strip() for each in lists or [] for word in each.split(",") if word.strip()]


def available(
    names: Iterable[str], device: str, precision: "Precision | None" = None
) -> "tuple[dict[str, Extractor], dict[str, str]]":
    """The extractors that can be had, and how to get the weights of the others, by name.

    Raises:
        UserError: an unknown name, damaged weights, or two extractors that call themselves alike,
            so that the numbers of one would stand for both.
    """
    from synthograph.core.devices import Precision
    from synthograph.core.errors import UserError
    from synthograph.features import registry
    from synthograph.features.base import MissingWeightsError

    found, missing = {}, {}
    typed: dict[str, str] = {}
    for name in dict.fromkeys(names):
        try:
            one = registry.extractor(name, device=device, precision=precision or Precision.FP32)
        except MissingWeightsError as error:
            missing[name] = str(error)
        else:
            if one.name in typed:
                raise UserError(
                    f"features {typed[one.name]} and {name} are both called {one.name}: rename one "
                    "of the files, or name one of them only"
                )
            found[name], typed[one.name] = one, name
    return found, missing


def feature_folder() -> Path:
    """Where features are kept."""
    from synthograph.core.files import cache_folder

    return cache_folder() / "features"


def show(table: "RenderableType") -> None:
    """Print a table; where the output is no terminal, wide and without broken lines."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH, soft_wrap=True)
    console.print(table)
