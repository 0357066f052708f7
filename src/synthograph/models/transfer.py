"""Training that starts from a snapshot: new networks take over the weights that fit, and a table
lists what became of every tensor.

The family maps its own layers (`Family.map_weights`); here is what all families have in common.
"""

import enum
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from synthograph.core.errors import UserError
from synthograph.core.untrusted.documents import JsonObject
from synthograph.models.base import ModelBundle, Networks, WeightInit
from synthograph.models.registry import family
from synthograph.models.snapshot import Snapshot
from synthograph.models.snapshot_files import GENERATOR

SPEED_KIMG = 100.0
"""Published for transfer: the augmentation's strength moves five times as fast."""


class TransferStatus(enum.StrEnum):
    """What became of a tensor of the new networks."""

    LOADED = "loaded"
    ADAPTED = "adapted"
    FRESH = "fresh"


@dataclass(frozen=True)
class TensorRow:
    """One tensor of the new networks.

    Attributes:
        name: as in `Networks.tensors`.
        after: its shape.
        source: the source's tensor that it comes from, or None.
        before: that one's shape, or None.
        how: what was done to it, one phrase.
    """

    name: str
    status: TransferStatus
    after: tuple[int, ...]
    source: str | None = None
    before: tuple[int, ...] | None = None
    how: str = ""

    @property
    def part(self) -> str:
        """`generator`, or a discriminator such as `discriminators/image`."""
        head, _, rest = self.name.partition("/")
        return head if head == GENERATOR else f"{head}/{rest.partition('.')[0]}"

    @property
    def count(self) -> int:
        """Numbers in it."""
        return int(torch.Size(self.after).numel())


@dataclass(frozen=True)
class TransferReport:
    """What a transfer from the snapshot file `source` did.

    Attributes:
        rows: every tensor of the new generator and discriminators.
        unused: tensors of the source that went nowhere.
        notes: what a user should know besides.
    """

    source: str
    rows: Sequence[TensorRow]
    unused: Sequence[str]
    notes: Sequence[str]

    def count(self, status: TransferStatus) -> int:
        """Number of tensors with that status."""
        return sum(row.status is status for row in self.rows)

    def lines(self, *, full: bool = False) -> list[str]:
        """The report in plain columns: a summary per network, the tensors that something was done
        to, the modules with fresh ones (and how many), and the notes.

        Args:
            full: every tensor in a line of its own.
        """
        shown = [row for row in self.rows if full or row.how]
        cells = [
            (status.value, row.name, f"{_shape(row.before)} -> {_shape(row.after)}", row.how)
            for status in TransferStatus
            for row in shown
            if row.status is status
        ]
        fresh = TransferStatus.FRESH
        rest = [row.name for row in self.rows if row.status is fresh and not row.how]
        cells += [] if full else [(fresh.value, name, "", "") for name in _grouped(rest)]
        widths = [max((len(c[i]) for c in cells), default=0) for i in range(3)]
        table = [
            "  ".join([*(c.ljust(w) for c, w in zip(cell, widths, strict=False)), cell[3]]).rstrip()
            for cell in cells
        ]
        notes = [f"note: {note}" for note in self.notes]
        return [f"initialised from {self.source}", *self._summary(), *table, *notes]

    def _summary(self) -> list[str]:
        lines = []
        for part in dict.fromkeys(row.part for row in self.rows):
            rows = [row for row in self.rows if row.part == part]
            taken = sum(row.count for row in rows if row.source is not None)
            share = taken / max(sum(row.count for row in rows), 1)
            counts_of = Counter(row.status for row in rows)
            counts = ", ".join(f"{counts_of[status]} {status.value}" for status in TransferStatus)
            lines.append(f"  {part}: {counts}; {share:.1%} of its numbers come from the source")
        if self.unused:
            lines.append(f"  not used: {len(self.unused)} tensors of the source")
            lines += [f"    {name}" for name in _grouped(self.unused)]
        return lines


def _shape(shape: tuple[int, ...] | None) -> str:
    return "-" if shape is None else "x".join(map(str, shape)) or "scalar"


def _grouped(names: Sequence[str]) -> list[str]:
    """Names by the module that they belong to, such as `generator/mapping.layers.7 (2)`."""
    counts = Counter(name.rpartition(".")[0] for name in names)
    return [f"{module} ({n})" for module, n in counts.items()]


def transfer(source: Snapshot, target: ModelBundle, ema: nn.Module) -> TransferReport:
    """Fill fresh networks from a snapshot.

    The average starts from the source's average. The raw generator starts from the source's raw
    one, and the discriminators from its discriminators, where they come along; else the raw
    generator starts from the average and the discriminators stay fresh.

    Args:
        source: what to start from.
        target: fresh networks on the CPU, which are changed.
        ema: copy of the target's generator, which is changed.

    Returns:
        What became of every tensor.

    Raises:
        UserError: another family, nothing that fits, or a discriminators' file of another
            generator.
    """
    if source.info.family != target.config.family:
        raise UserError(
            f"{source.path} is of the family {source.info.family}, which a model of the family "
            f"{target.config.family} cannot start from"
        )
    kind = family(target.config.family)
    averaged = Networks(source.generator, nn.ModuleDict())
    trained = source.training_networks if source.has_discriminators else averaged
    info = source.info
    trained_bundle = ModelBundle(info.spec, info.condition, info.model, trained)
    starts = kind.map_weights(target, trained_bundle)
    if not any(start.sources for start in starts.values()):
        raise UserError(
            f"{source.path}: no tensor of it fits the new networks; leave the settings of their "
            "widths out, so that they follow the source"
        )
    report = _report(source, target, trained, starts)
    average = Networks(ema, nn.ModuleDict())
    averages = kind.map_weights(
        replace(target, networks=average), replace(trained_bundle, networks=averaged)
    )
    _fill(target.networks, starts)
    _fill(average, averages)
    return report


def _notes(source: Snapshot, target: ModelBundle) -> Iterator[str]:
    """Missing discriminators, and settings that should follow the source and do not."""
    if not source.has_discriminators:
        yield (
            f"{source.path.name} came without its discriminators: they start fresh, and the "
            "generator from its average"
        )
    inherited = family(source.info.family).inherited_settings
    wanted, given = inherited(source.info.model), inherited(target.config)
    for name in wanted:
        if given.get(name) != wanted[name]:
            yield (
                f"model.{name} is {given[name]!r}, the source's is {wanted[name]!r}: what was "
                "learned with it changes its meaning; leave the setting out to follow the source"
            )


def _report(
    source: Snapshot, target: ModelBundle, trained: Networks, starts: dict[str, WeightInit]
) -> TransferReport:
    given, rows = trained.tensors(), []
    for name, tensor in target.networks.tensors().items():
        start = starts.get(name) or WeightInit(tensor, ())
        status, first, before = TransferStatus.FRESH, None, None
        if start.sources:
            status = TransferStatus.ADAPTED if start.how else TransferStatus.LOADED
            first = start.sources[0]
            before = tuple(given[first].shape)
        rows.append(TensorRow(name, status, tuple(tensor.shape), first, before, start.how))
    used = {name for start in starts.values() for name in start.sources}
    unused = [name for name in given if name not in used]
    return TransferReport(source.path.name, rows, unused, list(_notes(source, target)))


@torch.no_grad()
def _fill(networks: Networks, starts: dict[str, WeightInit]) -> None:
    for name, tensor in networks.tensors().items():
        if name in starts:
            tensor.copy_(starts[name].value)


def defaults(source: Snapshot, asked: object = None) -> JsonObject:
    """Parts of the run configuration tree that apply to a run which starts from `source`, above the
    preset and below what the user sets: networks shaped as the source's, and, as published for
    transfer, augmentation that reacts in 100 kimg and an average without a ramp.

    Args:
        source: trained networks.
        asked: the user's own settings of the model, as they were given.
    """
    kind, own = family(source.info.family), asked if isinstance(asked, dict) else None
    return {
        "model": kind.inherited_settings(source.info.model, own),
        "augment": {"speed_kimg": SPEED_KIMG},
        "training": {"ema_ramp": None},
    }


def origin(source: Snapshot) -> JsonObject:
    """What snapshots record about the one that their run was initialised from: its document and
    the sha256 of its file.
    """
    return {**source.info.tree(), "sha256": source.sha256}
