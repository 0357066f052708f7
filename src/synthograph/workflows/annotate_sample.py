"""Images of a generator to be painted, with the latents that draw them again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthograph.annotation.sampling import ORDER, suggested_order
from synthograph.archive.png import encode_png
from synthograph.core.contact_sheets import as_rgb, contact_sheet
from synthograph.core.errors import UserError
from synthograph.core.files import new_folder
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.spec import ImageSpec
from synthograph.core.version import VERSION
from synthograph.models.snapshot import Snapshot
from synthograph.report.words import several
from synthograph.results.annotations import (
    IMAGES,
    LATENTS,
    SET,
    SHEET,
    AnnotatedImage,
    AnnotationSet,
    Drawing,
)
from synthograph.sampling import generate as sampling
from synthograph.sampling.generate import FileKind, ImageRequest
from synthograph.sampling.latents import Rendering, as_styles
from synthograph.sampling.pictures import by_modality
from synthograph.sampling.seeds import parse_seeds
from synthograph.workflows.annotate_requests import MOST_PAINTED, AnnotateSampleRequest
from synthograph.workflows.annotation_sets import drawn_digest, refuse_folder
from synthograph.workflows.latent_inputs import open_styled

COLUMNS = 10


@dataclass(frozen=True, repr=False)
class AnnotateSampleResult(Result):
    """Images to paint.

    Attributes:
        outdir: the annotation set.
        about: its record.
    """

    outdir: Path
    about: AnnotationSet

    def lines(self) -> Iterator[str]:
        """What is where, and what to do."""
        first = ", ".join(each.id for each in self.about.images[:8])
        yield f"{self.outdir}: {several(len(self.about.images), 'image')} to paint, {SHEET}"
        yield f"paint these first: {first}"
        yield (
            f"save masks under the same names into a folder, then: synthograph annotate import "
            f"{self.outdir} --masks FOLDER --palette palette.json"
        )


def run(request: AnnotateSampleRequest, *, progress: Progress) -> AnnotateSampleResult:
    """Draw the images, order them and write them with their latents.

    Raises:
        UserError: an option breaks a rule, or the folder is there.
    """
    refuse_folder(request.outdir)
    snapshot, how = open_styled(request, request.network, progress)
    images = _images(snapshot, request, how)
    with new_folder(request.outdir) as folder:
        about = write_set(
            folder, snapshot, images, progress=progress, command=request.command_line()
        )
    return AnnotateSampleResult(request.outdir, about)


def _images(snapshot: Snapshot, request: AnnotateSampleRequest, how: Rendering) -> ImageRequest:
    """Seed and class of every image.

    Raises:
        UserError: a class or the seeds cannot be read, or there are too many.
    """
    classes = sampling.choose_classes(snapshot, request.classes)
    jobs = sampling.jobs_in_turn(request.num, classes)
    if request.seeds is not None:
        seeds = parse_seeds(request.seeds)
        jobs = [(s, classes[k % len(classes)] if classes else None) for k, s in enumerate(seeds)]
    if len(jobs) > MOST_PAINTED:
        raise UserError(f"--seeds: {len(jobs)} images are more than {MOST_PAINTED}; name fewer")
    return ImageRequest(jobs, **vars(how))


def write_set(
    folder: Path,
    snapshot: Snapshot,
    images: ImageRequest,
    *,
    progress: Progress,
    command: str,
) -> AnnotationSet:
    """Draw images and write them as an annotation set without masks."""
    drawn: list[np.ndarray] = []
    batches = (image for batch in sampling.generate(snapshot, images) for image in batch)
    for image in progress.track("drawing")(batches, len(images.jobs)):
        drawn.append(image.pixels)
    latents = as_styles(snapshot, [images.chosen(snapshot, slice(None))], images)
    spec, order = snapshot.info.spec, suggested_order(latents.values)
    ids = [Path(name).stem for name in images.file_names(FileKind.PNG)]
    (folder / IMAGES).mkdir()
    for name, pixels in zip(ids, drawn, strict=True):
        for file, data in _pictures(spec, name, pixels):
            (folder / IMAGES / file).write_bytes(data)
    (folder / LATENTS).write_bytes(sampling.latents_to_save(snapshot, images))
    small = [as_rgb(drawn[k], spec.modalities.values()) for k in order]
    (folder / SHEET).write_bytes(sheet_of([ids[k] for k in order], small))
    about = AnnotationSet(
        network=snapshot.path.name,
        network_sha256=snapshot.sha256,
        drawing=_drawing(images),
        height=spec.height,
        width=spec.width,
        bits=spec.bits,
        modalities=dict(spec.modalities),
        images=tuple(
            AnnotatedImage(
                id=ids[k],
                label=latents.labels[k],
                seed=latents.seeds[k],
                row=k,
                digest=drawn_digest(drawn[k]),
            )
            for k in order
        ),
        order=ORDER,
        version=VERSION,
        command=command,
    )
    about.save(folder / SET)
    return about


def _drawing(how: Rendering) -> Drawing:
    return Drawing(
        truncation=float(how.truncation),
        cutoff=how.cutoff,
        center=how.center.value,
        noise=how.noise.value,
        batch=how.batch,
        precision=how.precision.value,
    )


def _pictures(spec: ImageSpec, name: str, pixels: np.ndarray) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of the files of one image: the sheet to paint on, and beside it every modality
    as `generate` writes it, where the sheet shows less or others, too.
    """
    parts = by_modality(spec, pixels)
    if len(parts) > 1 or spec.bits > 8:
        for modality, part in parts.items():
            yield f"{name}.{modality}.png", encode_png(part)
        shown = as_rgb(pixels, spec.modalities.values())
        grey = {*spec.modalities.values()} == {1}
        yield f"{name}.png", encode_png(shown[:, :, :1] if grey else shown)
    else:
        yield f"{name}.png", encode_png(next(iter(parts.values())))


def sheet_of(ids: Sequence[str], images: Sequence[np.ndarray]) -> bytes:
    """A contact sheet in the order of the images, each with its number and name."""
    rows, captions = [], []
    for start in range(0, len(ids), COLUMNS):
        part = slice(start, start + COLUMNS)
        rows.append((str(start + 1), images[part]))
        captions.append([name[:10] for name in ids[part]])
    return contact_sheet(rows, captions=captions)
