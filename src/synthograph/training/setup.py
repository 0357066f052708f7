"""From a configuration to a session that can train: archive, stream, networks, optimisers,
provenance.
"""

import copy
import hashlib
import json
from collections.abc import Callable, Sequence

import torch
from torch import nn

import synthograph
from synthograph.archive.batches import ArchiveRows, common_split
from synthograph.archive.manifest import Row, in_split
from synthograph.archive.reader import Archive, ArchiveInfo, open_archive
from synthograph.archive.stream import RowSelection, TrainingStream, select_rows
from synthograph.core.devices import Precision, block_dtype, pick_device, pick_precision
from synthograph.core.errors import SettingError, UserError
from synthograph.core.machine import software_and_machine
from synthograph.core.seeds import Streams
from synthograph.core.spec import Invariance
from synthograph.core.untrusted.documents import JsonObject
from synthograph.models.base import Condition, ModelBundle
from synthograph.models.registry import family
from synthograph.models.snapshot import Snapshot, SnapshotInfo
from synthograph.models.transfer import TransferReport, origin, transfer
from synthograph.results.environment import Environment
from synthograph.training.augmentation import augment_with, left_out_note, make_pipe, permitted
from synthograph.training.config import (
    AugmentConfig,
    AugmentMode,
    DataConfig,
    MetricsConfig,
    RunConfig,
    archive_path,
)
from synthograph.training.controllers import make_controller
from synthograph.training.distributed import Team, check_shares
from synthograph.training.frozen import completed, feature_taps
from synthograph.training.presets import check_model, resolve
from synthograph.training.session import Session
from synthograph.training.state import TrainingState, make_optimisers

MIN_IMAGES, MAX_IMAGES = 500, 2000
"""Synthetic images of a measurement unless the configuration gives a number."""
UNASKED = (
    "this archive says that mirroring, turning and recolouring leave the meaning of its images "
    "unchanged, as older versions wrote unasked; if that is wrong, say what holds, such as "
    "--invariant none"
)


def open_data(config: RunConfig, archive: Archive | None = None) -> ArchiveRows:
    """Open the archive, unless it is open already, and choose the rows.

    Raises:
        UserError: the archive is missing or broken, or the selection is empty.
    """
    archive = archive or open_archive(archive_path(config))
    data = config.data
    rows = select_rows(archive, RowSelection(data.split, data.fold, data.subset), config.seed)
    return ArchiveRows(archive, rows, common_split(rows))


def held_out(archive: Archive, data: DataConfig) -> tuple[list[Row], str | None]:
    """Images that do not train and may choose: the fold that is left out, else split val; and the
    split that they are of. There may be none.
    """
    if data.fold is None:
        return in_split(archive.rows, "val"), "val"
    rows = in_split(archive.rows, data.split)
    return [row for row in rows if row.fold == data.fold], data.split


def resolve_run(
    archive: Archive, preset: str, parts: Sequence[JsonObject], *, processes: int = 1
) -> tuple[RunConfig, list[str]]:
    """The configuration of a new run on an archive, with nothing left open.

    Args:
        archive: the images.
        preset: name of the preset.
        parts: parts of the configuration tree, later ones win.
        processes: number of processes that will train, for presets that depend on it.

    Returns:
        The configuration, and notes on what it leaves out because of what the images mean.

    Raises:
        UserError: a setting breaks a rule, or mirroring could change what the images mean.
    """
    asked = [*parts, {"data": {"path": str(archive.path.resolve())}}]
    config = resolve_machine(resolve(archive.info.spec, preset, asked, gpus=processes))
    if config.data.split is None and any(row.split for row in archive.rows):
        split = config.data.model_copy(update={"split": "train"})
        config = config.model_copy(update={"data": split})
    _refuse_meaning(config.data, archive)
    _refuse_strength(config.augment)
    invariances = invariances_of(config.data, archive.info)
    augment, left_out = permitted(config.augment, invariances)
    augments = config.augment.mode is not AugmentMode.NONE
    notes = [left_out_note(augment, left_out, invariances)] if augments and left_out else []
    unsaid = config.data.invariances is None and archive.info.unasked
    if (augments or config.data.mirror) and unsaid:
        notes.append(UNASKED)
    rows, _ = held_out(archive, config.data)
    resolved = {"augment": augment, "metrics": with_count(config.metrics, len(rows))}
    return config.model_copy(update=resolved), notes


def invariances_of(data: DataConfig, info: ArchiveInfo) -> list[str] | None:
    """What leaves the meaning of a run's images alone: what was said for it, else what the archive
    says; None where nobody said.
    """
    return info.invariances if data.invariances is None else data.invariances


def _refuse_meaning(data: DataConfig, archive: Archive) -> None:
    """Refuse what the images do not allow.

    Raises:
        UserError: mirroring that could change what they mean, or a word against the archive's.
    """
    said = archive.info.invariances
    beyond = [name for name in data.invariances or () if said is not None and name not in said]
    if beyond:
        raise SettingError(
            "data.invariances",
            f"{archive.path} says that {', '.join(beyond)} would change what its images mean; if "
            f"that is wrong, make it anew: synthograph prepare {archive.path} NEW.zip "
            f"--invariant {','.join(data.invariances or ())}",
        )
    known = invariances_of(data, archive.info)
    if not data.mirror or (known is not None and Invariance.MIRROR in known):
        return
    if known is None:
        raise UserError(
            f"{archive.path}: whether its images keep their meaning when mirrored was not stated; "
            "say so with --invariant mirror, or leave --mirror out"
        )
    raise UserError(
        f"{archive.path}: mirroring changes the meaning of images in this archive "
        f"(invariances: {', '.join(known) or 'none'}); leave --mirror out"
    )


def _refuse_strength(augment: AugmentConfig) -> None:
    """Refuse a start that adaptive augmentation would cut; runs of before this rule go on.

    Raises:
        SettingError: `p` is above `p_max`.
    """
    if augment.mode is AugmentMode.ADA and augment.p is not None and augment.p > augment.p_max:
        raise SettingError(
            "augment.p",
            f"must be at most augment.p_max, which is {augment.p_max:g}: take less, or set "
            f"augment.p_max={augment.p:g}",
            value=f"{augment.p:g}",
        )


def with_count(metrics: MetricsConfig, real: int) -> MetricsConfig:
    """Resolve the number of synthetic images: as many as real ones, within
    `MIN_IMAGES` and `MAX_IMAGES`.
    """
    if metrics.num is not None or not real:
        return metrics
    return metrics.model_copy(update={"num": min(max(real, MIN_IMAGES), MAX_IMAGES)})


def resolve_machine(config: RunConfig) -> RunConfig:
    """The configuration with `auto` device and precision replaced by what this machine gives, and
    what it has of a frozen network that the model needs.

    Raises:
        UserError: that network is not here, or is another one than the configuration names.
    """
    device = pick_device(config.device)
    precision = pick_precision(config.precision, device)
    found = {"device": str(device), "precision": precision, "model": completed(config.model)}
    return config.model_copy(update=found)


def make_session(
    config: RunConfig,
    data: ArchiveRows,
    init_from: Snapshot | None = None,
    on_transfer: Callable[[TransferReport], None] = lambda report: None,
    team: Team | None = None,
) -> Session:
    """Networks with fresh weights or those of a snapshot, optimisers and the training stream, on
    the device of the configuration; this process computes with its number of threads from now on.

    Args:
        config: resolved: no `auto` is left.
        data: from `open_data`.
        init_from: snapshot that a new run starts from; a resumed run has all in its state.
        on_transfer: gets the table of what was taken over from the snapshot.
        team: the processes that train together; None for this one alone.

    Raises:
        UserError: the snapshot is of another family, or nothing of it fits; settings of the model
            that these images do not allow.
    """
    assert config.precision is not Precision.AUTO, "resolve_machine comes first"
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    team = team or Team()
    check_shares(config, team.size)
    device, spec = pick_device(team.device(config.device)), data.archive.info.spec
    check_model(spec, config.model)
    streams = Streams(config.seed)
    stream = TrainingStream(
        data.archive,
        data.rows,
        streams,
        mirror=config.data.mirror,
        conditional=config.data.cond,
        alike=config.model.images_alike,
    )
    kind, wanted = family(config.model.family), config.model.frozen_features
    taps = None if wanted is None else feature_taps(wanted, device, block_dtype(config.precision))
    condition = Condition(stream.classes, stream.label_width)
    torch.manual_seed(config.seed)
    networks = kind.build(spec, condition, config.model)
    ema = copy.deepcopy(networks.generator).eval().requires_grad_(False)
    if init_from is not None:
        on_transfer(transfer(init_from, ModelBundle(spec, condition, config.model, networks), ema))
    for module in (networks.generator, networks.discriminators, ema):
        module.to(device)
    networks.buffers = {name: tensor.to(device) for name, tensor in networks.buffers.items()}
    layers = kind.discriminator_layers(networks)
    networks.frozen, networks.taps = first_layers(layers, config.training.freezed), taps
    kind.set_precision(networks, block_dtype(config.precision))
    optimisers = make_optimisers(networks, kind.optimiser_rates(config.model))
    pipe = make_pipe(config.augment, spec)
    return Session(
        config=config,
        spec=spec,
        family=kind,
        phases=kind.phases(networks, config.model, augment_with(pipe)),
        pipe=pipe,
        state=TrainingState(networks, ema, optimisers, make_controller(config.augment)),
        rows=data,
        stream=stream,
        streams=streams,
        device=device,
        info=_document(config, data, condition, init_from, software_and_machine(device, team.size)),
        data=_data_digest(data, stream),
        held_out=_held_out(config, data.archive),
        team=team,
    )


def first_layers(layers: Sequence[Sequence[nn.Module]], count: int) -> list[nn.Module]:
    """The first `count` of every discriminator's layers.

    Raises:
        UserError: a discriminator has fewer.
    """
    fewest = min(map(len, layers), default=0)
    if count > fewest:
        raise UserError(f"--freezed {count}: the discriminator has {fewest} layers before its last")
    return [layer for each in layers for layer in each[:count]]


def _data_digest(data: ArchiveRows, stream: TrainingStream) -> str:
    """Digest of what training sees, whatever the archive is called and however it is packed."""
    groups = [row.group for row in data.rows]
    labels = stream.labels(torch.arange(len(data.rows))).tolist()
    return hashlib.sha256(json.dumps([data.digests, groups, labels]).encode()).hexdigest()


def _held_out(config: RunConfig, archive: Archive) -> ArchiveRows:
    """The images by which snapshots are measured; none where nothing is."""
    rows = held_out(archive, config.data)[0] if config.metrics.measures else []
    return ArchiveRows(archive, rows)


def _document(
    config: RunConfig,
    data: ArchiveRows,
    condition: Condition,
    init_from: Snapshot | None,
    here: JsonObject,
) -> SnapshotInfo:
    """The provenance that snapshots of this run carry."""
    info, archive = data.archive.info, data.archive
    return SnapshotInfo(
        family=config.model.family,
        config=config.tree(),
        spec=info.spec,
        classes=list(condition.classes),
        label_width=condition.width,
        invariances=invariances_of(config.data, info),
        images_hash=archive.images_hash,
        manifest_hash=archive.manifest_hash,
        split=data.split,
        fold=config.data.fold,
        group_digests=sorted(data.groups),
        image_digests=sorted(data.pixels),
        masks=data.masks,
        package_version=synthograph.__version__,
        environments=[Environment(**here)],
        initialised_from=None if init_from is None else origin(init_from),
    )


def parameter_counts(session: Session) -> dict[str, int]:
    """Trainable numbers of the generator and of every discriminator."""
    networks = session.state.networks
    modules = {"generator": networks.generator, **dict(networks.discriminators.items())}
    return {name: sum(p.numel() for p in module.parameters()) for name, module in modules.items()}
