"""Several processes that train one model: which images each computes, and what they exchange.

Every process holds the whole model and a contiguous range of each batch, made of whole
groups. Gradients are summed, and the statistics of a phase are gathered in
the order of the images before anything changes, so N processes do what one does, to rounding. The
first process alone writes files; the others follow what it has.
"""

import atexit
import contextlib
import datetime
import json
import os
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from synthograph.core.console import say
from synthograph.core.errors import SynthographError, UserError
from synthograph.core.launched import Launched, launch_name, launched, restarts
from synthograph.models.base import LossTerms
from synthograph.training.config import RunConfig
from synthograph.training.state import TrainingProgress, TrainingState

MAX_PROPOSED = 1 << 16
"""Largest batch that a message proposes."""
TIMEOUT = "SYNTHOGRAPH_WORKER_TIMEOUT"
"""Environment variable: seconds that a process waits for the others within a step before it takes
one for dead. 25 by default, since torchrun takes up to half a minute more to end them all; large
images on processors of unequal speed need more.
"""
STARTUP_FACTOR = 20
"""Factor of the time-out while processes start: each has to load all its libraries first."""
SECONDS_OF_SILENCE = 20.0
"""A wait for other processes that takes longer is told."""
LONG_TIMEOUT = datetime.timedelta(hours=2)
"""Time-out for work of one process that the others wait for: caches, pictures, measures."""

Value = TypeVar("Value")


class LostError(SynthographError):
    """Another process of the run ended or does not answer; the saved state remains."""

    label = "lost"


class Team:
    """The processes of a run: here only one. `DistributedTeam` is several."""

    rank = 0
    size = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes the run's files."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """The device of this process for the configured one."""
        return name

    def rank_slice(self, batch: int, group: int) -> range:
        """The places in a batch that this rank computes: whole groups, as evenly as possible.

        Raises:
            UserError: the batch has fewer groups than there are processes, or cuts one.
        """
        return rank_slices(batch, group, self.size)[self.rank]

    def sum_gradients(self, module: nn.Module) -> None:
        """Sum gradients over all ranks, in place."""

    def gather(self, terms: LossTerms) -> LossTerms:
        """The terms of all ranks, concatenated in the order of the images."""
        return terms

    def any(self, *flags: bool) -> list[bool]:
        """For each flag, whether any rank has set it."""
        return list(flags)

    def broadcast_bytes(self, data: bytes) -> bytes:
        """The main process's bytes."""
        return data

    def broadcast_tensor(
        self, tensor: Tensor | None, dtype: torch.dtype, shape: Sequence[int]
    ) -> Tensor:
        """The main process's tensor, on the CPU in other processes; only that one gives it."""
        del dtype, shape
        assert tensor is not None, "the only process is the main one"
        return tensor

    def broadcast_object(self, value: Value) -> Value:
        """The main process's value, which JSON can hold."""
        received: Value = json.loads(self.broadcast_bytes(json.dumps(value).encode()))
        return received

    @contextlib.contextmanager
    def barrier(self) -> Iterator[None]:
        """Around work that only the main process does: the others wait at its end."""
        yield


class DistributedTeam(Team):
    """This process among those that torchrun started; its number on this machine is that of its
    GPU.
    """

    def __init__(self, place: Launched) -> None:
        rank, size = place.rank, place.size
        self.rank, self.size, self.local_rank = rank, size, place.local_rank
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        timeout = datetime.timedelta(seconds=_timeout_seconds())
        with _telling(f"{size - 1} other processes at {place.address}:{place.port}"):
            store = _store(place, STARTUP_FACTOR * timeout)
            store.set(f"here/{rank}", b"")
            store.wait([f"here/{other}" for other in range(size)], STARTUP_FACTOR * timeout)
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=timeout)
        # its threads abort a process that ends before they do
        atexit.register(dist.destroy_process_group)
        self._long = dist.new_group(backend="gloo", timeout=LONG_TIMEOUT)

    def device(self, name: str) -> str:
        """The GPU of this process, where the run is on GPUs."""
        if not name.startswith("cuda"):
            return name
        if self.local_rank >= torch.cuda.device_count():
            raise UserError(
                f"process {self.local_rank} of this machine has no GPU of its own: it has "
                f"{torch.cuda.device_count()}; start as many processes as there are GPUs, or use "
                "--device cpu"
            )
        torch.cuda.set_device(self.local_rank)
        return f"cuda:{self.local_rank}"

    def sum_gradients(self, module: nn.Module) -> None:
        """Sum through one flat buffer; a parameter stays without a gradient only if it has none in
        any process.
        """
        parameters = [p for p in module.parameters() if p.requires_grad]
        if not parameters:
            return
        first = parameters[0]
        present = torch.tensor([float(p.grad is not None) for p in parameters], device=first.device)
        flat = [p.new_zeros(p.numel()) if p.grad is None else p.grad.flatten() for p in parameters]
        buffer = torch.cat([*flat, present])
        with _naming_lost_ranks():
            dist.all_reduce(buffer)
        *parts, present = buffer.split([*(p.numel() for p in parameters), len(parameters)])
        for parameter, part, count in zip(parameters, parts, present.tolist(), strict=True):
            parameter.grad = part.view_as(parameter) if count else None

    def gather(self, terms: LossTerms) -> LossTerms:
        """Pack a row per image, gather all rows, unpack: one exchange per phase."""
        parts = _columns(terms)
        widths = [part.shape[1:].numel() for part in parts.values()]
        flat = [part.reshape(len(part), w) for part, w in zip(parts.values(), widths, strict=True)]
        packed = torch.cat([part.double().cpu() for part in flat], 1)
        gathered = self._gather_rows(packed).split(widths, 1)
        whole = {
            name: column.reshape(-1, *part.shape[1:]).to(part)
            for (name, part), column in zip(parts.items(), gathered, strict=True)
        }
        return _terms(whole)

    def _gather_rows(self, rows: Tensor) -> Tensor:
        counts = torch.zeros(self.size, dtype=torch.int64)
        counts[self.rank] = len(rows)
        with _naming_lost_ranks():
            dist.all_reduce(counts)
        padded = rows.new_zeros(int(counts.max()), rows.shape[1])
        padded[: len(rows)] = rows
        everyone = [torch.empty_like(padded) for _ in range(self.size)]
        with _naming_lost_ranks():
            dist.all_gather(everyone, padded)
        return torch.cat([part[:n] for part, n in zip(everyone, counts.tolist(), strict=True)])

    def any(self, *flags: bool) -> list[bool]:
        """One exchange for all flags."""
        raised = torch.tensor([float(flag) for flag in flags])
        with _naming_lost_ranks():
            dist.all_reduce(raised, dist.ReduceOp.MAX)
        return [bool(value) for value in raised.tolist()]

    def broadcast_bytes(self, data: bytes) -> bytes:
        """Their length, then the bytes."""
        length = torch.tensor([len(data)])
        with _naming_lost_ranks():
            dist.broadcast(length, 0, group=self._long)
            content = bytearray(data if self.is_main else int(length))
            dist.broadcast(torch.frombuffer(content, dtype=torch.uint8), 0, group=self._long)
        return data if self.is_main else bytes(content)

    def broadcast_tensor(
        self, tensor: Tensor | None, dtype: torch.dtype, shape: Sequence[int]
    ) -> Tensor:
        """As bytes, so that numbers of every type can be sent."""
        given = torch.empty(tuple(shape), dtype=dtype) if tensor is None else tensor
        sent = given.detach().cpu().contiguous()
        if sent.numel():
            with _naming_lost_ranks():
                dist.broadcast(sent.view(-1).view(torch.uint8), 0, group=self._long)
        return sent if tensor is None else tensor

    @contextlib.contextmanager
    def barrier(self) -> Iterator[None]:
        """A barrier with the long time-out, at the end of the block."""
        yield
        with _naming_lost_ranks():
            dist.barrier(group=self._long)


def broadcast_state(team: Team, state: TrainingState) -> None:
    """Give every rank the main process's state."""
    if team.size == 1:
        return
    own = state.tensors() if team.is_main else {}
    kinds = [(name, str(t.dtype).removeprefix("torch."), list(t.shape)) for name, t in own.items()]
    received = {
        name: team.broadcast_tensor(own.get(name), getattr(torch, kind), shape)
        for name, kind, shape in team.broadcast_object(kinds)
    }
    if not team.is_main:
        state.load(received, Path("the first process's state"))
    state.progress = broadcast_progress(team, state.progress)


def broadcast_progress(team: Team, progress: TrainingProgress) -> TrainingProgress:
    """The main process's progress."""
    return TrainingProgress.parse(team.broadcast_object(asdict(progress)))


def init_team() -> Team:
    """The team that torchrun's environment describes; one process without it.

    Raises:
        UserError: a variable of the environment is missing or no number.
        LostError: the other processes do not come.
    """
    place = launched()
    if place is None:
        return Team()
    with _naming_lost_ranks(STARTUP_FACTOR):
        return DistributedTeam(place)


@contextlib.contextmanager
def _telling(what: str) -> Iterator[None]:
    """Around a wait: it is told if it takes longer, since other software may have set the
    variables by which this process waits.
    """
    line = f"waiting for {what}, since WORLD_SIZE says that they belong to this run"
    timer = threading.Timer(SECONDS_OF_SILENCE, say, (line,), {"error": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _store(place: Launched, timeout: datetime.timedelta) -> Any:  # noqa: ANN401 - torch's hints lack stores
    """Where the processes find each other.

    torchrun's own store outlives its processes, and with it the addresses of those that died, so
    each start of the processes gets names of its own.
    """
    kept_by_torchrun = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == str(True)
    server = dist.TCPStore(  # type: ignore[attr-defined]
        place.address,
        place.port,
        is_master=place.rank == 0 and not kept_by_torchrun,
        wait_for_workers=False,
        timeout=timeout,
    )
    return dist.PrefixStore(f"synthograph/{restarts()}", server)  # type: ignore[attr-defined]


def launch_id() -> str | None:
    """Identifies a launch across torchrun's restarts; None without torchrun."""
    name = launch_name()
    return f"{socket.gethostname()}-{os.getppid()}" if name == "none" else name


def restarted() -> bool:
    """Whether torchrun has restarted the processes."""
    return restarts() > 0


def rank_slices(batch: int, group: int, processes: int) -> list[range]:
    """Contiguous places of a batch per rank, in whole groups, as evenly as possible.

    Args:
        batch: images per step.
        group: images that the discriminator compares with each other.
        processes: number of processes.

    Raises:
        UserError: fewer groups than processes, or a group that would be cut.
    """
    group = min(group, batch)
    groups, rest = divmod(batch, group)
    if processes > 1 and (rest or groups < processes):
        raise UserError(
            f"--batch {batch} cannot be shared by {processes} processes in whole groups of {group} "
            "images, which the discriminator compares"
        )
    starts = [groups * k // processes * group for k in range(processes)]
    return [range(a, b) for a, b in zip(starts, [*starts[1:], batch], strict=True)]


def check_shares(config: RunConfig, processes: int) -> None:
    """Refuse a batch that the processes cannot share.

    Raises:
        UserError: it cannot be; the nearest that can is named.
    """
    batch = config.training.batch
    try:
        rank_slices(batch, config.group, processes)
    except UserError as error:
        most = batch + config.model.group_size * config.model.images_alike * processes
        sizes = sorted(range(1, min(most, MAX_PROPOSED) + 1), key=lambda n: abs(n - batch))
        near = next((n for n in sizes if _can_be_shared(config, n, processes)), None)
        way_out = "take fewer processes" if near is None else f"the nearest that can is {near}"
        raise UserError(f"{error}: {way_out}") from None


def _can_be_shared(config: RunConfig, batch: int, processes: int) -> bool:
    """Whether another `--batch` would do, which is the microbatch too where none was given."""
    microbatch = config.training.batch_gpu
    microbatch = batch if microbatch == config.training.batch else microbatch
    group = config.group_of(microbatch)
    groups = batch // group
    return not (batch % microbatch or microbatch % group or batch % group) and groups >= processes


def _timeout_seconds() -> float:
    try:
        seconds = float(os.environ.get(TIMEOUT, "25"))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UserError(f"{TIMEOUT}={os.environ[TIMEOUT]!r}: give a number of seconds above 0")
    return seconds


@contextlib.contextmanager
def _naming_lost_ranks(times: int = 1) -> Iterator[None]:
    """Around every exchange: if it fails, another process is gone, or later than `times` the
    time-out.
    """
    try:
        yield
    except RuntimeError as error:
        raise LostError(
            "another process of this run ended or did not answer within "
            f"{times * _timeout_seconds():g} s ({error}); its own message says why. --resume "
            "continues from the last saved state"
        ) from error


def _columns(terms: LossTerms) -> dict[str, Tensor]:
    """All tensors of terms, a row per image, under names by which `_terms` sorts them back."""
    columns = {f"stats/{name}": value for name, value in terms.stats.items()}
    columns |= {f"batch_stats/{name}": value for name, value in terms.batch_stats.items()}
    if terms.real_signs is not None:
        columns["signs"] = terms.real_signs
    return dict(sorted(columns.items()))


def _terms(columns: Mapping[str, Tensor]) -> LossTerms:
    def under(prefix: str) -> dict[str, Tensor]:
        return {n.removeprefix(prefix): c for n, c in columns.items() if n.startswith(prefix)}

    return LossTerms(None, under("stats/"), columns.get("signs"), under("batch_stats/"))


def concatenate_terms(parts: Sequence[LossTerms]) -> LossTerms:
    """The terms of several microbatches as one."""
    columns = [_columns(part) for part in parts]
    names = dict.fromkeys(name for part in columns for name in part)
    return _terms({name: torch.cat([p[name] for p in columns if name in p]) for name in names})
