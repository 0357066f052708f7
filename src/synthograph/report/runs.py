"""A run directory as files: what was configured, how training went, what it drew."""

import contextlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from synthograph.core.errors import UserError
from synthograph.core.files import sha256_file
from synthograph.core.outputs import is_run
from synthograph.report.numbers import Numbers, joined
from synthograph.report.problems import Problem, gathered
from synthograph.results.base import (
    WITHHELD,
    Tree,
    public_command,
    public_name,
    public_prose,
    read_lines,
    read_tree,
    refuse_large,
    short_name,
)
from synthograph.results.evaluation import SensitivityLine, parse_line
from synthograph.results.sensitivity import Sensitivity
from synthograph.results.training import SnapshotRecord, StatusLine

MAX_LOG_BYTES = 32 << 20
MAX_HEADER_BYTES = 64 << 20
MAX_LOG_LINES = 40
"""Lines of the log that are neither status lines nor snapshots, such as what was said at the
start."""
COMMAND = "synthograph "
ROUTINE = ("tick ", "snapshot ", "picture ", "done", "metrics: ", "best by ")
T = TypeVar("T")
_FAKES = re.compile(r"fakes-(\d{6,12})(\.\d{3})?\.png", re.ASCII)
_GENERATOR = re.compile(r"generator-(\d{6,12})(\.\d{3})?\.safetensors", re.ASCII)
NAMES = {
    "Loss/G/loss": "generator",
    "Loss/D/loss": "discriminator",
    "Loss/scores/real": "real images",
    "Loss/scores/fake": "synthetic images",
    "Progress/augment": "strength",
}
"""Statistics that are drawn."""
KIMG = "Progress/kimg"
METRICS, EVALUATIONS = "metrics.jsonl", "evaluations.jsonl"
"""Measures while a run trained, and what `evaluate` found; published ones stand in both."""


@dataclass(frozen=True)
class Picture:
    """A picture or a snapshot of a run, and after how many thousand images."""

    kimg: float
    path: Path


@dataclass(frozen=True)
class Curves:
    """What `stats.jsonl` says.

    Attributes:
        kimg: thousands of images at every status line.
        values: statistic -> value at every status line, None where there is none.
        alarms: (kimg, sentence).
        seconds: of training, all told.
    """

    kimg: tuple[float, ...] = ()
    values: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    alarms: tuple[tuple[float, str], ...] = ()
    seconds: float | None = None


@dataclass(frozen=True)
class Run:
    """What a run directory holds.

    Attributes:
        config: settings as they were used.
        evaluations: numbers of `metrics.jsonl` and `evaluations.jsonl`, one entry for the same
            images.
        sensitivities: tables in the latter.
        said: lines of the log that a reader wants.
        reals: contact sheet of real images.
        fakes: contact sheets of synthetic ones, in their order.
        snapshots: in their order.
        info: document of the newest snapshot.
        groups: patients that it was trained on, as far as it says, as `images` are.
        started_from: whether it began with the weights of another network.
    """

    path: Path
    config: Tree
    curves: Curves = Curves()
    evaluations: tuple[Numbers, ...] = ()
    sensitivities: tuple[Sensitivity, ...] = ()
    said: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    reals: Path | None = None
    fakes: tuple[Picture, ...] = ()
    snapshots: tuple[Picture, ...] = ()
    info: SnapshotRecord = SnapshotRecord()
    groups: int = 0
    images: int = 0
    started_from: bool = False
    problems: tuple[Problem, ...] = ()

    @cached_property
    def networks(self) -> frozenset[str]:
        """Sha256 of its snapshots, as far as their files can be read."""
        found = set()
        for each in self.snapshots:
            with contextlib.suppress(OSError):
                found.add(sha256_file(each.path))
        return frozenset(found)

    def section(self, name: str) -> Tree:
        """A group of settings; empty where there is none."""
        inner = self.config.get(name)
        return inner if isinstance(inner, dict) else {}

    def public(self) -> "Run":
        """Without what is private."""
        alarms = tuple((at, public_prose(text)) for at, text in self.curves.alarms)
        return replace(
            self,
            path=Path(self.path.name),
            config=_short({name: v for name, v in self.config.items() if name != "tracking"}),
            curves=replace(self.curves, alarms=alarms),
            evaluations=tuple(each.public() for each in self.evaluations),
            sensitivities=tuple(each.public() for each in self.sensitivities),
            said=tuple(line for line in map(public_prose, self.said) if line != WITHHELD),
            commands=tuple(map(public_command, self.commands)),
            info=self.info.public(),
            problems=tuple(each.public() for each in self.problems),
        )


def _short(value: Any) -> Any:  # noqa: ANN401
    """Settings with the last parts of paths: any text may be one."""
    if isinstance(value, dict):
        return {public_name(name): _short(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_short(each) for each in value]
    return short_name(value) if isinstance(value, str) else value


def read_run(path: Path) -> Run:
    """Read a run directory. Lines that are broken are counted, not fatal.

    Raises:
        UserError: it is no run directory, or its configuration cannot be read.
    """
    if not is_run(path):
        raise UserError(
            f"{path}: is no run directory, which has config.json, log.txt and snapshots/"
        )
    problems: list[Problem] = []
    config = read_tree(path / "config.json")
    curves = _curves(path / "stats.jsonl", problems)
    commands, said = _log(path / "log.txt", problems)
    made = _numbered(path / "snapshots", _GENERATOR)
    info = SnapshotRecord()
    if made:
        with gathered(problems, made[-1].path):
            info = read_header(made[-1].path)
    evaluations, tables = _evaluations(path, problems)
    return Run(
        path=path,
        config=config,
        curves=curves,
        evaluations=evaluations,
        sensitivities=tables,
        said=said,
        commands=commands,
        reals=path / "reals.png" if (path / "reals.png").is_file() else None,
        fakes=grids(path),
        snapshots=made,
        info=info,
        groups=len(info.group_digests),
        images=len(info.image_digests),
        started_from=info.initialised_from is not None,
        problems=tuple(problems),
    )


def grids(run: Path) -> tuple[Picture, ...]:
    """Contact sheets of synthetic images of a run directory, in their order."""
    return _numbered(run, _FAKES)


def _numbered(folder: Path, pattern: re.Pattern[str]) -> tuple[Picture, ...]:
    if not folder.is_dir():
        return ()
    names = ((pattern.fullmatch(each.name), each) for each in folder.iterdir())
    found = [Picture(_kimg(match), each) for match, each in names if match and each.is_file()]
    return tuple(sorted(found, key=lambda picture: picture.kimg))


def _kimg(match: re.Match[str]) -> float:
    """Thousands of images by a name, whole where its number is."""
    return int(match[1]) if match[2] is None else float(match[1] + match[2])


def _lines(path: Path, parse: Callable[[object, str], T], problems: list[Problem]) -> list[T]:
    """Objects of a file of lines; none where it is missing, and broken ones are counted."""
    found: list[T] = []
    broken: list[str] = []
    if path.exists():
        with gathered(problems, path):
            found, broken = read_lines(path, parse)
    if broken:
        lines = "1 line" if len(broken) == 1 else f"{len(broken)} lines"
        problems.append(
            Problem(f"{path.name}: {lines} could not be read and are left out ({broken[0]})")
        )
    return found


def _status(tree: object, where: str) -> StatusLine:
    line = StatusLine.parse(tree, where)
    if line.mean(KIMG) is None:
        raise UserError(f"{where}: has no {KIMG}")
    return line


def _curves(path: Path, problems: list[Problem]) -> Curves:
    lines = _lines(path, _status, problems)
    kimg = tuple(line.mean(KIMG) or 0.0 for line in lines)
    values = {name: tuple(line.mean(name) for line in lines) for name in NAMES}
    seconds = [each for line in lines if (each := line.mean("Timing/total_sec")) is not None]
    return Curves(
        kimg,
        {name: each for name, each in values.items() if any(x is not None for x in each)},
        tuple((at, text) for at, line in zip(kimg, lines, strict=True) for text in line.alarms),
        seconds[-1] if seconds else None,
    )


def _evaluations(
    path: Path, problems: list[Problem]
) -> tuple[tuple[Numbers, ...], tuple[Sensitivity, ...]]:
    """Numbers and tables of sensitivities."""
    numbers, tables = [], []
    for name in (METRICS, EVALUATIONS):
        for line in _lines(path / name, parse_line, problems):
            if isinstance(line, SensitivityLine):
                tables.append(line.sensitivity)
            elif name == METRICS or not line.published:  # these stand in the first file, too
                numbers.append(Numbers((f"{path.name}/{name}",), (line,)))
    return tuple(joined(numbers)), tuple(tables)


def _log(path: Path, problems: list[Problem]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Commands, and other lines that say something, of the log."""
    if not path.exists():
        return (), ()
    try:
        refuse_large(path, MAX_LOG_BYTES)
        text = path.read_bytes().decode("utf-8", errors="replace")
    except (UserError, OSError) as error:
        problems.append(Problem(str(error), path))
        return (), ()
    lines = [line.strip()[:1000] for line in text.split("\n") if line.strip()]
    commands = list(dict.fromkeys(line for line in lines if line.startswith(COMMAND)))
    said = [line for line in lines if not line.startswith((COMMAND, *ROUTINE))]
    return tuple(commands[:MAX_LOG_LINES]), tuple(said[:MAX_LOG_LINES])


def read_header(path: Path) -> SnapshotRecord:
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
    return SnapshotRecord.parse(document, path.name)
