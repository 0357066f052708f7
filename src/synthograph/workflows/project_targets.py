"""The images that are to be projected: of an archive or of image files, brought to the network's
size and kind.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from synthograph.archive.batches import (
    ArchiveRows,
    digest64,
    in_random_order,
    path_and_split,
)
from synthograph.archive.manifest import Row
from synthograph.archive.transform import Fit, TransformOptions, transform
from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.core.progress import Progress
from synthograph.core.record import DecodedImage, array_of
from synthograph.core.spec import ImageSpec
from synthograph.models.base import Condition
from synthograph.models.snapshot import Snapshot
from synthograph.sampling.latents import one_hot_labels
from synthograph.sampling.naming import collide, file_head
from synthograph.sampling.projection import Targets, key_of
from synthograph.workflows.latent_inputs import class_of
from synthograph.workflows.latent_requests import ProjectRequest
from synthograph.workflows.predict_inputs import Inputs, images_of, prepared_files

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
        fit: how images of another shape get that of `spec`.
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
    fit: Fit
    resizing: str = ""
    left_out: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def pixels(self, numbers: Sequence[int]) -> np.ndarray:
        """Stored pixels [n, channels, h, w], uint8 or uint16, of some images."""
        archive = self.source.archive
        rows = (self.rows[number] for number in numbers)
        return np.stack(
            [fitted(archive.read(r), archive.info.spec, self.spec, self.fit) for r in rows]
        )

    def digests(self, number: int) -> tuple[Sequence[str], Sequence[str]]:
        """Digests of an image's group and pixels, as snapshots record what they saw."""
        row, archive = self.rows[number], self.source.archive
        pixels = np.ascontiguousarray(archive.read(row))
        return list(ArchiveRows(archive, [row]).groups), [digest64(pixels.tobytes())]

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
    wanted = snapshot.info.spec

    def prepared(path: Path, folder: Path) -> Inputs:
        return prepared_files(path, folder, progress, **_as_network(request, wanted))

    with images_of(request.target, prepared) as found:
        given = found.rows.archive.info.spec
        if not convertible(given, wanted):
            raise UserError(
                f"{path_and_split(request.target)[0]}: its images are {given.describe()}, the "
                f"network makes {wanted.describe()}: prepare an archive of those, with prepare "
                "--modality"
            )
        yield _chosen(request, snapshot, found)


def convertible(given: ImageSpec, wanted: ImageSpec) -> bool:
    """Whether images can become what a network makes: their modalities are the same, but for the
    name of the only one, and colour.
    """
    if len(given.modalities) == len(wanted.modalities) == 1:
        return {given.channels, wanted.channels} <= {1, 3}
    return list(given.modalities.items()) == list(wanted.modalities.items())


def fitted(pixels: np.ndarray, given: ImageSpec, wanted: ImageSpec, fit: Fit) -> np.ndarray:
    """An image [channels, h, w] as a network would make it; as it is where nothing differs.

    Args:
        pixels: uint8 or uint16.
        given: what they are.
        wanted: what they are to be, `convertible`.
        fit: how another shape becomes that.
    """
    if (given.channels, wanted.channels) == (3, 1):
        pixels = np.asarray(Image.fromarray(pixels.transpose(1, 2, 0)).convert("L"))[None]
    if given.bits != wanted.bits:
        share = np.round(pixels * (wanted.max_value / given.max_value))
        pixels = share.astype(np.uint8 if wanted.bits == 8 else np.uint16)
    if pixels.shape[1:] != (wanted.height, wanted.width):
        size = TransformOptions(width=wanted.width, height=wanted.height, fit=fit)
        layers = {str(n): layer[:, :, None] for n, layer in enumerate(pixels)}
        (piece,) = transform(DecodedImage(layers), size)
        pixels = np.stack([array_of(x)[:, :, 0] for x in piece.picture.modalities.values()])
    if (given.channels, wanted.channels) == (1, 3):
        pixels = pixels.repeat(3, axis=0)
    return pixels


def _as_network(request: ProjectRequest, spec: ImageSpec) -> dict[str, object]:
    """Settings of `prepare` that make files what a network makes.

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
        "colour": "grey" if spec.channels == 1 else "rgb",
        "invariant": ("none",),
        "allow_rejects": True,
    }


def _chosen(request: ProjectRequest, snapshot: Snapshot, found: Inputs) -> TargetSet:
    """All images, or as many as are asked for, in the order of the manifest; image files are called
    by their own names.
    """
    rows, spec = list(found.rows.rows), snapshot.info.spec
    if request.num is not None:
        wanted = {row.file for row in in_random_order(rows)[: request.num]}
        rows = [row for row in rows if row.file in wanted]
    files = [row.source if found.files else row.file for row in rows]
    condition = snapshot.info.condition
    named = class_of(snapshot, request.of_class)
    labels = [named or _label(condition, row, request.target) for row in rows]
    resizing = f"{request.transform}, Lanczos, to the network's size and colours; {DEPTHS}"
    given, alike = found.rows.archive.info.spec, ("height", "width", "channels", "bits")
    same = all(getattr(given, name) == getattr(spec, name) for name in alike)
    return TargetSet(
        rows=rows,
        spec=spec,
        data=request.target,
        source=found.rows,
        files=files,
        labels=labels,
        names=target_names(files),
        fit=Fit(request.transform),
        resizing="" if same and not found.files else resizing,
        left_out=found.left_out_note(),
    )


def _label(condition: Condition, row: Row, data: str) -> str | None:
    """The class that an image is projected as.

    Raises:
        UserError: it has none, or one that the network does not know.
    """
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
