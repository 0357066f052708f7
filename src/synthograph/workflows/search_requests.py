"""What a search can be asked. Keys of a search file that are options, too, are declared there."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pydantic
from pydantic import Field

from synthograph.core.config import calling
from synthograph.core.request import Flag, Positional, Request, Words
from synthograph.training.config import TrackingConfig, TrainRequest
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


class SearchRequest(_Typed):
    """Search settings of training: each trial a run, bad ones ended early, the best trained again
    with fresh seeds before one is named.
    """

    search: Annotated[Path | None, Positional("SEARCH.yaml")] = Field(
        None, description="file of data, space, objectives, budget; keys: docs/formats.md"
    )
    outdir: Path | None = Field(
        None, description="folder of the search; that of the file without its ending, or search"
    )
    storage: str | None = Field(
        None,
        description="where processes share what was tried: database URL, such as "
        "postgresql://HOST/NAME; a journal in the folder unless given",
    )
    gpus: int = Field(
        1, ge=1, le=1024, description="processes side by side, one per GPU (or CPU share)"
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    tracker: Words = Field(
        (), description="who follows the runs: mlflow,wandb,tensorboard or none, as in train"
    )
    tracking_uri: str | None = Field(
        None,
        description="MLflow server or database; MLFLOW_TRACKING_URI, else mlflow.db in the folder",
    )
    experiment: str | None = Field(None, description="experiment of MLflow, project of W&B")
    dry_run: Annotated[bool, Flag("--dry-run", "-n")] = Field(
        False, description="check everything and print the plan, and how long it takes"
    )

    def tracking(self) -> TrackingConfig:
        """Who follows the runs."""
        given = self.model_dump(include={"tracker", "tracking_uri", "experiment"})
        asked = TrainRequest.parse({name: value for name, value in given.items() if value})
        names = {path.removeprefix("tracking."): flag for path, flag in asked.names({}, {}).items()}
        with calling(names):
            return TrackingConfig.parse(asked.setting_tree().get("tracking", {}))

    def typed(self) -> dict[str, Any]:
        """Keys of a search file that were typed."""
        tree = self.model_dump(mode="json", include=set(TYPED))
        return {k: v for k, v in tree.items() if v is not None and v is not False and v != []}
