"""Snapshots: a generator's weights as data, with a document that says what they are.

`generator-<kimg>.safetensors` (`generator-000001.400` where another snapshot has these thousands of
images) holds the EMA generator and, in its header, the document;
`discriminators-<kimg>.safetensors` beside it holds what further training needs. Nothing in them is
ever executed.
"""

import contextlib
import copy
import os
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PureWindowsPath
from typing import Any

import pydantic
import torch
from torch import Tensor, nn

from synthograph.core.config import Config
from synthograph.core.errors import UserError
from synthograph.core.files import (
    atomic_path,
    disk_errors,
    refuse_output,
    sha256_file,
)
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.containers import zip_names
from synthograph.core.untrusted.dataset_json import LISTS
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.untrusted.tensors import (
    SUFFIX,
    SizeLimit,
    load_tensors,
    read_tensors,
    select,
    write_tensors,
)
from synthograph.models.base import Condition, Networks
from synthograph.models.config import ModelConfig
from synthograph.models.pickles import read_pickle
from synthograph.models.registry import FAMILIES, family, parse_model
from synthograph.models.snapshot_files import GENERATOR, find_snapshot, snapshot_number
from synthograph.results.environment import Environment

PARTNER = "discriminators"
OWNER = "generator_sha256"
"""Key of the discriminators' document: the hash of the generator's file."""
PICKLE = ".pkl"
MAX_MODALITIES = 64
SCREEN = 79
"""Characters of a line that any screen shows."""
PRIVATE = ("group_digests", "image_digests")


class SnapshotInfo(Config):
    """The document in a snapshot's header."""

    format: int = pydantic.Field(1, ge=1, le=1)
    family: str
    config: JsonObject
    spec: ImageSpec
    classes: list[str] = []
    label_width: int = pydantic.Field(0, ge=0)
    invariances: list[str] | None = None
    images_seen: int = pydantic.Field(0, ge=0)
    augment_p: float | None = pydantic.Field(None, ge=0, le=1)
    images_hash: str | None = None
    manifest_hash: str | None = None
    split: str | None = None
    fold: int | None = None
    group_digests: list[str] = []
    image_digests: list[str] = []
    masks: int = pydantic.Field(0, ge=0)
    """Training images that have a mask, which the network did not see."""
    package_version: str = ""
    environments: list[Environment] = []
    """Where it was trained, in turn; none in older files."""
    initialised_from: JsonObject | None = None
    converted_from: str | None = None

    @pydantic.field_validator("spec")
    @classmethod
    def _can_be_made(cls, spec: ImageSpec) -> ImageSpec:
        if len(spec.modalities) > MAX_MODALITIES:  # each has a network of its own
            raise ValueError(
                f"{len(spec.modalities)} modalities, at most {MAX_MODALITIES} are read"
            )
        if spec.bits == 16 and 3 in spec.modalities.values():  # neither archives nor PNG hold them
            raise ValueError("3 channels of 16 bits, only images of 8 bits may have colour")
        return spec

    @pydantic.model_validator(mode="after")
    def _classes_fit(self) -> "SnapshotInfo":
        count = len(self.classes)
        if self.label_width and count and count != self.label_width:
            raise ValueError(
                f"{count} classes and labels of {self.label_width} values, each class needs one"
            )
        if len(set(self.classes)) < count:
            raise ValueError("a class is named twice, every class needs a name of its own")
        return self

    def lines(self) -> Iterator[str]:
        """What people ask first, for a screen; `tree` is the whole as plain data."""
        yield f"{self.family} generator of images {self.spec.describe()}"
        if self.label_width:
            yield f"classes: {', '.join(self.classes) or f'label vectors of {self.label_width}'}"
        fold = "" if self.fold is None else f", without fold {self.fold}"
        yield f"images seen: {self.images_seen:,}, of split {self.split or 'none'}{fold}"
        yield f"learned from: {len(self.group_digests)} groups (as digests)"
        if self.images_hash and self.manifest_hash:
            yield f"archive: images {self.images_hash:.12}, manifest {self.manifest_hash:.12}"
        stated = ["not stated"] if self.invariances is None else self.invariances or ["none"]
        yield f"invariances: {', '.join(stated)}"
        if self.initialised_from is not None:
            yield "started from another snapshot: info.initialised_from"
        if self.package_version:
            yield f"written by synthograph {self.package_version}"
        yield "settings: info.model, info.config; everything: info.tree()"

    def __repr__(self) -> str:
        return "\n".join(
            textwrap.shorten(line, SCREEN, placeholder=" ...") for line in self.lines()
        )

    __str__ = __repr__

    @property
    def condition(self) -> Condition:
        """The generator's labels."""
        return Condition(tuple(self.classes) if self.label_width else (), self.label_width)

    @property
    def model(self) -> ModelConfig:
        """The model's configuration."""
        return parse_model(self.config.get("model", {}))


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        return f"{self.path}\n{self.info!r}"

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
        return self.training_networks.discriminators

    @property
    def has_discriminators(self) -> bool:
        """Whether the discriminators are in the same file or in one beside it."""
        return self.networks is not None or has_partner(self.path)

    @cached_property
    def training_networks(self) -> Networks:
        """Raw generator and discriminators, eval mode, fp32, CPU; see `discriminators`."""
        if self.networks is not None:
            return self.networks
        path = partner(self.path)
        if not has_partner(self.path):
            raise UserError(
                f"{self.path} was shared without its discriminators: put {path.name} beside it"
            )
        tensors, document = read_tensors(path)
        if document.get(OWNER) != self.sha256:
            raise UserError(f"{path} belongs to another generator than {self.path.name}")
        networks = _build(self.info, path)
        with _naming(path):
            load_tensors(networks.generator, select(tensors, "generator/"), path)
            load_tensors(networks.discriminators, select(tensors, "discriminators/"), path)
        networks.generator.eval()
        networks.discriminators.eval()
        return networks


def load(path: str | Path) -> Snapshot:
    """Read a snapshot; nothing that the file holds is executed.

    Args:
        path: `generator-<kimg>.safetensors`, a published `network-snapshot-<kimg>.pkl`, or a run
            directory: then its best snapshot (`best.json` names it), or its newest where none was
            found best.

    Returns:
        The snapshot, its generator in eval mode, fp32, on the CPU. Its `path` says which file.

    Raises:
        UserError: no such file, another kind of file, a run without snapshots, or tensors that do
            not fit the document.
    """
    path = find_snapshot(Path(path))
    if is_pickle(path):
        return _load_pickle(path)
    refuse_zip(path)
    tensors, document = read_tensors(path)
    if OWNER in document:
        raise UserError(
            f"{path}: holds the discriminators of a snapshot; give the generator-<kimg>{SUFFIX} "
            "beside it"
        )
    try:
        info = _completed(SnapshotInfo.parse(document))
    except UserError as error:
        raise UserError(f"{path}: is no generator snapshot ({error})") from None
    generator = _build(info, path).generator
    with _naming(path):
        load_tensors(generator, tensors, path)
    return Snapshot(path, info, generator.eval().requires_grad_(False))


def _completed(info: SnapshotInfo) -> SnapshotInfo:
    """The document with the model's configuration complete, which others may have shortened."""
    model = info.config.get("model", {})
    if not isinstance(model, Mapping):
        raise UserError("its document has no configuration of a model")
    tree = family(info.family).Config.parse(model).tree()
    return info.model_copy(update={"config": {**info.config, "model": tree}})


def is_pickle(path: Path) -> bool:
    """Whether a file has to be read as a pickle: by its ending, or by its first bytes."""
    with disk_errors(path):
        if not path.is_file() or is_zip(path):
            return False
        if path.suffix == PICKLE:
            return True
        with path.open("rb") as file:
            start = file.read(8)
    # the length of a safetensors header is never so large
    return start[:1] == b"\x80" and start[1:2] in (b"\2", b"\3", b"\4", b"\5") and any(start[4:])


def is_zip(path: Path) -> bool:
    """Whether a file begins as zip files do."""
    with disk_errors(path), path.open("rb") as file:
        return file.read(4) == b"PK\3\4"


def refuse_zip(path: Path) -> None:
    """Say what a zip file is, where a snapshot is wanted.

    Raises:
        UserError: `path` is a zip file.
    """
    with disk_errors(path):
        if not path.is_file() or not is_zip(path):
            return
    try:
        names = {name.rpartition("/")[2] for name in zip_names(path)}
    except UserError:
        raise UserError(f"{path}: is a damaged zip file, not a snapshot") from None
    if not names.isdisjoint(LISTS):
        what = "is an archive of images, not a snapshot: train on it to get one"
    elif "data.pkl" in names:
        what = (
            "is a checkpoint of torch.save, not a snapshot; only generator-<kimg>.safetensors and "
            "published network-snapshot-<kimg>.pkl files are read"
        )
    else:
        what = "is a zip file, not a snapshot; unpack it and give the snapshot inside"
    raise UserError(f"{path}: {what}")


def _load_pickle(path: Path) -> Snapshot:
    """A published snapshot, as one modality `image`."""
    content = read_pickle(path)
    with _building(path):
        found = (kind.from_checkpoint(content) for kind in FAMILIES.values())
        imported = next(filter(None, found), None)
    if imported is None:
        raise UserError(f"{path}: is a pickle, but no snapshot of a known kind of model")
    info = SnapshotInfo(
        family=imported.config.family,
        config={"model": imported.config.tree()},
        spec=imported.spec,
        classes=list(imported.condition.classes),
        label_width=imported.condition.width,
    )
    for module in (imported.ema, imported.networks.generator, imported.networks.discriminators):
        module.eval().requires_grad_(False)
    return Snapshot(path, info, imported.ema, imported.networks)


def _build(info: SnapshotInfo, path: Path) -> Networks:
    """Networks as a document in the file `path` describes them.

    Raises:
        UserError: no such networks can be, or they are far larger than the file.
    """
    model = info.model
    with _building(path):
        return family(info.family).build(info.spec, info.condition, model)


@contextlib.contextmanager
def _building(path: Path) -> Iterator[None]:
    """Around the building of networks for the file `path`, which bounds their size; errors name it.

    Fresh weights are drawn and replaced; the caller's random numbers are left alone.
    """
    with _naming(path), torch.random.fork_rng(devices=[]), SizeLimit(path):
        yield


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors name the file `path`."""
    try:
        yield
    except UserError as error:
        text = str(error)
        raise UserError(text if text.startswith(f"{path}: ") else f"{path}: {text}") from None


def save_snapshot(folder: Path, info: SnapshotInfo, ema: nn.Module, networks: Networks) -> Path:
    """Write `generator-<kimg>` and `discriminators-<kimg>` into `folder`, where another snapshot
    keeps its file; see `snapshot_number`.

    Returns:
        The generator's path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{GENERATOR}-{snapshot_number(folder, info.images_seen)}{SUFFIX}"
    write_tensors(path, ema.state_dict(), info.tree())
    _write_partner(partner(path), networks.tensors(), path)
    return path


def _write_partner(path: Path, tensors: Mapping[str, Tensor], generator: Path) -> None:
    write_tensors(path, tensors, {"format": 1, OWNER: sha256_file(generator)})


def partner(path: Path) -> Path:
    """The discriminators' file that belongs to a generator's."""
    if GENERATOR in path.name:
        return path.with_name(path.name.replace(GENERATOR, PARTNER, 1))
    return path.with_name(f"{path.stem}.{PARTNER}{path.suffix}")


def has_partner(path: Path) -> bool:
    """Whether the discriminators' file is beside a generator's; a name that the disk cannot hold is
    not there.
    """
    return os.path.exists(partner(path))


def owner(path: Path) -> Path:
    """The generator's file that a discriminators' file belongs to; the inverse of `partner`."""
    if path.stem.endswith(f".{PARTNER}"):
        return path.with_name(path.stem.removesuffix(f".{PARTNER}") + path.suffix)
    return path.with_name(path.name.replace(PARTNER, GENERATOR, 1))


def convert(source: Path, target: Path, *, public: bool = False, fp16: bool = False) -> list[Path]:
    """Write a snapshot of any readable kind as safetensors, with its discriminators where it has
    them.

    Args:
        source: a snapshot or published pickle.
        target: the generator's file; `partner(target)` is the discriminators'.
        public: leave out the digests by which a holder of an image could test for it, and where
            private files and servers are; see `without_digests`.
        fp16: weights in 16 bits, which takes half the space; `load` gives fp32 again.

    Returns:
        The files that were written, the generator's first.

    Raises:
        UserError: the source is refused, a target has another ending or exists, or a weight is too
            large for 16 bits.
    """
    if target.suffix != SUFFIX:
        raise UserError(f"{target}: a snapshot's name ends in {SUFFIX}")
    for path in (target, partner(target)):
        with disk_errors(path):
            refuse_output(path, "name", file=True)
            if not path.parent.is_dir():
                raise UserError(
                    f"{path.parent} is no folder: make it first, or choose another place"
                )
    snapshot = load(source)
    networks = snapshot.training_networks if snapshot.has_discriminators else None
    tree = snapshot.info.tree() | {"converted_from": snapshot.sha256}
    document = SnapshotInfo.parse(without_digests(tree) if public else tree).tree()
    weights: Mapping[str, Tensor] = snapshot.generator.state_dict()
    further: Mapping[str, Tensor] = {} if networks is None else networks.tensors()
    if fp16:
        weights, further = _in_16_bits(weights, source), _in_16_bits(further, source)
    if networks is None:
        write_tensors(target, weights, document)
        return [target]
    # both are complete before the first of them gets its name
    with atomic_path(target) as generator, atomic_path(partner(target)) as rest:
        write_tensors(generator, weights, document)
        _write_partner(rest, further, generator)
    return [target, partner(target)]


def _in_16_bits(tensors: Mapping[str, Tensor], source: Path) -> dict[str, Tensor]:
    """The tensors with their fractional numbers in fp16."""
    found = {name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}
    for name, tensor in found.items():
        if not tensor.isfinite().all():
            raise UserError(
                f"{source}: the numbers of {name} are too large for 16 bits: leave --fp16 out"
            )
    return found


def without_digests(tree: JsonObject) -> JsonObject:
    """A snapshot's document, and those of the snapshots that it came from, without digests, without
    the folders that the archive and a classifier lay in, and without who followed the run, all of
    which may name a person or a place.
    """
    result = copy.deepcopy(tree)
    inner: Any = result
    while isinstance(inner, dict):
        for name in PRIVATE:
            inner.pop(name, None)
        if isinstance(inner.get("config"), dict):
            _drop_places(inner["config"])
        inner = inner.get("initialised_from")
    return result


def _drop_places(config: JsonObject) -> None:
    """Name files in a run's configuration without their folders, and no server."""
    config.pop("tracking", None)
    data, metrics = config.get("data"), config.get("metrics")
    if isinstance(data, dict) and "path" in data:
        data["path"] = PureWindowsPath(str(data["path"])).name  # knows both separators
    if isinstance(metrics, dict) and "features" in metrics:
        name, colon, path = str(metrics["features"]).partition(":")  # NAME, or classifier:FILE
        metrics["features"] = f"{name}{colon}{PureWindowsPath(path).name}"
