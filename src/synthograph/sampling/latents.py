"""Latents: points in z or w with their classes and names, as seeds give them or files hold them,
and the images that a generator makes of them. All that draws images draws them here.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import reduce
from operator import or_
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from synthograph.core.devices import Precision, block_dtype
from synthograph.core.errors import UserError
from synthograph.core.files import sha256_file, write_bytes
from synthograph.core.names import first_few
from synthograph.core.untrusted.arrays import SUFFIX, pack_arrays, read_arrays
from synthograph.core.untrusted.documents import JsonObject
from synthograph.models.base import Networks, NoiseMode, TruncationCenter
from synthograph.models.registry import family, style_family
from synthograph.models.snapshot import Snapshot
from synthograph.models.snapshot_files import list_snapshots
from synthograph.models.styles import LatentSpace, truncate
from synthograph.ops.pixels import to_pixels
from synthograph.sampling.seeds import MAX_SEED
from synthograph.sampling.seeds import latents as normal_latents

# n image, z latent, c label, s style row, w width of a style

MAX_PSI = 100
MAX_LATENTS = 100_000
NETWORK, LABELS, NAMES, SEEDS = "network", "labels", "names", "seeds"
TARGETS = ("target_groups", "target_images")
TUNED = ".generator.safetensors"
"""How the file of a generator ends that was tuned to one target, beside that one's latents."""
"""Keys of a file beside the latents themselves, which stand under `z` and `w`."""


class Space(StrEnum):
    """Where latents lie: before the mapping network (z) or behind it (w)."""

    Z = "z"
    W = "w"


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """How images are drawn from latents.

    Attributes:
        truncation: psi; 1 keeps the full diversity, smaller values trade it for typical images.
        cutoff: number of style rows that are truncated; None for all.
        center: what truncation pulls to: the mean of all images or of the image's class.
        noise: fixed, drawn from the image's seed, or none.
        batch: images at once; it does not change them.
        device: where to compute.
        precision: arithmetic of the network blocks, fp32 or bf16.
    """

    truncation: float = 1.0
    cutoff: int | None = None
    center: TruncationCenter = TruncationCenter.GLOBAL
    noise: NoiseMode = NoiseMode.CONST
    batch: int = 32
    device: str = "cpu"
    precision: Precision = Precision.FP32


@dataclass(frozen=True)
class FoundOn:
    """The real images that latents were found on: where images of the latents train, nothing that
    chooses or reports may be among them.

    Attributes:
        groups: digests of their groups, as snapshots record those that they were trained on.
        images: digests of their pixels, likewise.
    """

    groups: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()

    def __or__(self, other: "FoundOn") -> "FoundOn":
        return FoundOn(self.groups | other.groups, self.images | other.images)

    def tree(self) -> JsonObject:
        """As documents of snapshots hold it; empty for no images."""
        lists = {"group_digests": sorted(self.groups), "image_digests": sorted(self.images)}
        return {name: values for name, values in lists.items() if values}


@dataclass(frozen=True)
class Latents:
    """Points in a generator's latent space.

    Attributes:
        values: [n, z] in z, [n, rows, width] in w; fp32 on the CPU.
        space: which of both.
        labels: class of each, None where there is none.
        names: what files made of them are called.
        seeds: of the random noise of each.
        bound: whether they are known to be of the generator that they are used with.
        found_on: the images that they, or what they were made of, are projections of.
    """

    values: Tensor
    space: Space
    labels: tuple[str | None, ...]
    names: tuple[str, ...]
    seeds: tuple[int, ...]
    bound: bool = True
    found_on: FoundOn = FoundOn()

    def __len__(self) -> int:
        return len(self.values)

    def take(self, some: slice) -> "Latents":
        """Those of these places."""
        return replace(
            self,
            values=self.values[some],
            labels=self.labels[some],
            names=self.names[some],
            seeds=self.seeds[some],
        )

    def of_class(self, label: str | None, where: str = "", option: str = "--class") -> "Latents":
        """All of one class; None leaves what they have. Styles w keep the class that they are of,
        if it is known.

        Args:
            label: the class.
            where: they are from, if another class of theirs is to be refused.
            option: that names the class.

        Raises:
            UserError: see `refuse_other_class`.
        """
        if label is None:
            return self
        if where:
            self.refuse_other_class(label, where, option)
        known = self.labels if self.space is Space.W else (None,) * len(self)
        return replace(self, labels=tuple(each or label for each in known))

    def refuse_other_class(self, label: str | None, where: str, option: str = "--class") -> None:
        """Refuse a class for styles w of another one, which they keep.

        Raises:
            UserError: some are; the message calls them `where`.
        """
        own = set(self.labels) - {None, label} if self.space is Space.W and label else ()
        if own:
            raise UserError(
                f"{option} {label}: styles w of {where} are of class {first_few(map(str, own))}, "
                f"and keep it: leave {option} out, or draw that class from seeds or latents z"
            )

    def sha256(self) -> str:
        """Hex sha256 of the numbers and what belongs to them."""
        about = repr((self.space.value, list(self.values.shape), self.labels, self.seeds))
        return hashlib.sha256(about.encode() + self.values.numpy().tobytes()).hexdigest()

    def packed(self, snapshot: Snapshot, z: Float[Tensor, "n z"] | None = None) -> bytes:
        """The bytes of a file, bound to the generator; `z` are the latents that styles came from.

        Keys: `w` [n, rows, width], as published projections have, or `z` [n, z], or both;
        `network`, the generator's sha256; `labels`, `names`, `seeds`, one per latent;
        `target_groups` and `target_images`, of projections.
        """
        arrays = {} if z is None else {Space.Z.value: z.numpy()}
        for key, digests in zip(TARGETS, vars(self.found_on).values(), strict=True):
            if digests:
                arrays[key] = np.array(sorted(digests))
        return pack_arrays(
            {
                **arrays,
                self.space.value: self.values.float().contiguous().numpy(),
                NETWORK: np.array(snapshot.sha256),
                LABELS: np.array([label or "" for label in self.labels]),
                NAMES: np.array(self.names),
                SEEDS: np.array(self.seeds, dtype=np.int64),
            }
        )

    def save(self, path: Path, snapshot: Snapshot, z: Float[Tensor, "n z"] | None = None) -> None:
        """Write them to a file whose name ends in `.npz`; see `packed`."""
        write_bytes(path, self.packed(snapshot, z))


def of_seeds(
    snapshot: Snapshot,
    seeds: Sequence[int],
    labels: Sequence[str | None],
    named: str = "seed{:04d}",
) -> Latents:
    """The latents in z of seeds, each with its class."""
    values = normal_latents(seeds, int(snapshot.info.config["model"]["z_dim"]))
    names = tuple(map(named.format, seeds))
    return Latents(values, Space.Z, tuple(labels), names, tuple(seeds))


def joined(several: Sequence[Latents]) -> Latents:
    """Sets of one space as one, in order."""
    first = several[0]
    return Latents(
        torch.cat([each.values for each in several]),
        first.space,
        tuple(label for each in several for label in each.labels),
        tuple(name for each in several for name in each.names),
        tuple(seed for each in several for seed in each.seeds),
        all(each.bound for each in several),
        reduce(or_, (each.found_on for each in several)),
    )


def read(path: Path, snapshot: Snapshot, space: Space | None = None) -> Latents:
    """Latents of a file, of this program or of another one that writes `w` [1, rows, width].

    Args:
        path: a `.npz` file.
        snapshot: the generator that they are for.
        space: which of both is wanted; None takes w where the file has it, else z.

    Returns:
        The latents. Styles of one row, [n, 1, width] or [n, width], are repeated over the rows.
        Names that the file lacks are its own name, numbered where it holds several.

    Raises:
        UserError: the file cannot be read, has no such latents, or they are of another network or
            shape.
    """
    arrays, room = read_arrays(path), space_of(snapshot)
    _refuse_other_network(path, arrays.get(NETWORK), snapshot)
    found = space or next((each for each in (Space.W, Space.Z) if each.value in arrays), Space.W)
    if found.value not in arrays:
        has = ", ".join(arrays) or "nothing"
        raise UserError(f"{path}: has no latents {found.value!r} (it holds {has})")
    values = _numbers(path, found.value, arrays[found.value])
    if found is Space.W:
        values = _all_rows(values, room.rows)
    wanted = [room.z_dim] if found is Space.Z else [room.rows, room.w_dim]
    if list(values.shape[1:]) != wanted or not len(values):
        shape = ", ".join(["n", *map(str, wanted)])
        raise UserError(
            f"{path}: {found.value} has the shape {list(arrays[found.value].shape)}, "
            f"{snapshot.path.name} needs [{shape}]: give latents that were made with this network"
        )
    count = len(values)
    stem = path.name.removesuffix(SUFFIX)
    usual = [stem] if count == 1 else [f"{stem}-{number:04d}" for number in range(count)]
    labels = _labels(path, arrays, snapshot, count)
    names = _texts(path, NAMES, arrays, usual)
    seeds, bound = _seeds(path, arrays, count), NETWORK in arrays
    found_on = FoundOn(*(_digests(path, key, arrays) for key in TARGETS))
    return Latents(values, found, labels, tuple(names), seeds, bound, found_on)


def describe(path: Path, facts: JsonObject) -> None:
    """Say what a file of arrays holds, latents or others.

    Raises:
        UserError: it cannot be read.
    """
    arrays = read_arrays(path)
    found = [each.value for each in Space if each.value in arrays]
    facts |= {"kind": "latents" if found else "arrays", "bytes": path.stat().st_size}
    facts |= {name: "x".join(map(str, arrays[name].shape)) for name in found or arrays}
    if found:
        facts[NETWORK] = str(arrays.get(NETWORK, "not stated"))
        facts["classes"] = dict(Counter(map(str, arrays.get(LABELS, np.array([])).flat)))
        facts[NAMES] = [str(name) for name in arrays.get(NAMES, np.array([])).flat]


def _refuse_other_network(path: Path, given: np.ndarray | None, snapshot: Snapshot) -> None:
    known = {snapshot.sha256, snapshot.info.converted_from}
    if given is None or str(given) in known:
        return
    tuned = path.with_suffix(TUNED)
    beside = [*list_snapshots(snapshot.path.parent), *([tuned] if tuned.is_file() else [])]
    own = next((each for each in beside if sha256_file(each) == str(given)), "the file")
    raise UserError(
        f"{path}: is bound to the network {str(given):.16}, and {snapshot.path} is "
        f"{snapshot.sha256:.16}: give --network {own} that the latents were made with"
    )


def _numbers(path: Path, name: str, given: np.ndarray) -> Tensor:
    """Finite numbers as fp32."""
    if given.dtype.kind == "U" or not given.ndim or len(given) > MAX_LATENTS:
        raise UserError(f"{path}: {name} is no list of at most {MAX_LATENTS} latents")
    values = torch.from_numpy(given.astype(np.float32))
    if not values.isfinite().all():
        raise UserError(f"{path}: {name} has values that are not finite numbers")
    return values


def _all_rows(values: Tensor, rows: int) -> Tensor:
    """Styles with a row for every layer."""
    if values.dim() == 2:
        values = values[:, None]
    one = values.dim() == 3 and values.shape[1] == 1
    return values.expand(-1, rows, -1).contiguous() if one else values


def _labels(
    path: Path, arrays: dict[str, np.ndarray], snapshot: Snapshot, count: int
) -> tuple[str | None, ...]:
    """Names of classes of the network; an empty text is none."""
    condition = snapshot.info.condition
    texts = _texts(path, LABELS, arrays, [""] * count)
    try:
        names = {t: condition.classes[int(condition.one_hot(t).argmax())] for t in {*texts} if t}
    except UserError as error:
        raise UserError(f"{path}: {LABELS}: {error}") from None
    return tuple(names.get(text) for text in texts)


def _texts(
    path: Path, name: str, arrays: dict[str, np.ndarray], usual: Sequence[str]
) -> Sequence[str]:
    given = arrays.get(name)
    if given is None:
        return usual
    if given.dtype.kind != "U" or given.shape != (len(usual),):
        raise UserError(f"{path}: {name} is no list of {len(usual)} texts")
    return [str(text) for text in given]


def _digests(path: Path, name: str, arrays: dict[str, np.ndarray]) -> frozenset[str]:
    given = arrays.get(name)
    return frozenset(() if given is None else _texts(path, name, arrays, [""] * given.size))


def _seeds(path: Path, arrays: dict[str, np.ndarray], count: int) -> tuple[int, ...]:
    given = arrays.get(SEEDS)
    if given is None:
        return tuple(range(count))
    if given.dtype.kind not in "iu" or given.shape != (count,):
        raise UserError(f"{path}: {SEEDS} is no list of {count} whole numbers")
    seeds = tuple(int(seed) for seed in given)
    if not all(0 <= seed <= MAX_SEED for seed in seeds):
        raise UserError(f"{path}: {SEEDS} are numbers from 0 to {MAX_SEED}")
    return seeds


def space_of(snapshot: Snapshot) -> LatentSpace:
    """Sizes of the generator's latent space.

    Raises:
        UserError: it has no mapping and synthesis.
    """
    return style_family(snapshot.info.family).latent_space(snapshot.generator)


def check_rendering(snapshot: Snapshot, rendering: Rendering) -> None:
    """Refuse what no image can be drawn with, before anything is written.

    Raises:
        UserError: a value out of range, images that files cannot hold, or a generator that needs
            more than a class.
    """
    condition = snapshot.info.condition
    if rendering.batch < 1:
        raise UserError(f"--batch {rendering.batch}: at least one image at a time")
    if rendering.precision is Precision.AUTO:
        raise UserError("--precision auto is for training: say fp32 or bf16, since images differ")
    if not abs(rendering.truncation) <= MAX_PSI:
        raise UserError(
            f"--trunc {rendering.truncation:g}: psi is a finite number, usually 0 to 1 and at most "
            f"{MAX_PSI}"
        )
    if rendering.cutoff is not None:
        rows = space_of(snapshot).rows
        if not 0 <= rendering.cutoff <= rows:
            raise UserError(
                f"--trunc-cutoff {rendering.cutoff}: this network has {rows} style rows, so from "
                f"0 to {rows}"
            )
    if rendering.center is TruncationCenter.CLASS and not condition.width:
        raise UserError("--trunc-center class needs a conditional network, this one is not")
    odd = {n for n in snapshot.info.spec.modalities.values() if n not in (1, 3)}
    if odd:
        raise UserError(
            f"{snapshot.path}: makes images of {odd.pop()} channels, files hold 1 or 3; "
            "use it from Python (synthograph.load)"
        )
    if condition.width and not condition.classes:
        raise UserError(
            f"{snapshot.path}: was trained on label vectors, which no class can give; use it from "
            "Python (synthograph.load)"
        )


def one_hot_labels(
    snapshot: Snapshot, names: Sequence[str | None], device: str
) -> Float[Tensor, "n c"] | None:
    """Labels of classes; None for an unconditional generator."""
    condition = snapshot.info.condition
    if not condition.width:
        return None
    return torch.stack([condition.one_hot(name or "") for name in names]).to(device)


def placed(snapshot: Snapshot, rendering: Rendering) -> nn.Module:
    """The generator on the device, its blocks in the precision, that images are drawn with."""
    generator = snapshot.generator.to(rendering.device)
    kind = family(snapshot.info.family)
    kind.set_precision(Networks(generator, nn.ModuleDict()), block_dtype(rendering.precision))
    return generator


def labels_of(
    snapshot: Snapshot, latents: Latents, rendering: Rendering, *, needed: bool = False
) -> Float[Tensor, "n c"] | None:
    """Labels of latents, where mapping or truncation asks for them, or where they are `needed`.

    Raises:
        UserError: they have no class, which the network needs.
    """
    pulled = rendering.truncation != 1 and rendering.center is TruncationCenter.CLASS
    if latents.space is Space.W and not (pulled or needed):
        return None
    condition = snapshot.info.condition
    if condition.width and None in latents.labels:
        raise UserError(
            f"{snapshot.path.name} is conditional: name a class, --class "
            f"{' or '.join(condition.classes)}"
        )
    return one_hot_labels(snapshot, latents.labels, rendering.device)


def styles(snapshot: Snapshot, latents: Latents, rendering: Rendering) -> Float[Tensor, "n s w"]:
    """Styles of latents, truncated, fp32 on the CPU; those in w are only truncated.

    Raises:
        UserError: a class is missing, or the generator has no styles.
    """
    kind, generator = style_family(snapshot.info.family), placed(snapshot, rendering)
    made = []
    for start in range(0, len(latents), rendering.batch):
        some = latents.take(slice(start, start + rendering.batch))
        label = labels_of(snapshot, some, rendering)
        ws = some.values.to(rendering.device)
        with torch.no_grad():
            if some.space is Space.Z:
                ws = kind.mapping(generator, ws, label)
            if rendering.truncation != 1:
                mean = kind.mean_styles(generator, len(some), label, rendering.center)
                ws = truncate(ws, rendering.truncation, mean, rendering.cutoff)
        made.append(ws.cpu())
    return torch.cat(made)


def as_styles(snapshot: Snapshot, several: Sequence[Latents], rendering: Rendering) -> Latents:
    """Sets of either space as one set of styles, truncated."""
    every = [styles(snapshot, some, rendering) for some in several]
    return joined(
        [replace(s, values=ws, space=Space.W) for s, ws in zip(several, every, strict=True)]
    )


def render(
    snapshot: Snapshot,
    ws: Float[Tensor, "n s w"],
    seeds: Sequence[int],
    rendering: Rendering,
) -> Iterator[np.ndarray]:
    """Pixels [channels, h, w], uint8 or uint16, of every image in turn, computed in batches.

    Args:
        snapshot: whose images.
        ws: styles, truncated as they are to be.
        seeds: of random noise, one per image.
        rendering: noise, batch, device and precision.
    """
    kind, generator = style_family(snapshot.info.family), placed(snapshot, rendering)
    for start in range(0, len(ws), rendering.batch):
        part, maps = ws[start : start + rendering.batch].to(rendering.device), None
        with torch.no_grad():
            if rendering.noise is NoiseMode.RANDOM:
                own = torch.tensor(seeds[start : start + len(part)], device=rendering.device)
                maps = kind.noise_maps(generator, own)
            images = kind.synthesis(generator, part, noise=rendering.noise, maps=maps)
        yield from to_pixels(images, snapshot.info.spec.bits)
