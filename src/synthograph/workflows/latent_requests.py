"""What each job of the latent tools can be asked. Nothing here imports torch.

How images are drawn is declared once, in `Rendered`. A request takes it along behind its own
options, so that those stand first in the help:

    class _Loop(OfNetwork):
        frames: int = Field(60, ge=2, description="images of the loop")

    class InterpolateRequest(Rendered, _Loop):
        '''Draw the way between latents.'''
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from synthograph.core.request import Flag, Request, Words
from synthograph.features.packaged import RANDOM, TRAINED

CENTER = "pull to the mean of all images (global) or of the class"
ONE_EXTRACTOR = f"extractor, default {TRAINED}, or {RANDOM} without it"


def _several(given: Any) -> Any:  # noqa: ANN401 - whatever a caller gives
    """One source as a list of one."""
    return [str(given)] if isinstance(given, str | int | Path) else given


Sources = Annotated[tuple[str, ...], BeforeValidator(_several)]
"""Seeds such as `0-3,7`, or files of latents; one or several."""
Files = Annotated[tuple[Path, ...], BeforeValidator(_several)]
"""Files, one or several."""


class OfNetwork(Request):
    """The network that a job draws with."""

    network: Path = Field(
        description="snapshot, .pkl, or run directory (its best snapshot, else the newest); or a "
        "name or https URL as in train --init-from"
    )


class OfClass(OfNetwork):
    """The network, and the class of what it draws."""

    of_class: Annotated[str | None, Flag("--class")] = Field(
        None, description="class by name or index, for conditional networks"
    )


class Drawn(Request):
    """How images are drawn, by a job that says itself how many at once."""

    trunc: float = Field(1.0, description="truncation psi; 1 is full diversity")
    trunc_cutoff: int | None = Field(None, description="number of style rows to truncate")
    trunc_center: Literal["global", "class"] = Field("global", description=CENTER)
    noise_mode: Literal["const", "random", "none"] = Field(
        "const", description="const, random (drawn from the seed) or none"
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "fp32", description="fp32, or bf16 (faster, slightly different images)"
    )


class Rendered(Drawn):
    """How images are drawn."""

    batch: int = Field(32, description="images computed at once; does not change them")


class ProjectRequest(OfClass):
    """Project images into a generator: find the styles whose image is most like each."""

    target: str = Field(
        description="archive, ARCHIVE:split, folder or zip of image files, or one image file"
    )
    outdir: Path = Field(description="folder for images, styles and results; made if missing")
    space: Literal["w", "w+", "pti"] = Field(
        "w",
        description="w: one style for all layers; w+: one per layer; pti: w, then the generator "
        "is tuned to each target, which takes long",
    )
    num: int | None = Field(None, ge=1, description="only so many of the images, chosen at random")
    steps: Annotated[int, Flag("--steps", "--num-steps")] = Field(
        1000, ge=1, le=100_000, description="steps of the search for styles"
    )
    tuning_steps: int = Field(
        350, ge=1, le=100_000, description="steps of tuning the generator, with --space pti"
    )
    distance: Literal["auto", "efficientnet-lite0", "lpips", "random-vgg16", "pixels"] = Field(
        "auto",
        description="features that are compared beside the pixels; auto: efficientnet-lite0 where "
        "the extra imagenet is installed, else random-vgg16; pixels: no features",
    )
    reference: Path | None = Field(
        None,
        description="projections.json of held-out images, for the percentiles; by default the "
        "targets of split val, else of split test",
    )
    transform: Literal["center-crop", "pad", "stretch"] = Field(
        "center-crop", description="how images of another shape are brought to the network's size"
    )
    video: Literal["webp", "mp4"] | None = Field(
        None, description="also write a video of each search: the target beside the image so far"
    )
    seed: int = Field(0, ge=0, description="seed of the noise of the search")
    batch: int | None = Field(
        None, ge=1, description="targets at once; as many as memory allows if not given"
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="precision of the search; auto: bf16 where it is faster, else fp32"
    )
    gpus: int = Field(1, ge=1, le=1024, description="processes, one per GPU (or CPU share)")
    part: str | None = Field(None, description="project only part 2/4, on any machine")
    dry_run: bool = Field(False, description="print the plan and the time, and project nothing")


class _Film(OfNetwork):
    out: Path = Field(
        description="NAME.webp, .gif, .mp4, NAME.png (all frames on one picture), or a folder"
    )
    seeds: str | None = Field(
        None,
        description="seeds of key images, such as 85,100,75; 0-5 if not given; of a circularloop "
        "its centre",
    )
    latents: Files = Field(
        (), description="key images from a file of latents, instead of seeds; repeat it"
    )
    classes: Annotated[tuple[str, ...], Flag("--class")] = Field(
        (), description="class of all key images, or one for each of them; repeat it"
    )
    process: Literal["image", "interpolation", "truncation", "interpolation-truncation"] = Field(
        "interpolation",
        description="interpolation (the path between key images), truncation (each of them at "
        "many psi), interpolation-truncation (both), or image (key images only)",
    )
    interpolation: Literal["linear", "slerp", "noiseloop", "circularloop"] | None = Field(
        None,
        description="linear, slerp (along the sphere of z), or a loop that needs no key images; "
        "slerp in z and linear in w if not given",
    )
    easing: Literal[
        "linear", "easeInOutQuad", "bounceEaseOut", "circularEaseOut", "circularEaseOut2"
    ] = Field(
        "linear",
        description="pace between two key images: linear, easeInOutQuad, bounceEaseOut, "
        "circularEaseOut or circularEaseOut2",
    )
    space: Literal["z", "w"] | None = Field(
        None, description="space of the path; z if not given, w for a file of styles"
    )
    loop: bool = Field(False, description="return to the first key image")
    frames: int = Field(
        240, ge=1, le=100_000, description="number of frames of a film in which images move"
    )
    fps: float = Field(24, ge=0.001, le=240, description="frames a second")
    diameter: float = Field(
        100,
        gt=0,
        le=10_000,
        description="diameter of a loop; a larger one passes more different images",
    )
    random_seed: Annotated[int, Flag("--random-seed", "--random_seed")] = Field(
        0, ge=0, le=2**32 - 1, description="seed of a loop"
    )
    start: float = Field(0, ge=-100, le=100, description="psi where a sweep of truncation starts")
    stop: float = Field(1, ge=-100, le=100, description="psi where it stops")
    increment: float | None = Field(
        None, gt=0, description="change of psi per frame; 0.01, or once along the path if not given"
    )
    size: str | None = Field(
        None, description="pixels of frames, such as 512 or 640x480; small images are enlarged"
    )
    scale_type: Literal["pad", "padside", "symm", "symmside"] = Field(
        "pad",
        description="what fills a larger frame: black all around (pad) or at one side (padside), "
        "or the mirrored image all around (symm) or at one side (symmside)",
    )
    dry_run: bool = Field(False, description="validate and print the plan with its time")


class InterpolateRequest(Drawn, _Film):
    """Film the path between seeds, classes or latents, a loop, or a sweep of truncation psi."""


class _Mixed(OfClass):
    """Which styles are mixed."""

    rows: Sources = Field(
        description="latents of the rows: seeds such as 85,100, or NAME.npz; repeat it"
    )
    cols: Sources = Field(
        description="latents of the columns: seeds such as 55,821, or NAME.npz; repeat it"
    )
    styles: str | None = Field(
        None,
        description="style rows that the columns give, such as 0-6; the coarser half of the "
        "network's if not given",
    )
    row_class: str | None = Field(None, description="class of the rows, where it is not --class")
    col_class: str | None = Field(None, description="class of the columns, where it is not --class")
    outdir: Path = Field(description="new folder for grid.png, ROW-COL.png and latents.npz")


class MixStylesRequest(Rendered, _Mixed):
    """Mix styles: every image has the coarse styles of its column and the others of its row."""


class _Near(OfClass):
    """What is near what."""

    seed: int | None = Field(None, ge=0, description="seed of the centre")
    latents: Path | None = Field(
        None, description="NAME.npz with one latent as the centre, instead of --seed"
    )
    num: int = Field(8, ge=1, le=1024, description="neighbours at every distance")
    distance: str | None = Field(
        None,
        description="distances such as 10,20,40: in z the angle in degrees, in w spreads of w; "
        "10,20,40 or 0.25,0.5,1 if not given",
    )
    space: Literal["z", "w"] | None = Field(
        None, description="z or w; for a seed z if not given, for --latents the space of the latent"
    )
    outdir: Path = Field(description="new folder for images, sheet, table and latents")


class NeighboursRequest(Rendered, _Near):
    """Draw images around a seed, and measure how far from it they are, as latents and images."""


class _Direction(OfClass):
    archive: str = Field(description="real images with the column, ARCHIVE or ARCHIVE:split")
    column: str = Field(description="column of the manifest, or class")
    outdir: Path = Field(description="new folder for numbers, the sheet of steps and latents")
    level: str | None = Field(
        None,
        description="value that the direction leads to, where the column does not hold numbers",
    )
    projections: Path | None = Field(
        None, description="find it on projections of the archive's images, not on samples"
    )
    classifier: Path | None = Field(
        None, description="find it on samples scored by this file of 'classify train'"
    )
    others: Words = Field(
        (), description="further columns to measure along it; those of the archive if not given"
    )
    num: int = Field(2000, ge=50, le=100_000, description="samples on which the direction is found")
    fresh: int = Field(
        100, ge=6, le=10_000, description="further samples, which are moved along it"
    )
    steps: int = Field(7, ge=3, le=101, description="steps along it, an odd number")
    reach: float = Field(
        3.0, gt=0, le=20, description="how far to either side, in standard deviations"
    )
    latents: Path | None = Field(None, description="show these latents on the sheet, not samples")
    features: str | None = Field(
        None, description=f"read columns by an extractor such as {TRAINED}, not by 16x16 pixels"
    )
    seed: int = Field(0, ge=0, description="seed of halves, folds and random directions")
    dry_run: bool = Field(False, description="validate and print the plan")

    @field_validator("steps")
    @classmethod
    def _odd(cls, steps: int) -> int:
        if steps % 2 == 0:
            raise ValueError("an odd number, so that the middle step is where the samples are")
        return steps


class DirectionsRequest(Rendered, _Direction):
    """Find a direction in w for a class or a column, and measure what else changes along it."""


class TruncationRequest(OfNetwork):
    """Measure fidelity and diversity over truncation, and show the same seeds at every psi."""

    real: str = Field(
        description="real images to compare with, ARCHIVE:val; split val if none is named"
    )
    outdir: Path = Field(description="new folder for truncation.json and truncation.png")
    psi: Words = Field(
        (),
        description="values of psi with commas between; 0.3,0.4,0.5,0.6,0.7,0.8,0.9,1 if not given",
    )
    trunc_center: Literal["global", "class"] = Field("global", description=CENTER)
    num: int | None = Field(
        None,
        ge=10,
        le=50_000,
        description="synthetic images at every psi; as many as real ones, 200 to 1000, "
        "if not given",
    )
    features: str | None = Field(None, description=ONE_EXTRACTOR)
    seeds: str = Field("0-3", description="seeds on the picture, shown for every class")
    seed: int = Field(0, ge=0, description="seed of the drawn classes and of the intervals")
    batch: int = Field(32, ge=1, description="images at once; does not change them")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    dry_run: bool = Field(False, description="validate and print the plan with its time")


class AuthenticityRequest(Request):
    """Test whether training images are reached more closely than held-out ones: memorisation."""

    train: Path | None = Field(
        None, description="projections of training images: folder or projections.json of 'project'"
    )
    held_out: Path | None = Field(None, description="the same of held-out images")
    own: Path | None = Field(None, description="the same of images of the network itself")
    outdir: Path = Field(description="folder for results, table and pictures of pairs")
    network: Path | None = Field(
        None, description="network to project into, with --archive, instead of naming projections"
    )
    archive: str | None = Field(
        None, description="archive with splits: its training and test images are projected"
    )
    num: int = Field(40, ge=5, le=10_000, description="images of each set that are projected")
    steps: int = Field(500, ge=1, le=100_000, description="steps of each search, by pixels alone")
    features: str | None = Field(
        None,
        description=f"extractor of the cosine distance, default {TRAINED} where it is installed",
    )
    seed: int = Field(0, ge=0, description="seed of permutations, intervals and searches")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    dry_run: bool = Field(False, description="validate and print the plan, and project nothing")
