"""Time, memory and floating-point operations of training and generating in one configuration."""

import resource
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from configurations import Configuration
from machine import best_seconds
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from synthograph.archive.prepare import PrepareOptions, prepare
from synthograph.archive.reader import open_archive
from synthograph.core.config import merge, set_path
from synthograph.core.devices import Precision
from synthograph.sources.phantoms import PhantomOptions, make_phantoms
from synthograph.training.augmentation import set_strength
from synthograph.training.ema import update_ema
from synthograph.training.estimate import median_seconds
from synthograph.training.session import Session
from synthograph.training.setup import make_session, open_data, resolve_run

PARTS = {"Gmain": "g_main", "Greg": "g_path", "Dmain": "d_main", "Dreg": "d_r1"}


def make_images(configuration: Configuration, folder: Path, count: int = 256) -> Path:
    """An archive of phantoms."""
    path = folder / f"{configuration.phantom}{configuration.size}.zip"
    if not path.exists():
        options = PhantomOptions.parse(
            {"kind": configuration.phantom, "count": count, "size": configuration.size}
        )
        phantoms = make_phantoms(options)
        kept = PrepareOptions(classes=phantoms.classes, invariances=list(phantoms.invariances))
        prepare(phantoms.items, path, kept, command={})
    return path


def open_session(
    configuration: Configuration, archive: Path, *, device: str, precision: str
) -> Session:
    """A run's session in this configuration."""
    tree: dict[str, Any] = {"device": device, "precision": precision}
    for path, value in configuration.settings.items():
        tree = set_path(tree, path, value)
    config, _ = resolve_run(open_archive(archive), "auto", [merge(tree, configuration.tree())])
    return make_session(config, open_data(config))


def training(session: Session) -> dict[str, Any]:
    """Seconds per kimg, whole and in parts: every part timed by itself, warm, and weighed by how
    often it is due.

    Augmentation is what phases take longer with it, in both directions.
    """
    pipe, strength = session.pipe, session.state.controller.p
    bare = phase_seconds(session, 0.0)
    augmented = bare if pipe is None else phase_seconds(session, strength)
    set_strength(pipe, strength)
    count = session.config.training.batch
    average, generator = session.state.ema, session.state.networks.generator
    seconds = {
        **bare,
        "augmentation": sum(augmented.values()) - sum(bare.values()),
        "data": median_seconds(lambda: session.batch(count), session.device),
        "rest": median_seconds(lambda: update_ema(average, generator, 0.9), session.device),
    }
    parts = {name: value / count * 1000 for name, value in seconds.items()}
    return {"sec_per_kimg": sum(parts.values()), "parts": parts}


def phase_seconds(session: Session, p: float) -> dict[str, float]:
    """Seconds of every phase in a step, at a strength of augmentation."""
    set_strength(session.pipe, p)
    batch = session.batch(session.config.training.batch)
    return {
        PARTS[phase.name]: median_seconds(partial(session.run_phase, phase, batch), session.device)
        / phase.interval
        for phase in session.phases
    }


class Operations(TorchDispatchMode):
    """Counts floating-point operations of matrix products and convolutions.

    torch's own FlopCounterMode follows modules by hooks, which a gradient of a gradient breaks.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0.0

    def __torch_dispatch__(  # type: ignore[no-untyped-def]
        self,
        func,  # noqa: ANN001
        types,  # noqa: ANN001
        args=(),  # noqa: ANN001
        kwargs=None,  # noqa: ANN001
    ):
        out = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


def needed_operations(configuration: Configuration, device: str) -> float:
    """Floating-point operations of a training step per image, penalties by their share."""
    with tempfile.TemporaryDirectory() as folder:
        archive = make_images(configuration, Path(folder))
        session = open_session(configuration, archive, device=device, precision="fp32")
        return operations_per_image(session)


def operations_per_image(session: Session) -> float:
    """`needed_operations` of a session."""
    batch = session.batch(session.config.training.batch)
    total = 0.0
    for phase in session.phases:
        with Operations() as counter:
            session.run_phase(phase, batch)
        total += counter.total / phase.interval
    return total / len(batch)


def generation(session: Session, dtype: torch.dtype, *, batch: int = 64) -> float:
    """Images per second of the EMA generator with blocks in this dtype, constant noise."""
    generator = session.state.ema
    generator.synthesis.block_dtype = dtype
    width = session.stream.label_width
    z = torch.randn(batch, 512, device=session.device)
    label = torch.eye(width, device=session.device)[torch.arange(batch) % width] if width else None

    def sample() -> None:
        with torch.inference_mode():
            generator(z, label, noise_mode="const")

    return batch / best_seconds(sample, session.device)


def peak_memory_mb(device: torch.device) -> float:
    """Peak of this process so far, or of the GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(
    configuration: Configuration,
    *,
    device: str,
    precision: str,
    adjust: Callable[[Session], None],
) -> Mapping[str, Any]:
    """All figures of one configuration; `adjust` changes the session before anything is timed."""
    with tempfile.TemporaryDirectory() as folder:
        archive = make_images(configuration, Path(folder))
        session = open_session(configuration, archive, device=device, precision=precision)
        adjust(session)
        if session.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(session.device)
        figures = training(session)
        coarse = session.config.precision is Precision.BF16  # without a unit it takes minutes
        return {
            "device": str(session.device),
            "precision": str(session.config.precision),
            "batch": session.config.training.batch,
            **figures,
            "gen_images_per_sec": generation(session, torch.float32),
            "gen_bf16_images_per_sec": generation(session, torch.bfloat16) if coarse else None,
            "peak_memory_mb": peak_memory_mb(session.device),
        }
