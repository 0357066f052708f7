"""A run directory as files: what was configured, how training went, what it drew."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synthograph.core.errors import UserError
from synthograph.core.outputs import is_run
from synthograph.report.evaluations import Evaluation, read_line
from synthograph.report.fields import (
    Fields,
    read_fields,
    read_lines,
    refuse_large,
)
from synthograph.report.findings import Sensitivity, sensitivity_lines

MAX_LOG_BYTES = 32 << 20
MAX_HEADER_BYTES = 64 << 20
MAX_LOG_LINES = 40
"""Lines of the log that are neither status lines nor snapshots, such as what was said at the
start."""
COMMAND = "synthograph "
_FAKES = re.compile(r"fakes-(\d{6,12})\.png", re.ASCII)
_GENERATOR = re.compile(r"generator-(\d{6,12})\.safetensors", re.ASCII)
NAMES = {
    "Loss/G/loss": "generator",
    "Loss/D/loss": "discriminator",
    "Loss/scores/real": "real images",
    "Loss/scores/fake": "generated images",
    "Progress/augment": "strength",
}
"""Statistics that are drawn."""
KIMG = "Progress/kimg"
NUMBERS = ("metrics.jsonl", "evaluations.jsonl")
"""Measures while a run trained, and what `evaluate` found; published ones stand in both."""


@dataclass(frozen=True)
class Picture:
    """A picture that a run drew, and after how many thousand images."""

    kimg: int
    path: Path


@dataclass(frozen=True)
class Run:
    """What a run directory holds.

    Attributes:
        path: the folder.
        config: settings as they were used.
        kimg: thousands of images at every status line.
        curves: statistic -> value at every status line, None where there is none.
        alarms: (kimg, sentence).
        seconds: of training, all told.
        evaluations: lines of `metrics.jsonl` and `evaluations.jsonl`.
        sensitivities: tables in the latter.
        said: lines of the log that a reader wants, commands first.
        commands: that were typed.
        reals: contact sheet of real images.
        fakes: contact sheets of generated ones, in their order.
        snapshots: thousands of images of every snapshot.
        info: document of the newest snapshot.
        newest: its file.
        problems: what could not be read.
    """

    path: Path
    config: Mapping[str, Any]
    kimg: tuple[float, ...] = ()
    curves: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    alarms: tuple[tuple[float, str], ...] = ()
    seconds: float | None = None
    evaluations: tuple[Evaluation, ...] = ()
    sensitivities: tuple[Sensitivity, ...] = ()
    said: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    reals: Path | None = None
    fakes: tuple[Picture, ...] = ()
    snapshots: tuple[int, ...] = ()
    info: Fields = field(default_factory=lambda: Fields({}, ""))
    newest: Path | None = None
    problems: tuple[str, ...] = ()


def read_run(path: Path) -> Run:
    """Read a run directory. Lines that are broken are counted, not fatal.

    Raises:
        UserError: it is no run directory, or its configuration cannot be read.
    """
    if not is_run(path):
        raise UserError(
            f"{path}: is no run directory, which has config.json, log.txt and snapshots/"
        )
    problems: list[str] = []
    config = read_fields(path / "config.json").tree
    kimg, curves, alarms, seconds = _stats(path, problems)
    commands, said = _log(path, problems)
    fakes = _numbered(path, _FAKES)
    made = _numbered(path / "snapshots", _GENERATOR)
    info = Fields({}, "")
    if made:
        try:
            info = read_header(made[-1].path)
        except UserError as error:
            problems.append(str(error))
    return Run(
        path=path,
        config=config,
        kimg=kimg,
        curves=curves,
        alarms=alarms,
        seconds=seconds,
        evaluations=tuple(each for name in NUMBERS for each in _metrics(path, name, problems)),
        sensitivities=_sensitivities(path),
        said=said,
        commands=commands,
        reals=path / "reals.png" if (path / "reals.png").is_file() else None,
        fakes=fakes,
        snapshots=tuple(each.kimg for each in made),
        info=info,
        newest=made[-1].path if made else None,
        problems=tuple(problems),
    )


def _numbered(folder: Path, pattern: re.Pattern[str]) -> tuple[Picture, ...]:
    if not folder.is_dir():
        return ()
    found = ((pattern.fullmatch(each.name), each) for each in folder.iterdir())
    return tuple(
        sorted(
            (Picture(int(match[1]), each) for match, each in found if match and each.is_file()),
            key=lambda picture: picture.kimg,
        )
    )


def _lines(path: Path, problems: list[str]) -> list[Fields]:
    """Objects of a file of lines; none where it is missing, and broken ones are reported."""
    if not path.exists():
        return []
    try:
        found, broken = read_lines(path)
    except UserError as error:
        problems.append(str(error))
        return []
    _count(problems, path.name, broken)
    return found


def _count(problems: list[str], name: str, broken: list[str]) -> None:
    if broken:
        lines = "1 line" if len(broken) == 1 else f"{len(broken)} lines"
        problems.append(f"{name}: {lines} could not be read and are left out ({broken[0]})")


def _stats(
    path: Path, problems: list[str]
) -> tuple[
    tuple[float, ...],
    dict[str, tuple[float | None, ...]],
    tuple[tuple[float, str], ...],
    float | None,
]:
    """Status lines: where they stand, the curves, alarms, and seconds of training."""
    kimg: list[float] = []
    curves: dict[str, list[float | None]] = {name: [] for name in NAMES}
    alarms: list[tuple[float, str]] = []
    seconds, broken = None, []
    for line in _lines(path / "stats.jsonl", problems):
        try:
            at = line.inner(KIMG).number("mean")
            if at is None:
                raise UserError(f"{line.where}: has no {KIMG}")
            values = {name: line.inner(name).number("mean") for name in NAMES}
            told = [(at, text) for text in line.texts("alarms")]
            total = line.inner("Timing/total_sec").number("mean")
        except UserError as error:
            broken.append(str(error))
            continue
        kimg.append(at)
        for name, value in values.items():
            curves[name].append(value)
        alarms += told
        seconds = seconds if total is None else total
    _count(problems, "stats.jsonl", broken)
    drawn = {name: tuple(v) for name, v in curves.items() if any(x is not None for x in v)}
    return tuple(kimg), drawn, tuple(alarms), seconds


def _metrics(path: Path, name: str, problems: list[str]) -> list[Evaluation]:
    found, broken = [], []
    for line in _lines(path / name, problems):
        if name != NUMBERS[0] and line.flag("published"):
            continue  # stands in the first file too
        try:
            found.append(read_line(line, f"{path.name}/{name}"))
        except UserError as error:
            broken.append(str(error))
    _count(problems, name, broken)
    return found


def _sensitivities(path: Path) -> tuple[Sensitivity, ...]:
    try:
        return tuple(sensitivity_lines(_lines(path / NUMBERS[1], []), f"{path.name}/{NUMBERS[1]}"))
    except UserError:  # was reported with the numbers of the file
        return ()


def _log(path: Path, problems: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Commands, and other lines that say something, of the log."""
    file = path / "log.txt"
    if not file.exists():
        return (), ()
    try:
        refuse_large(file, MAX_LOG_BYTES)
        text = file.read_bytes().decode("utf-8", errors="replace")
    except (UserError, OSError) as error:
        problems.append(str(error))
        return (), ()
    lines = [line.strip()[:1000] for line in text.split("\n") if line.strip()]
    commands = list(dict.fromkeys(line for line in lines if line.startswith(COMMAND)))
    said = [
        line
        for line in lines
        if not line.startswith(
            (COMMAND, "tick ", "snapshot ", "picture ", "done", "metrics: ", "best by ")
        )
    ]
    return tuple(commands[:MAX_LOG_LINES]), tuple(said[:MAX_LOG_LINES])


def read_header(path: Path) -> Fields:
    """The document in the header of a snapshot, without its tensors and without torch.

    Raises:
        UserError: the file is no snapshot of ours, or its header is too large.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(MAX_HEADER_BYTES, path.stat().st_size):
                raise UserError(f"{path}: is cut short or no safetensors file")
            header = json.loads(file.read(length))
            document = json.loads(header["__metadata__"]["synthograph"])
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except UserError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path}: holds no document of synthograph in its header") from None
    if not isinstance(document, dict):
        raise UserError(f"{path}: holds no document of synthograph in its header")
    return Fields(document, path.name)
