"""What the jobs of `annotate` can be asked. Nothing here imports torch."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from synthograph.core.request import Flag, Positional, Request, Words
from synthograph.workflows.downstream_requests import MASK_CLASSES
from synthograph.workflows.latent_requests import Drawn, OfNetwork, Rendered
from synthograph.workflows.requests import COPIES, GPUS, Seeds

MOST_PAINTED = 4096
"""Images of an annotation set; its contact sheet is held in memory."""
FARTHEST = 16
"""Pixels by which an image is moved at most, to say how much a projection may differ from it."""


class _Painted(OfNetwork):
    """Which images are to be painted."""

    outdir: Path = Field(description="new folder: the annotation set")
    num: int = Field(
        100, ge=1, le=MOST_PAINTED, description="number of images, classes taking turns"
    )
    seeds: str | None = Field(None, description="seeds such as 0-35,97 instead of 0, 1, 2 ...")
    classes: Annotated[tuple[str, ...], Flag("--class")] = Field(
        (), description="class of images by name or index; all if not given"
    )


class AnnotateAgreementRequest(Request):
    """Compare two paintings of the same images by Dice: the best that generated masks can reach."""

    group = "annotate"

    first: Annotated[str, Positional("SET")] = Field(
        description="annotation set, or SET:PAINTER for one of its painters"
    )
    second: Annotated[str | None, Positional("OTHER")] = Field(
        None, description="the other one; the other painter of the same set if not given"
    )
    out: Annotated[Path | None, Flag("--out", "-o")] = Field(
        None, description="also write the numbers as JSON"
    )
    seed: int = Field(0, ge=0, description="seed of the intervals")


class AnnotateReviewRequest(Request):
    """Draw a contact sheet of labelled synthetic images: image, mask and uncertainty, the most
    uncertain first.
    """

    group = "annotate"

    archive: Annotated[str, Positional("SET.zip")] = Field(
        description="labelled images of annotate generate, or any archive with masks"
    )
    out: Annotated[Path | None, Flag("--out", "-o")] = Field(
        None, description="NAME.png; SET-review.png if not given"
    )
    num: int = Field(40, ge=1, le=1000, description="number of images")
    uncertainty: Path | None = Field(
        None, description="folder of annotate generate --save-uncertainty"
    )
    palette: Path | None = Field(None, description="palette with names and colours of the classes")


class AnnotateFromRealRequest(OfNetwork):
    """Make an annotation set of real images with masks. Each image is projected, and the projection
    gets the image's mask where both agree.
    """

    group = "annotate"

    archive: Annotated[str, Flag("--archive")] = Field(
        description="real images with masks, ARCHIVE or ARCHIVE:split; split train if it has splits"
    )
    outdir: Path = Field(description="new folder: the annotation set")
    projections: Path | None = Field(
        None,
        description="folder of 'project' into this network; projected into OUTDIR-projections if "
        "not given",
    )
    classes: Words = Field((), description=MASK_CLASSES)
    num: int | None = Field(None, ge=1, description="project only this many, chosen at random")
    space: Literal["w", "w+"] = Field("w+", description="w+ (nearer to the image) or w")
    steps: int = Field(1000, ge=1, le=100_000, description="steps of the projection")
    max_move: int = Field(
        1,
        ge=1,
        le=FARTHEST,
        description="a projection agrees if it differs from its image no more than a copy moved by "
        "this many pixels does, in every class",
    )
    least: int = Field(
        1,
        ge=1,
        description="where fewer agree, --max-move grows, up to 16, until so many do",
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    dry_run: bool = Field(False, description="print the plan of the projection, and make nothing")


class AnnotateImportRequest(Request):
    """Import masks of the images of an annotation set; all are checked before one is written."""

    group = "annotate"

    annotations: Annotated[Path, Positional("SET")] = Field(
        description="annotation set, the folder of annotate sample"
    )
    masks: Path = Field(
        description="folder or zip: PNG, TIFF or BMP in colours or numbers, NIfTI, NRRD, or an "
        "export of COCO, CVAT or Label Studio"
    )
    palette: str | None = Field(
        None,
        description="classes and their colours: NAME.json, a palette of GIMP, label descriptions "
        "of ITK-SNAP, labelmap.txt, ocular or ocular-10; from the set or the files if not given",
    )
    painter: str = Field("painter", description="who painted them; several can be compared")
    tolerance: int = Field(
        0, ge=0, le=100, description="how far a channel may be from the colour of a class"
    )
    ignore_unknown: bool = Field(
        False, description="let pixels of unknown colours count for no class; else they are refused"
    )
    replace: bool = Field(False, description="replace masks of the same painter")
    dry_run: bool = Field(False, description="check and report, and write nothing")


class AnnotateSampleRequest(Rendered, _Painted):
    """Draw images to paint, in an order in which the first few differ most."""

    group = "annotate"

    noise_mode: Literal["const", "none"] = Field(
        "const", description="const or none, so that an image can be drawn again from its latent"
    )


class AnnotateTrainRequest(Request):
    """Learn masks from painted images: a classifier of the generator's features, pixel by pixel,
    and a small network that sees the image.

    Every painted image is left out in turn, which says what to expect of new ones.
    """

    group = "annotate"

    annotations: Annotated[Path, Positional("A")] = Field(
        description="annotation set with painted masks"
    )
    out: Annotated[Path | None, Flag("--out", "-o")] = Field(
        None, description="mask generator to be written: NAME.safetensors"
    )
    network: Path | None = Field(
        None, description="the network that drew the images; by default the file used then"
    )
    preset: Literal["default", "linear", "published"] = Field(
        "default",
        description="default: a deep head, or a linear one where that is better on images left "
        "out, with an image network unless heads do better without; linear: a linear head alone; "
        "published: the architecture of DatasetGAN and BiOcularGAN",
    )
    seed: int = Field(0, ge=0, description="seed of weights, pixels and members")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    dry_run: bool = Field(False, description="check images and masks and train nothing")


class _LabelledImages(Seeds):
    """Which images get masks, and where they go."""

    mask_generator: Path = Field(description="mask generator of annotate train")
    out: Annotated[Path, Flag("--out", "-o")] = Field(
        description="archive to be written: NAME.zip or a folder NAME"
    )
    keep: float = Field(
        1.0, gt=0, le=1, description="share that is kept; the least certain masks are withheld"
    )
    save_uncertainty: Path | None = Field(
        None, description="also a folder of 8-bit pictures of where the masks are uncertain"
    )
    reject_copies: str | None = Field(None, description=COPIES)
    gpus: int = Field(1, ge=1, le=1024, description=GPUS)
    part: str | None = Field(
        None,
        description="only part 2/4, on any machine; the command without --part joins the parts",
    )


class AnnotateGenerateRequest(Drawn, _LabelledImages):
    """Generate images with masks; those whose masks are least certain can be withheld."""

    group = "annotate"

    trunc: float | None = Field(  # type: ignore[assignment]
        None, description="truncation psi; that of the painted images if not given"
    )
    noise_mode: Literal["const", "none"] | None = Field(  # type: ignore[assignment]
        None, description="const or none, as the images were painted if not given"
    )
