"""The images that are to be projected: of an archive or of image files, brought to the network's
size and kind.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from torch import Tensor

from synthograph.archive.batches import ArchiveRows, in_random_order, open_rows, path_and_split
from synthograph.archive.manifest import Row
from synthograph.archive.reader import is_archive
from synthograph.core.errors import UserError
from synthograph.core.names import first_few, nearest
from synthograph.core.progress import Progress
from synthograph.core.spec import ImageSpec
from synthograph.models.base import Condition
from synthograph.models.snapshot import Snapshot
from synthograph.sampling.latents import one_hot_labels
from synthograph.sampling.naming import collide, file_head
from synthograph.sampling.projection import Targets, key_of
from synthograph.workflows.latent_requests import ProjectRequest
from synthograph.workflows.predict_inputs import prepared_rows

DEPTHS = "values of another bit depth keep their share of the range"


@dataclass(frozen=True)
class TargetSet:
    """Images to be projected.

    Attributes:
        rows: what is known of them.
        spec: of the network, and of the images as they are given here.
        data: their archive or folder, with the split.
        source: where they can be read.
        files: what each is called there.
        labels: class of each; None for an unconditional network.
        names: what files made of them are called, without an ending.
        resizing: what was done to bring them to `spec`, in words; empty for nothing.
        left_out: which files could not be read, in words.
    """

    rows: Sequence[Row]
    spec: ImageSpec
    data: str
    source: ArchiveRows
    files: Sequence[str]
    labels: Sequence[str | None]
    names: Sequence[str]
    resizing: str = ""
    left_out: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def pixels(self, numbers: Sequence[int]) -> np.ndarray:
        """Stored pixels [n, channels, h, w], uint8 or uint16, of some images."""
        found = np.stack([self.source.archive.read(self.rows[number]) for number in numbers])
        most, own = self.spec.max_value, self.source.archive.info.spec.max_value
        if most != own:
            found = np.round(found * (most / own))
        return found.astype(np.uint8 if self.spec.bits == 8 else np.uint16)

    def digests(self, number: int) -> tuple[Sequence[str], Sequence[str]]:
        """Digests of an image's group and pixels, as snapshots record what they saw."""
        one = ArchiveRows(self.source.archive, [self.rows[number]])
        return list(one.groups), one.digests

    def targets(self, numbers: Sequence[int], snapshot: Snapshot) -> Targets:
        """Some images as they are projected."""
        pixels = self.pixels(numbers)
        labels = [self.labels[number] for number in numbers]
        return Targets(
            network_range(pixels),
            one_hot_labels(snapshot, labels, "cpu"),
            torch.tensor([key_of(each) for each in pixels]),
        )


def network_range(pixels: np.ndarray) -> Tensor:
    """Stored pixels as images in [-1, 1]."""
    half = np.iinfo(pixels.dtype).max / 2
    return torch.from_numpy(pixels.astype(np.float32)) / half - 1


@contextmanager
def open_targets(
    request: ProjectRequest, snapshot: Snapshot, progress: Progress
) -> Iterator[TargetSet]:
    """The images; what is prepared for it is removed at the end.

    Raises:
        UserError: there is no image, it cannot be brought to what the network makes, or a class is
            missing or unknown.
    """
    path, split = path_and_split(request.target)
    if not path.exists():
        raise UserError(f"{path}: is not there: give an archive, a folder, a zip or an image file")
    packed = not path.is_file() or path.suffix.lower() == ".zip"
    with tempfile.TemporaryDirectory(prefix="synthograph-") as name:
        spec = snapshot.info.spec
        if split is not None or (packed and is_archive(path)):
            rows = open_rows(request.target)
            if fits(rows.archive.info.spec, spec):
                yield _chosen(request, snapshot, rows)
                return
        made, rejects = prepared_rows(path, Path(name), progress, **_as_network(request, spec))
        if split is not None:
            made = open_rows(f"{made.archive.path}:{split}")
        note = _left_out(rejects)
        if not fits(made.archive.info.spec, spec):
            raise UserError(
                f"{path}: its images are {made.archive.info.spec.describe()}, the network makes "
                f"{spec.describe()}: prepare an archive of its modalities, with prepare --modality"
            )
        yield _chosen(request, snapshot, made, _rule(request), note)


def fits(given: ImageSpec, wanted: ImageSpec) -> bool:
    """Whether images can be compared with a network's as they are, but for their bits."""
    return (given.height, given.width, given.modalities) == (
        wanted.height,
        wanted.width,
        wanted.modalities,
    )


def _as_network(request: ProjectRequest, spec: ImageSpec) -> dict[str, object]:
    """Settings of `prepare` that make images what a network makes.

    Raises:
        UserError: the network has several modalities, which files alone do not tell.
    """
    if len(spec.modalities) > 1:
        raise UserError(
            f"{request.target}: the network makes {spec.describe()}, so name an archive of exactly "
            "these: prepare one with --modality"
        )
    return {
        "width": spec.width,
        "height": spec.height,
        "transform": request.transform,
        "primary": next(iter(spec.modalities)),
        "colour": "grey" if spec.channels == 1 else "rgb",
        "invariant": ("none",),
        "allow_rejects": True,
    }


def _rule(request: ProjectRequest) -> str:
    return f"{request.transform}, Lanczos, to the network's size and colours; {DEPTHS}"


def _left_out(rejects: Mapping[str, str]) -> str:
    if not rejects:
        return ""
    name, reason = next(iter(rejects.items()))
    return f"{len(rejects)} files were left out: {first_few(rejects)} ({name}: {reason})"


def _chosen(
    request: ProjectRequest,
    snapshot: Snapshot,
    source: ArchiveRows,
    resizing: str = "",
    left_out: str = "",
) -> TargetSet:
    """All images, or as many as are asked for, in the order of the manifest; those that were
    prepared here are called by their files.
    """
    rows, spec = list(source.rows), snapshot.info.spec
    if request.num is not None:
        wanted = {row.file for row in in_random_order(rows)[: request.num]}
        rows = [row for row in rows if row.file in wanted]
    files = [row.source if resizing else row.file for row in rows]
    condition = snapshot.info.condition
    labels = [_label(condition, row, request.of_class, request.target) for row in rows]
    if not resizing and source.archive.info.spec.bits != spec.bits:
        resizing = DEPTHS
    names = target_names(files)
    return TargetSet(rows, spec, request.target, source, files, labels, names, resizing, left_out)


def _label(condition: Condition, row: Row, given: str | None, data: str) -> str | None:
    """The class that an image is projected as.

    Raises:
        UserError: it has none, or one that the network does not know.
    """
    if given is not None:
        return condition.classes[int(condition.one_hot(given).argmax())]
    if not condition.width:
        return None
    if row.label is None:
        raise UserError(
            f"{data}: {row.source} has no class, and the network is conditional: give "
            f"--class {' or '.join(condition.classes)}"
        )
    if row.label not in condition.classes:
        raise UserError(
            f"{data}: {row.source} is of class {row.label!r}, which the network does not know "
            f"({nearest(row.label, condition.classes)}): give --class"
        )
    return row.label


def target_names(files: Sequence[str]) -> list[str]:
    """A name for what is made of each file: its own without folders and ending; with its folders,
    or with a number, where names would collide.
    """
    paths = [PurePosixPath(file.replace("\\", "/")).with_suffix("") for file in files]
    names = [file_head(path.name) for path in paths]
    if collide(names):
        names = [file_head("-".join(path.parts)) for path in paths]
    if collide(names):
        names = [f"{number:04d}-{name}" for number, name in enumerate(names)]
    return names
