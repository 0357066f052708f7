"""What is installed, what is used and why."""

import importlib.util
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import torch

import synthograph
from synthograph.core.cache import WAY_OUT, cache_folder
from synthograph.core.cores import permitted_cores, quota, usable_cores
from synthograph.core.devices import (
    BF16_UNITS,
    Precision,
    bf16_unit,
    cpu_name,
    is_gpu,
    pick_device,
    pick_precision,
)
from synthograph.core.errors import SynthographError
from synthograph.core.files import refuse_unwritable_folder
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.features.packaged import PACKAGES, TRAINED
from synthograph.workflows.requests import DoctorRequest

EXTRAS = {
    "imagenet": (
        PACKAGES[TRAINED].module,
        "features of a network trained on photographs, by which measures judge then",
    ),
    "tensorboard": ("tensorboard", "training curves in TensorBoard beside stats.jsonl"),
    "umap": ("umap", "maps of images by UMAP, which keep neighbours together"),
    "video": ("av", "animations as MP4, besides WebP and pictures"),
}
"""Extra -> its module, and what it adds."""
LIBRARIES = (
    *("torch", "numpy", "pillow", "scipy", "pydantic", "typer", "safetensors"),
    *("pydicom", "nibabel", "tifffile"),
)


@dataclass(frozen=True, repr=False)
class DoctorResult(Result):
    """What was found, a line each."""

    found: Sequence[str]

    def lines(self) -> Sequence[str]:
        """What was found."""
        return self.found


def run(request: DoctorRequest, *, progress: Progress) -> DoctorResult:
    """Look at this machine and this installation."""
    del request, progress
    return DoctorResult([*_installed(), *_machine(), *_extras()])


def _installed() -> Iterator[str]:
    python = f"Python {platform.python_version()}, {platform.platform()}"
    yield f"synthograph {synthograph.__version__}, {python}"
    for name in LIBRARIES:
        try:
            yield f"  {name} {version(name)}"
        except PackageNotFoundError:
            yield f"  {name} is missing: pip install synthograph again"


def _machine() -> Iterator[str]:
    threads = torch.get_num_threads()
    yield f"processor: {cpu_name()}, {_cores()}, torch uses {threads} threads"
    unit = bf16_unit()
    yield f"  bf16 in hardware: {f'yes, by {unit}' if unit else 'no'}"
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        yield f"  cuda:{index} {properties.name}, {properties.total_memory / 2**30:.0f} GB"
    device = pick_device("auto")
    precision = pick_precision(Precision.AUTO, device)
    computes = "it computes" if is_gpu(device) else f"the processor computes, by {unit},"
    why = f"{computes} bf16 in hardware, which is faster than fp32"
    if precision is Precision.FP32:
        units = " or ".join(BF16_UNITS.values())
        why = f"bf16 would need a CUDA device, or a processor that computes it by {units}"
    yield f"training would use: {device}, {precision} ({why})"
    yield (
        "convolutions: channels-last (their backward pass and the resampling filter are faster "
        "that way)"
    )
    yield f"cache: {_cache()}"


def _cores() -> str:
    """Cores of this machine, and how many of them this process may use and why."""
    there, permitted, limit = os.cpu_count() or 1, permitted_cores(), quota()
    whys = [f"its affinity has {permitted}"] if permitted < there else []
    whys += [f"its control group allows {limit:g}"] if limit < permitted else []
    used = f", of which {usable_cores()} are used ({'; '.join(whys)})" if whys else ""
    return f"{there} cores{used}"


def _cache() -> str:
    """Where the cache is, and what is in its way."""
    try:
        folder = cache_folder()
        refuse_unwritable_folder(folder)
    except SynthographError as error:
        return f"none: {error}" + ("" if WAY_OUT in str(error) else f"; {WAY_OUT}")
    return str(folder)


def _extras() -> Iterator[str]:
    for extra, (module, gain) in EXTRAS.items():
        here = importlib.util.find_spec(module) is not None
        state = "installed" if here else f"missing, pip install 'synthograph[{extra}]'"
        yield f"extra {extra}: {state}: {gain}"
