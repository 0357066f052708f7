"""How long a training takes on this machine, and what fits into a night."""

from collections.abc import Iterator
from pathlib import Path

import torch

from synthograph.archive.batches import ArchiveRows
from synthograph.core.devices import is_gpu
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec, find_grid
from synthograph.training.config import RunConfig
from synthograph.training.estimate import STRONG, Estimate, coarse_estimate, quick_estimate
from synthograph.training.loop import describe_memory, duration
from synthograph.training.setup import resolve_run
from synthograph.workflows.requests import PrepareRequest, TrainRequest

NIGHT_HOURS = 10
SMALL = "tiny"
"""The preset that is for processors."""
QUICK = 1.5
"""Seconds for a measurement before a training begins; what is begun is finished."""
ERROR = "measured in full it was 0.8 to 2 times such an estimate"
"""How far a scaled time may be off (benchmarks/README.md)."""


def without_preset(request: TrainRequest, config: RunConfig, data: ArchiveRows) -> Iterator[str]:
    """Lines on how long a training takes whose preset nobody chose, on a processor, and commands
    for what fits into a night, where it does not.
    """
    if request.cfg is not None or is_gpu(torch.device(config.device)):
        return
    measured = quick_estimate(config, data, QUICK)
    if measured is None:
        return
    kimg, night = config.training.kimg, NIGHT_HOURS * 3600
    seconds = (measured.augmented or measured.sec_per_kimg) * kimg
    yield (
        f"estimate: {kimg:g} kimg with preset auto take about {duration(seconds)} on this "
        f"processor ({ERROR}); --dry-run measures it better"
    )
    if seconds > night:
        yield from proposals(request, data)


def proposals(request: TrainRequest, data: ArchiveRows) -> Iterator[str]:
    """Commands with the small preset that train for a night: with these images, or with smaller
    ones where these take too long.
    """
    small = request.model_copy(update={"cfg": SMALL, "kimg": None})
    try:
        config, _ = resolve_run(data.archive, SMALL, [small.setting_tree()])
    except UserError:  # other settings of the request do not go with the small preset
        return
    measured = coarse_estimate(config, data, QUICK)
    per_kimg, least = measured.augmented or measured.sec_per_kimg, config.training.kimg
    images, halvings = data.archive.path, 0
    spec = data.archive.info.spec
    while NIGHT_HOURS * 3600 < per_kimg * least and _half(spec) is not None:
        spec, per_kimg, halvings = _half(spec) or spec, per_kimg / 4, halvings + 1
    yield f"in a night of {NIGHT_HOURS} hours fits:"
    if halvings:
        images = _beside(images, spec)
        yield f"  {_preparation(data.archive.path, images, spec).own_line()}"
    most = NIGHT_HOURS * 3600 / per_kimg
    train = small.model_copy(update={"data": images, "kimg": max(_rounded_down(most), 1)})
    yield f"  {train.own_line()}"


def _rounded_down(number: float) -> int:
    """To one digit that is not zero."""
    place = 10 ** max(len(str(int(number))) - 1, 0)
    return int(number) // place * place


def _half(spec: ImageSpec) -> ImageSpec | None:
    """Images of half the size, where networks take those."""
    height, width = spec.height // 2, spec.width // 2
    if spec.height % 2 or spec.width % 2 or find_grid(height, width) is None:
        return None
    return spec.model_copy(update={"height": height, "width": width})


def _beside(path: Path, spec: ImageSpec) -> Path:
    """A name for the archive of smaller images."""
    stem = path.stem if path.suffix == ".zip" else path.name
    return path.with_name(f"{stem}-{spec.width}x{spec.height}{path.suffix}")


def _preparation(source: Path, dest: Path, spec: ImageSpec) -> PrepareRequest:
    square = spec.width == spec.height
    size = {"size": spec.width} if square else {"width": spec.width, "height": spec.height}
    return PrepareRequest.parse({"source": source, "dest": dest, **size})


def describe_estimate(config: RunConfig, measured: Estimate) -> str:
    """How long the training will take, and how much memory."""
    kimg, scaled = config.training.kimg, measured.narrow > 1
    text = (
        f"{'scaled' if scaled else 'measured'}: {measured.sec_per_kimg:.2f} s/kimg, so {kimg:g} "
        f"kimg take about {duration(measured.sec_per_kimg * kimg)}"
    )
    if measured.augmented is not None:
        text += (
            f" ({measured.augmented:.2f} s/kimg and {duration(measured.augmented * kimg)} once "
            f"augmentation is at {STRONG})"
        )
    if scaled:
        return (
            f"{text}; measured on networks with 1/{measured.narrow} of the channels, since these "
            f"would take too long; {ERROR}"
        )
    text += f"; memory {describe_memory(torch.device(config.device))}"
    if measured.images < config.training.batch:
        text += (
            f" with {measured.images} images at once, while a batch has {config.training.batch} "
            f"and microbatches of {config.training.batch_gpu}"
        )
    return text
