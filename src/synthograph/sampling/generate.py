"""Generated images: batched, the same image for a seed whatever the batch, written with their
provenance.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from synthograph.archive.manifest import Row
from synthograph.archive.reader import ArchiveInfo, encode_png
from synthograph.archive.writer import ArchiveWriter, encode, new_namespace
from synthograph.core.errors import UserError
from synthograph.core.files import refuse_unwritable, write_bytes
from synthograph.core.pictures import for_eyes, sheet
from synthograph.models.registry import family
from synthograph.models.snapshot import Snapshot
from synthograph.ops.pixels import to_pixels
from synthograph.sampling.seeds import latents

Track = Callable[[Iterable[Any], int], Iterable[Any]]


@dataclass(frozen=True)
class Request:
    """Which images to make.

    Attributes:
        seeds: one image per seed and class.
        classes: class names; empty for an unconditional generator.
        truncation: psi; 1 keeps the full diversity, smaller values trade it for typical images.
        cutoff: number of style rows that are truncated; None for all.
        noise: "const", "random" or "none".
        batch: images at once; it does not change them.
        device: where to compute.
    """

    seeds: Sequence[int]
    classes: Sequence[str] = ()
    truncation: float = 1.0
    cutoff: int | None = None
    noise: str = "const"
    batch: int = 32
    device: str = "cpu"

    def jobs(self) -> list[tuple[int, str | None]]:
        """(seed, class) of every image, class by class."""
        names: Sequence[str | None] = self.classes or [None]
        return [(seed, name) for name in names for seed in self.seeds]


@dataclass(frozen=True)
class Image:
    """One generated image: its seed, its class or None, and its pixels [channels, h, w]."""

    seed: int
    label: str | None
    pixels: np.ndarray


def choose_classes(snapshot: Snapshot, wanted: Sequence[str]) -> list[str]:
    """Class names that a request means, checked; all classes where none is named.

    Raises:
        UserError: an unknown class, or classes for an unconditional generator.
    """
    condition = snapshot.info.condition
    if not wanted:
        return list(condition.classes)
    labels = [condition.one_hot(name) for name in wanted]
    return [condition.classes[int(label.argmax())] for label in labels]


def generate(snapshot: Snapshot, request: Request, *, skip: int = 0) -> Iterator[list[Image]]:
    """Batches of images in the order of `request.jobs()`, without the first `skip`.

    Raises:
        UserError: the generator needs label vectors, which a class cannot give.
    """
    condition = snapshot.info.condition
    if condition.width and not condition.classes:
        raise UserError(f"{snapshot.path}: was trained on label vectors, which --class cannot give")
    jobs = request.jobs()[skip:]
    kind = family(snapshot.info.family)
    generator = snapshot.generator.to(request.device)
    width = int(snapshot.info.config["model"]["z_dim"])
    for start in range(0, len(jobs), request.batch):
        part = jobs[start : start + request.batch]
        z = latents([seed for seed, _ in part], width).to(request.device)
        label = _labels(snapshot, [name for _, name in part])
        with torch.no_grad():
            images = kind.sample(
                generator,
                z,
                None if label is None else label.to(request.device),
                truncation=request.truncation,
                cutoff=request.cutoff,
                noise=request.noise,
            )
        pixels = to_pixels(images, snapshot.info.spec.bits)
        yield [Image(s, n, p) for (s, n), p in zip(part, pixels, strict=True)]


def _labels(snapshot: Snapshot, names: Sequence[str | None]) -> Float[Tensor, "n c"] | None:
    condition = snapshot.info.condition
    if not condition.width:
        return None
    return torch.stack([condition.one_hot(name or "") for name in names])


def generate_files(
    snapshot: Snapshot,
    request: Request,
    outdir: Path,
    *,
    track: Track = lambda items, total: items,
) -> list[Path]:
    """Write `seed0000.png`, with `_CLASS` where several classes are made; further modalities in
    folders of their own.

    Images that are there already are made again and must not differ in name only: an existing file
    is refused.

    Raises:
        UserError: a file of that name exists.
    """
    jobs = request.jobs()
    names = [_file_name(seed, label, several=len(request.classes) > 1) for seed, label in jobs]
    taken = next((outdir / name for name in names if (outdir / name).exists()), None)
    if taken is not None:
        raise UserError(f"{taken} exists already: choose another --outdir or remove it first")
    refuse_unwritable(outdir / "x")
    outdir.mkdir(parents=True, exist_ok=True)
    images = (image for batch in generate(snapshot, request) for image in batch)
    paths = []
    for name, image in track(zip(names, images, strict=True), len(jobs)):
        for number, (modality, pixels) in enumerate(_modalities(snapshot, image).items()):
            path = outdir / name if number == 0 else outdir / modality / name
            path.parent.mkdir(exist_ok=True)
            write_bytes(path, encode_png(pixels))
        paths.append(outdir / name)
    return paths


def _file_name(seed: int, label: str | None, *, several: bool) -> str:
    safe = "".join(c if c.isalnum() or c in "-." else "-" for c in label or "")
    return f"seed{seed:04d}_{safe}.png" if several else f"seed{seed:04d}.png"


def _modalities(snapshot: Snapshot, image: Image) -> dict[str, np.ndarray]:
    """Modality to pixels [h, w, c]."""
    channels = snapshot.info.spec.modalities
    cuts = np.cumsum(list(channels.values()))[:-1]
    parts = np.split(image.pixels.transpose(1, 2, 0), cuts, axis=2)
    return dict(zip(channels, parts, strict=True))


def generate_archive(
    snapshot: Snapshot,
    request: Request,
    dest: Path,
    *,
    track: Track = lambda items, total: items,
) -> int:
    """Write an archive whose manifest names snapshot, seed, class and truncation of every image.

    An unfinished archive of the same request is continued.

    Returns:
        Number of images.

    Raises:
        UserError: `dest` exists, or an unfinished archive of another request is in the way.
    """
    command = {
        "generate": snapshot.sha256,
        "jobs": request.jobs(),
        "truncation": [request.truncation, request.cutoff],
        "noise": request.noise,
    }
    writer = ArchiveWriter(dest, command)
    jobs = request.jobs()
    try:
        done = len(writer.rows)
        images = (i for batch in generate(snapshot, request, skip=done) for i in batch)
        for image in track(images, len(jobs) - done):
            row = _row(snapshot, request, image)
            writer.add([encode(_modalities(snapshot, image), None, row)])
        writer.finish(_archive_info(snapshot))
    except BaseException:
        writer.suspend()
        raise
    return len(jobs)


def _row(snapshot: Snapshot, request: Request, image: Image) -> Row:
    columns = {
        "network": snapshot.sha256[:16],
        "seed": str(image.seed),
        "truncation": f"{request.truncation:g}",
    }
    # images of one generator are no independent observations, so the generator is their group
    return Row(
        "", image.label, f"synthetic-{snapshot.sha256[:16]}", None, None, "synthetic", columns
    )


def _archive_info(snapshot: Snapshot) -> ArchiveInfo:
    info = snapshot.info
    about: Mapping[str, Any] = {**info.tree(), "sha256": snapshot.sha256}
    return ArchiveInfo(
        classes=list(info.condition.classes),
        spec=info.spec,
        namespace=new_namespace(),
        invariances=info.invariances,
        snapshots=[dict(about)],
    )


def picture(snapshot: Snapshot, images: Sequence[Image], columns: int) -> bytes:
    """PNG of a contact sheet: one class per row and line."""
    channels = list(snapshot.info.spec.modalities.values())
    rows: list[tuple[str, list[np.ndarray]]] = []
    for label in dict.fromkeys(image.label for image in images):
        shown = [for_eyes(i.pixels, channels) for i in images if i.label == label]
        for start in range(0, len(shown), columns):
            rows.append((label or "" if start == 0 else "", shown[start : start + columns]))
    return sheet(rows)
