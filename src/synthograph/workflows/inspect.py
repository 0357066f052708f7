"""What a file or folder is, without trusting it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from synthograph.archive.describe import describe as describe_archive
from synthograph.core.errors import UserError
from synthograph.core.files import disk_errors
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.untrusted.arrays import SUFFIX as ARRAYS
from synthograph.core.untrusted.documents import JsonObject
from synthograph.models.inspect import changed_settings
from synthograph.models.inspect import describe as describe_network
from synthograph.models.snapshot import is_zip
from synthograph.models.snapshot_files import find_snapshot, list_snapshots
from synthograph.results.card import CARD
from synthograph.sampling.latents import describe as describe_latents
from synthograph.training.describe import (
    describe_run,
    describe_runs,
    describe_state,
    is_state,
    list_runs,
)
from synthograph.workflows.inspect_trained import describer
from synthograph.workflows.latent_inputs import find_network
from synthograph.workflows.requests import InspectRequest

HIDDEN = ("spec",)
"""Said in other words elsewhere, or only for programs."""
MAX_SHOWN = 20
"""Entries of a list that are shown without `full`."""


@dataclass(frozen=True, repr=False)
class InspectResult(Result):
    """What was found of a file or folder.

    Attributes:
        facts: what is known, up to what was refused.
        refused: why it is refused, if it is.
        full: whether all of it is shown.
    """

    facts: JsonObject
    refused: UserError | None = None
    full: bool = False

    def lines(self) -> Iterator[str]:
        """What fits a screen, or all of it: `name: value` lines, inner facts indented."""
        return _lines(self.facts if self.full else _shortened(self.facts))

    def json(self) -> JsonObject:
        """All facts."""
        return self.facts | ({} if self.refused is None else {"refused": str(self.refused)})


def run(request: InspectRequest, *, progress: Progress) -> InspectResult:
    """Look at a file or folder as data."""
    path = find_network(request.path, progress)
    facts: JsonObject = {"path": str(path)}
    refused = None
    try:
        _describer(path, request, progress)(path, facts)
    except UserError as error:
        refused = error
    return InspectResult(facts, refused, request.full)


def _describer(
    path: Path, request: InspectRequest, progress: Progress
) -> Callable[[Path, JsonObject], None]:
    """Who knows such files; others count as snapshot or archive."""
    archive = partial(describe_archive, quick=request.quick, track=progress.track("images"))
    with disk_errors(path):
        if not path.is_dir() and not path.is_file() and path.exists():
            raise UserError(f"{path}: is a pipe or a device; give a file or a folder")
        if path.is_file() and path.suffix.lower() == ARRAYS:
            return describe_latents
        trained = describer(path)
        if trained is not None:
            return trained
        if path.is_file():
            return archive if is_zip(path) or path.suffix == ".zip" else describe_network
        if (path / "config.json").is_file() and not (path / CARD).is_file():
            return describe_run
        if is_state(path):
            return describe_state
        if path.is_dir() and list_snapshots(path):
            return lambda folder, facts: describe_network(find_snapshot(folder), facts)
        if list_runs(path):
            return partial(describe_runs, quick=request.quick)
        return archive if path.exists() else describe_network


def _shortened(facts: JsonObject) -> JsonObject:
    """One line per run and network, short lists, and of a model what is set apart."""
    return {name: _short(name, value) for name, value in facts.items() if name not in HIDDEN}


def _short(name: str, value: Any) -> Any:  # noqa: ANN401 - JSON data
    if isinstance(value, list) and len(value) > MAX_SHOWN:
        return [*value[:MAX_SHOWN], f"... ({len(value)} in all, see --full)"]
    if not isinstance(value, dict):
        return value
    if name in OUTLINES:
        return OUTLINES[name](value)
    known = [(inner, of) for inner, of in value.items() if of is not None]
    more = {"...": f"{len(known)} in all, see --full"} if len(known) > MAX_SHOWN else {}
    return {**dict(known[:MAX_SHOWN]), **more}


def _model(tree: JsonObject) -> str:
    """The settings that are not the defaults, in one line."""
    try:
        changed = _one_line(changed_settings(tree))
    except UserError:
        changed = _one_line(tree)
    return f"{changed or 'all settings as by default'} (all settings: --full)"


def _one_line(facts: JsonObject) -> str:
    """`name value, name value`; inner facts in brackets."""
    parts = []
    for name, value in facts.items():
        if isinstance(value, dict):
            parts.append(f"{name} ({_one_line(value)})")
        elif isinstance(value, list):
            parts.append(f"{name} {' '.join(map(str, value))}")
        else:
            parts.append(f"{name} {'-' if value is None else value}")
    return ", ".join(parts)


def _lines(facts: JsonObject, indent: str = "") -> Iterator[str]:
    """Names of others are shown as Python writes them where they cannot be printed."""
    for name, value in facts.items():
        text = ", ".join(map(str, value)) if isinstance(value, list | dict) else str(value)
        whole = f"{name}: {text if value or value == 0 else '-'}"
        if isinstance(value, dict) and value:
            yield f"{indent}{name if name.isprintable() else repr(name)}:"
            yield from _lines(value, f"{indent}  ")
        else:
            yield indent + (whole if whole.isprintable() else repr(whole))


OUTLINES: Mapping[str, Callable[[JsonObject], Any]] = {
    "model": _model,
    "runs": lambda runs: {run: _one_line(outline) for run, outline in runs.items()},
    "parameters": _one_line,
    "tensors": _one_line,
}
"""What has a short form of its own."""
