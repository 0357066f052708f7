"""Snapshots: a generator's weights as data, with a document that says what they are.

`generator-<kimg>.safetensors` holds the EMA generator and, in its header, the document;
`discriminators-<kimg>.safetensors` beside it holds what further training needs. Nothing in them is
ever executed.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pydantic
import torch
from torch import nn

from synthograph.core.config import Config
from synthograph.core.errors import UserError
from synthograph.core.files import sha256_file
from synthograph.core.spec import ImageSpec
from synthograph.models.base import Condition, Networks
from synthograph.models.pickles import read_pickle
from synthograph.models.registry import FAMILIES, family, parse_model
from synthograph.models.tensors import SUFFIX, load_tensors, read_tensors, select, write_tensors

PARTNER = "discriminators"


class SnapshotInfo(Config):
    """The document in a snapshot's header."""

    format: int = pydantic.Field(1, ge=1, le=1)
    family: str
    config: dict[str, Any]
    spec: ImageSpec
    classes: list[str] = []
    label_width: int = pydantic.Field(0, ge=0)
    invariances: list[str] = []
    images_seen: int = pydantic.Field(0, ge=0)
    images_hash: str | None = None
    manifest_hash: str | None = None
    split: str | None = None
    fold: int | None = None
    group_digests: list[str] = []
    image_digests: list[str] = []
    package_version: str = ""
    initialised_from: dict[str, Any] | None = None

    @property
    def condition(self) -> Condition:
        """What the generator is told."""
        return Condition(tuple(self.classes) if self.label_width else (), self.label_width)


@dataclass(frozen=True)
class Snapshot:
    """A loaded snapshot.

    Attributes:
        path: the generator's file.
        info: its document.
        generator: the EMA generator, eval mode, fp32, CPU.
        networks: raw generator and discriminators, where the same file held them.
    """

    path: Path
    info: SnapshotInfo
    generator: nn.Module
    networks: Networks | None = None

    @cached_property
    def sha256(self) -> str:
        """Hex sha256 of the generator's file."""
        return sha256_file(self.path)

    @cached_property
    def discriminators(self) -> nn.ModuleDict:
        """Modality to discriminator, eval mode, fp32, CPU.

        Raises:
            UserError: their file is not beside the generator's, or belongs to another one.
        """
        return self._training_networks.discriminators

    @cached_property
    def _training_networks(self) -> Networks:
        if self.networks is not None:
            return self.networks
        path = partner(self.path)
        if not path.exists():
            raise UserError(
                f"{self.path} was shared without its discriminators: put {path.name} beside it"
            )
        tensors, document = read_tensors(path)
        if document.get("generator_sha256") != self.sha256:
            raise UserError(f"{path} belongs to another generator than {self.path.name}")
        networks = _build(self.info)
        load_tensors(networks.generator, select(tensors, "generator/"), path)
        load_tensors(networks.discriminators, select(tensors, "discriminators/"), path)
        networks.generator.eval()
        networks.discriminators.eval()
        return networks


def load(path: str | Path) -> Snapshot:
    """Read a snapshot; nothing that the file holds is executed.

    Args:
        path: `generator-<kimg>.safetensors`, or a published `network-snapshot-<kimg>.pkl`.

    Returns:
        The snapshot, its generator in eval mode, fp32, on the CPU.

    Raises:
        UserError: no such file, another kind of file, or tensors that do not fit the document.
    """
    path = Path(path)
    if path.suffix == ".pkl":
        return _load_pickle(path)
    tensors, document = read_tensors(path)
    try:
        info = SnapshotInfo.parse(document)
    except UserError as error:
        raise UserError(f"{path}: is no generator snapshot ({error})") from None
    generator = _build(info).generator
    load_tensors(generator, tensors, path)
    return Snapshot(path, info, generator.eval().requires_grad_(False))


def _load_pickle(path: Path) -> Snapshot:
    """A published snapshot, as one modality `image`."""
    content = read_pickle(path)
    with torch.random.fork_rng(devices=[]):
        try:
            adopted = next(filter(None, (kind.adopt(content) for kind in FAMILIES.values())), None)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
    if adopted is None:
        raise UserError(f"{path}: is a pickle, but no snapshot of a known kind of model")
    info = SnapshotInfo(
        family=adopted.config.family,
        config={"model": adopted.config.tree()},
        spec=adopted.spec,
        classes=list(adopted.condition.classes),
        label_width=adopted.condition.width,
    )
    for module in (adopted.ema, adopted.networks.generator, adopted.networks.discriminators):
        module.eval().requires_grad_(False)
    return Snapshot(path, info, adopted.ema, adopted.networks)


def _build(info: SnapshotInfo) -> Networks:
    model = parse_model(info.config.get("model", {}))
    with torch.random.fork_rng(
        devices=[]
    ):  # fresh weights are drawn and replaced; leave the caller's numbers alone
        return family(info.family).build(info.spec, info.condition, model)


def save_snapshot(folder: Path, info: SnapshotInfo, ema: nn.Module, networks: Networks) -> Path:
    """Write `generator-<kimg>` and `discriminators-<kimg>` into `folder`.

    Returns:
        The generator's path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"generator-{info.images_seen // 1000:06d}{SUFFIX}"
    write_tensors(path, ema.state_dict(), info.tree())
    rest = {f"generator/{k}": v for k, v in networks.generator.state_dict().items()}
    rest |= {f"discriminators/{k}": v for k, v in networks.discriminators.state_dict().items()}
    write_tensors(partner(path), rest, {"format": 1, "generator_sha256": sha256_file(path)})
    return path


def partner(path: Path) -> Path:
    """The discriminators' file that belongs to a generator's."""
    return path.with_name(path.name.replace("generator", PARTNER, 1))


def find_snapshot(path: Path) -> Path:
    """The snapshot that a user means: the file itself, or the newest one of a run directory.

    Raises:
        UserError: a folder without snapshots.
    """
    if not path.is_dir():
        return path
    found = {
        int(match[1]): file
        for folder in (path / "snapshots", path)
        if folder.is_dir()
        for file in folder.iterdir()
        if (match := re.fullmatch(rf"generator-(\d+)\{SUFFIX}", file.name))
    }
    if not found:
        raise UserError(
            f"{path}: holds no snapshot yet (generator-<kimg>{SUFFIX} in its folder snapshots)"
        )
    return found[max(found)]
