"""What `domain-gap` can be asked."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from synthograph.core.request import Flag, Positional, Request, Words


class DomainGapRequest(Request):
    """Measure the gap between sets of images: two sites, or real and synthetic."""

    archives: Annotated[tuple[str, ...], Positional()] = Field(
        description="two or more archives, ARCHIVE or ARCHIVE:split"
    )
    features: Words = Field((), description="extractor, default random-vgg16; can be repeated")
    of_class: Annotated[tuple[str, ...], Flag("--class")] = Field(
        (), description="only images of it: CLASS, or ARCHIVE=CLASS for one archive"
    )
    most: int = Field(2000, ge=10, description="images of a set at most, drawn at random")
    outdir: Path | None = Field(
        None, description="also write results, map and thumbnails to this folder"
    )
    seed: int = Field(0, ge=0, description="seed of folds, permutations and draws")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    dry_run: bool = Field(False, description="validate and print the plan")
