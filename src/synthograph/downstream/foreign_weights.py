"""Weights of others for a backbone: state dicts of torchvision, timm and others, read as data.

Tensors are matched by name, names of the known libraries brought to one form before; where names
have nothing in common, by their order, kind and shape, all of which must agree. The kernels that
see the image are adapted to its channels. Whatever does not fit is counted and named.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from synthograph.core.errors import UserError
from synthograph.core.names import first_few
from synthograph.core.untrusted.tensors import load_tensors
from synthograph.core.untrusted.torch_files import read_state
from synthograph.features.resnet import plain_names
from synthograph.features.weights import COUNTERS

Names = Callable[[Sequence[str]], list[str]]
"""Names of tensors to names that are the same in all libraries."""
Adapt = Callable[[Tensor], Tensor]
COLOURS = 3
OWN = "network/body."
"""How the names of a backbone begin in files of classifiers made here."""

_DENSE = re.compile(r"(denselayer\d+\.)(?:layers\.)?(norm|conv)\.?(\d)")
_FLAT = re.compile(r"_blocks\.(?:\d+\.)?(\d+)\.(_.+)")
_TIMM = re.compile(r"blocks\.(\d+)\.(\d+)\.(.+)")
_TIMM_ENDS = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
_TIMM_PARTS = {
    "conv_pw": "_expand_conv",
    "bn1": "_bn0",
    "conv_dw": "_depthwise_conv",
    "bn2": "_bn1",
    "se.conv_reduce": "_se_reduce",
    "se.conv_expand": "_se_expand",
    "conv_pwl": "_project_conv",
    "bn3": "_bn2",
}
_TIMM_FIRST = {**_TIMM_PARTS, "conv_pw": "_project_conv", "bn1": "_bn1", "bn2": "_bn2"}
"""Of blocks that do not expand."""


@dataclass(frozen=True)
class Taken:
    """What was read of a file.

    Attributes:
        file: its name.
        tensors: how many the backbone took.
        unused: names that it has no use for, such as those of the last layer.
        own: whether it is a classifier made here, which expects images as it was trained on.
    """

    file: str
    tensors: int
    unused: tuple[str, ...]
    own: bool = False

    def __str__(self) -> str:
        left = f"; not used: {first_few(self.unused)}" if self.unused else ""
        return f"begins with all {self.tensors} tensors that it needs of {self.file}{left}"


def dense_names(names: Sequence[str]) -> list[str]:
    """Names of DenseNets: torchvision's of today and before, timm's and MONAI's."""
    plain = (name.removeprefix("features.") for name in names)
    return [_DENSE.sub(r"\1\2\3", name) for name in plain]


def efficient_names(names: Sequence[str]) -> list[str]:
    """Names of EfficientNets: those of Luke Melas-Kyriazi's files, MONAI's and timm's."""
    blocks = [found for name in names if (found := _TIMM.fullmatch(name))]
    places = sorted({(int(found[1]), int(found[2])) for found in blocks})
    expands = {(int(found[1]), int(found[2])) for found in blocks if "conv_pwl" in found[3]}

    def one(name: str) -> str:
        part, _, kind = name.rpartition(".")
        if flat := _FLAT.fullmatch(name):
            return f"_blocks.{flat[1]}.{flat[2]}"
        if timm := _TIMM.fullmatch(name):
            place = (int(timm[1]), int(timm[2]))
            part = timm[3].rpartition(".")[0]
            parts = _TIMM_PARTS if place in expands else _TIMM_FIRST
            return f"_blocks.{places.index(place)}.{parts.get(part, part)}.{kind}"
        return f"{_TIMM_ENDS.get(part, part)}.{kind}"

    return [one(name) for name in names]


def take_weights(body: nn.Module, path: Path, names: Names, first: str, adapt: Adapt) -> Taken:
    """Give a backbone the weights of a file.

    Args:
        body: the backbone, on the CPU.
        path: .pth or .safetensors.
        names: brings names to one form.
        first: name of the kernels that see the image; those for three colours are adapted.
        adapt: does that.

    Raises:
        UserError: the file cannot be read, or lacks tensors of the backbone; they are counted and
            named.
    """
    there = plain_names(read_state(path), path)
    ours = {n.removeprefix(OWN): t for n, t in there.items() if n.startswith(OWN)}
    given = ours or there
    wanted = {n: t for n, t in body.state_dict().items() if not n.endswith(COUNTERS)}
    prefix = _prefix(wanted)
    matched = _by_name(wanted, given, names, prefix) or _by_order(wanted, given) or {}
    kernels = given.get(matched.get(first, ""))
    if kernels is not None and kernels.ndim == 4 and kernels.shape[1] == COLOURS:
        if not ours or kernels.shape != wanted[first].shape:
            given = {**given, matched[first]: adapt(kernels.float())}
    _refuse_gaps(path, wanted, given, matched)
    tensors = {n: given[m].reshape(wanted[n].shape) for n, m in matched.items()}
    counters = {n: t for n, t in body.state_dict().items() if n.endswith(COUNTERS)}
    load_tensors(body, {**tensors, **counters}, path)
    unused = tuple(n for n in given if n not in matched.values() and not n.endswith(COUNTERS))
    return Taken(path.name, len(tensors), unused, own=bool(ours))


def _prefix(wanted: Mapping[str, Tensor]) -> str:
    """What all names of a body begin with, such as `net.`."""
    heads = {name.partition(".")[0] for name in wanted}
    return f"{heads.pop()}." if len(heads) == 1 else ""


def _by_name(
    wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], names: Names, prefix: str
) -> dict[str, str] | None:
    """Names here to names in the file; None where fewer than half of the tensors are found."""
    theirs = dict(zip(names([n.removeprefix(prefix) for n in given]), given, strict=True))
    ours = dict(zip(wanted, names([n.removeprefix(prefix) for n in wanted]), strict=True))
    matched = {n: theirs[plain] for n, plain in ours.items() if plain in theirs}
    return matched if 2 * len(matched) >= len(wanted) else None


def _by_order(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, str] | None:
    """The same by order: the file begins with tensors of the same kinds and shapes."""
    there = [name for name in given if not name.endswith(COUNTERS)]
    if len(there) < len(wanted):
        return None
    pairs = list(zip(wanted, there, strict=False))
    fits = [_alike(ours, wanted[ours], theirs, given[theirs]) for ours, theirs in pairs[1:]]
    return dict(pairs) if all(fits) else None


def _alike(ours: str, here: Tensor, theirs: str, there: Tensor) -> bool:
    kinds = ours.rpartition(".")[2] == theirs.rpartition(".")[2]
    return kinds and here.shape == there.shape


def _refuse_gaps(
    path: Path,
    wanted: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
    matched: Mapping[str, str],
) -> None:
    lacking = [name for name in wanted if name not in matched]
    odd = [
        f"{theirs} {tuple(given[theirs].shape)} instead of {tuple(wanted[ours].shape)}"
        for ours, theirs in matched.items()
        if given[theirs].shape != wanted[ours].shape
    ]
    if lacking or odd:
        parts = [f"{len(lacking)} are not there: {first_few(lacking)}"] if lacking else []
        parts += [f"{len(odd)} have another shape: {first_few(odd)}"] if odd else []
        raise UserError(
            f"--weights {path}: of {len(wanted)} tensors of this backbone {'; '.join(parts)}: give "
            "the file of exactly this network, or the --backbone that it is of"
        )
