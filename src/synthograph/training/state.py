"""The checkpoint state of a run: everything that resumes, written so that a power cut cannot damage
it.

A state is a folder `state/<images>/` of `tensors.safetensors`, `state.json` and, written last,
`manifest.json` with the hashes of the two. It is written under a temporary name and renamed;
reading takes the newest that is complete.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pydantic
import torch
from torch import Tensor, nn

import synthograph
from synthograph.core.devices import is_gpu
from synthograph.core.errors import DivergedError, UserError
from synthograph.core.files import disk_errors, remove, sha256_file, sync, write_json
from synthograph.core.halves import half_path
from synthograph.core.interval import Interval
from synthograph.core.machine import processor_name
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.untrusted.tensors import (
    load_optimiser,
    load_tensors,
    optimiser_tensors,
    read_tensors,
    select,
    write_tensors,
)
from synthograph.models.base import Networks
from synthograph.models.config import AdamConfig
from synthograph.results.diversity import too_alike
from synthograph.training.controllers import Controller
from synthograph.training.stats import RunningMoments

FORMAT = 1
TENSORS, NUMBERS, MANIFEST = "tensors.safetensors", "state.json", "manifest.json"
KEPT = 2


ALL = "all images"


@dataclass(frozen=True)
class Score:
    """A measure of a snapshot by images that were held out.

    Attributes:
        name: of the measure.
        value: the number; None where there is none.
        interval: low end, high end and level; None where it is unknown.
        smaller: whether smaller numbers are better.
        leads: whether this measure chooses the best snapshot. One of a run does.
        part: the class that was measured; None for all images.
    """

    name: str
    value: float | None
    interval: tuple[float, float, float] | None
    smaller: bool
    leads: bool = False
    part: str | None = None

    @property
    def title(self) -> str:
        """The measure, and its class."""
        return self.name if self.part is None else f"{self.name}/{self.part}"

    @property
    def too_alike(self) -> bool:
        """Whether it says that images are too much alike."""
        return too_alike(self.name, None if self.interval is None else Interval(*self.interval))


@dataclass(frozen=True)
class ScoredSnapshot:
    """What was found of a snapshot: its file and hash, images seen, and measures; `grown` is False
    before networks that grow show all layers of the last size.
    """

    snapshot: str
    sha256: str
    images: int
    scores: Sequence[Score]
    grown: bool = True

    @property
    def leading(self) -> Score | None:
        """The measure that chooses, if it has a value."""
        return next((s for s in self.scores if s.leads and s.value is not None), None)

    def too_alike(self, *measures: str) -> list[str]:
        """Classes whose images are too much alike by these measures, or by any; `ALL` where there
        are no classes.
        """
        classes = any(score.part is not None for score in self.scores)
        found = (
            score.part
            for score in self.scores
            if score.too_alike and (score.part is not None) == classes
            if not measures or score.name in measures
        )
        return list(dict.fromkeys(part or ALL for part in found))


@dataclass
class TrainingProgress:
    """How far a run is.

    Attributes:
        images: real images shown so far.
        tick_images: images at the last tick, which is a status line.
        seconds: training time of all sittings together.
        non_finite: phases since the last tick whose gradients were not finite.
        rollbacks: how often the run rolled back to a snapshot's state because of them.
        alarms: alarms since the last tick, for its line in `stats.jsonl`.
        lasting: reported conditions that still hold, not to be repeated.
        measured: what was found of every snapshot so far.
    """

    __pydantic_config__ = pydantic.ConfigDict(extra="forbid")

    images: int = 0
    steps: int = 0
    ticks: int = 0
    tick_images: int = 0
    seconds: float = 0.0
    non_finite: int = 0
    rollbacks: int = 0
    alarms: list[str] = field(default_factory=list)
    lasting: list[str] = field(default_factory=list)
    measured: list[ScoredSnapshot] = field(default_factory=list)

    @classmethod
    def parse(cls, data: object) -> "TrainingProgress":
        """Progress from plain data, as `dataclasses.asdict` gives it."""
        return pydantic.TypeAdapter(cls).validate_python(data)


@dataclass
class TrainingState:
    """Everything that a step changes; `ema` is the averaged generator."""

    networks: Networks
    ema: nn.Module
    optimisers: dict[str, torch.optim.Adam]
    controller: Controller
    progress: TrainingProgress = field(default_factory=TrainingProgress)
    moments: RunningMoments = field(default_factory=RunningMoments)

    def tensors(self) -> dict[str, Tensor]:
        """All tensors, named by their owner."""
        result: dict[str, Tensor] = {}
        for prefix, module in self._modules().items():
            result |= {f"{prefix}/{name}": t for name, t in module.state_dict().items()}
        result |= {f"extras/{name}": t for name, t in self.networks.buffers.items()}
        result |= {f"augment/{name}": t for name, t in self.controller.tensors().items()}
        result |= {f"moments/{name}": t for name, t in self.moments.tensors().items()}
        for key, optimiser in self.optimisers.items():
            named = optimiser_tensors(optimiser)
            result |= {f"optimisers/{key}/{name}": t for name, t in named.items()}
        return result

    def non_finite(self) -> str | None:
        """Name of a tensor that is not finite, statistics apart; None where all is well."""
        for name, tensor in self.tensors().items():
            if not name.startswith("moments/") and not bool(torch.isfinite(tensor).all()):
                return name
        return None

    def load(self, tensors: Mapping[str, Tensor], path: Path) -> None:
        """Restore what `tensors` gave."""
        for prefix, module in self._modules().items():
            load_tensors(module, select(tensors, f"{prefix}/"), path)
        for name, target in self.networks.buffers.items():
            target.copy_(tensors[f"extras/{name}"])
        self.controller.load(select(tensors, "augment/"))
        self.moments.load(select(tensors, "moments/"))
        for key, optimiser in self.optimisers.items():
            load_optimiser(optimiser, select(tensors, f"optimisers/{key}/"))

    def _modules(self) -> dict[str, nn.Module]:
        return {
            "generator": self.networks.generator,
            "discriminators": self.networks.discriminators,
            "ema": self.ema,
        }


def make_optimisers(
    networks: Networks, rates: Mapping[str, AdamConfig]
) -> dict[str, torch.optim.Adam]:
    """One Adam per key over that key's parameters, in the order of the module."""
    return {
        key: torch.optim.Adam(
            module.parameters(),
            lr=rates[key].lr,
            betas=(rates[key].beta1, rates[key].beta2),
            eps=rates[key].eps,
            fused=True,
        )
        for key, module in networks.trained.items()
    }


@dataclass(frozen=True)
class Surroundings:
    """What has to be equal for a resumed run to be bit for bit the same."""

    __pydantic_config__ = pydantic.ConfigDict(extra="forbid")

    threads: int
    torch_version: str
    processor: str
    precision: str
    synthograph: str = "0.1.0"
    processes: int = 1
    device: str | None = None

    @classmethod
    def here(cls, precision: str, processes: int, device: torch.device) -> "Surroundings":
        """This process, one of a team of so many, on its device."""
        return cls(
            torch.get_num_threads(),
            torch.__version__,
            processor_name(),
            precision,
            synthograph.__version__,
            processes,
            device_name(device),
        )

    def differences(self, other: "Surroundings") -> list[str]:
        """What differs, in words; older states do not record their device."""
        mine, theirs = asdict(self), asdict(other)
        known = (name for name in mine if theirs[name] is not None)
        return [
            f"{k.replace('_', ' ')} {theirs[k]} -> {mine[k]}" for k in known if mine[k] != theirs[k]
        ]


def device_name(device: torch.device) -> str:
    """A device with its number and what it calls itself, so that two GPUs differ."""
    if not is_gpu(device):
        return device.type
    return f"cuda:{device.index or 0} ({torch.cuda.get_device_name(device)})"


@dataclass(frozen=True)
class SavedNumbers:
    """The part of a state that is no tensor.

    Attributes:
        lengths: byte length of every file that only grows, such as `stats.jsonl`.
        boundary: whether the state was saved right after a snapshot.
        data: digest of the training images, groups and labels; None in older states.
        held_out: digest of the images that choose; None in older states.
        environments: where it was trained so far, in turn; none in older states.
    """

    progress: TrainingProgress
    lengths: Mapping[str, int]
    boundary: bool
    surroundings: Surroundings
    data: str | None = None
    held_out: str | None = None
    environments: list[JsonObject] = field(default_factory=list)


def way_out(state: TrainingState) -> str:
    """What may help where training diverges; a run that is resumed keeps its settings."""
    rates = ", ".join(f"model.optimisers.{key}.lr=..." for key in state.optimisers)
    return (
        f"Start anew with a lower learning rate (--set {rates}), --precision fp32, or, where the "
        "family has it, a higher --gamma, and look at the images for odd values"
    )


def save_state(folder: Path, state: TrainingState, numbers: SavedNumbers) -> Path:
    """Write a state below `folder` and drop those that are no longer needed.

    Returns:
        The state's own folder.

    Raises:
        DivergedError: a tensor is not finite; such a state is never saved.
        DiskFullError: no space; the states before stay valid.
    """
    odd = state.non_finite()
    if odd is not None:
        raise DivergedError(
            f"tensor {odd} holds numbers that are not finite after {state.progress.images} images. "
            f"The last saved state is kept. {way_out(state)}"
        )
    tensors = state.tensors()
    target = folder / f"{numbers.progress.images:012d}"
    temporary = half_path(target)
    with disk_errors(folder):
        temporary.mkdir(parents=True)
        try:
            write_tensors(temporary / TENSORS, tensors, {"format": FORMAT})
            write_json(temporary / NUMBERS, {"format": FORMAT, **asdict(numbers)})
            hashes = {name: sha256_file(temporary / name) for name in (TENSORS, NUMBERS)}
            write_json(temporary / MANIFEST, hashes)
            sync(temporary)
            remove(target)
            temporary.rename(target)
            sync(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    _prune(folder, numbers.progress.images)
    return target


def _prune(folder: Path, images: int) -> None:
    """Keep the newest states and the newest one of a snapshot.

    States of later images than the one just saved are those that a run went behind, since they were
    damaged.
    """
    drop_states_after(folder, images)
    states = list_states(folder)
    boundary = next((path for path in states if _is_boundary(path)), None)
    for path in states[KEPT:]:
        if path != boundary:
            remove(path)


def _is_boundary(path: Path) -> bool:
    try:
        return bool(json.loads((path / NUMBERS).read_text(encoding="utf-8"))["boundary"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def list_states(folder: Path) -> list[Path]:
    """Folders of states, newest first, whether complete or not."""
    if not folder.is_dir():
        return []
    return sorted((p for p in folder.iterdir() if p.name.isdecimal()), reverse=True)


@dataclass(frozen=True)
class Loaded:
    """What was restored: the numbers, the state's folder, and why newer ones were passed over."""

    numbers: SavedNumbers
    path: Path
    passed: list[str]


def load_state(folder: Path, state: TrainingState, *, only_boundary: bool = False) -> Loaded | None:
    """Restore the newest complete state below `folder` into `state`.

    Args:
        folder: where states are.
        state: overwritten.
        only_boundary: only states that were saved right after a snapshot.

    Returns:
        What was restored; None where no state is complete.

    Raises:
        UserError: a complete state that this version or this run's networks cannot use.
    """
    passed: list[str] = []
    for path in list_states(folder):
        problem = state_problem(path)
        if problem is not None:
            passed.append(f"{path}: {problem}")
            continue
        if only_boundary and not _is_boundary(path):
            continue
        numbers = _read_numbers(path)
        tensors, _ = read_tensors(path / TENSORS)
        try:
            state.load(tensors, path / TENSORS)
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise UserError(
                f"{path}: does not fit this run's networks ({error}); was config.json changed?"
            ) from None
        state.progress = numbers.progress
        return Loaded(numbers, path, passed)
    return None


def state_problems(folder: Path) -> list[str]:
    """Why the states below a folder cannot be used, those that can left out."""
    found = ((path, state_problem(path)) for path in list_states(folder))
    return [f"{path}: {problem}" for path, problem in found if problem is not None]


def drop_states_after(folder: Path, images: int) -> None:
    """Remove states newer than an image count, which a rolled-back run must not resume from."""
    for path in list_states(folder):
        if int(path.name) > images:
            remove(path)


def state_problem(path: Path) -> str | None:
    """Why a state cannot be used, or None."""
    try:
        hashes = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "is incomplete"
    for name in (TENSORS, NUMBERS):
        known = hashes.get(name) if isinstance(hashes, dict) else None
        if not (path / name).exists() or sha256_file(path / name) != known:
            return f"{name} is damaged"
    return None


def _read_numbers(path: Path) -> SavedNumbers:
    data: JsonObject = json.loads((path / NUMBERS).read_text(encoding="utf-8"))
    if data.get("format") != FORMAT:
        raise UserError(
            f"{path}: was saved by another version of synthograph (format {data.get('format')}, "
            f"this one reads {FORMAT}): resume with that version, or start a new run with "
            "--init-from its last snapshot"
        )
    try:
        return pydantic.TypeAdapter(SavedNumbers).validate_python(data)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        raise UserError(
            f"{path}: was saved by a newer version of synthograph "
            f"({'.'.join(map(str, first['loc']))}: {first['msg']}): resume with that one"
        ) from None
