"""Folders of annotations, as all jobs of `annotate` open them."""

import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from synthograph.archive.batches import digest64
from synthograph.core.devices import Precision
from synthograph.core.errors import UserError
from synthograph.core.files import refuse_output
from synthograph.core.outputs import is_packed, refuse_other_kinds
from synthograph.core.overlays import GREY
from synthograph.core.record import UnreadableError
from synthograph.core.untrusted.documents import read_bounded
from synthograph.models.base import NoiseMode
from synthograph.models.snapshot import Snapshot
from synthograph.results.annotations import (
    LATENTS,
    MASKS,
    PAINTERS,
    SET,
    AnnotatedImage,
    AnnotationSet,
    MaskClass,
    PaintedMask,
)
from synthograph.sampling import latents as drawing
from synthograph.sampling.latents import Latents, Rendering, Space
from synthograph.sources.raster import read_mask
from synthograph.stats.masks import IGNORED

MAX_MASK_BYTES = 64 << 20
NAME = re.compile(r"\w[\w.-]{0,119}")
"""What can be the name of an image, a painter or a modality: a file's, and never outside of the
folder.
"""


@dataclass(frozen=True)
class OpenSet:
    """An annotation set and its folder."""

    folder: Path
    about: AnnotationSet

    @classmethod
    def read(cls, folder: Path) -> "OpenSet":
        """Open a folder.

        Raises:
            UserError: it is no annotation set, or its record is broken.
        """
        path = folder / SET
        if not path.is_file():
            raise UserError(
                f"{folder}: is no annotation set (it has no {SET}); make one with 'synthograph "
                "annotate sample'"
            )
        about = AnnotationSet.load(path)
        for name in (*(each.id for each in about.images), *about.painters, *about.modalities):
            if not NAME.fullmatch(name):
                raise UserError(f"{path}: {name!r:.80} can be no name of a file; draw the set anew")
        if not (about.drawing.batch and about.height and about.width and about.images):
            raise UserError(f"{path}: a size, batch or number of images is 0; draw the set anew")
        return cls(folder, about)

    def latents(self, snapshot: Snapshot) -> Latents:
        """The styles of all images by their rows, truncated as they were drawn.

        Raises:
            UserError: the images are of another network, or the file is not theirs.
        """
        if self.about.network_sha256 not in {snapshot.sha256, snapshot.info.converted_from}:
            raise UserError(
                f"{self.folder}: its images are of the network {self.about.network} "
                f"({self.about.network_sha256:.16}), and {snapshot.path} is {snapshot.sha256:.16}: "
                "give --network the one that they were drawn with"
            )
        found = drawing.read(self.folder / LATENTS, snapshot, Space.W)
        if len(found) != len(self.about.images):
            raise UserError(
                f"{self.folder / LATENTS}: holds {len(found)} latents, {SET} names "
                f"{len(self.about.images)} images; draw the set anew"
            )
        return found

    def rendering(self, device: str) -> Rendering:
        """How the styles of the file become the same images again: they are truncated already."""
        how = self.about.drawing
        return Rendering(
            noise=NoiseMode(how.noise),
            batch=how.batch,
            device=device,
            precision=Precision(how.precision),
        )

    def redrawn(
        self, snapshot: Snapshot, device: str
    ) -> Iterator[tuple[AnnotatedImage, np.ndarray]]:
        """All images by their rows with their pixels [channels, h, w], drawn from their latents.

        Raises:
            UserError: as `latents`.
        """
        found, by_row = self.latents(snapshot), sorted(self.about.images, key=lambda i: i.row)
        made = drawing.render(snapshot, found.values, found.seeds, self.rendering(device))
        yield from zip(by_row, made, strict=True)

    def mask(
        self, image: AnnotatedImage, painted: PaintedMask | None = None
    ) -> UInt8[np.ndarray, "h w"]:
        """Class ids of a mask of an image, `IGNORED` where nobody says; its own if none is named.

        Raises:
            UserError: it has none, or the file cannot be read, has another size or ids beyond the
                classes, or is not the one that was imported.
        """
        painted = painted or image.mask
        if painted is None:
            raise UserError(f"{self.folder}: {image.id} has no mask: import one")
        path = self.folder / mask_place(image, painted)
        data = read_bounded(path, "a mask; import it again", limit=MAX_MASK_BYTES)
        try:
            ids = read_mask(data)
        except UnreadableError as error:
            raise UserError(f"{path}: {error}") from None
        _refuse_misfit(ids, self.about, path)
        if mask_digest(ids) != painted.sha256:
            raise UserError(
                f"{path}: is another mask than the one that was imported: import it again with "
                "'synthograph annotate import --replace'"
            )
        return ids


def refuse_folder(outdir: Path) -> None:
    """Refuse a place for a new annotation set, before long work.

    Raises:
        UserError: it is there, cannot be written, or is named like a file of another kind.
    """
    refuse_other_kinds(outdir, "--outdir")
    if is_packed(outdir):
        raise UserError(f"--outdir {outdir}: people paint in a folder; name it {outdir.stem}")
    refuse_output(outdir, "--outdir")


def drawn_digest(pixels: np.ndarray) -> str:
    """Digest of pixels [channels, h, w], as snapshots record images."""
    return digest64(np.ascontiguousarray(pixels).tobytes())


def mask_digest(ids: UInt8[np.ndarray, "h w"]) -> str:
    """Hex sha256 of class ids."""
    return hashlib.sha256(np.ascontiguousarray(ids).tobytes()).hexdigest()


def mask_place(image: AnnotatedImage, painted: PaintedMask) -> str:
    """Where a mask of an image lies in the folder."""
    own = image.mask is not None and image.mask.painter == painted.painter
    return f"{MASKS}/{image.id}.png" if own else f"{PAINTERS}/{painted.painter}/{image.id}.png"


def _refuse_misfit(ids: np.ndarray, about: AnnotationSet, path: Path) -> None:
    """Refuse a mask that does not fit the images and classes of a set.

    Raises:
        UserError: it has another size, or ids beyond the classes.
    """
    if ids.shape != (about.height, about.width):
        raise UserError(
            f"{path}: is {ids.shape[1]}x{ids.shape[0]} pixels, the images are "
            f"{about.width}x{about.height}: paint on the image as it is, without resizing it"
        )
    classes = len(about.classes)
    beyond = sorted({int(k) for k in np.unique(ids)} - {*range(classes), IGNORED})
    if beyond:
        raise UserError(
            f"{path}: holds class id {beyond[0]}, the classes are 0 to {classes - 1} and "
            f"{IGNORED} (ignored): name every class in the palette"
        )


def indexed_png(ids: UInt8[np.ndarray, "h w"], classes: Sequence[MaskClass]) -> bytes:
    """An indexed PNG of class ids in the colours of the classes; what is ignored is grey."""
    picture = Image.fromarray(np.ascontiguousarray(ids))
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(classes)] = [each.colour for each in classes]
    colours[IGNORED] = GREY
    picture.putpalette(colours.tobytes())
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()
