"""The request of `train`: options for the settings of a run, and options of the call itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pydantic
from pydantic import Field
from pydantic.fields import FieldInfo

from synthograph.core.config import Config, flatten, set_path
from synthograph.core.request import Flag, Request, marked
from synthograph.core.untrusted.documents import JsonObject
from synthograph.training.config import Option, RunConfig

GAMMA = "model.r1_gamma"
"""The setting of `--gamma`, whose range and default each family declares."""


def _settings(config: type[Config], prefix: str = "") -> Iterator[tuple[str, FieldInfo, Option]]:
    """Dotted path, field and option of every setting that has one; sections come first."""
    fields = config.model_fields.items()
    for name, field in sorted(fields, key=lambda item: marked(item[1], Option) is not None):
        if isinstance(field.annotation, type) and issubclass(field.annotation, Config):
            yield from _settings(field.annotation, f"{prefix}{name}.")
        elif (option := marked(field, Option)) is not None:
            yield f"{prefix}{name}", field, option


OPTIONS = {path: option for path, _, option in _settings(RunConfig)} | {GAMMA: Option("gamma")}
"""Dotted path of a setting -> the option that gives it."""


def _field(field: FieldInfo, option: Option) -> Any:  # noqa: ANN401 - as pydantic takes them
    """Type and default of an option that is not given; the setting itself has the range."""
    kind: Any = option.kind or field.annotation
    if kind is bool:
        return kind, Field(False, description=field.description)
    if option.kind is not None and not isinstance(option.kind, type):
        return kind, Field((), description=field.description)
    return kind | None, Field(None, description=field.description)


if TYPE_CHECKING:
    _Settings = Request
else:
    _Settings = pydantic.create_model(
        "TrainRequest",
        __base__=Request,
        **{option.name: _field(field, option) for _, field, option in _settings(RunConfig)},
    )


class TrainRequest(_Settings):
    """Train a generator on an archive, or go on with a run that was stopped."""

    gamma: float | None = Field(None, description="weight of the R1 penalty")
    outdir: Path | None = Field(None, description="folder of run directories, runs unless given")
    cfg: str | None = Field(None, description="preset, auto unless given")
    config: Path | None = Field(None, description="YAML or JSON file with settings of a run")
    settings: Annotated[tuple[str, ...], Flag("--set")] = Field(
        (), description="any setting as a.b=value"
    )
    gpus: int = Field(
        1, ge=1, description="processes that train together, one per GPU (or CPU share)"
    )
    init_from: str | None = Field(
        None, description="start with the weights of a snapshot: file, run, https URL or name"
    )
    resume: Path | None = Field(None, description="run directory to go on with")
    require_exact: bool = Field(False, description="resume only if bit for bit the same")
    dry_run: Annotated[bool, Flag("--dry-run", "-n")] = Field(
        False, description="validate and print the plan, and how long it takes; create nothing"
    )

    def given(self) -> JsonObject:
        """Dotted path of a setting -> the value that its option gives."""
        typed = self.model_dump(mode="json")
        values = {path: typed[option.name] for path, option in OPTIONS.items()}
        return {
            path: OPTIONS[path].read(value)
            for path, value in values.items()
            if value is not None and value is not False and value != []
        }

    def setting_tree(self) -> JsonObject:
        """The settings that options give, as part of the configuration tree."""
        tree: JsonObject = {}
        for path, value in self.given().items():
            tree = set_path(tree, path, value)
        return tree

    def names(self, sets: JsonObject, file: JsonObject) -> dict[str, str]:
        """Names of settings for `core.config.calling`: an option goes before `--set`, and that
        before the file.

        Args:
            sets: tree of the `--set` arguments.
            file: tree of the configuration file.
        """
        names = {path: f"{self.config}: {path}" for path in flatten(file, sections=True)}
        names |= {path: f"--set {path}" for path in flatten(sets, sections=True)}
        return names | {path: self.flags()[OPTIONS[path].name] for path in self.given()}
