"""The images of a generator that people paint, and what is known of their masks."""

from typing import Annotated, Literal, Self

import pydantic

from synthograph.results.base import (
    Command,
    Count,
    Document,
    Ends,
    FileName,
    IfGiven,
    Many,
    Private,
    Prose,
    Schema,
    UnlessEmpty,
)

SET, LATENTS, PALETTE, SHEET = "annotations.json", "latents.npz", "palette.json", "sheet.png"
IMAGES, MASKS, PAINTERS = "images", "masks", "painters"
"""Files and folders of an annotation set."""
MOST_CLASSES = 64
"""Classes of masks; more are grey values."""
Byte = Annotated[int, pydantic.Field(ge=0, le=255)]
Colour = tuple[Byte, Byte, Byte]
"""Red, green and blue."""


class MaskClass(Schema):
    """A class of masks.

    Attributes:
        name: of the class; the first one is the background.
        colour: that masks are shown in.
    """

    name: str
    colour: Colour


class PaintedMask(Schema):
    """A mask of an image.

    Attributes:
        painter: who painted it.
        sha256: of its class ids, one byte a pixel, row by row, in hex.
        source: the file that it was imported from.
    """

    painter: str
    sha256: str
    source: Annotated[IfGiven[FileName], Private] = ""


class Fit(Schema):
    """How well a synthetic image stands for the real one whose mask it has.

    Attributes:
        file: the real image, as its archive calls it.
        archive: file name of the archive.
        of_class: class in which both differ most, against the floor.
        distance: root of the mean squared difference in this class, as a share of the range.
        floor: the same of the real image and itself, moved by `pixels`; 0 in older files.
        group: digest of the group of the real image; empty in older files.
    """

    file: str
    archive: FileName
    of_class: str
    distance: float
    floor: float
    pixels: IfGiven[Count] = 0
    group: IfGiven[str] = ""


class AnnotatedImage(Schema):
    """An image to be painted.

    Attributes:
        id: name of its files.
        label: class of the image, for a conditional generator.
        seed: of its latent.
        row: place in the file of latents; images are drawn in the order of these places.
        digest: first 64 bits of the sha256 of its pixels [channels, h, w], in hex, as snapshots
            record images.
        mask: that masks are learned from; None while it is not painted.
        others: masks of further painters, to compare with.
        fit: of an image that stands for a real one.
    """

    id: str
    label: str | None
    seed: Count
    row: Count
    digest: str
    mask: PaintedMask | None = None
    others: UnlessEmpty[Many[PaintedMask]] = ()
    fit: Annotated[IfGiven[Fit | None], Private] = None

    @property
    def masks(self) -> tuple[PaintedMask, ...]:
        """All of them, that which is learned from first."""
        return tuple(each for each in (self.mask, *self.others) if each is not None)


class Drawing(Schema):
    """How the images were drawn. The styles in the file of latents are truncated already.

    Attributes:
        truncation: psi.
        cutoff: number of style rows that were truncated; None for all.
        center: what truncation pulled to, global or class.
        noise: const or none.
        batch: images at once; others can change the last bit of a pixel.
        precision: arithmetic of the network blocks.
    """

    truncation: float
    cutoff: int | None
    center: str
    noise: Literal["const", "none"]
    batch: Count
    precision: str


class AnnotationSet(Document):
    """What `annotate` writes beside the images.

    Attributes:
        network: file of the generator; `network_sha256`, its hash.
        drawing: how its images were drawn.
        height: of images and masks in pixels; `width` likewise.
        bits: per value of the images.
        modalities: name -> channels.
        classes: of the masks; empty before the first import.
        images: in the suggested order of painting.
        order: what that order follows, in words.
        groups: digests of the groups of real images whose masks are used.
        real_images: digests of these images.
    """

    kind: Literal["annotations"] = "annotations"
    network: FileName
    network_sha256: str
    drawing: Drawing
    height: Count
    width: Count
    bits: Literal[8, 16]
    modalities: dict[str, Count]
    classes: Annotated[tuple[MaskClass, ...], pydantic.Field(max_length=MOST_CLASSES)] = ()
    images: Many[AnnotatedImage]
    order: Prose = ""
    groups: UnlessEmpty[Many[str]] = ()
    real_images: UnlessEmpty[Many[str]] = ()
    version: str
    command: IfGiven[Command] = ""

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [each.id.casefold() for each in self.images]
        rows = sorted(each.row for each in self.images)
        if len({*names}) < len(names):
            raise ValueError("images: two of them have one id")
        if rows != list(range(len(rows))):
            raise ValueError("images: their rows are not 0, 1, 2 ... without a gap")
        if len({each.name for each in self.classes}) < len(self.classes):
            raise ValueError("classes: two of them have one name")
        return self

    @property
    def painted(self) -> tuple[AnnotatedImage, ...]:
        """Those that have a mask, in the suggested order."""
        return tuple(each for each in self.images if each.mask is not None)

    @property
    def painters(self) -> tuple[str, ...]:
        """Everybody who painted one, sorted."""
        return tuple(sorted({mask.painter for image in self.images for mask in image.masks}))

    def by_id(self) -> dict[str, AnnotatedImage]:
        """Id -> image."""
        return {each.id: each for each in self.images}


class ClassAgreement(Schema):
    """How far two paintings agree on a class.

    Attributes:
        of_class: its name; empty for the mean over all but the background.
        dice: mean over the images that either shows the class in; None where none does.
        interval: over images; None with too few.
        images: that either shows the class in; of the mean, any class.
        missing: that only one of them shows it in, which count as 0; of the mean, any class.
    """

    of_class: str
    dice: float | None
    interval: Ends | None
    images: Count
    missing: Count


class PainterAgreement(Document):
    """What `annotate agreement` writes: the ceiling of what a mask generator can be asked for.

    Attributes:
        first: annotation set of one painting, and `second` of the other.
        painters: of both.
        images: that both painted.
        only_first: images that only the first painted; `only_second` likewise.
        ignored: share of the pixels that one of them says nothing of.
        classes: the mean first.
    """

    kind: Literal["painter-agreement"] = "painter-agreement"
    first: FileName
    second: FileName
    painters: Annotated[Many[str], Private] = ()
    images: Count
    only_first: Count
    only_second: Count
    ignored: float
    classes: Many[ClassAgreement]
    seed: Count
    version: str
    command: IfGiven[Command] = ""
