"""What a search file holds.

    data: cells.zip
    preset: tiny
    kimg: 10
    trials: 12
    space:
      model.r1_gamma: {times: [0.125, 8]}
      augment.mode: {choices: [noaug, ada]}
      augment.target: {low: 0.4, high: 0.7, when: {augment.mode: ada}}

Paths are relative to the file. Every key but `data` has a default.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import pydantic
from pydantic import Field

from synthograph.core.config import Config, merge, read_tree
from synthograph.core.errors import SettingError, UserError
from synthograph.core.request import Flag
from synthograph.core.untrusted.documents import JsonObject
from synthograph.results.base import Plain

BUDGETS = ("trials", "hours", "total_kimg")
"""Keys that a search may be gone on with otherwise."""
SMALL_DATA = "small-data"
End = Annotated[float, Field(allow_inf_nan=False)]


class Searched(Config):
    """How values of one setting are drawn: from a range, or from a list."""

    low: End | None = Field(None, description="smallest value")
    high: End | None = Field(None, description="largest value")
    times: tuple[End, End] | None = Field(
        None, description="range as multiples of what the preset gives, drawn by their logarithm"
    )
    log: bool = Field(False, description="draw evenly by the logarithm")
    step: float | None = Field(None, gt=0, description="distance between values of a range")
    choices: list[Plain] = Field([], description="list of values instead of a range")
    when: dict[str, Plain] = Field(
        {}, description="other searched settings and the value, or list of values, they must have"
    )

    @pydantic.model_validator(mode="after")
    def _one_way(self) -> "Searched":
        ranged = self.low is not None or self.high is not None
        if ranged + (self.times is not None) + bool(self.choices) != 1:
            raise ValueError("give one of low and high, times, or choices")
        if ranged and (self.low is None or self.high is None):
            raise ValueError("a range needs both low and high")
        low, high = self.times or (self.low, self.high)
        if low is not None and high is not None:
            if low >= high:
                raise ValueError(f"low must be below high, got {low:g} and {high:g}")
            if (self.log or self.times) and low <= 0:
                raise ValueError(f"a logarithm needs values above 0, got {low:g}")
        if self.step is not None and (self.choices or self.times or self.log):
            raise ValueError("step needs low and high, and no log")
        if len({repr(choice) for choice in self.choices}) < len(self.choices):
            raise ValueError("choices: one is named twice")
        return self

    def conditions(self) -> dict[str, tuple[Plain, ...]]:
        """Other settings and the values that they may have."""
        return {
            path: tuple(value) if isinstance(value, list) else (value,)
            for path, value in self.when.items()
        }


def _searched(path: str, given: object) -> Searched:
    """How a setting is drawn; named apart from the alternative, a name of a space."""
    if isinstance(given, Searched):
        return given
    tree = {"choices": given} if isinstance(given, list) else given  # a list of values
    if not isinstance(tree, Mapping):
        rule = "must be a range {low: 1, high: 2} or a list of values"
        raise SettingError(path, rule, value=str(given))
    try:
        return Searched.parse(tree)
    except SettingError as error:
        raise error.under(path) from None


class SearchSettings(Config):
    """A search file."""

    data: Path = Field(description="archive with a split val, or with folds")
    name: str = Field("", description="of the search; that of its file unless given")
    preset: Annotated[str, Flag("--cfg")] = Field(
        "auto", min_length=1, description="preset that every trial begins with; auto unless given"
    )
    cond: bool = Field(False, description="give the networks the labels")
    fold: int | None = Field(None, ge=0, description="fold to leave out; trials are measured on it")
    settings: Annotated[list[str], Flag("--set")] = Field(
        [], description="further settings of every trial as a.b=value"
    )
    kimg: float | None = Field(
        None, gt=0, description="thousands of images of a whole trial; the preset's unless given"
    )
    trials: int = Field(20, ge=1, le=10_000, description="trials in all; 20 unless given")
    hours: float | None = Field(
        None,
        gt=0,
        description="no trial begins after this many hours of work, all processes together",
    )
    total_kimg: float | None = Field(
        None, gt=0, description="no trial begins after this many thousands of images in all"
    )
    space: str | dict[str, Searched] = Field(
        SMALL_DATA,
        description="settings to search, or a built-in space: small-data (unless given) or "
        "published",
    )
    objectives: Annotated[list[str], Flag("--objective")] = Field(
        ["kernel"],
        min_length=1,
        max_length=4,
        description="measures to improve, kernel unless given; several give a Pareto front",
    )
    constraints: dict[str, float | Literal["preset"]] = Field(
        {"recall": "preset"},
        description="measure and the smallest value that may win; preset: that of the preset's own "
        "settings, less noise",
    )
    seeds: int = Field(1, ge=1, le=10, description="runs of every trial; 1 unless given")
    first_rung: float = Field(
        0.3, gt=0, le=1, description="share of the kimg after which trials may be ended early"
    )
    halving: int = Field(
        2, ge=1, le=10, description="one trial in this many goes on at a rung; 1 ends none early"
    )
    finalists: int = Field(3, ge=1, le=20, description="best trials that are trained again")
    fresh_seeds: int = Field(3, ge=2, le=20, description="new runs of every finalist")
    seed: int = Field(0, ge=0, lt=2**31, description="seed of everything random")

    @pydantic.field_validator("space", mode="before")
    @classmethod
    def _something(cls, given: object) -> object:
        if not given:
            raise ValueError("names nothing to search: give settings, or a built-in space")
        if not isinstance(given, Mapping):
            return given
        return {str(path): _searched(str(path), value) for path, value in given.items()}

    @pydantic.model_validator(mode="before")
    @classmethod
    def _unconstrained_objectives(cls, given: object) -> object:
        """The default constraint is left out where its measure is an objective."""
        goals = given.get("objectives") if isinstance(given, Mapping) else None
        if not isinstance(given, Mapping) or "constraints" in given or not isinstance(goals, list):
            return given
        usual = cls.model_fields["constraints"].default
        return {**given, "constraints": {m: usual[m] for m in usual if m not in goals}}

    @pydantic.model_validator(mode="after")
    def _once(self) -> "SearchSettings":
        names = self.objectives
        if len(set(names)) < len(names):
            raise ValueError("objectives: one is named twice")
        both = [name for name in self.constraints if name in names]
        if both:
            raise ValueError(f"constraints: {both[0]} is an objective already")
        return self

    @property
    def measures(self) -> list[str]:
        """All that is measured: objectives first."""
        return [*self.objectives, *self.constraints]

    def frozen(self) -> JsonObject:
        """What may not change on the way, without folders."""
        tree = {key: value for key, value in self.tree().items() if key not in BUDGETS}
        return {**tree, "data": self.data.name}


def read_search(path: Path | None, typed: Mapping[str, object]) -> SearchSettings:
    """The settings of a search: of a file, with what is typed on top.

    Args:
        path: YAML or JSON; None where all is typed.
        typed: keys of a search file; a path in it is relative to the working folder.

    Raises:
        UserError: the file cannot be read, or a key is unknown or breaks a rule.
    """
    tree = {} if path is None else read_tree(path)
    if path is not None and isinstance(tree.get("data"), str):
        tree["data"] = str(path.parent.resolve() / tree["data"])
    if not (tree.get("data") or typed.get("data")):
        raise UserError("which images? give an archive with --data, or a file SEARCH.yaml")
    whole = merge(tree, typed)
    if "space" in typed:  # a name takes the place of settings
        whole["space"] = typed["space"]
    try:
        settings = SearchSettings.parse(whole)
    except SettingError as error:
        if error.path in typed:  # by its option, which the caller knows
            raise
        raise UserError(f"{path}: {error}" if path is not None else str(error)) from None
    name = settings.name or (settings.data.stem if path is None else path.stem)
    return settings.model_copy(update={"name": name, "data": settings.data.resolve()})
