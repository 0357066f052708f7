"""Images with masks from a network and a mask generator."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from synthograph.annotation import mask_generator
from synthograph.annotation.features import FeatureSource
from synthograph.annotation.mask_generator import Labelled, MaskGenerator
from synthograph.archive.parts import Part, find_parts
from synthograph.archive.png import encode_png
from synthograph.archive.reader import open_archive
from synthograph.archive.writer import refuse_destination
from synthograph.core.errors import StoppedError, UserError
from synthograph.core.files import (
    disk_errors,
    refuse_existing,
    refuse_output,
    sha256_file,
    write_bytes,
)
from synthograph.core.outputs import PARTIAL, refuse_other_kinds
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.signals import StopRequest
from synthograph.models.snapshot import Snapshot
from synthograph.ops.pixels import to_pixels
from synthograph.results.annotations import Drawing
from synthograph.results.mask_generator import MaskGeneratorInfo
from synthograph.sampling import generate as sampling
from synthograph.sampling.image_request import (
    FileKind,
    ImageMask,
    ImageRequest,
    MaskRule,
    SyntheticImage,
)
from synthograph.sampling.latents import FoundOn, placed, styles
from synthograph.workflows.annotate_requests import AnnotateGenerateRequest
from synthograph.workflows.generate import FINISHING, seeds_and_classes
from synthograph.workflows.latent_inputs import open_styled
from synthograph.workflows.processes import in_parts
from synthograph.workflows.tables import rows_lines

SHARE = "share."
"""How columns of the manifest begin that hold the share of the pixels of a class."""
UNIT = 8
"""Images that are drawn at once, always the same beside each other: in other batches sums differ in
the last bit, which could turn a pixel that lies between two classes.
"""


@dataclass(frozen=True, repr=False)
class AnnotateGenerateResult(Result):
    """Images with masks that were written.

    Attributes:
        out: the archive.
        count: images that it holds; of a part, that were made.
        part: which; None for all.
        withheld: images with the least certain masks, which were left out.
        left_out: images that were too similar to a training image.
        shares: class -> mean share of the pixels, smallest and largest of an image.
    """

    out: Path
    count: int
    part: str | None = None
    withheld: int = 0
    left_out: int = 0
    shares: Sequence[tuple[str, float, float, float]] = ()

    def lines(self) -> Iterator[str]:
        """How many images are where, and what their masks hold."""
        if self.shares:
            head = ("class", "mean share of pixels", "smallest", "largest")
            rows = ((name, *(f"{each:.2%}" for each in shares)) for name, *shares in self.shares)
            yield from rows_lines(head, rows)
        if self.left_out:
            yield f"left out as too similar to a training image: {self.left_out}"
        if self.withheld:
            yield f"withheld, masks least certain: {self.withheld}"
        way = ""
        if self.part is not None:
            way = f" of part {self.part}; once all are done, the same command without --part joins"
        yield f"{self.out}: {self.count} images with masks{way}"


def run(request: AnnotateGenerateRequest, *, progress: Progress) -> AnnotateGenerateResult:
    """Write all images with their masks, or a part of them.

    Raises:
        UserError: an option breaks a rule, the mask generator is of another network, or something
            is in the way.
        StoppedError: a signal came; it names the command that goes on.
        ProcessesError: one of several processes ended early.
    """
    refuse_other_kinds(request.out, "--out")
    generator = mask_generator.load(request.mask_generator)
    drawn = _as_painted(request, generator.info.drawing)
    snapshot, how = open_styled(drawn, request.network, progress)
    jobs = seeds_and_classes(request, sampling.choose_classes(snapshot, request.classes))
    images = ImageRequest(jobs, **vars(replace(how, batch=UNIT)))
    labelling = _Labelling(snapshot, images, generator, request.save_uncertainty)
    images = replace(images, labels=labelling.rule(request))
    sampling.check_request(snapshot, images)
    refuse_destination(request.out)
    part = None if request.part is None else Part.parse(request.part)
    _refuse_pictures(request, images, part)
    if request.gpus > 1 and part is None:
        words = request.model_copy(update={"network": snapshot.path}).command_words()
        in_parts(words, request.command_line(), request.gpus)
    with StopRequest(FINISHING) as stop:
        try:
            count = _write(snapshot, images, request, part, progress, stop)
        except StoppedError as stopped:
            raise StoppedError(f"{stopped}. Continue with: {request.command_line()}") from None
    if part is not None:
        return AnnotateGenerateResult(request.out, count, request.part)
    return _result(request, generator.info)


def _as_painted(request: AnnotateGenerateRequest, drawing: Drawing) -> AnnotateGenerateRequest:
    """The request with the truncation and noise of the painted images where it names none.

    Raises:
        UserError: it names a part of the truncation, and not how strong it is.
    """
    given = request.model_fields_set
    part = next((name for name in ("trunc_cutoff", "trunc_center") if name in given), None)
    if part is not None and request.trunc is None:
        raise UserError(
            f"{request.flags()[part]} goes with --trunc, without which images are truncated like "
            f"those that were painted: add --trunc {drawing.truncation:g}, or leave it out"
        )
    usual = {
        "trunc": drawing.truncation,
        "trunc_cutoff": drawing.cutoff,
        "trunc_center": drawing.center,
        "noise_mode": drawing.noise,
    }
    named = request.trunc is not None
    first = () if named else ("trunc", "trunc_cutoff", "trunc_center")
    also = () if request.noise_mode is not None else ("noise_mode",)
    return request.model_copy(update={name: usual[name] for name in (*first, *also)})


@dataclass(frozen=True)
class _Labelling:
    """Masks for the images of a request.

    Attributes:
        snapshot: the network.
        images: the request.
        generator: of the masks.
        pictures: folder for pictures of the uncertainty.
    """

    snapshot: Snapshot
    images: ImageRequest
    generator: MaskGenerator
    pictures: Path | None

    def rule(self, request: AnnotateGenerateRequest) -> MaskRule:
        """What the archive needs to know.

        Raises:
            UserError: the mask generator is of another network.
        """
        self._source()
        info, sha256 = self.generator.info, sha256_file(request.mask_generator)
        known = ("classes", "forecasts", "image_digests", "mask_digests")
        tree = info.tree()
        return MaskRule(
            self.draw,
            request.keep,
            {"mask_generator": sha256, "pictures": self.pictures is not None},
            {"file": request.mask_generator.name, "sha256": sha256, **{k: tree[k] for k in known}},
            FoundOn(frozenset(info.groups), frozenset(info.real_images)),
        )

    def draw(self, numbers: range) -> Iterator[list[tuple[SyntheticImage, ImageMask]]]:
        """Images and masks of some jobs; writes the pictures of each before it is given."""
        source, images = self._source(), self.images
        names = images.file_names(FileKind.PNG) if self.pictures is not None else ()
        for start in range(numbers.start // UNIT * UNIT, numbers.stop, UNIT):
            unit = slice(start, start + UNIT)
            ws = styles(self.snapshot, images.chosen(self.snapshot, unit), images)
            drawn, labelled = self.generator.label(source, ws.to(images.device))
            pixels, made = to_pixels(drawn, self.snapshot.info.spec.bits), []
            for number, (job, own, found) in enumerate(
                zip(images.jobs[unit], pixels, labelled, strict=True), start
            ):
                if number not in numbers:
                    continue
                if self.pictures is not None:
                    write_bytes(self.pictures / names[number], self._picture(found))
                made.append((SyntheticImage(*job, own), self._mask(found)))
            yield made

    def _source(self) -> FeatureSource:
        drawn_with = placed(self.snapshot, self.images)
        self.generator.to(self.images.device)
        return self.generator.source(self.snapshot, drawn_with)

    def _mask(self, found: Labelled) -> ImageMask:
        mask, classes = found.mask.numpy(), self.generator.info.classes
        counts = np.bincount(mask.reshape(-1), minlength=len(classes))
        shares = counts / mask.size
        columns = {
            f"{SHARE}{each.name}": f"{share:.6g}"
            for each, share in zip(classes, shares, strict=True)
        }
        return ImageMask(mask, found.uncertainty, columns)

    def _picture(self, found: Labelled) -> bytes:
        """A PNG of the divergence: 0 none, 255 the largest that so many classes can have."""
        most = math.log(len(self.generator.info.classes))
        grey = (found.divergence / most * 255).round().clamp(0, 255).to(torch.uint8)
        return encode_png(grey.numpy()[:, :, None])


def _refuse_pictures(
    request: AnnotateGenerateRequest, images: ImageRequest, part: Part | None
) -> None:
    """Make the folder for pictures; refuse one that is there, unless this request continues. Parts
    share it, so they refuse pictures of their own names.

    Raises:
        UserError: it is there.
    """
    folder, out = request.save_uncertainty, request.out
    if folder is None:
        return
    own = out if part is None else part.dest(out)
    begun = any(each.with_name(f"{each.name}{PARTIAL}").exists() for each in (out, own))
    if part is None and not begun and not find_parts(out):
        refuse_output(folder, "--save-uncertainty")
    if part is not None and not begun:
        names = images.file_names(FileKind.PNG)
        for name in (names[number] for number in part.numbers(len(names))):
            refuse_existing(folder / name, "--save-uncertainty")
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)


def _write(
    snapshot: Snapshot,
    images: ImageRequest,
    request: AnnotateGenerateRequest,
    part: Part | None,
    progress: Progress,
    stop: StopRequest,
) -> int:
    """All images, or a part of them, and how many they are."""
    reject = None
    if request.reject_copies is not None:
        # the measures behind it take a second to load, and few ask for it
        from synthograph.workflows.copies import copy_rejection

        reject = copy_rejection(snapshot, request.reject_copies, progress)
    return sampling.generate_archive(
        snapshot,
        images,
        request.out,
        track=progress.track("generating with masks"),
        stop=stop,
        typed=request.command_line(),
        part=part,
        reject=reject,
    )


def _result(request: AnnotateGenerateRequest, info: MaskGeneratorInfo) -> AnnotateGenerateResult:
    """What the archive holds."""
    archive = open_archive(request.out)
    about, shares = archive.info.snapshots[0], []
    for each in info.classes:
        values = [float(row.columns[f"{SHARE}{each.name}"]) for row in archive.rows]
        if values:
            shares.append((each.name, sum(values) / len(values), min(values), max(values)))
    left = {name: int(about.get(name, {}).get("images", 0)) for name in ("withheld", "rejected")}
    return AnnotateGenerateResult(
        request.out,
        len(archive.rows),
        withheld=left["withheld"],
        left_out=left["rejected"],
        shares=shares,
    )
