"""Supervised training, one loop for classifiers and segmenters: steps, validations that choose the
weights, early stopping, and a state file from which a killed training goes on.

Every random number is keyed by the seed and by how many images were shown before, so a training
that goes on ends with the weights of one that was never stopped.
"""

import enum
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor, nn

from synthograph.core.config import Config, flatten
from synthograph.core.devices import Precision, is_gpu, pick_precision
from synthograph.core.errors import DivergedError, StoppedError, UserError
from synthograph.core.files import remove
from synthograph.core.machine import software_and_machine
from synthograph.core.progress import Tracks, silent
from synthograph.core.seeds import stream_key
from synthograph.core.signals import StopRequest
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.untrusted.tensors import (
    load_optimiser,
    load_tensors,
    optimiser_tensors,
    read_tensors,
    select,
    write_tensors,
)
from synthograph.downstream.orders import Order
from synthograph.downstream.watcher import Watcher
from synthograph.results.environment import Environment, distinct
from synthograph.results.validations import Validation, better

# n image

SAVE_SECONDS = 60.0
"""Time between two states."""
MAX_NORM = 5.0
"""Longest gradient; longer ones are shortened to it."""
FALL = 0.3
"""What the plateau schedule multiplies the learning rate by."""
VALIDATIONS = 20
"""How many a training has by default."""
TOLD, MOST_TOLD = 10, 200
"""Steps whose mean loss a watcher gets at once; more, where it would get more losses than so many.
"""
LOSS, VALIDATION_LOSS, RATE = "Loss/training", "Loss/validation", "Progress/rate"
SCORES, CHOSEN = "Metrics", "Chosen"
"""What a watcher gets, by name; scores are `Metrics/NAME`, of the chosen step `Chosen/NAME`."""


class Optimiser(enum.StrEnum):
    """Which one steps."""

    ADAM = "adam"
    ADAMW = "adamw"


class Schedule(enum.StrEnum):
    """How the learning rate falls."""

    COSINE = "cosine"
    PLATEAU = "plateau"
    CONSTANT = "constant"


class FitConfig(Config):
    """How a network is trained."""

    steps: int = Field(1000, ge=1, le=10_000_000, description="optimiser steps")
    batch: int = Field(32, ge=2, le=4096, description="images per step")
    optimiser: Optimiser = Field(Optimiser.ADAMW, description="adamw or adam")
    rate: float = Field(1e-3, gt=0, le=10, description="learning rate")
    weight_decay: float = Field(0.01, ge=0, le=10, description="of kernels, not of biases")
    schedule: Schedule = Field(
        Schedule.COSINE, description="of the rate: cosine, plateau or constant"
    )
    every: int | None = Field(
        None, ge=1, description="steps between validations; a twentieth of all if not given"
    )
    patience: int = Field(
        6, ge=0, description="validations without a better one that end it early; 0: never"
    )
    precision: Precision = Field(Precision.AUTO, description="auto, fp32 or bf16")
    seed: int = Field(0, ge=0, description="of the order of images, of transforms and of dropout")

    @property
    def interval(self) -> int:
        """Steps between validations."""
        return self.every or math.ceil(self.steps / VALIDATIONS)

    @property
    def wait(self) -> int:
        """Validations without a better one after which the plateau schedule lowers the rate."""
        return max(1, self.patience // 2)


@dataclass(frozen=True)
class Batch:
    """The images of one step.

    Attributes:
        numbers: which training images, 0..count-1.
        indices: how many images were shown before each; random draws are keyed by them.
        step: counted from 0.
    """

    numbers: Int64[Tensor, " n"]
    indices: Int64[Tensor, " n"]
    step: int


@dataclass(frozen=True)
class Score:
    """What a validation says of the weights: of equal values the smaller loss is better.

    Attributes:
        value: what chooses, larger is better; NaN is worse than every number.
        loss: the loss on the same images; NaN where it is not measured.
        scores: further ones by name, for those who watch.
    """

    value: float
    loss: float = math.nan
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """What is trained, on what, and what is good.

    Attributes:
        network: on its device; parameters without gradient stay as they are.
        loss: mean loss of a batch, a number; runs in the arithmetic of the training, and takes care
            of float32 where it needs it.
        validate: scores the network on validation images; it is in evaluation mode then.
        order: which images a step shows.
        key: the same for the same images, labels and transforms; another training's state is
            refused by it.
    """

    network: nn.Module
    loss: Callable[[Batch], Float[Tensor, ""]]
    validate: Callable[[], Score]
    order: Order
    key: str


@dataclass(frozen=True)
class Fitted:
    """How a training went; the network holds the weights of its best validation.

    Attributes:
        history: all validations.
        best: the one that chose the weights.
        steps: that were done.
        seconds: that they took, validations included.
        settings: of the training (`FitConfig`), with nothing left open.
        environments: where it was trained, in turn.
    """

    history: tuple[Validation, ...]
    best: Validation
    steps: int
    seconds: float
    precision: Precision
    settings: JsonObject
    environments: tuple[Environment, ...]


def rate_scale(config: FitConfig, step: int, history: Sequence[Validation]) -> float:
    """Factor of the learning rate of a step, which follows from what is known before it."""
    return _SCALES[config.schedule](config, step, history)


def _cosine(config: FitConfig, step: int, history: Sequence[Validation]) -> float:
    """From 1 to 0 (Loshchilov and Hutter 2017, without restarts)."""
    return 0.5 * (1 + math.cos(math.pi * step / config.steps))


def _plateau(config: FitConfig, step: int, history: Sequence[Validation]) -> float:
    """`FALL` for every `config.wait` validations in a row without a better one."""
    falls, since, best = 0, 0, (-math.inf, -math.inf)
    for each in history:
        since = 0 if each.rank > best else since + 1
        best = max(best, each.rank)
        if since == config.wait:
            falls, since = falls + 1, 0
    return FALL**falls


_SCALES: Mapping[Schedule, Callable[[FitConfig, int, Sequence[Validation]], float]] = {
    Schedule.COSINE: _cosine,
    Schedule.PLATEAU: _plateau,
    Schedule.CONSTANT: lambda config, step, history: 1.0,
}


def fit(
    task: Task,
    config: FitConfig,
    *,
    state: Path | None = None,
    tracks: Tracks = silent,
    log: Callable[[str], None] = lambda line: None,
    watcher: Watcher | None = None,
) -> Fitted:
    """Train a network and give it the weights of its best validation.

    Args:
        task: what is trained.
        config: how.
        state: file that a killed training goes on from; the caller removes it once the result is
            written. Without it nothing is kept.
        tracks: shows how far it is.
        log: gets a line for every validation.
        watcher: gets losses, rates and scores.

    Raises:
        StoppedError: a signal; the state is saved.
        DivergedError: a loss or gradient that is not finite.
        UserError: the state is of another training, or memory does not suffice.
    """
    run = _Run(task, config, state, watcher or Watcher())
    for line in run.resume():
        log(line)
    run.watcher.begin(config.tree(), run.step)
    left = range(run.step, config.steps)
    device = run.device
    with (
        torch.random.fork_rng(devices=[device] if is_gpu(device) else []),
        StopRequest("the step is finished and the state saved") as stop,
    ):
        for _ in tracks("training")(left, len(left)) if not run.ended else ():
            run.advance()
            if run.due:
                log(run.check())
            if stop.requested:
                run.stop(str(stop.reason))
            if run.ended:
                break
            run.save_when_late()
    return run.finish()


class _Saved(Config):
    """The part of a state that is no tensor."""

    format: int = Field(1, ge=1, le=1)
    key: str
    config: FitConfig
    step: int
    history: list[Validation]
    loss: float
    seconds: float
    surroundings: str
    environments: list[Environment] = []


@dataclass
class _Run:
    """A training at work.

    Attributes:
        step: steps done.
        loss: sum of the losses since the last validation.
        untold: losses that the watcher does not know yet.
        seconds: of all sittings before this one.
        environments: of all sittings; none where those of one before were not recorded.
    """

    task: Task
    config: FitConfig
    state: Path | None
    watcher: Watcher
    step: int = 0
    loss: float = 0.0
    untold: list[float] = field(default_factory=list)
    seconds: float = 0.0
    history: list[Validation] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.network = self.task.network
        self.parameters = [p for p in self.network.parameters() if p.requires_grad]
        self.device = self.parameters[0].device
        self.precision = pick_precision(self.config.precision, self.device)
        self.optimiser = _optimiser(self.parameters, self.config)
        here = Environment(**software_and_machine(self.device))
        self.environments: tuple[Environment, ...] = (here,)
        self.begun = self.saved = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether a validation follows the last step."""
        return self.step % self.config.interval == 0 or self.step == self.config.steps

    @property
    def ended(self) -> bool:
        """Whether all steps are done or patience is at its end."""
        since = len(self.history) - 1 - better(self.history) if self.history else 0
        waited = bool(self.config.patience) and since >= self.config.patience
        return waited or self.step >= self.config.steps

    def advance(self) -> None:
        """One step of the optimiser."""
        config, step = self.config, self.step
        torch.manual_seed(stream_key(config.seed, f"fit/step{step}")[0])  # dropout
        indices = torch.arange(step * config.batch, (step + 1) * config.batch)
        batch = Batch(self.task.order(indices), indices, step)
        for group in self.optimiser.param_groups:
            group["lr"] = config.rate * rate_scale(config, step, self.history)
        self.network.train()
        self.optimiser.zero_grad(set_to_none=True)
        low = self.precision is Precision.BF16
        try:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=low):
                loss = self.task.loss(batch)
            loss.backward()
        except torch.OutOfMemoryError:
            raise UserError(
                f"{self.device} has too little memory for {config.batch} images at once: use a "
                "smaller --batch"
            ) from None
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, MAX_NORM)
        value = float(loss.detach())
        if not math.isfinite(value) or not math.isfinite(float(norm)):
            self._diverged(value)
        self.optimiser.step()
        self.loss += value
        self.step += 1
        self.untold.append(value)
        if self.step % max(TOLD, math.ceil(config.steps / MOST_TOLD)) == 0 or self.due:
            self.watcher.scalars(
                {LOSS: fmean(self.untold), RATE: self.optimiser.param_groups[0]["lr"]}, self.step
            )
            self.untold = []

    def _diverged(self, value: float) -> None:
        if self.state is not None:
            remove(self.state)  # it would end the same way
        raise DivergedError(
            f"step {self.step + 1}: loss {value:g} or its gradient is not finite: use a lower "
            "--rate or --precision fp32, and look at the images for odd values"
        )

    def check(self) -> str:
        """Validate, and keep the weights if they are the best so far; a line for the log."""
        self.network.eval()
        with torch.inference_mode():
            score = self.task.validate()
        shown = self.step - (self.history[-1].step if self.history else 0)
        training = self.loss / max(shown, 1)
        found = Validation(
            step=self.step,
            value=_finite(score.value),
            loss=_finite(score.loss),
            training=training,
            rate=self.optimiser.param_groups[0]["lr"],
        )
        self.history.append(found)
        told = {f"{SCORES}/{name}": _finite(value) for name, value in score.scores.items()}
        self.watcher.scalars({VALIDATION_LOSS: found.loss, **told}, self.step)
        self.loss = 0.0
        best = better(self.history) == len(self.history) - 1
        if best:
            self.best = {n: t.detach().clone() for n, t in self.network.state_dict().items()}
        value = "no value" if found.value is None else f"{found.value:.4f}"
        return (
            f"step {found.step}: loss {training:.4f}, validation {value}{' (best)' if best else ''}"
        )

    def finish(self) -> Fitted:
        """Give the network its best weights."""
        self.network.load_state_dict(self.best)
        self.network.eval()
        history = tuple(self.history)
        best = history[better(history)]
        self.watcher.scalars({f"{CHOSEN}/step": best.step}, self.step)
        settings = {
            **self.config.tree(),
            "every": self.config.interval,
            "precision": self.precision.value,
            "max_norm": MAX_NORM,
        }
        numbers = (history, best, self.step, self._seconds(), self.precision)
        return Fitted(*numbers, settings, self.environments)

    def _seconds(self) -> float:
        return self.seconds + time.monotonic() - self.begun

    def stop(self, reason: str) -> None:
        """Save and stop, so that the same command continues."""
        self.save()
        kept = "nothing of it is kept"
        if self.state is not None:
            kept = "the state is saved and the same command continues"
        raise StoppedError(f"stopped on request ({reason}) after {self.step} steps; {kept}")

    def save_when_late(self) -> None:
        """Save if the last state is old."""
        if time.monotonic() - self.saved > SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Write the state, if there is a file for it."""
        if self.state is None:
            return
        tensors = {f"network/{n}": t for n, t in self.network.state_dict().items()}
        tensors |= {f"best/{n}": t for n, t in self.best.items()}
        tensors |= {f"optimiser/{n}": t for n, t in optimiser_tensors(self.optimiser).items()}
        numbers = _Saved(
            key=self.task.key,
            config=self.config,
            step=self.step,
            history=self.history,
            loss=self.loss,
            seconds=self._seconds(),
            surroundings=self._surroundings(),
            environments=list(self.environments),
        )
        write_tensors(self.state, tensors, numbers.tree())
        self.saved = time.monotonic()

    def _surroundings(self) -> str:
        """What has to be equal for the same weights bit for bit."""
        threads = torch.get_num_threads()
        return f"torch {torch.__version__}, {self.device.type}, {threads} threads, {self.precision}"

    def resume(self) -> list[str]:
        """Restore the state, if there is one; lines for the log.

        Raises:
            UserError: it is damaged, or of another training.
        """
        if self.state is None or not self.state.exists():
            return []
        way = "remove that file to start over"
        tensors, document = read_tensors(self.state, "the state of a training")
        try:
            saved = _Saved.parse(document)
            self._refuse_other(saved)
            load_tensors(self.network, select(tensors, "network/"), self.state)
            load_optimiser(self.optimiser, select(tensors, "optimiser/"))
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise UserError(f"{self.state}: {error}: {way}") from None
        self.best = {n: t.to(self.device) for n, t in select(tensors, "best/").items()}
        self.step, self.history, self.loss = saved.step, list(saved.history), saved.loss
        self.seconds = saved.seconds
        known = saved.environments
        self.environments = distinct([*known, *self.environments]) if known else ()
        lines = [f"continues from step {saved.step} ({self.state})"]
        if saved.surroundings != (here := self._surroundings()):
            lines.append(f"not bit for bit the same: {saved.surroundings}, now {here}")
        return lines

    def _refuse_other(self, saved: _Saved) -> None:
        if saved.key != self.task.key:
            what = "other images, labels or transforms, or of another network or version"
            raise UserError(f"is the training of {what}")
        before, now = flatten(saved.config.tree()), flatten(self.config.tree())
        changed = [f"{n} {before[n]}, now {now[n]}" for n in now if before[n] != now[n]]
        if changed:
            raise UserError(f"is a training that was begun with {'; '.join(changed)}")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _optimiser(parameters: Sequence[nn.Parameter], config: FitConfig) -> torch.optim.Optimizer:
    """Over two groups: kernels, which decay, and biases and scales, which do not."""
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if config.optimiser is Optimiser.ADAMW else torch.optim.Adam
    return kind([group for group in groups if group["params"]], lr=config.rate, fused=True)
