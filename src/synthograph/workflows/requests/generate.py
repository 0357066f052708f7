"""What `generate` can be asked."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from synthograph.core.request import Flag, Request

MAX_IMAGES = 10_000_000
"""Images that one request makes at most."""


class GenerateRequest(Request):
    """Generate labelled images; the same class and seed always give the same image."""

    network: Path = Field(
        description="snapshot, .pkl, or run directory (its best snapshot, else the newest)"
    )
    outdir: Path = Field(description="folder for PNG files, or NAME.zip for an archive")
    seeds: str | None = Field(
        None, description="seeds such as 0-35,97 for every class; 0-15 if not given"
    )
    num: int | None = Field(
        None, ge=1, le=MAX_IMAGES, description="number of images in all, classes taking turns"
    )
    per_class: int | None = Field(
        None, ge=1, le=MAX_IMAGES, description="number of images of every class"
    )
    classes: Annotated[tuple[str, ...], Flag("--class")] = Field(
        (), description="class by name or index; all if not given"
    )
    trunc: float = Field(1.0, description="truncation psi; 1 is full diversity")
    trunc_cutoff: int | None = Field(None, description="number of style rows to truncate")
    trunc_center: Literal["global", "class"] = Field(
        "global", description="pull to the mean of all images (global) or of the class"
    )
    noise_mode: Literal["const", "random", "none"] = Field(
        "const", description="const, random (drawn from the seed) or none"
    )
    kind: Annotated[Literal["png", "jpeg"], Flag("--format")] = Field(
        "png", description="png or jpeg, for single files"
    )
    grid: Path | None = Field(None, description="also draw all images on one PNG")
    batch: int = Field(32, description="images computed at once; does not change them")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "fp32", description="fp32, or bf16: faster, slightly different images"
    )
    gpus: int = Field(
        1, ge=1, le=1024, description="processes, one per GPU; does not change the images"
    )
    part: str | None = Field(
        None,
        description="generate only part 2/4, on any machine; "
        "an archive then needs the command without --part to join the parts",
    )
    reject_copies: str | None = Field(
        None, description="leave out images too similar to one of TRAIN.zip[:split]"
    )
