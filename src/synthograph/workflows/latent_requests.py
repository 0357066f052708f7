"""What each job of the latent tools can be asked. Nothing here imports torch.

How images are drawn is declared once, in `Rendered`. A request takes it along behind its own
options, so that those stand first in the help:

    class _Loop(OfNetwork):
        frames: int = Field(60, ge=2, description="images of the loop")

    class InterpolateRequest(Rendered, _Loop):
        '''Draw the way between latents.'''
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from synthograph.core.request import Flag, Request


class OfNetwork(Request):
    """The network that a job draws with."""

    network: Path = Field(
        description="snapshot, .pkl, or run directory (its best snapshot, else the newest)"
    )


class OfClass(OfNetwork):
    """The network, and the class of what it draws."""

    of_class: Annotated[str | None, Flag("--class")] = Field(
        None, description="class by name or index, for conditional networks"
    )


class Rendered(Request):
    """How images are drawn."""

    trunc: float = Field(1.0, description="truncation psi; 1 is full diversity")
    trunc_cutoff: int | None = Field(None, description="number of style rows to truncate")
    trunc_center: Literal["global", "class"] = Field(
        "global", description="pull to the mean of all images (global) or of the class"
    )
    noise_mode: Literal["const", "random", "none"] = Field(
        "const", description="const, random (drawn from the seed) or none"
    )
    batch: int = Field(32, description="images computed at once; does not change them")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "fp32", description="fp32, or bf16 (faster, slightly different images)"
    )


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
    num: int | None = Field(None, ge=1, description="only so many of the images, spread at random")
    steps: Annotated[int, Flag("--steps", "--num-steps")] = Field(
        1000, ge=1, le=100_000, description="steps of the search for styles"
    )
    tuning_steps: int = Field(
        350, ge=1, le=100_000, description="steps of tuning the generator, with --space pti"
    )
    distance: Literal["auto", "efficientnet-lite0", "lpips", "random-vgg16", "pixels"] = Field(
        "auto",
        description="features that are to be alike, beside the pixels: efficientnet-lite0 where "
        "the extra imagenet is installed, else random-vgg16; pixels: no features",
    )
    reference: Path | None = Field(
        None,
        description="projections.json of held-out images; by default those of split val or test "
        "among the targets say what the generator reaches",
    )
    transform: Literal["center-crop", "center-crop-wide", "pad", "stretch"] = Field(
        "center-crop", description="how images of another shape are brought to the network's size"
    )
    video: Literal["webp", "mp4"] | None = Field(
        None, description="also a video of each search: target and image so far"
    )
    seed: int = Field(0, ge=0, description="seed of the noise of the search")
    batch: int | None = Field(
        None, ge=1, description="targets at once; as many as memory allows if not given"
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="of the search; auto: bf16 where it is faster, else fp32"
    )
    gpus: int = Field(1, ge=1, le=1024, description="processes, one per GPU (or CPU share)")
    part: str | None = Field(None, description="project only part 2/4, on any machine")
    dry_run: bool = Field(False, description="print the plan and the time, and project nothing")
